// SPDX-License-Identifier: MIT
/*
 * Several shards on the bench's own thread. An empty turn of one that has
 * peers which send nothing: its cost must grow with traffic, not with their
 * number. And what a call and its reply cost when nothing has to be waited
 * for: the work of both sides, two turns each.
 */
#include <errno.h>

#include <miniss/smp.h>

#include "lib/mem/mem.h"
#include "tools/bench/bench.h"

static int peers_open(struct bench_case *c, unsigned int nr_peers)
{
	struct mn_world *world = mem_alloc(sizeof(*world));
	int err;

	if (!world)
		return -ENOMEM;
	world->backend = c->world.backend;
	world->timer = c->world.timer;
	world->queue = c->world.queue;
	err = world_open(world, nr_peers + 1, NULL);
	if (err) {
		mem_free(world);
		return err;
	}
	c->state = world;
	err = shard_start(world->shards[0]);
	mn_self = c->shard;
	if (err) {
		world_close(world);
		mem_free(world);
	}
	return err;
}

static int one_peer_open(struct bench_case *c)
{
	return peers_open(c, 1);
}

static int pair_open(struct bench_case *c)
{
	int err = peers_open(c, 1);
	struct mn_world *world = c->state;

	if (err)
		return err;
	err = shard_start(world->shards[1]);
	mn_self = c->shard;
	if (err) {
		world_close(world);
		mem_free(world);
	}
	return err;
}

static int many_peers_open(struct bench_case *c)
{
	return peers_open(c, 64);
}

static void turn_run(struct bench_case *c, uint64_t n)
{
	struct mn_world *world = c->state;
	struct shard *s = world->shards[0];

	mn_self = s;
	for (; n; n--)
		shard_step(s, false);
	mn_self = c->shard;
}

static int nothing(void *arg)
{
	return 0;
}

static void call_run(struct bench_case *c, uint64_t n)
{
	struct mn_world *world = c->state;
	struct mn_call call;

	mn_self = world->shards[0];
	for (; n; n--) {
		mn_call_start(&call, 1, nothing, NULL);
		shard_step(world->shards[0], false);
		while (!mn_future_ready(&call.done)) {	/* once, but for the first */
			shard_step(world->shards[1], false);
			shard_step(world->shards[1], false);
			shard_step(world->shards[0], false);
		}
		mn_future_take(&call.done);
	}
	mn_self = c->shard;
}

static void peers_close(struct bench_case *c)
{
	world_close(c->state);
	mem_free(c->state);
	mn_self = c->shard;
}

static const struct bench smp_turn_1_peer = {
	.name = "smp.turn.1peer",
	.kind = &queue_kind,
	.open = one_peer_open,
	.run = turn_run,
	.close = peers_close,
};
bench_register(smp_turn_1_peer);

static const struct bench smp_call_alone = {
	.name = "smp.call.alone",
	.kind = &queue_kind,
	.open = pair_open,
	.run = call_run,
	.close = peers_close,
};
bench_register(smp_call_alone);

static const struct bench smp_turn_64_peers = {
	.name = "smp.turn.64peers",
	.kind = &queue_kind,
	.open = many_peers_open,
	.run = turn_run,
	.close = peers_close,
};
bench_register(smp_turn_64_peers);
