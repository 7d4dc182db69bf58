// SPDX-License-Identifier: MIT
#include "tools/bench/bare-wheel.h"

void bare_wheel_init(struct bare_wheel *w, uint64_t tick)
{
	int i;

	w->tick = tick;
	for (i = 0; i < BARE_LEVELS * BARE_SLOTS; i++)
		w->slot[i].next = w->slot[i].prev = &w->slot[i];
}

void bare_wheel_arm(struct bare_wheel *w, struct bare_timer *timer, uint64_t tick)
{
	uint64_t unit = tick, away = tick - w->tick;
	struct bare_link *head;
	unsigned int level = 0;

	for (; away >= BARE_SLOTS && level < BARE_LEVELS - 1; away /= BARE_SLOTS, level++)
		unit /= BARE_SLOTS;
	head = &w->slot[level * BARE_SLOTS + unit % BARE_SLOTS];
	timer->tick = tick;
	timer->link.next = head;
	timer->link.prev = head->prev;
	head->prev->next = &timer->link;
	head->prev = &timer->link;
}

void bare_wheel_cancel(struct bare_timer *timer)
{
	timer->link.prev->next = timer->link.next;
	timer->link.next->prev = timer->link.prev;
}
