// SPDX-License-Identifier: MIT
/* Making and unmaking the shards of a world. Nothing runs here. */
#include <errno.h>
#include <string.h>

#include <miniss/log.h>

#include "backends/backend.h"
#include "core/ledger.h"
#include "core/log.h"
#include "core/random.h"
#include "core/sched.h"
#include "lib/mem/mem.h"
#include "lib/mem/static.h"
#include "smp/alien.h"
#include "smp/blocking.h"
#include "smp/call.h"
#include "smp/dump.h"
#include "smp/homing.h"
#include "smp/parcel.h"
#include "smp/topology.h"
#include "timers/timer_queue.h"

static int timers_open(struct shard *s)
{
	const struct timer_queue_ops *ops =
		container_of(s->world->timer.driver, struct timer_queue_ops, drv);
	int err;

	topology_visit(s->world, s->cpu);
	s->tq = mem_alloc(ops->state_size);
	if (!s->tq)
		return -ENOMEM;
	s->tq->ops = ops;
	err = timer_queue_open(s->tq, backend_now(s->be));
	if (err) {
		mem_free(s->tq);
		s->tq = NULL;
	}
	return err;
}

static int backend_alloc(struct shard *s)
{
	const struct backend_ops *ops =
		container_of(s->world->backend.driver, struct backend_ops, drv);

	s->be = mem_alloc(ops->state_size);
	if (!s->be)
		return -ENOMEM;
	s->be->ops = ops;
	s->be->shard = s;
	s->virtual_time = ops->virtual_time;
	/* A clock that stands still ends no spin. */
	if (!s->virtual_time && !s->world->shared_cpus && s->world->spin_ns >= 0)
		s->idle.budget_ns = s->world->spin_ns;
	s->idle.measured = !s->virtual_time && !s->world->shared_cpus && s->world->spin_ns < 0;
	return 0;
}

/* All of a shard together: small things share pages, and those are of one node. */
static int shard_open(struct mn_world *world, unsigned int id, int cpu)
{
	struct shard *s;
	int err;

	topology_visit(world, cpu);
	s = mem_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	world->shards[id] = s;
	s->id = id;
	s->cpu = cpu;
	s->world = world;
	random_seed(s, world->seed);
	runq_init(&s->runq);
	s->unsent_tail = &s->unsent;
	shed_init(s);
	zc_init(s);
	list_init(&s->servers);
	list_init(&s->processes);
	list_init(&s->disks);
	fiber_pool_open(&s->fibers);
	err = pool_open(&s->pool, id);
	s->heap.huge = !err && strcmp(s->pool.arena.pages, "plain") != 0;
	if (!err)
		err = log_open(s);
	if (!err)
		err = mesh_open(s);
	if (!err)
		err = calls_open(s);
	if (!err)
		err = static_reserve(s);
	return err ? err : backend_alloc(s);
}

static void shard_close(struct shard *s)
{
	if (s->tq) {
		timer_queue_close(s->tq);
		mem_free(s->tq);
	}
	fiber_pool_close(&s->fibers);
	sched_close(s);
	ledger_close(s);
	batches_free(s);
	disks_free(s);
	local_close(&s->locals);
	slab_close(&s->conns);
	pool_close(&s->pool);
	log_close(s);
	mem_free(s->be);
	/* What is freed from here on is not looked up in its ledger. */
	if (mn_self == s)
		mn_self = NULL;
}

static int backends_open(struct mn_world *world)
{
	const struct backend_ops *ops =
		container_of(world->backend.driver, struct backend_ops, drv);
	struct backend **be = mem_alloc(world->nr_shards * sizeof(struct backend *));
	int err;

	if (!be)
		return -ENOMEM;
	for (unsigned int i = 0; i < world->nr_shards; i++)
		be[i] = world->shards[i]->be;
	err = ops->open(be, world->nr_shards, world->backend.arg);
	mem_free(be);
	return err;
}

/* Threads that are not shards: after this, none of them knows of the world. */
static void outsiders_close(struct mn_world *world)
{
	dump_close(world);
	blocking_close(world);
	alien_close(world);
}

static void shards_close(struct mn_world *world)
{
	parcels_close(world);
	homing_close(world);
	calls_close(world);
	mesh_close(world);
	for (unsigned int i = 0; i < world->nr_shards; i++)
		if (world->shards[i])
			shard_close(world->shards[i]);
	/* Not before: any of them may have had memory of any other. */
	for (unsigned int i = 0; i < world->nr_shards; i++)
		if (world->shards[i]) {
			heap_close(&world->shards[i]->heap);
			mem_free(world->shards[i]);
		}
	mem_free(world->shards);
	world->shards = NULL;
}

static int shards_open(struct mn_world *world, unsigned int nr_shards, const int *cpus)
{
	int err = 0;

	world->nr_shards = nr_shards;
	list_init(&world->stop.waiters);
	world->shards = mem_alloc(nr_shards * sizeof(struct shard *));
	if (!world->shards)
		return -ENOMEM;
	for (unsigned int i = 0; !err && i < nr_shards; i++)
		err = shard_open(world, i, cpus ? cpus[i] : -1);
	if (err)
		goto out;
	mesh_connect(world);
	err = alien_open(world);
	if (!err)
		err = blocking_open(world);
	if (!err)
		err = dump_open(world);
	if (!err)
		err = homing_open(world);
	if (!err)
		err = parcels_open(world);
	if (!err)
		err = backends_open(world);
	if (err)
		goto out;
	for (unsigned int i = 0; !err && i < nr_shards; i++)
		err = timers_open(world->shards[i]);
	if (err)
		world_close(world);
	return err;
out:
	outsiders_close(world);
	shards_close(world);
	return err;
}

int world_open(struct mn_world *world, unsigned int nr_shards, const int *cpus)
{
	struct cpu_mask whereabouts;
	int err;

	if (!world->numa)
		return shards_open(world, nr_shards, cpus);
	topology_whereabouts(&whereabouts);
	err = shards_open(world, nr_shards, cpus);
	topology_return(&whereabouts);
	return err;
}

void world_close(struct mn_world *world)
{
	outsiders_close(world);
	for (unsigned int i = 0; i < world->nr_shards; i++)
		backend_close(world->shards[i]->be);
	shards_close(world);
}
