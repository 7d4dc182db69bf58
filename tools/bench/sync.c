// SPDX-License-Identifier: MIT
/*
 * Synchronisation between fibers: what it costs when nobody waits, and to hand
 * something over to a fiber that does.
 */
#include <miniss/channel.h>

#include "tools/bench/bench.h"

/* Each time as if it could have been changed: nothing stays in registers. */
static void sem_run(struct bench_case *c, uint64_t n)
{
	struct mn_sem sem;

	mn_sem_init(&sem, 1);
	for (; n; n--) {
		if (mn_sem_take(&sem, 1))
			return;
		bench_keep(&sem);
		mn_sem_give(&sem, 1);
		bench_keep(&sem);
	}
}

static const struct bench sem_fast = {
	.name = "sem.fast",
	.run = sem_run,
};
bench_register(sem_fast);

static void mutex_run(struct bench_case *c, uint64_t n)
{
	struct mn_mutex mutex;

	mn_mutex_init(&mutex);
	for (; n; n--) {
		if (mn_mutex_lock(&mutex))
			return;
		bench_keep(&mutex);
		mn_mutex_unlock(&mutex);
		bench_keep(&mutex);
	}
}

static const struct bench mutex_fast = {
	.name = "mutex.fast",
	.run = mutex_run,
};
bench_register(mutex_fast);

struct duel {
	struct mn_chan there, back;
	uint64_t slot[2], n;
};

static int ponger(void *arg)
{
	struct duel *duel = arg;
	uint64_t i;

	while (mn_chan_recv(&duel->there, &i) > 0)
		mn_chan_send(&duel->back, &i);
	return 0;
}

static int pinger(void *arg)
{
	struct duel *duel = arg;

	for (uint64_t i = duel->n; i; i--) {
		mn_chan_send(&duel->there, &i);
		mn_chan_recv(&duel->back, &i);
	}
	mn_chan_close(&duel->there);
	return 0;
}

/* Two hand-overs, each to a fiber that waits, are two operations. */
static void pingpong_run(struct bench_case *c, uint64_t n)
{
	struct duel duel = { .n = (n + 1) / 2 };

	mn_chan_init_sized(&duel.there, &duel.slot[0], sizeof(uint64_t), 1);
	mn_chan_init_sized(&duel.back, &duel.slot[1], sizeof(uint64_t), 1);
	mn_spawn(ponger, &duel, NULL);
	mn_spawn(pinger, &duel, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static const struct bench channel_pingpong = {
	.name = "channel.pingpong",
	.run = pingpong_run,
};
bench_register(channel_pingpong);

struct flow {
	struct mn_chan chan;
	uint64_t slot[64], n;
};

static int source(void *arg)
{
	struct flow *flow = arg;

	for (uint64_t i = flow->n; i; i--)
		mn_chan_send(&flow->chan, &i);
	mn_chan_close(&flow->chan);
	return 0;
}

static int sink(void *arg)
{
	struct flow *flow = arg;
	uint64_t i;

	while (mn_chan_recv(&flow->chan, &i) > 0)
		bench_keep(i);
	return 0;
}

/* With room for 64 items: a switch is for many of them. */
static void flow_run(struct bench_case *c, uint64_t n)
{
	struct flow flow = { .n = n };

	mn_chan_init(&flow.chan, flow.slot);
	mn_spawn(source, &flow, NULL);
	mn_spawn(sink, &flow, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static const struct bench channel_flow = {
	.name = "channel.flow",
	.run = flow_run,
};
bench_register(channel_flow);
