/* SPDX-License-Identifier: MIT */
/* A timer that belongs to one wait of a fiber. */
#ifndef CORE_ALARM_H
#define CORE_ALARM_H

#include <miniss/timer.h>

struct alarm {
	struct mn_timer timer;
	void (*expire)(struct alarm *alarm);	/* ends the wait */
	void *obj;
	bool expired;
};

/*
 * alarm_set - expire in @timeout_ns, counted from a fresh look at the clock
 * Must be cancelled (alarm_cancel()) before its memory goes.
 */
void alarm_set(struct alarm *alarm, int64_t timeout_ns, void (*expire)(struct alarm *alarm),
	       void *obj);

static inline void alarm_cancel(struct alarm *alarm)
{
	mn_timer_cancel(&alarm->timer);
}

#endif
