// SPDX-License-Identifier: MIT
/* Waiting for signals. How they arrive is in hub.c. */
#include <errno.h>

#include "core/alarm.h"
#include "core/shard.h"
#include "lib/signal/hub.h"

static void next_cancel(void *obj)
{
	const struct mn_signals *s = obj;

	task_schedule(mn_self, s->waiter);
}

static void alarm_ends_next(struct alarm *alarm)
{
	next_cancel(alarm->obj);
}

static void signal_take(struct mn_signals *s, struct mn_signal *signal)
{
	int i = __builtin_ctzll(s->came);

	*signal = (struct mn_signal){ .number = i + 1, .count = s->count[i] };
	s->came &= ~MN_SIGNAL(i + 1);
	s->count[i] = 0;
}

int mn_signals_next_timeout(struct mn_signals *s, struct mn_signal *signal, int64_t timeout_ns)
{
	struct mn_fiber *fiber = mn_self->fiber;
	struct alarm alarm = { .expired = timeout_ns <= 0 };

	BUG_ON(!fiber || s->waiter);
	if (!s->came && !fiber->stop && !alarm.expired) {
		if (timeout_ns != MN_NEVER)
			alarm_set(&alarm, timeout_ns, alarm_ends_next, s);
		s->waiter = &fiber->task;
		fiber_park(next_cancel, s);
		s->waiter = NULL;
		if (timeout_ns != MN_NEVER)
			alarm_cancel(&alarm);
	}
	if (!s->came)
		return alarm.expired ? fiber_stopped(fiber, -ETIMEDOUT) : fiber->stop;
	signal_take(s, signal);
	return 0;
}

int mn_signals_next(struct mn_signals *s, struct mn_signal *signal)
{
	return mn_signals_next_timeout(s, signal, MN_NEVER);
}

int mn_signal_wait_timeout(uint64_t set, int64_t timeout_ns)
{
	struct mn_signals s;
	struct mn_signal signal;
	int err = mn_signals_open(&s, set);

	if (err)
		return err;
	err = mn_signals_next_timeout(&s, &signal, timeout_ns);
	mn_signals_close(&s);
	return err ? err : signal.number;
}

int mn_signal_wait(uint64_t set)
{
	return mn_signal_wait_timeout(set, MN_NEVER);
}
