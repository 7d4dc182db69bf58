/* SPDX-License-Identifier: MIT */
/*
 * The contract of timer queues. Included by the drivers, by timers/ and by
 * the core; never by users.
 *
 * A queue holds the armed timers of one shard. It knows no clock: it is told
 * the time. It runs nothing: what has expired is handed back as a list.
 * Drivers touch only the union and @armed of a timer.
 */
#ifndef TIMERS_TIMER_QUEUE_H
#define TIMERS_TIMER_QUEUE_H

#include <miniss/timer.h>

#include "core/driver.h"

#define TIMER_TICK_NS	16384	/* no queue is later than its timers by more than this */

struct timer_queue;

struct timer_queue_ops {
	/* often: per operation with a timeout */

	/**
	 * @arm: add a timer
	 *	Not armed now. Uses deadline_ns and slack_ns; sets @armed. Cannot
	 *	fail: a queue that needs memory of its own grows it by doubling
	 *	(mem_grow(), which ends the program when there is none).
	 */
	void (*arm)(struct timer_queue *tq, struct mn_timer *timer);

	/** @cancel: remove an armed timer, clear @armed */
	void (*cancel)(struct timer_queue *tq, struct mn_timer *timer);

	/* every turn */

	/**
	 * @advance: take out what is due
	 *	@now_ns: never goes back; may jump far ahead
	 *	@n_max: bound of timers handed back, and of those moved inside
	 *	Returns a list linked by ->next, in the order of expiry as far as
	 *	the queue has one, each no longer @armed. If work remains, next()
	 *	says a time <= @now_ns.
	 */
	struct mn_timer *(*advance)(struct timer_queue *tq, int64_t now_ns, unsigned int n_max);

	/**
	 * @next: when advance() must be called next; MN_NEVER when empty
	 *	May be earlier than the first expiry (there is something to move),
	 *	never later than the first expiry plus TIMER_TICK_NS.
	 */
	int64_t (*next)(struct timer_queue *tq);

	/* once in a shard's life */

	int (*open)(struct timer_queue *tq, int64_t now_ns);
	void (*close)(struct timer_queue *tq);	/* empty by then, or its timers are forgotten */

	size_t state_size;	/* of the struct that embeds timer_queue; zeroed by the core */
	struct driver drv;
};

struct timer_queue {
	const struct timer_queue_ops *ops;
	uint64_t nr_armed;	/* kept by the driver: 0 if nothing is armed; else in any unit */
};

/*
 * When a timer with slack is run: the roundest time within its slack, so that
 * timers with slack share their wake-ups. Every queue orders by this.
 */
static inline int64_t timer_due(int64_t deadline_ns, uint32_t slack_ns)
{
	uint64_t last, differ;

	if (!slack_ns || deadline_ns > INT64_MAX - (int64_t)slack_ns)
		return deadline_ns;
	last = (uint64_t)deadline_ns + slack_ns;
	differ = ((uint64_t)deadline_ns - 1) ^ last;
	return (int64_t)(last & ~((UINT64_C(1) << (63 - __builtin_clzll(differ))) - 1));
}

void timer_queue_arm(struct timer_queue *tq, struct mn_timer *timer);
void timer_queue_cancel(struct timer_queue *tq, struct mn_timer *timer);
struct mn_timer *timer_queue_advance(struct timer_queue *tq, int64_t now_ns, unsigned int n_max);
int64_t timer_queue_next(struct timer_queue *tq);
int timer_queue_open(struct timer_queue *tq, int64_t now_ns);
void timer_queue_close(struct timer_queue *tq);

/* Every call, spelled once; OPS says where the table is. */
/* clang-format off */
#define TIMER_QUEUE_CALLS(OPS)						\
	void timer_queue_arm(struct timer_queue *tq, struct mn_timer *timer) \
	{ (OPS)->arm(tq, timer); }					\
	void timer_queue_cancel(struct timer_queue *tq, struct mn_timer *timer) \
	{ (OPS)->cancel(tq, timer); }					\
	struct mn_timer *timer_queue_advance(struct timer_queue *tq, int64_t now_ns, \
					     unsigned int n_max)	\
	{ return (OPS)->advance(tq, now_ns, n_max); }			\
	int64_t timer_queue_next(struct timer_queue *tq)		\
	{ return (OPS)->next(tq); }					\
	int timer_queue_open(struct timer_queue *tq, int64_t now_ns)	\
	{ return (OPS)->open(tq, now_ns); }				\
	void timer_queue_close(struct timer_queue *tq)			\
	{ (OPS)->close(tq); }
/* clang-format on */

#ifdef SOLE_DRIVER	/* set by the Makefile when there is only one */
#define timer_queue_driver(ops)						\
	section_entry(timer_queue_drivers, ops, ops.drv);			\
	TIMER_QUEUE_CALLS(&(ops))					\
	_Static_assert(1, "")
#else
#define timer_queue_driver(ops)	section_entry(timer_queue_drivers, ops, ops.drv)
#endif

#endif
