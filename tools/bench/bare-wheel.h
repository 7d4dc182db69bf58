/* SPDX-License-Identifier: MIT */
/*
 * The simplest timing wheel that could work: what the wheel of miniss is
 * measured against. It arms and cancels; nothing ever expires.
 */
#ifndef BENCH_BARE_WHEEL_H
#define BENCH_BARE_WHEEL_H

#include <stdint.h>

struct bare_link {
	struct bare_link *next, *prev;
};

struct bare_timer {
	struct bare_link link;
	uint64_t tick;
	char rest[40];	/* as large as mn_timer: queues are compared, not what timers hold */
};

#define BARE_LEVELS	4
#define BARE_SLOTS	256

struct bare_wheel {
	uint64_t tick;
	struct bare_link slot[BARE_LEVELS * BARE_SLOTS];	/* heads of circular lists */
};

void bare_wheel_init(struct bare_wheel *w, uint64_t tick);
void bare_wheel_arm(struct bare_wheel *w, struct bare_timer *timer, uint64_t tick);
void bare_wheel_cancel(struct bare_timer *timer);

#endif
