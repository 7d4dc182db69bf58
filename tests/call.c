// SPDX-License-Identifier: MIT
/*
 * Calls between shards: results, credits, cancellation, deadlines, lanes.
 * Every case on every backend, waker and queue, with 1, 2 and 8 shards.
 */
#include <stdatomic.h>

#include <miniss/run.h>

#include "smp/call.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

static const unsigned int nr_shards[] = { 1, 2, 8 };

static int nr_queues(void)
{
	return (int)(queue_kind.stop - queue_kind.start);
}

/* The loop variable counts combinations of waker, queue and number of shards. */
static int nr_worlds(void)
{
	return nr_wakers() * nr_queues() * (int)ARRAY_SIZE(nr_shards);
}

static void run(int i, mn_fiber_fn fn)
{
	int n = i % (int)ARRAY_SIZE(nr_shards), rest = i / (int)ARRAY_SIZE(nr_shards);
	const char *queue = queue_kind.start[rest % nr_queues()]->name;
	const char *backend = waker_backend(rest / nr_queues());
	int ret = run_queue(backend, queue, nr_shards[n], fn, NULL);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%s, %s, %u shards: %d", backend, queue,
		      nr_shards[n], ret);
}

static unsigned int last(void)
{
	return mn_shards() - 1;
}

/* --- results --- */

static int answer(void *arg)
{
	return (int)(intptr_t)arg + (int)mn_shard();
}

static int results_fiber(void *arg)
{
	for (int i = 0; i < 200; i++)
		for (unsigned int s = 0; s < mn_shards(); s++)
			ck_assert_int_eq(mn_call(s, answer, (void *)(intptr_t)(i * 100)),
					 i * 100 + (int)s);
	ck_assert_int_eq(mn_call(last(), answer, (void *)(intptr_t)-100), (int)last() - 100);
	return 0;
}

START_TEST(results_and_failures_come_back)
{
	run(_i, results_fiber);
}
END_TEST

static int start_fiber(void *arg)
{
	struct mn_call call[2];
	struct mn_future *done[] = { &call[0].done, &call[1].done };

	ck_assert_int_eq(mn_call_start(&call[0], last(), answer, (void *)(intptr_t)10), 0);
	ck_assert_int_eq(mn_call_start(&call[1], 0, answer, (void *)(intptr_t)20), 0);
	ck_assert_int_eq(mn_await_all(done, 2), 0);
	ck_assert(mn_future_take(done[0]) == 10 + last());
	ck_assert(mn_future_take(done[1]) == 20);
	return 0;
}

START_TEST(started_calls_resolve_their_futures)
{
	run(_i, start_fiber);
}
END_TEST

/* --- credits --- */

static atomic_int nr_running, nr_ended;

static int linger(void *arg)
{
	atomic_fetch_add(&nr_running, 1);
	if (mn_sleep(3600 * MN_SEC) == -ECANCELED)
		atomic_fetch_add(&nr_ended, 1);
	return -ECANCELED;
}

static int linger_call(void *arg)
{
	return mn_call(last(), linger, NULL);
}

static int credits_fiber(void *arg)
{
	enum { N = 300 };
	unsigned int credits = mn_self->mesh->credits[LANE_BULK];
	struct mn_fiber *fiber[N];
	struct mn_call call;

	atomic_store(&nr_running, 0);
	atomic_store(&nr_ended, 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(linger_call, NULL, &fiber[i]), 0);
	while (atomic_load(&nr_running) < (int)credits)
		mn_sleep(MN_MSEC);
	mn_sleep(5 * MN_MSEC);
	ck_assert_int_eq(atomic_load(&nr_running), (int)credits);	/* bounded */
	ck_assert_int_eq(mn_call_start(&call, last(), answer, NULL), -EAGAIN);
	ck_assert_int_eq(mn_post(last(), answer, NULL), -EAGAIN);
	for (int i = 0; i < N; i++)
		mn_fiber_cancel(fiber[i]);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), -ECANCELED);
	/* They returned after the other side let go, and not before. */
	ck_assert_int_eq(atomic_load(&nr_ended), atomic_load(&nr_running));
	ck_assert_int_eq(mn_call(last(), answer, NULL), (int)last());
	return 0;
}

START_TEST(calls_are_bounded_by_credits_and_cancellation_waits_for_the_other_side)
{
	run(_i, credits_fiber);
}
END_TEST

static int flood_one(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return 0;
}

/* With checks on, each call takes tens of times as long. */
#define FLOOD_ROUNDS	(IS_ENABLED(CONFIG_DEBUG) ? 10 : 40)

static int flood_some(void *arg)
{
	int err = 0;

	for (int i = 0; i < FLOOD_ROUNDS && !err; i++)
		for (unsigned int s = 0; s < mn_shards() && !err; s++)
			err = mn_call(s, flood_one, arg);
	return err;	/* an assertion each would cost more than the calls */
}

static int flood_from(void *arg)
{
	enum { N = 100 };
	struct mn_fiber *fiber[N];

	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(flood_some, arg, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return 0;
}

static int flood_fiber(void *arg)
{
	atomic_int n = 0;

	/* All shards call all, with more than the queues hold, at once. */
	ck_assert_int_eq(mn_call_all(flood_from, &n), 0);
	ck_assert_int_eq(atomic_load(&n), FLOOD_ROUNDS * 100 * (int)(mn_shards() * mn_shards()));
	return 0;
}

START_TEST(shards_with_full_queues_that_call_each_other_always_progress)
{
	run(_i, flood_fiber);
}
END_TEST

static int posts_fiber(void *arg)
{
	enum { N = 5000 };
	atomic_int n = 0;

	for (int i = 0; i < N; i++)
		while (mn_post((unsigned int)i % mn_shards(), flood_one, &n) == -EAGAIN)
			mn_yield();
	while (atomic_load(&n) < N)
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(posts_all_arrive)
{
	run(_i, posts_fiber);
}
END_TEST

/* --- deadlines --- */

static int obstinate(void *arg)
{
	mn_sleep(3600 * MN_SEC);	/* notices the cancellation ... */
	return 17;			/* ... and has a result all the same */
}

static int deadline_fiber(void *arg)
{
	struct mn_call_options soon = { .timeout_ns = 2 * MN_MSEC };
	struct mn_call_options urgent = { .timeout_ns = 2 * MN_MSEC, .urgent = true };
	struct mn_call_options late = { .timeout_ns = 3600 * MN_SEC };

	ck_assert_int_eq(mn_call_with(last(), linger, NULL, &soon), -ETIMEDOUT);
	ck_assert_int_eq(mn_call_with(last(), linger, NULL, &urgent), -ETIMEDOUT);
	ck_assert_int_eq(mn_call_with(last(), obstinate, NULL, &soon), 17);
	ck_assert_int_eq(mn_call_with(last(), answer, NULL, &late), (int)last());
	return 0;
}

START_TEST(a_deadline_covers_the_execution_and_a_result_that_won_is_kept)
{
	run(_i, deadline_fiber);
}
END_TEST

static int cancel_all_waiter(void *arg)
{
	return mn_call_all(linger, NULL);
}

static int cancel_all_fiber(void *arg)
{
	struct mn_fiber *fiber;

	atomic_store(&nr_running, 0);
	atomic_store(&nr_ended, 0);
	ck_assert_int_eq(mn_spawn(cancel_all_waiter, NULL, &fiber), 0);
	while (atomic_load(&nr_running) < (int)mn_shards())
		mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_int_eq(atomic_load(&nr_ended), (int)mn_shards());
	return 0;
}

START_TEST(cancelling_a_call_to_all_cancels_all_of_them)
{
	run(_i, cancel_all_fiber);
}
END_TEST

static int all_waiter(void *arg)
{
	return mn_call_all(answer, NULL);
}

/* The others have answered, and it waits for a credit towards the last shard. */
static int cancel_waiting_fiber(void *arg)
{
	enum { N = 300 };
	struct mn_fiber *fiber[N], *waiter[N];
	unsigned int live = mn_self->fibers.nr_live;

	atomic_store(&nr_running, 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(linger_call, NULL, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(all_waiter, NULL, &waiter[i]), 0);
	while (atomic_load(&nr_running) < (int)mn_self->mesh->credits[LANE_BULK])
		mn_sleep(MN_MSEC);
	mn_sleep(20 * MN_MSEC);
	for (int i = 0; i < N; i++)
		mn_fiber_cancel(waiter[i]);
	for (int i = 0; i < N; i++)
		ck_assert_int_lt(mn_join(waiter[i]), mn_shards());
	for (int i = 0; i < N; i++)
		mn_fiber_cancel(fiber[i]);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), -ECANCELED);
	mn_yield();
	ck_assert_uint_eq(mn_self->fibers.nr_live, live);
	ck_assert_uint_eq(calls_under_way(mn_self), 0);
	return 0;
}

START_TEST(cancelling_a_call_to_all_that_waits_for_a_credit_loses_nothing)
{
	run(_i, cancel_waiting_fiber);
}
END_TEST

/* --- lanes --- */

static int nr_before;	/* of the last shard alone */

static int bulk_job(void *arg)
{
	nr_before++;
	return 0;
}

static int urgent_job(void *arg)
{
	return nr_before;
}

static int urgent_fiber(void *arg)
{
	struct mn_call_options urgent = { .urgent = true };
	unsigned int credits = mn_self->mesh->credits[LANE_BULK];
	int before;

	nr_before = 0;
	for (unsigned int i = 0; i < credits; i++)
		ck_assert_int_eq(mn_post(last(), bulk_job, NULL), 0);
	before = mn_call_with(last(), urgent_job, NULL, &urgent);
	/* Sent last, and to run first of what went out with it. */
	ck_assert_int_eq(before, 0);
	while (mn_call(last(), urgent_job, NULL) < (int)credits)
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(an_urgent_call_passes_what_is_queued)
{
	run(_i, urgent_fiber);
}
END_TEST

/* --- all shards --- */

static int map(void *arg, int64_t *value)
{
	*value = (int64_t)mn_shard() + 1;
	return mn_shard() == *(unsigned int *)arg ? -EIO : 0;
}

struct sum {
	unsigned int fails;	/* the shard that does, for map() */
	int64_t sum;
	unsigned int n;
};

static void reduce(void *arg, int64_t value)
{
	struct sum *sum = arg;

	sum->sum += value;
	ck_assert(value == ++sum->n);	/* in the order of shards */
}

static int map_fiber(void *arg)
{
	struct sum sum = { .fails = 1000000 }, bad = { .fails = last() };

	ck_assert_int_eq(mn_map_reduce(map, reduce, &sum), 0);
	ck_assert(sum.sum == (int64_t)mn_shards() * (mn_shards() + 1) / 2);
	ck_assert_int_eq(mn_map_reduce(map, reduce, &bad), -EIO);
	return 0;
}

START_TEST(map_reduce_asks_every_shard_and_adds_up_in_order)
{
	run(_i, map_fiber);
}
END_TEST

static int leave_fiber(void *arg)
{
	for (unsigned int s = 0; s < mn_shards(); s++)
		ck_assert_int_eq(mn_post(s, linger, NULL), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mn_spawn(linger_call, NULL, NULL), 0);
	mn_sleep(MN_MSEC);
	return 0;	/* with calls under way in every direction */
}

START_TEST(a_stop_ends_the_calls_that_are_under_way)
{
	run(_i, leave_fiber);
}
END_TEST

Suite *suite_call(void)
{
	Suite *s = suite_create("call");
	TCase *tc = tcase_create("call");
	int n = nr_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, results_and_failures_come_back, 0, n);
	tcase_add_loop_test(tc, started_calls_resolve_their_futures, 0, n);
	tcase_add_loop_test(
		tc, calls_are_bounded_by_credits_and_cancellation_waits_for_the_other_side, 0, n);
	tcase_add_loop_test(tc, shards_with_full_queues_that_call_each_other_always_progress, 0, n);
	tcase_add_loop_test(tc, posts_all_arrive, 0, n);
	tcase_add_loop_test(tc, a_deadline_covers_the_execution_and_a_result_that_won_is_kept, 0,
			    n);
	tcase_add_loop_test(tc, cancelling_a_call_to_all_cancels_all_of_them, 0, n);
	tcase_add_loop_test(tc, cancelling_a_call_to_all_that_waits_for_a_credit_loses_nothing, 0,
			    n);
	tcase_add_loop_test(tc, an_urgent_call_passes_what_is_queued, 0, n);
	tcase_add_loop_test(tc, map_reduce_asks_every_shard_and_adds_up_in_order, 0, n);
	tcase_add_loop_test(tc, a_stop_ends_the_calls_that_are_under_way, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
