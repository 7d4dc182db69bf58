// SPDX-License-Identifier: MIT
/* Tasks, futures and fibers, as applications use them. */
#include <signal.h>

#include <miniss/run.h>

#include "core/op.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

/* Run a fiber on every backend; skipped ones have said why. */
static void run(int i, unsigned int nr_shards, mn_fiber_fn fn)
{
	int ret = run_backend(i, nr_shards, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

/* --- tasks and futures --- */

struct note {
	struct mn_task task;
	int id;
};

static int notes[16];
static int nr_notes;

static void take_note(struct mn_task *task)
{
	notes[nr_notes++] = container_of(task, struct note, task)->id;
}

static int tasks_fiber(void *arg)
{
	struct note note[3] = { { .id = 0 }, { .id = 1 }, { .id = 2 } };

	for (int i = 0; i < 3; i++)
		mn_task_init(&note[i].task, take_note);
	mn_task_schedule(&note[2].task);
	mn_task_schedule(&note[0].task);
	mn_task_schedule(&note[2].task);
	mn_task_schedule(&note[1].task);
	ck_assert_int_eq(nr_notes, 0);
	mn_yield();
	ck_assert_int_eq(nr_notes, 3);
	ck_assert(notes[0] == 2 && notes[1] == 0 && notes[2] == 1);
	return 0;
}

START_TEST(tasks_run_in_order_and_once_however_often_they_are_scheduled)
{
	run(_i, 1, tasks_fiber);
}
END_TEST

static int then_fiber(void *arg)
{
	struct mn_future future;
	struct note note = { .id = 7 };

	mn_future_init(&future);
	mn_future_then(&future, &note.task, take_note);
	mn_yield();
	ck_assert_int_eq(nr_notes, 0);
	mn_future_resolve(&future, INT64_MIN);
	ck_assert_int_eq(nr_notes, 0);
	mn_yield();
	ck_assert_int_eq(nr_notes, 1);
	ck_assert(mn_future_take(&future) == INT64_MIN);
	mn_future_then(&future, &note.task, take_note);
	ck_assert_int_eq(nr_notes, 1);
	mn_yield();
	ck_assert_int_eq(nr_notes, 2);
	return 0;
}

START_TEST(a_continuation_runs_from_the_run_queue_never_from_the_resolver)
{
	run(_i, 1, then_fiber);
}
END_TEST

static int ready_fiber(void *arg)
{
	struct mn_future future;
	uint64_t fibers_run;
	struct note note = { .id = 0 };

	mn_future_init(&future);
	mn_future_resolve(&future, 42);
	mn_task_init(&note.task, take_note);
	mn_task_schedule(&note.task);
	fibers_run = nr_notes;
	ck_assert(mn_await(&future) == 42);
	ck_assert(mn_await(&future) == 42);
	ck_assert_int_eq(nr_notes, (int)fibers_run);
	task_unqueue(mn_self, &note.task);
	return 0;
}

START_TEST(awaiting_what_is_ready_does_not_suspend)
{
	run(_i, 1, ready_fiber);
}
END_TEST

/* Resolves a future after a while. */
struct later {
	struct mn_future future;
	int64_t ns, result;
};

static int resolve_later(void *arg)
{
	struct later *later = arg;
	int err = mn_sleep(later->ns);

	if (!err)
		mn_future_resolve(&later->future, later->result);
	return err;
}

static struct mn_fiber *start_resolver(struct later *later, int64_t ns, int64_t result)
{
	struct mn_fiber *fiber;

	later->ns = ns;
	later->result = result;
	ck_assert_int_eq(mn_spawn(resolve_later, later, &fiber), 0);
	return fiber;
}

static struct mn_fiber *start_later(struct later *later, int64_t ns, int64_t result)
{
	mn_future_init(&later->future);
	return start_resolver(later, ns, result);
}

static int all_fiber(void *arg)
{
	struct later later[3];
	struct mn_future *futures[3];
	struct mn_fiber *fiber[3];

	fiber[0] = start_later(&later[0], 3 * MN_MSEC, 1);
	fiber[1] = start_later(&later[1], 2 * MN_MSEC, -EIO);
	fiber[2] = start_later(&later[2], 1 * MN_MSEC, -EPIPE);
	for (int i = 0; i < 3; i++)
		futures[i] = &later[i].future;
	ck_assert_int_eq(mn_await_all(futures, 3), -EIO);
	ck_assert(mn_future_take(futures[0]) == 1 && mn_future_take(futures[2]) == -EPIPE);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return 0;
}

START_TEST(await_all_waits_for_all_and_reports_the_first_failure_of_the_array)
{
	run(_i, 1, all_fiber);
}
END_TEST

static int any_fiber(void *arg)
{
	struct later later[3];
	struct mn_future *futures[3];
	struct mn_fiber *fiber[3];

	for (int i = 0; i < 3; i++) {
		mn_future_init(&later[i].future);
		futures[i] = &later[i].future;
	}
	fiber[1] = start_resolver(&later[1], MN_MSEC, 11);
	ck_assert_int_eq(mn_await_any(futures, 0), -EINVAL);
	ck_assert_int_eq(mn_await_any(futures, 3), 1);
	ck_assert_int_eq(mn_await_any(futures, 3), 1);	/* not taken: still the one */
	fiber[0] = start_resolver(&later[0], MN_MSEC, 10);
	fiber[2] = start_resolver(&later[2], 2 * MN_MSEC, 12);
	ck_assert(mn_await(futures[0]) == 10);	/* the others can be awaited again */
	ck_assert(mn_await(futures[2]) == 12);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return 0;
}

START_TEST(await_any_returns_the_lowest_that_is_ready_and_lets_go_of_the_rest)
{
	run(_i, 1, any_fiber);
}
END_TEST

static int timeout_fiber(void *arg)
{
	int64_t from_ns = mn_now();
	struct mn_fiber *fiber;
	struct later later;

	mn_future_init(&later.future);
	ck_assert(mn_await_timeout(&later.future, 0) == -ETIMEDOUT);
	ck_assert(mn_await_timeout(&later.future, MN_MSEC) == -ETIMEDOUT);
	ck_assert(!mn_future_ready(&later.future));
	ck_assert(mn_now() - from_ns >= MN_MSEC);
	fiber = start_resolver(&later, MN_MSEC, 5);
	ck_assert(mn_await_timeout(&later.future, MN_NEVER) == 5);
	return mn_join(fiber);
}

START_TEST(await_timeout_only_stops_waiting)
{
	run(_i, 1, timeout_fiber);
}
END_TEST

static int abandoned_fiber(void *arg)
{
	struct mn_future future;
	uint64_t before = mn_self->stats[STAT_ABANDONED];

	mn_future_init(&future);
	mn_future_resolve(&future, -EIO);
	mn_future_take(&future);
	mn_future_drop(&future);
	mn_future_init(&future);
	mn_future_resolve(&future, 1);
	mn_future_reset(&future);
	ck_assert(mn_self->stats[STAT_ABANDONED] == before);
	mn_future_resolve(&future, -EIO);
	mn_future_drop(&future);
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert(mn_self->stats[STAT_ABANDONED] == before + 1);
	return 0;
}

START_TEST(a_failure_that_nobody_took_is_counted_as_abandoned)
{
	run(_i, 1, abandoned_fiber);
}
END_TEST

/* --- operations --- */

static int op_timeout_fiber(void *arg)
{
	struct mn_op op;

	start_endless(&op);
	ck_assert(mn_op_in_flight(&op));
	ck_assert(mn_op_await(&op, MN_MSEC) == -ETIMEDOUT);
	ck_assert(!mn_op_in_flight(&op));
	start_endless(&op);
	ck_assert(mn_op_await(&op, 0) == -ETIMEDOUT);
	start_endless(&op);
	mn_op_cancel(&op);
	mn_op_cancel(&op);
	ck_assert(mn_op_await(&op, MN_NEVER) == -ECANCELED);
	mn_nop_start(&op);
	ck_assert(mn_op_await(&op, MN_SEC) == 0);
	mn_op_cancel(&op);	/* too late: nothing happens */
	ck_assert(mn_future_take(&op.done) == 0);
	return 0;
}

START_TEST(op_await_cancels_at_the_timeout_and_waits_for_the_end)
{
	run(_i, 1, op_timeout_fiber);
}
END_TEST

/* --- fibers --- */

static int wait_for_signal(void *arg)
{
	struct mn_op op;
	int64_t res;

	start_endless(&op);
	res = mn_op_await(&op, MN_NEVER);
	ck_assert(!mn_op_in_flight(&op));
	return (int)res;
}

static int wait_in_sleep(void *arg)
{
	int err = mn_sleep(3600 * MN_SEC);

	ck_assert(mn_fiber_canceled());
	ck_assert_int_eq(mn_sleep(MN_SEC), -ECANCELED);	/* sticky */
	return err;
}

static int wait_for_future(void *arg)
{
	struct mn_future never;
	struct mn_future *nevers[] = { &never, &never };
	int err;

	mn_future_init(&never);
	err = (int)mn_await(&never);
	ck_assert_int_eq(mn_await_timeout(&never, MN_SEC), -ECANCELED);
	ck_assert_int_eq(mn_await_all(nevers, 1), -ECANCELED);
	ck_assert_int_eq(mn_await_any(nevers, 1), -ECANCELED);
	ck_assert_ptr_null(never.waiter);
	return err;
}

static int wait_for_any(void *arg)
{
	struct mn_future never[2];
	struct mn_future *nevers[] = { &never[0], &never[1] };

	mn_future_init(&never[0]);
	mn_future_init(&never[1]);
	return mn_await_any(nevers, 2);
}

static int wait_with_timeout(void *arg)
{
	struct mn_future never;

	mn_future_init(&never);
	return (int)mn_await_timeout(&never, 3600 * MN_SEC);
}

static int wait_for_stop(void *arg)
{
	return mn_stop_wait();
}

static int cancel_fiber(void *arg)
{
	static const mn_fiber_fn waits[] = { wait_for_signal, wait_in_sleep, wait_for_future,
					     wait_for_any, wait_with_timeout, wait_for_stop };

	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct mn_fiber *early, *late;

		ck_assert_int_eq(mn_spawn(waits[i], NULL, &early), 0);
		mn_fiber_cancel(early);	/* before it ran at all */
		ck_assert_int_eq(mn_join(early), -ECANCELED);
		ck_assert_int_eq(mn_spawn(waits[i], NULL, &late), 0);
		mn_yield();
		mn_fiber_cancel(late);
		mn_fiber_cancel(late);
		ck_assert_int_eq(mn_join(late), -ECANCELED);
	}
	return 0;
}

START_TEST(cancellation_ends_every_kind_of_wait_and_is_sticky)
{
	run(_i, 1, cancel_fiber);
}
END_TEST

static int spawn_many_fiber(void *arg)
{
	enum { N = 1000 };
	/* A fiber's stack may be 16 KiB. */
	static struct mn_fiber *fiber[N];
	static struct later later[N];

	for (int i = 0; i < N; i++)
		fiber[i] = start_later(&later[i], (i % 10 + 1) * MN_MSEC, i);
	for (int i = 0; i < N; i++) {
		ck_assert(mn_await(&later[i].future) == i);
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	}
	ck_assert_uint_eq(mn_self->fibers.nr_live, 1);	/* this one */
	return 0;
}

START_TEST(a_thousand_fibers_sleep_and_end)
{
	run(_i, 1, spawn_many_fiber);
}
END_TEST

static int detached(void *arg)
{
	return mn_sleep(3600 * MN_SEC);
}

static int leave_fiber(void *arg)
{
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mn_spawn(detached, NULL, NULL), 0);
	mn_yield();
	return 3;
}

START_TEST(fibers_left_at_the_end_are_cancelled_and_the_result_is_mains)
{
	int ret = run_backend(_i, 2, leave_fiber, NULL);

	ck_assert(ret == 3 || ret == RUN_SKIPPED);
}
END_TEST

/* --- what debug builds abort on --- */

static int resolve_twice(void *arg)
{
	struct mn_future future;

	mn_future_init(&future);
	mn_future_resolve(&future, 1);
	mn_future_resolve(&future, 2);
	return 0;
}

START_TEST(resolving_twice_aborts_a_debug_build)
{
	if (IS_ENABLED(CONFIG_DEBUG))
		run_backend(0, 1, resolve_twice, NULL);
	else
		raise(SIGABRT);	/* other builds do not look */
}
END_TEST

Suite *suite_core(void)
{
	Suite *s = suite_create("core");
	TCase *tc = tcase_create("core");
	int n = nr_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, tasks_run_in_order_and_once_however_often_they_are_scheduled, 0, n);
	tcase_add_loop_test(tc, a_continuation_runs_from_the_run_queue_never_from_the_resolver, 0,
			    n);
	tcase_add_loop_test(tc, awaiting_what_is_ready_does_not_suspend, 0, n);
	tcase_add_loop_test(tc, await_all_waits_for_all_and_reports_the_first_failure_of_the_array,
			    0, n);
	tcase_add_loop_test(tc, await_any_returns_the_lowest_that_is_ready_and_lets_go_of_the_rest,
			    0, n);
	tcase_add_loop_test(tc, await_timeout_only_stops_waiting, 0, n);
	tcase_add_loop_test(tc, a_failure_that_nobody_took_is_counted_as_abandoned, 0, n);
	tcase_add_loop_test(tc, op_await_cancels_at_the_timeout_and_waits_for_the_end, 0, n);
	tcase_add_loop_test(tc, cancellation_ends_every_kind_of_wait_and_is_sticky, 0, n);
	tcase_add_loop_test(tc, a_thousand_fibers_sleep_and_end, 0, n);
	tcase_add_loop_test(tc, fibers_left_at_the_end_are_cancelled_and_the_result_is_mains, 0, n);
	tcase_add_test_raise_signal(tc, resolving_twice_aborts_a_debug_build, SIGABRT);
	suite_add_tcase(s, tc);
	return s;
}
