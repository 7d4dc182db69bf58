// SPDX-License-Identifier: MIT
/*
 * An empty turn of a shard that has peers which send nothing: its cost must
 * grow with traffic, not with their number. They are shards without a thread.
 */
#include <errno.h>

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

static const struct bench smp_turn_64_peers = {
	.name = "smp.turn.64peers",
	.kind = &queue_kind,
	.open = many_peers_open,
	.run = turn_run,
	.close = peers_close,
};
bench_register(smp_turn_64_peers);
