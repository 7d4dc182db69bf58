// SPDX-License-Identifier: MIT
#include "backends/backend.h"
#include "core/shard.h"
#include "smp/wake.h"

#define RECEIVE_MAX	64	/* items of a turn: what they start must get its turn, too */

void door_push(struct shard *to, struct door_item *item)
{
	struct door *door = &to->door;
	struct door_item *last = atomic_load_explicit(&door->pushed, memory_order_relaxed);

	/*
	 * Release: the item is written before it is seen. Pairs with the acquire
	 * in door_take(). From here on the item is the shard's. An address that
	 * came back in between does no harm: all are taken at once.
	 */
	do
		handed(item->next) = last;
	while (!atomic_compare_exchange_weak_explicit(&door->pushed, &last, item,
						      memory_order_release, memory_order_relaxed));
	wake_look();
	if (wake_claim(&to->asleep))
		backend_wake(to->be);
}

/* All that was pushed, in the order in which it was. */
static struct door_item *door_take(struct door *door)
{
	/* Acquire: items are read after they were seen. Pairs with the release in door_push(). */
	struct door_item *last =
		atomic_exchange_explicit(&door->pushed, NULL, memory_order_acquire);
	struct door_item *first = NULL;

	while (last) {
		struct door_item *next = handed(last->next);

		handed(last->next) = first;
		first = last;
		last = next;
	}
	return first;
}

unsigned int door_drain(struct shard *self)
{
	struct door *door = &self->door;
	unsigned int n = 0;

	if (!door->taken)
		door->taken = door_take(door);
	for (; n < RECEIVE_MAX && door->taken; n++) {
		struct door_item *item = door->taken;

		door->taken = handed(item->next);	/* before it is somebody else's again */
		item->receive(self, item);
	}
	return n;
}
