// SPDX-License-Identifier: MIT
/*
 * How late: a shard that sleeps until a timer is due, and I/O that is ready
 * while a million timers expire at once. What a sample is says the real clock.
 */
#include <errno.h>
#include <stdlib.h>

#include <miniss/timer.h>

#include "lib/time/clock.h"
#include "tools/bench/timer.h"

/* ---- waking up ---- */

#define WAITS		100	/* a sample */
#define WAIT_NS		(300 * MN_USEC)

struct late {
	struct mn_timer timer;
	int64_t late_ns;		/* of the last one; < 0: not yet */
	double ns[WAITS];
};

static void late_fired(struct mn_task *task)
{
	struct late *late = container_of(mn_timer_of(task), struct late, timer);

	late->late_ns = clock_now_ns() - late->timer.deadline_ns;
}

static int wakeup_open(struct bench_case *c)
{
	struct late *late = calloc(1, sizeof(*late));

	if (!late)
		return -ENOMEM;
	mn_timer_init(&late->timer, late_fired);
	c->state = late;
	return 0;
}

static void wakeup_close(struct bench_case *c)
{
	free(c->state);
}

static int compare(const void *left, const void *right)
{
	double l = *(const double *)left, r = *(const double *)right;

	return (l > r) - (l < r);
}

/* The shard sleeps each time: it has no budget to spin. */
static double wakeup_percentile(struct bench_case *c, int percent)
{
	struct late *late = c->state;

	for (int i = 0; i < WAITS; i++) {
		late->late_ns = -1;
		mn_timer_arm(&late->timer, clock_now_ns() + WAIT_NS, MN_SLACK_EXACT);
		while (late->late_ns < 0)
			shard_step(c->shard, true);
		late->ns[i] = (double)late->late_ns;
	}
	qsort(late->ns, WAITS, sizeof(late->ns[0]), compare);
	return late->ns[WAITS * percent / 100];
}

static double wakeup_median(struct bench_case *c)
{
	return wakeup_percentile(c, 50);
}

static double wakeup_p99(struct bench_case *c)
{
	return wakeup_percentile(c, 99);
}

static const struct bench timer_wakeup = {
	.name = "timer.wakeup",
	.family = "timer.wakeup",
	.kind = &backend_kind,
	.open = wakeup_open,
	.measure = wakeup_median,
	.close = wakeup_close,
};
bench_register(timer_wakeup);

static const struct bench timer_wakeup_p99 = {
	.name = "timer.wakeup.p99",
	.family = "timer.wakeup",
	.kind = &backend_kind,
	.open = wakeup_open,
	.measure = wakeup_p99,
	.close = wakeup_close,
};
bench_register(timer_wakeup_p99);

/* ---- a storm ---- */

struct storm {
	struct mn_timer *timers;
	uint64_t nr_expired;
};

static void storm_fired(struct mn_task *task)
{
	struct storm *storm = mn_self->world->arg;

	storm->nr_expired++;
}

static int storm_open(struct bench_case *c)
{
	struct storm *storm = calloc(1, sizeof(*storm));

	if (!storm)
		return -ENOMEM;
	storm->timers = timers_alloc(sizeof(struct mn_timer));
	if (!storm->timers) {
		free(storm);
		return -ENOMEM;
	}
	for (int i = 0; i < TIMERS_LIVE; i++)
		mn_timer_init(&storm->timers[i], storm_fired);
	c->state = storm;
	c->world.arg = storm;
	return 0;
}

static void storm_close(struct bench_case *c)
{
	struct storm *storm = c->state;

	free(storm->timers);
	free(storm);
}

static void io_done(struct mn_task *task)
{
}

/* The longest that an operation that is done at once took to get to its task. */
static double storm_measure(struct bench_case *c)
{
	int64_t due_ns = clock_now_ns() + MN_SEC / 2, longest_ns = 0;
	struct storm *storm = c->state;
	struct mn_task task;
	struct mn_op op;

	storm->nr_expired = 0;
	for (int i = 0; i < TIMERS_LIVE; i++)
		mn_timer_arm(&storm->timers[i], due_ns, MN_SLACK_EXACT);
	while (storm->nr_expired < TIMERS_LIVE) {
		int64_t from_ns = clock_now_ns();

		mn_nop_start(&op);
		mn_future_then(&op.done, &task, io_done);
		do
			case_step(c);
		while (!mn_future_ready(&op.done) || task.queued);
		mn_future_take(&op.done);
		longest_ns = max(longest_ns, clock_now_ns() - from_ns);
	}
	return (double)longest_ns;
}

static const struct bench timer_storm = {
	.name = "timer.storm",
	.kind = &timer_queue_kind,
	.open = storm_open,
	.measure = storm_measure,
	.close = storm_close,
};
bench_register(timer_storm);
