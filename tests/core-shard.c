// SPDX-License-Identifier: MIT
/* Time, and calls between shards, as applications use them. */
#include <miniss/run.h>

#include "backends/mem.h"
#include "smp/call.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"
#include "timers/timer_queue.h"

/* Run a fiber on every backend and waker; skipped ones have said why. */
static void run(int i, unsigned int nr_shards, mn_fiber_fn fn)
{
	int ret = run_waker(i, nr_shards, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

static int sleep_order_fiber(void *arg)
{
	static const int64_t ns[] = { 1, 1000, 16 * MN_USEC, MN_MSEC, 20 * MN_MSEC };
	int64_t late_max = mn_self->virtual_time ? 2 * TIMER_TICK_NS : MN_NEVER;

	for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
		int64_t from_ns = backend_now(mn_self->be), took_ns;

		ck_assert_int_eq(mn_sleep(ns[i]), 0);
		took_ns = backend_now(mn_self->be) - from_ns;
		ck_assert_msg(took_ns >= ns[i], "slept %lld of %lld ns", (long long)took_ns,
			      (long long)ns[i]);
		ck_assert(took_ns - ns[i] <= late_max);
	}
	return 0;
}

START_TEST(sleeps_are_never_short_and_in_virtual_time_late_by_a_tick_at_most)
{
	run(_i, 1, sleep_order_fiber);
}
END_TEST

struct beat {
	struct mn_timer timer;
	int n;
	int64_t at_ns[8];
};

static void beat(struct mn_task *task)
{
	struct beat *b = container_of(mn_timer_of(task), struct beat, timer);

	b->at_ns[b->n++ % 8] = mn_now();
}

START_TEST(a_periodic_timer_does_not_drift_and_skips_what_it_missed)
{
	struct mn_world world;
	struct beat b = { .n = 0 };
	int64_t first_ns;

	if (!world_begin(&world, "mem", 1))
		return;
	mn_timer_init(&b.timer, beat);
	first_ns = mem_clock_now(&world) + 10 * MN_MSEC;
	mn_timer_arm_periodic(&b.timer, first_ns, 10 * MN_MSEC, 0);
	for (int i = 0; i < 3; i++) {
		mem_clock_set(&world, first_ns + i * 10 * MN_MSEC + MN_MSEC);
		settle();
		ck_assert_int_eq(b.n, i + 1);
	}
	mem_clock_advance(&world, 55 * MN_MSEC);	/* five beats missed, as by SIGSTOP */
	settle();
	ck_assert_int_eq(b.n, 4);
	mem_clock_set(&world, first_ns + 79 * MN_MSEC);
	settle();
	ck_assert_int_eq(b.n, 4);
	mem_clock_set(&world, first_ns + 80 * MN_MSEC + 100 * MN_USEC);
	settle();
	ck_assert_int_eq(b.n, 5);
	ck_assert(mn_timer_cancel(&b.timer));
	mem_clock_advance(&world, MN_SEC);
	settle();
	ck_assert_int_eq(b.n, 5);
	world_end(&world);
}
END_TEST

START_TEST(a_timer_cancelled_after_it_expired_does_not_run)
{
	struct mn_world world;
	struct beat b = { .n = 0 };

	if (!world_begin(&world, "mem", 1))
		return;
	mn_timer_init(&b.timer, beat);
	mn_timer_arm(&b.timer, mem_clock_now(&world) - 1, 0);
	shard_step(world.shards[0], false);
	if (b.n == 0)
		ck_assert(mn_timer_cancel(&b.timer));
	settle();
	ck_assert_int_eq(b.n, 0);
	world_end(&world);
}
END_TEST

/* --- shards --- */

static int where(void *arg)
{
	unsigned int *from = arg;

	ck_assert_uint_eq(*from, 0);
	mn_sleep(MN_MSEC);
	return (int)mn_shard() + 100;
}

static int calls_fiber(void *arg)
{
	unsigned int from = mn_shard();

	for (int round = 0; round < 20; round++)
		for (unsigned int i = 0; i < mn_shards(); i++)
			ck_assert_int_eq(shard_call(i, where, &from), 100 + (int)i);
	return 0;
}

START_TEST(a_call_runs_on_its_shard_and_its_result_comes_back)
{
	static const unsigned int nr_shards[] = { 1, 2, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(nr_shards); i++)
		run(_i, nr_shards[i], calls_fiber);
}
END_TEST

static int flood(void *arg)
{
	int *n = arg;

	return ++*n, 0;
}

static int flooder(void *arg)
{
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(shard_call(mn_shards() - 1, flood, arg), 0);
	return 0;
}

static int flood_fiber(void *arg)
{
	enum { N = 200 };
	struct mn_fiber *fiber[N];
	int n = 0;

	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(flooder, &n, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(n, N * 50);
	return 0;
}

START_TEST(more_calls_than_the_queues_hold_all_arrive)
{
	run(_i, 1, flood_fiber);
	run(_i, 2, flood_fiber);
}
END_TEST

static int stop_soon(void *arg)
{
	mn_sleep(MN_MSEC);
	mn_stop();
	return 0;
}

static int wait_for_stop(void *arg)
{
	return mn_stop_wait();
}

static int stop_fiber(void *arg)
{
	struct mn_fiber *waits;

	ck_assert_int_eq(mn_spawn(wait_for_stop, NULL, &waits), 0);
	ck_assert_int_eq(shard_call(mn_shards() - 1, stop_soon, NULL), 0);
	ck_assert_int_eq(mn_stop_wait(), 0);
	ck_assert_int_eq(mn_join(waits), 0);
	return 0;
}

START_TEST(a_stop_from_any_shard_wakes_all_that_wait_for_it)
{
	run(_i, 1, stop_fiber);
	run(_i, 2, stop_fiber);
}
END_TEST

Suite *suite_core_shard(void)
{
	Suite *s = suite_create("core_shard");
	TCase *tc = tcase_create("core_shard");
	int n = nr_wakers();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, sleeps_are_never_short_and_in_virtual_time_late_by_a_tick_at_most,
			    0, n);
	tcase_add_test(tc, a_periodic_timer_does_not_drift_and_skips_what_it_missed);
	tcase_add_test(tc, a_timer_cancelled_after_it_expired_does_not_run);
	tcase_add_loop_test(tc, a_call_runs_on_its_shard_and_its_result_comes_back, 0, n);
	tcase_add_loop_test(tc, more_calls_than_the_queues_hold_all_arrive, 0, n);
	tcase_add_loop_test(tc, a_stop_from_any_shard_wakes_all_that_wait_for_it, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
