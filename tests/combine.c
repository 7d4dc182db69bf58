// SPDX-License-Identifier: MIT
/*
 * Combinators, one at a time: on the mem backend, whose clock the tests move.
 * What takes time is in combine-time.c, random trees are in combine-model.c, real
 * backends in combine-run.c.
 */
#include <check.h>
#include <stdlib.h>

#include <miniss/combine.h>

#include "tests/combine.h"
#include "tests/suites.h"

/* --- steps --- */

struct calls {
	int n;
	int64_t with;		/* what the last call got */
	int64_t returns;
	struct mn_future *starts;
};

static int64_t call_map(void *arg, int64_t res)
{
	struct calls *calls = arg;

	calls->n++;
	calls->with = res;
	return calls->returns;
}

static struct mn_future *call_start(void *arg, int64_t res)
{
	struct calls *calls = arg;

	calls->n++;
	calls->with = res;
	return calls->starts;
}

/* Over a future that is there before or comes after; each function sees what it should. */
static void ck_step(bool early, int64_t from, bool called, int64_t expected, struct calls *calls,
		    struct mn_future *(*make)(struct mn_step *step, struct mn_future *future,
					      struct calls *calls))
{
	struct mn_future future;
	struct mn_step step;

	calls->n = 0;
	mn_future_init(&future);
	if (early)
		mn_future_resolve(&future, from);
	ck_assert_ptr_eq(make(&step, &future, calls), &step.done);
	ck_assert_int_eq(calls->n, 0);
	if (!early)
		mn_future_resolve(&future, from);
	ck_assert_int_eq(calls->n, 0);
	combine_run();
	ck_assert_int_eq(calls->n, called);
	if (called)
		ck_assert_int_eq(calls->with, from);
	ck_assert(mn_future_ready(&step.done));
	ck_assert_int_eq(mn_future_take(&step.done), expected);
	mn_future_drop(&future);
	mn_combine_stop(&step.combine);	/* harmless */
}

static struct mn_future *make_map(struct mn_step *step, struct mn_future *f, struct calls *calls)
{
	return mn_map(step, f, call_map, calls);
}

static struct mn_future *make_catch(struct mn_step *step, struct mn_future *f, struct calls *calls)
{
	return mn_catch(step, f, call_map, calls);
}

static struct mn_future *make_then(struct mn_step *step, struct mn_future *f, struct calls *calls)
{
	return mn_then(step, f, call_start, calls);
}

static struct mn_future *make_or_else(struct mn_step *step, struct mn_future *f,
				      struct calls *calls)
{
	return mn_or_else(step, f, call_start, calls);
}

static struct mn_future *make_finally(struct mn_step *step, struct mn_future *f,
				      struct calls *calls)
{
	return mn_finally(step, f, call_start, calls);
}

START_TEST(map_and_catch_see_values_and_failures)
{
	struct calls calls = { .returns = 42 };

	for (int early = 0; early < 2; early++) {
		ck_step(early, 7, true, 42, &calls, make_map);
		ck_step(early, -EIO, false, -EIO, &calls, make_map);
		ck_step(early, 7, false, 7, &calls, make_catch);
		ck_step(early, -EIO, true, 42, &calls, make_catch);
	}
	calls.returns = -EPIPE;
	ck_step(true, INT64_MAX, true, -EPIPE, &calls, make_map);
	ck_step(true, INT64_MIN, true, -EPIPE, &calls, make_catch);
	ck_assert_uint_eq(combine_abandoned(), 0);
}
END_TEST

START_TEST(then_or_else_and_finally_wait_for_what_they_start)
{
	static const int64_t nexts[] = { 9, -EPIPE };
	struct mn_future next;
	struct calls calls = { .starts = &next };

	for (int i = 0; i < 4; i++) {
		int64_t res = nexts[i % 2];
		bool early = i / 2;

		ck_step(early, 7, true, res, &calls, (combine_ready(&next, res), make_then));
		ck_step(early, -EIO, false, -EIO, &calls, make_then);
		ck_step(early, 7, false, 7, &calls, make_or_else);
		ck_step(early, -EIO, true, res, &calls, (combine_ready(&next, res), make_or_else));
		ck_step(early, 7, true, res < 0 ? res : 7, &calls,
			(combine_ready(&next, res), make_finally));
		ck_step(early, -EIO, true, -EIO, &calls, (combine_ready(&next, res), make_finally));
	}
	calls.starts = NULL;
	ck_step(true, 7, true, 7, &calls, make_then);
	ck_step(true, -EIO, true, -EIO, &calls, make_or_else);
	ck_step(true, 7, true, 7, &calls, make_finally);
	ck_step(true, -EIO, true, -EIO, &calls, make_finally);
	ck_assert_uint_eq(combine_abandoned(), 0);
}
END_TEST

START_TEST(a_step_that_is_cancelled_only_stops_waiting_without_a_hook)
{
	struct calls calls = { .returns = 1 };
	struct mn_future future;
	struct mn_step step, again;

	mn_future_init(&future);
	mn_catch(&step, &future, call_map, &calls);
	mn_combine_cancel(&step.combine);
	mn_combine_cancel(&step.combine);
	ck_assert(!mn_future_ready(&step.done));	/* from the run queue */
	combine_run();
	ck_assert_int_eq(mn_future_take(&step.done), -ECANCELED);
	ck_assert_int_eq(calls.n, 0);
	mn_map(&again, &future, call_map, &calls);	/* nobody waits for it now */
	mn_future_resolve(&future, 5);
	combine_run();
	ck_assert_int_eq(mn_future_take(&again.done), 1);
}
END_TEST

START_TEST(a_result_that_came_before_the_cancel_is_not_lost)
{
	struct mn_future future, next;
	struct calls calls = { .returns = 1, .starts = &next };
	struct mn_step step;

	mn_map(&step, combine_ready(&future, 5), call_map, &calls);
	mn_combine_cancel(&step.combine);
	combine_run();
	ck_assert_int_eq(mn_future_take(&step.done), 1);

	/* What it starts is not waited for any more. */
	mn_future_init(&next);
	mn_then(&step, combine_ready(&future, 5), call_start, &calls);
	mn_combine_cancel(&step.combine);
	combine_run();
	ck_assert_int_eq(calls.n, 2);
	ck_assert_int_eq(mn_future_take(&step.done), -ECANCELED);
	ck_assert_ptr_null(next.waiter);
}
END_TEST

START_TEST(with_a_hook_a_cancelled_step_waits_for_the_end)
{
	struct mn_future future, next;
	struct calls calls = { .starts = &next };
	struct asked asked = { .n = 0 };
	struct mn_step step;

	mn_future_init(&future);
	mn_future_init(&next);
	mn_then(&step, &future, call_start, &calls);
	mn_combine_on_cancel(&step.combine, ask, &asked);
	mn_combine_cancel(&step.combine);
	combine_run();
	ck_assert_int_eq(asked.n, 1);
	ck_assert_ptr_eq(asked.future, &future);
	ck_assert(!mn_future_ready(&step.done));
	mn_future_resolve(&future, 3);	/* it won: what it stands for is handed on */
	combine_run();
	ck_assert_int_eq(calls.with, 3);
	ck_assert_int_eq(asked.n, 2);
	ck_assert_ptr_eq(asked.future, &next);
	mn_future_resolve(&next, -ECANCELED);
	combine_run();
	ck_assert_int_eq(mn_future_take(&step.done), -ECANCELED);
}
END_TEST

START_TEST(finally_cleans_up_when_cancelled_and_that_is_not_cancelled)
{
	struct mn_future future, next;
	struct calls calls = { .starts = &next };
	struct mn_step step;

	mn_future_init(&future);
	mn_future_init(&next);
	mn_finally(&step, &future, call_start, &calls);
	mn_combine_cancel(&step.combine);
	combine_run();
	ck_assert_int_eq(calls.n, 1);
	ck_assert_int_eq(calls.with, -ECANCELED);
	ck_assert(!mn_future_ready(&step.done));
	mn_combine_cancel(&step.combine);
	combine_run();
	ck_assert(!mn_future_ready(&step.done));
	mn_future_resolve(&next, 0);
	combine_run();
	ck_assert_int_eq(mn_future_take(&step.done), -ECANCELED);
	ck_assert_ptr_null(future.waiter);
	/* Cancelled for the first time while it cleans up. */
	mn_future_init(&next);
	mn_finally(&step, combine_ready(&future, 6), call_start, &calls);
	combine_run();
	mn_combine_cancel(&step.combine);
	combine_run();
	mn_future_resolve(&next, 0);
	combine_run();
	ck_assert_int_eq(mn_future_take(&step.done), 6);
}
END_TEST

START_TEST(what_was_stopped_runs_no_more)
{
	struct calls calls = { .n = 0 };
	struct mn_future future;
	struct mn_step *step;

	for (int i = 0; i < 3; i++) {
		step = malloc(sizeof(*step));
		mn_future_init(&future);
		mn_map(step, &future, call_map, &calls);
		if (i > 0)
			mn_future_resolve(&future, -EIO);	/* its task is queued */
		if (i > 1)
			mn_combine_cancel(&step->combine);
		mn_combine_stop(&step->combine);
		free(step);
		combine_run();
		ck_assert_int_eq(calls.n, 0);
		ck_assert(i > 0 || !future.waiter);
	}
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(combine_abandoned(), 0);
	mn_future_drop(&future);	/* that failure was somebody else's again */
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(combine_abandoned(), 1);
}
END_TEST

/* --- chains --- */

#define CHAIN	(IS_ENABLED(CONFIG_DEBUG) ? 100000 : 1000000)

static int64_t plus_one(void *arg, int64_t res)
{
	depth_see();
	return res + 1;
}

START_TEST(a_ready_chain_takes_no_stack)
{
	struct mn_step *step = malloc(CHAIN * sizeof(*step));
	struct mn_future first;

	mn_map(&step[0], &first, plus_one, (mn_future_init(&first), NULL));
	for (int i = 1; i < CHAIN; i++)
		mn_map(&step[i], &step[i - 1].done, plus_one, NULL);
	mn_future_resolve(&first, 0);
	combine_run();
	ck_assert_int_eq(mn_future_take(&step[CHAIN - 1].done), CHAIN);
	ck_assert_uint_lt(depth.high - depth.low, 1024);
	free(step);
}
END_TEST

START_TEST(cancelling_a_chain_takes_no_stack)
{
	struct mn_step *step = malloc(CHAIN * sizeof(*step));
	struct mn_future first;

	mn_future_init(&first);
	mn_map(&step[0], &first, plus_one, NULL);
	for (int i = 1; i < CHAIN; i++) {
		mn_map(&step[i], &step[i - 1].done, plus_one, NULL);
		mn_combine_on_cancel(&step[i].combine, mn_cancel_combine, NULL);
	}
	mn_combine_cancel(&step[CHAIN - 1].combine);
	combine_run();
	ck_assert_int_eq(mn_future_take(&step[CHAIN - 1].done), -ECANCELED);
	ck_assert_uint_eq(depth.high, 0);	/* none was called */
	ck_assert_ptr_null(first.waiter);
	free(step);
}
END_TEST

/* --- all, any --- */

START_TEST(when_all_takes_all_and_reports_the_first_failure_of_the_array)
{
	struct mn_future future[4], *futures[4];
	struct mn_input wait[4];
	struct mn_when_all all;

	for (int i = 0; i < 4; i++) {
		futures[i] = &future[i];
		mn_future_init(&future[i]);
	}
	mn_when_all(&all, wait, futures, 4);
	mn_future_resolve(&future[3], -EPIPE);
	mn_future_resolve(&future[0], 10);
	combine_run();
	mn_future_resolve(&future[2], -EIO);
	combine_run();
	ck_assert(!mn_future_ready(&all.done));
	mn_future_resolve(&future[1], 11);
	combine_run();
	ck_assert_int_eq(mn_future_take(&all.done), -EIO);
	ck_assert_int_eq(mn_future_take(&future[3]), -EPIPE);
	for (int i = 0; i < 4; i++)
		mn_future_drop(&future[i]);
	ck_assert_uint_eq(combine_abandoned(), 0);
	mn_when_all(&all, NULL, NULL, 0);
	ck_assert_int_eq(mn_future_take(&all.done), 0);
}
END_TEST

START_TEST(when_all_can_be_cancelled_with_and_without_a_hook)
{
	struct mn_future future[3], *futures[3];
	struct asked asked = { .n = 0 };
	struct mn_input wait[3];
	struct mn_when_all all;

	for (int hook = 0; hook < 2; hook++) {
		for (int i = 0; i < 3; i++) {
			futures[i] = &future[i];
			mn_future_init(&future[i]);
		}
		mn_when_all(&all, wait, futures, 3);
		if (hook)
			mn_combine_on_cancel(&all.combine, ask, &asked);
		mn_future_resolve(&future[1], 1);
		combine_run();
		mn_combine_cancel(&all.combine);
		combine_run();
		ck_assert_int_eq(mn_future_ready(&all.done), !hook);
		ck_assert_int_eq(asked.n, 2 * hook);
		if (hook) {
			mn_future_resolve(&future[0], 0);
			mn_future_resolve(&future[2], -ECANCELED);
			combine_run();
		}
		ck_assert_int_eq(mn_future_take(&all.done), -ECANCELED);
		ck_assert(hook || (!future[0].waiter && !future[2].waiter));
	}
}
END_TEST

START_TEST(when_any_tells_the_lowest_and_lets_go_of_the_rest)
{
	struct mn_future future[3], *futures[3];
	struct mn_input wait[3];
	struct mn_when_any any;

	for (int i = 0; i < 3; i++) {
		futures[i] = &future[i];
		mn_future_init(&future[i]);
	}
	mn_when_any(&any, wait, futures, 3);
	mn_future_resolve(&future[2], 1);
	mn_future_resolve(&future[1], -EIO);
	combine_run();
	ck_assert_int_eq(mn_future_take(&any.done), 1);
	ck_assert_ptr_null(future[0].waiter);
	ck_assert_int_eq(mn_future_take(&future[1]), -EIO);
	mn_when_any(&any, wait, futures, 1);
	mn_combine_cancel(&any.combine);
	combine_run();
	ck_assert_int_eq(mn_future_take(&any.done), -ECANCELED);
	mn_when_any(&any, NULL, NULL, 0);
	ck_assert_int_eq(mn_future_take(&any.done), -EINVAL);
}
END_TEST

/* --- shared --- */

#define SHARERS	1000

START_TEST(all_who_share_a_future_get_its_result)
{
	static struct mn_shared_wait wait[SHARERS], late;
	struct mn_future future;
	struct mn_shared shared;

	mn_future_init(&future);
	mn_shared_init(&shared, &future);
	for (int i = 0; i < SHARERS; i++)
		ck_assert_ptr_eq(mn_shared_get(&shared, &wait[i]), &wait[i].done);
	for (int i = 0; i < SHARERS; i += 10)
		mn_shared_leave(&wait[i]);
	mn_shared_leave(&wait[SHARERS - 1]);
	mn_future_resolve(&future, -EIO);
	for (int i = 0; i < SHARERS - 1; i++)
		ck_assert(i % 10 == 0 || !mn_future_ready(&wait[i].done));
	mn_shared_get(&shared, &late);		/* there is a queue */
	ck_assert(!mn_future_ready(&late.done));
	combine_run();
	for (int i = 0; i < SHARERS - 1; i++)
		if (i % 10)
			ck_assert_int_eq(mn_future_take(&wait[i].done), -EIO);
	ck_assert_int_eq(mn_future_take(&late.done), -EIO);
	mn_shared_get(&shared, &late);		/* there is none any more */
	ck_assert_int_eq(mn_future_take(&late.done), -EIO);
	mn_shared_stop(&shared);
	mn_future_drop(&future);
	ck_assert_uint_eq(combine_abandoned(), 0);
}
END_TEST

START_TEST(a_shared_failure_that_nobody_asked_for_is_abandoned)
{
	struct mn_shared_wait wait;
	struct mn_future future;
	struct mn_shared shared;

	mn_shared_init(&shared, combine_ready(&future, -EIO));
	combine_run();
	mn_shared_stop(&shared);
	mn_future_drop(&future);
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(combine_abandoned(), 1);
	mn_future_init(&future);
	mn_shared_init(&shared, &future);
	mn_shared_get(&shared, &wait);
	mn_shared_stop(&shared);
	ck_assert_int_eq(mn_future_take(&wait.done), -ECANCELED);
	ck_assert_ptr_null(future.waiter);
}
END_TEST

static void add_single(TCase *tc)
{
	tcase_add_test(tc, map_and_catch_see_values_and_failures);
	tcase_add_test(tc, then_or_else_and_finally_wait_for_what_they_start);
	tcase_add_test(tc, a_step_that_is_cancelled_only_stops_waiting_without_a_hook);
	tcase_add_test(tc, a_result_that_came_before_the_cancel_is_not_lost);
	tcase_add_test(tc, with_a_hook_a_cancelled_step_waits_for_the_end);
	tcase_add_test(tc, finally_cleans_up_when_cancelled_and_that_is_not_cancelled);
	tcase_add_test(tc, what_was_stopped_runs_no_more);
	tcase_add_test(tc, a_ready_chain_takes_no_stack);
	tcase_add_test(tc, cancelling_a_chain_takes_no_stack);
}

static void add_several(TCase *tc)
{
	tcase_add_test(tc, when_all_takes_all_and_reports_the_first_failure_of_the_array);
	tcase_add_test(tc, when_all_can_be_cancelled_with_and_without_a_hook);
	tcase_add_test(tc, when_any_tells_the_lowest_and_lets_go_of_the_rest);
	tcase_add_test(tc, all_who_share_a_future_get_its_result);
	tcase_add_test(tc, a_shared_failure_that_nobody_asked_for_is_abandoned);
}

TCase *tcase_combine_mem(void)
{
	TCase *tc = tcase_create("mem");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, combine_setup, combine_teardown);
	add_single(tc);
	add_several(tc);
	return tc;
}
