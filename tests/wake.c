// SPDX-License-Identifier: MIT
/* Sleeping and being woken, on every backend and with each of its wakers. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <miniss/alien.h>
#include <miniss/run.h>

#include "lib/time/clock.h"
#include "smp/call.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

/* --- no wake-up is lost --- */

/*
 * Everybody works for a random while between calls, so that calls find their
 * shard in every phase of going to sleep. No timer runs: a shard that nobody
 * wakes sleeps for ever, and Check's time limit ends the test.
 */
#define SHARDS	3
#define ROUNDS	(IS_ENABLED(CONFIG_SANITIZE_THREAD) ? 500 : 2000)
#define WORK_NS	40000
#define ALIENS	2

static struct mn_alien_gate *gate;
static struct mn_future alien_ended[ALIENS];

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void work(uint64_t *state)
{
	int64_t until_ns = clock_now_ns() + (int64_t)(random_next(state) % WORK_NS);

	while (clock_now_ns() < until_ns)
		;
}

static int add(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return (int)mn_shard();
}

static int caller_fiber(void *arg)
{
	uint64_t random = 88172645463325252u + mn_shard();

	for (int i = 0; i < ROUNDS; i++) {
		unsigned int to = (unsigned int)(random_next(&random) % SHARDS);

		work(&random);
		ck_assert_int_eq(mn_call(to, add, arg), (int)to);
	}
	return 0;
}

static int alien_end(void *arg)
{
	mn_future_resolve(*(struct mn_future **)arg, 0);
	return 0;
}

static void *alien_main(void *arg)
{
	static atomic_int nr_calls;
	struct mn_future *ended = arg;
	uint64_t random = 362436069u + (uintptr_t)arg;
	atomic_int *n = &nr_calls;

	for (int i = 0; i < ROUNDS / 4; i++) {
		unsigned int to = (unsigned int)(random_next(&random) % SHARDS);

		work(&random);
		ck_assert_int_eq(mn_alien_call(gate, to, add, n, 0, MN_NEVER), (int)to);
	}
	ck_assert_int_eq(mn_alien_post(gate, 0, alien_end, &ended, sizeof(ended)), 0);
	return NULL;
}

static int slept(void *arg)
{
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_gt(mn_self->stats[STAT_PARKS], 0);
	return 0;
}

static int lost_fiber(void *arg)
{
	pthread_t alien[ALIENS];
	atomic_int n = 0;

	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	for (int i = 0; i < ALIENS; i++) {
		mn_future_init(&alien_ended[i]);
		ck_assert_int_eq(pthread_create(&alien[i], NULL, alien_main, &alien_ended[i]), 0);
	}
	ck_assert_int_eq(mn_call_all(caller_fiber, &n), 0);
	ck_assert_int_eq(atomic_load(&n), ROUNDS * SHARDS);
	for (int i = 0; i < ALIENS; i++) {
		ck_assert_int_eq(mn_await(&alien_ended[i]), 0);
		pthread_join(alien[i], NULL);
	}
	mn_alien_gate_put(gate);
	return mn_call_all(slept, NULL);
}

START_TEST(no_wake_up_is_lost)
{
	int ret;

	if (waker_virtual_time(_i))
		return;
	ret = run_waker(_i, SHARDS, lost_fiber, NULL);
	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%s: %d", waker_backend(_i), ret);
}
END_TEST

/* --- spinning before a sleep --- */

/* Shards over the @i-th backend, started, as mn_run() would; false: not here. */
static bool spinners_begin(struct mn_world *world, int i, unsigned int nr_shards, int64_t spin_ns,
			   bool shared_cpus)
{
	const char *backend = backend_kind.start[i]->name;

	*world = (struct mn_world){ .spin_ns = spin_ns, .shared_cpus = shared_cpus };
	if (driver_choose(&backend_kind, backend, "this test", NULL, &world->backend))
		return false;
	ck_assert_int_eq(driver_choose(&timer_queue_kind, NULL, NULL, NULL, &world->timer), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, NULL, NULL, NULL, &world->queue), 0);
	if (!world_opens(world, nr_shards))
		return false;
	for (unsigned int s = 0; s < nr_shards; s++)
		ck_assert_int_eq(shard_start(world->shards[s]), 0);
	return true;
}

static bool spinner_begin(struct mn_world *world, int i, int64_t spin_ns, bool shared_cpus)
{
	return spinners_begin(world, i, 1, spin_ns, shared_cpus);
}

static int64_t budget_ns(int i, int64_t spin_ns, bool shared_cpus)
{
	struct mn_world world;
	int64_t ns;

	if (!spinner_begin(&world, i, spin_ns, shared_cpus))
		return -1;
	ns = world.shards[0]->idle.budget_ns;
	world_end(&world);
	return ns;
}

START_TEST(the_budget_for_spinning_is_measured_or_set_and_none_on_shared_cpus)
{
	bool virtual_time =
		container_of(backend_kind.start[_i], struct backend_ops, drv)->virtual_time;
	int64_t off_ns = budget_ns(_i, 0, false);

	if (off_ns < 0)
		return;
	ck_assert_int_eq(off_ns, 0);
	ck_assert_int_eq(budget_ns(_i, 5 * MN_USEC, true), 0);
	ck_assert_int_eq(budget_ns(_i, -1, true), 0);
	if (virtual_time) {
		ck_assert_int_eq(budget_ns(_i, -1, false), 0);
		return;
	}
	ck_assert_int_eq(budget_ns(_i, 5 * MN_USEC, false), 5 * MN_USEC);
	ck_assert_int_gt(budget_ns(_i, -1, false), 0);
	ck_assert_int_le(budget_ns(_i, -1, false), 200 * MN_USEC);
}
END_TEST

static int no_fiber(void *arg)
{
	return 0;
}

static void no_task(struct mn_task *task)
{
}

struct nap {
	struct mn_timer timer;
	int left;
	int64_t ns;
};

static void nap_again(struct mn_task *task)
{
	struct nap *nap = container_of(mn_timer_of(task), struct nap, timer);

	if (nap->left-- > 0)
		mn_timer_arm(&nap->timer, mn_now() + nap->ns, 0);
}

/* Idle for a while, again and again: how often the shard waited in the kernel. */
static uint64_t parks(struct mn_world *world, int n, int64_t ns)
{
	struct nap nap = { .left = n, .ns = ns };
	struct shard *s = world->shards[0];
	uint64_t before = s->stats[STAT_PARKS];

	mn_self = s;
	mn_timer_init(&nap.timer, nap_again);
	mn_timer_arm(&nap.timer, mn_now(), 0);
	while (nap.left >= 0)
		shard_step(s, true);
	return s->stats[STAT_PARKS] - before;
}

START_TEST(short_idle_times_are_spun_and_long_ones_slept)
{
	struct mn_world world;

	if (container_of(backend_kind.start[_i], struct backend_ops, drv)->virtual_time)
		return;
	if (!IS_ENABLED(CONFIG_STATS))
		test_skip("no statistics");
	if (!spinner_begin(&world, _i, MN_SEC, false))
		return;
	ck_assert_uint_eq(parks(&world, 50, 20 * MN_USEC), 0);
	world_end(&world);
	ck_assert(spinner_begin(&world, _i, 20 * MN_USEC, false));
	ck_assert_uint_ge(parks(&world, 50, MN_MSEC), 50);
	/* It has learned: from now on it does not even try. */
	ck_assert_int_gt(world.shards[0]->idle.gap_ns, world.shards[0]->idle.budget_ns);
	world_end(&world);
}
END_TEST

/* A fixed time to spin may be long: who waits for a credit must not wait for its end. */
START_TEST(who_spins_says_which_posts_are_done)
{
	struct mn_world world;
	struct mn_timer timer;

	if (container_of(backend_kind.start[_i], struct backend_ops, drv)->virtual_time)
		return;
	if (!spinners_begin(&world, _i, 2, 3600 * MN_SEC, false))
		return;
	mn_self = world.shards[0];
	ck_assert_int_eq(mn_post(1, no_fiber, NULL), 0);
	ck_assert_uint_eq(calls_under_way(world.shards[0]), 1);
	shard_step(world.shards[0], false);
	mn_self = world.shards[1];
	mn_timer_init(&timer, no_task);
	mn_timer_arm(&timer, mn_now() + 5 * MN_MSEC, 0);	/* which ends the spin, not the sleep */
	while (mn_timer_armed(&timer))
		shard_step(world.shards[1], true);
	for (int i = 0; i < 1000; i++)	/* one of some glances sees it */
		shard_step(world.shards[0], false);
	ck_assert_uint_eq(calls_under_way(world.shards[0]), 0);
	world_end(&world);
}
END_TEST

START_TEST(the_measured_budget_follows_what_waits_cost)
{
	struct mn_world world;
	struct shard *s;

	if (container_of(backend_kind.start[_i], struct backend_ops, drv)->virtual_time)
		return;
	if (!spinner_begin(&world, _i, -1, false))
		return;
	s = world.shards[0];
	s->idle.budget_ns = 0;
	parks(&world, 50, MN_MSEC);
	ck_assert_int_gt(s->idle.budget_ns, 0);
	s->idle.budget_ns = MN_MSEC;
	s->idle.gap_ns = 2 * MN_MSEC;	/* so it does not spin */
	parks(&world, 16, 10 * MN_MSEC);
	ck_assert_int_lt(s->idle.budget_ns, MN_MSEC / 2);
	world_end(&world);
}
END_TEST

static atomic_bool nap_over;

/* A wake-up without a reason, as when a debugger attaches; unless this thread comes too late. */
static void *poke(void *arg)
{
	struct shard *s = arg;
	struct timespec pause = { .tv_nsec = MN_MSEC };

	while (!atomic_load(&s->asleep) && !atomic_load(&nap_over))
		sched_yield();
	for (int i = 0; i < 3; i++) {
		nanosleep(&pause, NULL);
		backend_wake(s->be);
	}
	return NULL;
}

START_TEST(who_is_woken_for_nothing_sleeps_on)
{
	struct nap nap = { .left = 0 };
	struct mn_world world;
	pthread_t thread;
	int64_t until_ns;
	struct shard *s;

	if (waker_virtual_time(_i) || !world_begin(&world, waker_backend(_i), 1))
		return;
	s = world.shards[0];
	while (shard_step(s, false))
		;
	until_ns = backend_now(s->be) + 50 * MN_MSEC;
	mn_timer_init(&nap.timer, nap_again);
	mn_timer_arm(&nap.timer, until_ns, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, poke, s), 0);
	shard_step(s, true);
	ck_assert_int_ge(backend_now(s->be), until_ns);
	atomic_store(&nap_over, true);
	pthread_join(thread, NULL);
	world_end(&world);
}
END_TEST

Suite *suite_wake(void)
{
	Suite *s = suite_create("wake");
	TCase *tc = tcase_create("wake");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, no_wake_up_is_lost, 0, nr_wakers());
	tcase_add_loop_test(tc, the_budget_for_spinning_is_measured_or_set_and_none_on_shared_cpus,
			    0, nr_backends());
	tcase_add_loop_test(tc, short_idle_times_are_spun_and_long_ones_slept, 0, nr_backends());
	tcase_add_loop_test(tc, who_spins_says_which_posts_are_done, 0, nr_backends());
	tcase_add_loop_test(tc, the_measured_budget_follows_what_waits_cost, 0, nr_backends());
	tcase_add_loop_test(tc, who_is_woken_for_nothing_sleeps_on, 0, nr_wakers());
	suite_add_tcase(s, tc);
	return s;
}
