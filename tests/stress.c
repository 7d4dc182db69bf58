// SPDX-License-Identifier: MIT
/*
 * Shards under stress, and stops in the middle of it, over each backend and
 * queue. One world after the other for MN_STRESS_SECONDS; MN_STRESS_SEED
 * repeats the choices, though not the order in which threads run.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/time/clock.h"
#include "smp/call.h"
#include "tests/sharded.h"
#include "tests/stress.h"
#include "tests/world.h"

#define ALIENS		2
#define WORLDS_MIN	10		/* in a run, about */
#define WORLD_NS_MIN	(400 * MN_MSEC)	/* a world lasts up to this, or to its share of the run */

struct stress stress;

static struct alien {
	pthread_t thread;
	uint64_t random;
} alien[ALIENS];

static uint64_t option(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static int64_t run_ns(void)
{
	return (int64_t)option("MN_STRESS_SECONDS", 1) * MN_SEC;
}

static int nr_queues(void)
{
	return (int)(queue_kind.stop - queue_kind.start);
}

/* ---- the program ---- */

static int begin(void *arg)
{
	stress_here()->out = chunks_out(mn_self);
	for (int i = 0; i < STRESS_WORKERS; i++)
		ck_assert_int_eq(mn_spawn(stress_worker, NULL, NULL), 0);
	return 0;
}

static void aliens_start(void)
{
	for (int i = 0; i < ALIENS; i++) {
		alien[i].random = stress_random(&stress.random, UINT64_MAX);
		ck_assert_int_eq(
			pthread_create(&alien[i].thread, NULL, stress_alien, &alien[i].random), 0);
	}
}

/* They end when the gate is closed. */
static void aliens_join(void)
{
	if (!stress.gate)
		return;
	for (int i = 0; i < ALIENS; i++)
		pthread_join(alien[i].thread, NULL);
	mn_alien_gate_put(stress.gate);
}

static int stop_soon(void *arg)
{
	mn_stop();
	return 0;
}

/* The end comes in the middle of it all: the main fiber returns, or somebody stops it. */
static int stress_main(void *arg)
{
	uint64_t most_ns = (uint64_t)max(WORLD_NS_MIN, 2 * run_ns() / WORLDS_MIN);
	int64_t until_ns = clock_now_ns() + (int64_t)stress_random(&stress.random, most_ns);

	ck_assert_int_eq(mn_call_all(begin, NULL), 0);
	if (!mn_alien_gate(&stress.gate))
		aliens_start();
	while (clock_now_ns() < until_ns)
		mn_sleep(MN_MSEC);
	atomic_store(&stress.ending, true);
	if (stress_random(&stress.random, 2)) {
		mn_call((unsigned int)stress_random(&stress.random, mn_shards()), stop_soon, NULL);
		ck_assert_int_eq(mn_stop_wait(), 0);
	}
	return 0;
}

/* ---- what must be true when all have stopped ---- */

static void ck_shard(const struct mn_world *world, unsigned int i)
{
	const struct shard *shard = world->shards[i];
	const struct stress_shard *s = &stress.shard[i];

	ck_assert_uint_eq(s->made, s->destroyed);
	ck_assert_uint_eq(chunks_out(shard), s->out);
	ck_assert_uint_eq(shard->fibers.nr_live, 0);
	/* Shard 0 told the others to stop, and did not wait for them. */
	ck_assert_uint_le(calls_under_way(shard), i ? 0 : STRESS_SHARDS);
	ck_assert_uint_eq(shard->stats[STAT_ABANDONED], 0);
	for (unsigned int to = 0; to < STRESS_SHARDS; to++)
		ck_assert_msg(s->numbered[to] == stress.shard[to].arrived[i],
			      "from %u to %u: %llu messages, %llu arrived", i, to,
			      (unsigned long long)s->numbered[to],
			      (unsigned long long)stress.shard[to].arrived[i]);
}

static void ck_world(const struct mn_world *world, struct stress_shard *sum)
{
	uint64_t posts = 0, ended = 0;

	for (unsigned int i = 0; i < STRESS_SHARDS; i++) {
		ck_shard(world, i);
		posts += stress.shard[i].posts;
		ended += stress.shard[i].posts_ended;
		sum->ops += stress.shard[i].ops;
		sum->made += stress.shard[i].made;
	}
	ck_assert_uint_eq(posts, ended);
	sum->posts += posts;
}

/* ---- worlds ---- */

/* False: this backend cannot be used here. */
static bool world_once(const struct driver *backend, const struct driver *queue, uint64_t *random,
		       struct stress_shard *sum)
{
	struct mn_world world = { .fn = stress_main };

	if (driver_choose(&backend_kind, backend->name, "this test", NULL, &world.backend)) {
		printf("skipped: %s: %s\n", backend->name, world.backend.reason);
		return false;
	}
	ck_assert_int_eq(driver_choose(&timer_queue_kind, NULL, NULL, NULL, &world.timer), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, queue->name, "this test", NULL, &world.queue),
			 0);
	memset(&stress, 0, sizeof(stress));
	stress.random = stress_random(random, UINT64_MAX);
	for (unsigned int i = 0; i < STRESS_SHARDS; i++)
		stress.shard[i].random = stress_random(random, UINT64_MAX);
	if (!world_opens(&world, STRESS_SHARDS))
		return false;
	ck_assert_int_eq(world_run(&world), 0);
	ck_world(&world, sum);
	world_close(&world);
	aliens_join();
	return true;
}

START_TEST(shards_under_stress_keep_every_promise)
{
	const struct driver *queue = queue_kind.start[_i % nr_queues()];
	const struct driver *backend = backend_kind.start[_i / nr_queues()];
	uint64_t seed = option("MN_STRESS_SEED", 1), random = seed;
	int64_t until_ns = clock_now_ns() + run_ns();
	struct stress_shard sum = { .ops = 0 };
	unsigned int worlds = 0;

	printf("stress: %s, %s: MN_STRESS_SEED=%llu\n", backend->name, queue->name,
	       (unsigned long long)seed);
	do {
		if (!world_once(backend, queue, &random, &sum))
			return;
		worlds++;
	} while (clock_now_ns() < until_ns);
	printf("stress: %s, %s: %u worlds, %llu operations, %llu posts, %llu objects\n",
	       backend->name, queue->name, worlds, (unsigned long long)sum.ops,
	       (unsigned long long)sum.posts, (unsigned long long)sum.made);
}
END_TEST

Suite *suite_stress(void)
{
	Suite *s = suite_create("stress");
	TCase *tc = tcase_create("stress");

	tcase_set_timeout(tc, TEST_TIMEOUT_S + (double)run_ns() / MN_SEC);
	tcase_add_loop_test(tc, shards_under_stress_keep_every_promise, 0,
			    nr_backends() * nr_queues());
	suite_add_tcase(s, tc);
	return s;
}
