/* SPDX-License-Identifier: MIT */
/*
 * Timers run a task at an absolute time of the shard's clock. Never early;
 * late by at most the slack, one tick (16 us) and the turn that is running.
 */
#ifndef MINISS_TIMER_H
#define MINISS_TIMER_H

#include <miniss/future.h>

struct mn_timer {
	struct mn_task task;	/* scheduled at expiry */
	int64_t deadline_ns;
	int64_t period_ns;	/* 0: one-shot */
	union {			/* the timer queue's; not for users */
		struct {
			struct mn_timer *next;
			struct mn_timer **pprev;
		};
		size_t index;
	};
	uint32_t slack_ns;
	uint32_t armed;		/* 0: no; else the timer queue's, may say where */
#ifdef CONFIG_DEBUG
	const char *origin;	/* file:line that initialised it */
#endif
};

/*
 * How late a timer may be, by what it is for. Those with slack run at the
 * roundest time within it: so those of one class, whenever they were armed, do
 * so at multiples of at least half of it, together, and those of a wider class
 * with them.
 */
#define MN_SLACK_EXACT	0			/* when it is due */
#define MN_SLACK_FINE	(50 * 1000)		/* 50 us: pacing, retries */
#define MN_SLACK_NORMAL	(5 * 1000 * 1000)	/* 5 ms: time-outs of requests */
#define MN_SLACK_COARSE	(250 * 1000 * 1000)	/* 250 ms: idle limits, statistics, clean-up */

/**
 * mn_timer_init - prepare a timer
 * @timer: owned by the caller
 * @fn: runs as a task at expiry; finds the timer with mn_timer_of(); may
 *	arm it again or free it
 */
#ifdef CONFIG_DEBUG
MN_API void mn_timer_init_at(struct mn_timer *timer, mn_task_fn fn, const char *origin);
#define mn_timer_init(timer, fn)	mn_timer_init_at(timer, fn, MN__HERE)
#else
static inline void mn_timer_init(struct mn_timer *timer, mn_task_fn fn)
{
	*timer = (struct mn_timer){ .task = MN_TASK_INIT(fn) };
}
#endif

/** mn_timer_of - the timer whose task is running */
static inline struct mn_timer *mn_timer_of(struct mn_task *task)
{
	return (struct mn_timer *)task;
}

/**
 * mn_timer_arm - run the timer once
 * @timer: initialised; if armed, it is moved
 * @deadline_ns: absolute; a time that has passed expires in the next turn;
 *	MN_NEVER never does
 * @slack_ns: how much later it may run so that wake-ups can be shared: any
 *	time, or one of MN_SLACK_*
 */
MN_API void mn_timer_arm(struct mn_timer *timer, int64_t deadline_ns, uint32_t slack_ns);

/**
 * mn_timer_arm_periodic - run the timer again and again
 * @first_ns: absolute time of the first expiry
 * @period_ns: > 0; expiries are at @first_ns + k * @period_ns: no drift, and
 *	those that were missed are skipped, not made up for
 *
 * It is armed again before its task runs: cancel it before freeing it, in its
 * own task, too.
 */
MN_API void mn_timer_arm_periodic(struct mn_timer *timer, int64_t first_ns, int64_t period_ns,
				  uint32_t slack_ns);

/**
 * mn_timer_cancel - disarm
 * @timer: initialised
 *
 * Afterwards the function does not run, not even if the timer had expired
 * and its task was queued; the timer may be freed.
 *
 * Return: true if it was armed or about to run.
 */
MN_API bool mn_timer_cancel(struct mn_timer *timer);

static inline bool mn_timer_armed(const struct mn_timer *timer)
{
	return timer->armed;
}

/** mn_now - the time of the current turn, ns, monotonic */
MN_API int64_t mn_now(void);

#endif
