// SPDX-License-Identifier: MIT
/*
 * Timers among a million others. The shard is not stepped, and time is what
 * the bench says: a million timers of many seconds expire in a moment.
 */
#include <errno.h>
#include <stdlib.h>

#include "timers/timer.h"
#include "tools/bench/timer.h"

#define TIMEOUT_NS	(30 * MN_SEC)
#define HORIZON_NS	(10 * MN_SEC)	/* timer.expire: all expire within */
#define STEP_NS		(100 * MN_USEC)	/* timer.expire: a turn; ten timers */

/*
 * A wheel moves timers down in bursts. These expire in the time of two units
 * of its level 3, where they all begin, so that each sample has all its moves.
 */
#define EXPIRE_SAMPLE	107374

struct timers {
	uint64_t random;
	uint64_t nr_expired;
	struct mn_timer **expired;
	struct mn_timer one;
	struct mn_timer *live;		/* TIMERS_LIVE of them */
};

/* Which of them it is does not matter here. */
static void on_expiry(struct mn_task *task)
{
	struct timers *timers = mn_self->world->arg;

	timers->expired[timers->nr_expired++] = mn_timer_of(task);
}

static void timers_free(struct timers *timers)
{
	free(timers->expired);
	free(timers->live);
	free(timers);
}

static int timers_new(struct bench_case *c)
{
	struct timers *timers = calloc(1, sizeof(*timers));

	if (!timers)
		return -ENOMEM;
	timers->live = timers_alloc(sizeof(struct mn_timer));
	/* One step may go beyond what was asked for, by all there are. */
	timers->expired = calloc(TIMERS_LIVE, sizeof(struct mn_timer *));
	if (!timers->live || !timers->expired) {
		timers_free(timers);
		return -ENOMEM;
	}
	timers->random = 1;
	mn_timer_init(&timers->one, on_expiry);
	for (int i = 0; i < TIMERS_LIVE; i++)
		mn_timer_init(&timers->live[i], on_expiry);
	c->state = timers;
	c->world.arg = timers;
	timers_expire(c->shard);	/* the queue's time begins at 0: bring it to today */
	return 0;
}

static void timers_close(struct bench_case *c)
{
	struct timers *timers = c->state;

	for (int i = 0; i < TIMERS_LIVE; i++)
		mn_timer_cancel(&timers->live[i]);
	timers_free(timers);
}

static int live_open(struct bench_case *c)
{
	int err = timers_new(c);
	struct timers *timers = c->state;
	int64_t deadline_ns;

	for (int i = 0; !err && i < TIMERS_LIVE; i++) {
		random_timer(&timers->random, mn_now(), &deadline_ns);
		mn_timer_arm(&timers->live[i], deadline_ns, 0);
	}
	return err;
}

/* A request's time-out: it begins a little later each time, and never ends. */
static void arm_run(struct bench_case *c, uint64_t n)
{
	struct timers *timers = c->state;
	int64_t deadline_ns = mn_now() + TIMEOUT_NS;

	for (; n; n--) {
		mn_timer_arm(&timers->one, deadline_ns, 0);
		mn_timer_cancel(&timers->one);
		deadline_ns += MN_USEC;
	}
}

static const struct bench timer_arm = {
	.name = "timer.arm",
	.kind = &timer_queue_kind,
	.open = live_open,
	.run = arm_run,
	.close = timers_close,
};
bench_register(timer_arm);

static void cancel_run(struct bench_case *c, uint64_t n)
{
	struct timers *timers = c->state;
	int64_t now_ns = mn_now(), deadline_ns;

	for (; n; n--) {
		uint64_t i = random_timer(&timers->random, now_ns, &deadline_ns);

		mn_timer_cancel(&timers->live[i]);
		mn_timer_arm(&timers->live[i], deadline_ns, 0);
	}
}

static const struct bench timer_cancel = {
	.name = "timer.cancel",
	.kind = &timer_queue_kind,
	.open = live_open,
	.run = cancel_run,
	.close = timers_close,
};
bench_register(timer_cancel);

/* Evenly spread, and random in memory. */
static int expire_open(struct bench_case *c)
{
	int err = timers_new(c);
	struct timers *timers = c->state;

	for (int i = 0; !err && i < TIMERS_LIVE; i++) {
		uint64_t after_ns = bench_random(&timers->random) % HORIZON_NS;

		mn_timer_arm(&timers->live[i], mn_now() + (int64_t)after_ns, 0);
	}
	return err;
}

/* What expired goes to the end of the horizon: there are always a million. */
static void expire_prepare(struct bench_case *c, uint64_t n)
{
	struct timers *timers = c->state;

	while (timers->nr_expired) {
		struct mn_timer *timer = timers->expired[--timers->nr_expired];

		mn_timer_arm(timer, timer->deadline_ns + HORIZON_NS, 0);
	}
}

static void expire_run(struct bench_case *c, uint64_t n)
{
	struct timers *timers = c->state;
	struct shard *s = c->shard;

	while (timers->nr_expired < n) {
		s->now_ns += STEP_NS;
		timers_expire(s);
		while (!runq_empty(&s->runq)) {
			struct mn_task *task = runq_pop(&s->runq);

			task->fn(task);
		}
	}
}

static const struct bench timer_expire = {
	.name = "timer.expire",
	.kind = &timer_queue_kind,
	.open = expire_open,
	.prepare = expire_prepare,
	.run = expire_run,
	.close = timers_close,
	.n = EXPIRE_SAMPLE,
};
bench_register(timer_expire);
