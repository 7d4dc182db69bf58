// SPDX-License-Identifier: MIT
/*
 * Calls between two shards: the bench steps the first, a thread on another
 * CPU runs the second, which spins during a sample, or for smp.wake sleeps. In
 * between it does nothing: the others of its family want that CPU. One way is half
 * of a round trip of posts; smp.handoff (smp-queue.c) is the limit.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "lib/time/clock.h"
#include "smp/call.h"
#include "tools/bench/bench.h"

#define WINDOW		128	/* calls that the pipelined bench would like to have under way */
#define ITEMS		64	/* that a channel holds, and as many are under way */
#define SETTLE_NS	(50 * MN_USEC)

struct duo {
	struct mn_world world;
	pthread_t thread;
	bool sleepy;			/* the second shard waits in the kernel when idle */
	_Atomic int up, stop, returned;
	_Atomic int on;			/* a sample is being taken */
	sem_t start;
	struct mn_call call[WINDOW];
	uint64_t nr_left;		/* posts that are to come back */
	uint64_t n;			/* items to send */
	struct mn_chan chan;		/* the second shard's */
	uint64_t item[ITEMS];
	struct mn_fiber *sink;
};

static void *second_main(void *arg)
{
	struct duo *duo = arg;
	struct shard *s = duo->world.shards[1];

	s->start_err = shard_start(s);
	s->idle.budget_ns = 0;
	atomic_store(&duo->up, 1);
	while (!s->start_err && !atomic_load_explicit(&duo->stop, memory_order_relaxed)) {
		if (atomic_load_explicit(&duo->on, memory_order_relaxed))
			shard_step(s, duo->sleepy);
		else
			sem_wait(&duo->start);
	}
	atomic_store(&duo->returned, 1);
	return NULL;
}

static int second_start(struct duo *duo)
{
	int err = other_cpu_start(&duo->thread, second_main, duo);

	if (err)
		return err;
	while (!atomic_load(&duo->up))
		sched_yield();
	return duo->world.shards[1]->start_err;
}

/* Before a sample, and when it is over. */
static void duo_on(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;

	atomic_store(&duo->on, 1);
	sem_post(&duo->start);
}

static void duo_off(struct bench_case *c)
{
	struct duo *duo = c->state;

	atomic_store(&duo->on, 0);
	mn_self = c->shard;
}

static int duo_open(struct bench_case *c, bool sleepy)
{
	struct duo *duo = mem_alloc(sizeof(*duo));
	int err;

	if (!duo)
		return -ENOMEM;
	duo->world.backend = c->world.backend;
	duo->world.timer = c->world.timer;
	duo->world.queue = c->world.queue;
	duo->sleepy = sleepy;
	sem_init(&duo->start, 0, 0);
	err = world_open(&duo->world, 2, NULL);
	if (err) {
		mem_free(duo);
		return err;
	}
	c->state = duo;
	err = shard_start(duo->world.shards[0]);
	if (!err)
		err = second_start(duo);
	if (err) {
		world_close(&duo->world);
		mem_free(duo);
	}
	mn_self = c->shard;
	return err;
}

static int awake_open(struct bench_case *c)
{
	return duo_open(c, false);
}

static int sleepy_open(struct bench_case *c)
{
	return duo_open(c, true);
}

static int nothing(void *arg)
{
	return 0;
}

static void duo_close(struct bench_case *c)
{
	struct duo *duo = c->state;

	duo_on(c, 0);
	atomic_store(&duo->stop, 1);
	mn_self = duo->world.shards[0];
	while (!atomic_load(&duo->returned)) {	/* a call wakes it, and is not waited for */
		shard_post(1, nothing, NULL);
		shard_step(duo->world.shards[0], false);
	}
	pthread_join(duo->thread, NULL);
	world_close(&duo->world);
	mem_free(duo);
	mn_self = c->shard;
}

static void call_second(struct duo *duo)
{
	struct mn_call *call = &duo->call[0];

	mn_call_start(call, 1, nothing, NULL);
	while (!mn_future_ready(&call->done))
		shard_step(duo->world.shards[0], false);
	mn_future_take(&call->done);
}

static void roundtrip_run(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;

	mn_self = duo->world.shards[0];
	for (; n; n--)
		call_second(duo);
	duo_off(c);
}

/* The second shard says that it sleeps some time before it does. */
static void await_sleep(struct bench_case *c, const struct shard *second)
{
	int64_t from_ns = clock_now_ns(), asleep_ns;

	while (!atomic_load_explicit(&second->asleep, memory_order_relaxed))
		shard_step(mn_self, false);
	asleep_ns = clock_now_ns();
	while (clock_now_ns() - asleep_ns < SETTLE_NS)
		;
	c->aside_ns += clock_now_ns() - from_ns;
}

static void wake_run(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;

	mn_self = duo->world.shards[0];
	for (; n; n--) {
		await_sleep(c, duo->world.shards[1]);
		call_second(duo);
	}
	duo_off(c);
}

static void pipelined_run(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;
	struct shard *s = duo->world.shards[0];
	uint64_t started = 0, ended = 0;

	mn_self = s;
	while (ended < n) {
		while (started < n && started - ended < WINDOW &&
		       !mn_call_start(&duo->call[started % WINDOW], 1, nothing, NULL))
			started++;
		shard_step(s, false);
		while (ended < started && mn_future_ready(&duo->call[ended % WINDOW].done))
			mn_future_take(&duo->call[ended++ % WINDOW].done);
	}
	duo_off(c);
}

/* Half of a round trip: each post is answered by one, from the fiber that it has started. */
static int post_there(void *arg);

static int post_back(void *arg)
{
	struct duo *duo = arg;

	if (--duo->nr_left)
		while (mn_post(1, post_there, arg) == -EAGAIN)
			mn_yield();
	return 0;
}

static int post_there(void *arg)
{
	while (mn_post(0, post_back, arg) == -EAGAIN)
		mn_yield();
	return 0;
}

static void oneway_run(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;
	struct shard *s = duo->world.shards[0];

	mn_self = s;
	duo->nr_left = n / 2 + 1;
	while (mn_post(1, post_there, duo) == -EAGAIN)
		shard_step(s, false);
	while (duo->nr_left)
		shard_step(s, false);
	duo_off(c);
}

/* One fiber asks all shards, itself too, and waits for all answers. */
static int callall_fiber(void *arg)
{
	for (uint64_t n = *(uint64_t *)arg; n; n--)
		mn_call_all(nothing, NULL);
	return 0;
}

static void callall_run(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;
	struct shard *s = duo->world.shards[0];

	mn_self = s;
	mn_spawn(callall_fiber, &n, NULL);
	while (s->fibers.nr_live)
		shard_step(s, false);
	duo_off(c);
}

/* A fiber there takes what a fiber here sends. */
static int chan_sink(void *arg)
{
	struct duo *duo = arg;
	uint64_t item;

	while (mn_chan_recv(&duo->chan, &item) > 0)
		bench_keep(item);
	return 0;
}

static int chan_open(void *arg)
{
	struct duo *duo = arg;

	mn_chan_init(&duo->chan, duo->item);
	return mn_spawn(chan_sink, duo, &duo->sink);
}

static int chan_close(void *arg)
{
	struct duo *duo = arg;

	mn_join(duo->sink);
	mn_chan_destroy(&duo->chan);
	return 0;
}

static int chan_source(void *arg)
{
	struct mn_chan_remote remote;
	struct duo *duo = arg;
	uint64_t under_way[ITEMS];

	mn_call(1, chan_open, duo);
	mn_chan_remote_open(&remote, &duo->chan, 1, under_way);
	for (uint64_t i = duo->n; i; i--)
		mn_chan_remote_send(&remote, &i);
	mn_chan_remote_finish(&remote);
	return mn_call(1, chan_close, duo);
}

static void chan_run(struct bench_case *c, uint64_t n)
{
	struct duo *duo = c->state;
	struct shard *s = duo->world.shards[0];

	mn_self = s;
	duo->n = n;
	mn_spawn(chan_source, duo, NULL);
	while (s->fibers.nr_live)
		shard_step(s, false);
	duo_off(c);
}

static const struct bench smp_channel = {
	.name = "smp.channel",
	.family = "smp.awake",
	.kind = &queue_kind,
	.open = awake_open,
	.prepare = duo_on,
	.run = chan_run,
	.close = duo_close,
};
bench_register(smp_channel);

static const struct bench smp_call_roundtrip = {
	.name = "smp.call.roundtrip",
	.family = "smp.awake",
	.kind = &queue_kind,
	.open = awake_open,
	.prepare = duo_on,
	.run = roundtrip_run,
	.close = duo_close,
};
bench_register(smp_call_roundtrip);

static const struct bench smp_call_pipelined = {
	.name = "smp.call.pipelined",
	.family = "smp.awake",
	.kind = &queue_kind,
	.open = awake_open,
	.prepare = duo_on,
	.run = pipelined_run,
	.close = duo_close,
};
bench_register(smp_call_pipelined);

static const struct bench smp_callall = {
	.name = "smp.callall",
	.family = "smp.awake",
	.kind = &queue_kind,
	.open = awake_open,
	.prepare = duo_on,
	.run = callall_run,
	.close = duo_close,
};
bench_register(smp_callall);

static const struct bench smp_post_oneway = {
	.name = "smp.post.oneway",
	.family = "smp.awake",
	.kind = &queue_kind,
	.open = awake_open,
	.prepare = duo_on,
	.run = oneway_run,
	.close = duo_close,
};
bench_register(smp_post_oneway);

static const struct bench smp_wake = {
	.name = "smp.wake",
	.wakers = true,
	.open = sleepy_open,
	.prepare = duo_on,
	.run = wake_run,
	.close = duo_close,
};
bench_register(smp_wake);
