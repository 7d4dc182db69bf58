// SPDX-License-Identifier: MIT
/*
 * Scopes on one shard: children, failures, nesting, shields. Deadlines and
 * other shards are in scope-stop.c, how a program ends in scope-end.c.
 */
#include <miniss/miniss.h>

#include "core/scope.h"
#include "tests/run.h"
#include "tests/scope.h"
#include "tests/suites.h"
#include "tests/world.h"

static void run(int i, mn_fiber_fn fn)
{
	int ret = run_backend(i, 1, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

int scope_nr_ended;

int scope_sleeper(void *ns)
{
	int err = mn_sleep((int64_t)(intptr_t)ns);

	scope_nr_ended++;
	return err;
}

int scope_for_long(void *arg)
{
	return scope_sleeper((void *)(intptr_t)(3600 * MN_SEC));
}

/* --- children --- */

static int wait_fiber(void *arg)
{
	struct mn_scope scope;

	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(mn_scope_join(&scope), 0);	/* none at all */
	scope_nr_ended = 0;
	mn_scope_open(&scope, NULL);
	for (intptr_t i = 1; i <= 100; i++)
		ck_assert_int_eq(mn_scope_spawn(&scope, scope_sleeper, (void *)(i % 10 * MN_USEC)),
				 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert_int_eq(scope_nr_ended, 100);
	ck_assert_uint_eq(mn_self->fibers.nr_live, 1);	/* this one */
	return 0;
}

START_TEST(a_scope_is_left_when_its_children_have_ended)
{
	run(_i, wait_fiber);
}
END_TEST

static int spawn_more(void *left)
{
	intptr_t n = (intptr_t)left;

	mn_yield();
	if (n) {
		ck_assert_int_eq(mn_spawn(spawn_more, (void *)(n - 1), NULL), 0);
		ck_assert_int_eq(mn_scope_spawn(mn_fiber_self()->scope, spawn_more, NULL), 0);
	}
	scope_nr_ended++;
	return 0;
}

static int give_seven(void *arg)
{
	mn_yield();
	scope_nr_ended++;
	return 7;
}

static int fail_with_handle(void *arg)
{
	scope_nr_ended++;
	return -EPIPE;
}

static int belong_fiber(void *arg)
{
	struct mn_scope scope;
	struct mn_fiber *seven, *fails;

	scope_nr_ended = 0;
	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(mn_scope_spawn(&scope, spawn_more, (void *)10), 0);
	ck_assert_int_eq(mn_spawn(give_seven, NULL, &seven), 0);
	ck_assert_int_eq(mn_spawn(fail_with_handle, NULL, &fails), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);	/* that failure is for mn_join() */
	ck_assert_int_eq(scope_nr_ended, 23);
	ck_assert_uint_eq(mn_self->fibers.nr_live, 1);
	ck_assert_int_eq(mn_join(seven), 7);
	ck_assert_int_eq(mn_join(fails), -EPIPE);
	return 0;
}

START_TEST(whatever_is_started_inside_belongs_to_the_scope)
{
	run(_i, belong_fiber);
}
END_TEST

/* --- failures --- */

static bool has_failed;

static int fail_soon(void *arg)
{
	mn_sleep(MN_MSEC);
	has_failed = true;
	return (int)(intptr_t)arg;
}

static int fail_late(void *arg)
{
	while (!has_failed)
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	return -EPIPE;
}

static int failure_fiber(void *arg)
{
	uint64_t abandoned = mn_self->stats[STAT_ABANDONED];
	struct mn_scope scope;

	scope_nr_ended = 0;
	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	/* Without a handle it is the same as mn_scope_spawn(). */
	ck_assert_int_eq(mn_spawn(fail_soon, (void *)(intptr_t)-EIO, NULL), 0);
	ck_assert_int_eq(mn_sleep(3600 * MN_SEC), -ECANCELED);
	ck_assert(mn_fiber_canceled());
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), -ECANCELED);
	ck_assert_int_eq(mn_spawn(scope_for_long, NULL, NULL), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&scope), -EIO);
	ck_assert_int_eq(scope_nr_ended, 10);
	ck_assert(!mn_fiber_canceled());
	ck_assert_int_eq(mn_sleep(1), 0);
	ck_assert(mn_self->stats[STAT_ABANDONED] == abandoned);
	return 0;
}

START_TEST(the_first_failure_ends_the_rest_and_is_the_result)
{
	run(_i, failure_fiber);
}
END_TEST

static int keep_going_fiber(void *arg)
{
	struct mn_scope scope;

	scope_nr_ended = 0;
	has_failed = false;
	mn_scope_open(&scope, &(struct mn_scope_options){ .keep_going = true });
	ck_assert_int_eq(mn_scope_spawn(&scope, fail_late, NULL), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, fail_soon, (void *)(intptr_t)-EIO), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_sleeper, (void *)(3 * MN_MSEC)), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, give_seven, NULL), 0);	/* no failure */
	ck_assert_int_eq(mn_sleep(3 * MN_MSEC), 0);
	ck_assert_int_eq(mn_scope_join(&scope), -EIO);
	ck_assert_int_eq(scope_nr_ended, 2);
	return 0;
}

START_TEST(a_scope_that_keeps_going_lets_all_run_and_tells_the_first_failure)
{
	run(_i, keep_going_fiber);
}
END_TEST

/* --- cancellation --- */

static int cancel_it(void *scope)
{
	mn_yield();
	mn_scope_cancel(scope);
	mn_scope_cancel(scope);
	return mn_sleep(0);
}

struct canceler {
	struct mn_timer timer;
	struct mn_scope *scope;
};

static void cancel_task(struct mn_task *task)
{
	mn_scope_cancel(container_of(mn_timer_of(task), struct canceler, timer)->scope);
}

static int ended_by(struct mn_scope *scope)
{
	scope_nr_ended = 0;
	ck_assert_int_eq(mn_sleep(3600 * MN_SEC), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(scope), -ECANCELED);
	return scope_nr_ended;
}

static int cancel_fiber(void *arg)
{
	struct mn_scope scope;
	struct canceler canceler = { .scope = &scope };
	struct mn_fiber *other;

	mn_scope_open(&scope, NULL);	/* from inside */
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	mn_scope_cancel(&scope);
	ck_assert_int_eq(ended_by(&scope), 1);

	mn_scope_open(&scope, NULL);	/* by a child */
	ck_assert_int_eq(mn_scope_spawn(&scope, cancel_it, &scope), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	ck_assert_int_eq(ended_by(&scope), 1);

	ck_assert_int_eq(mn_spawn(cancel_it, &scope, &other), 0);	/* by one outside */
	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	ck_assert_int_eq(ended_by(&scope), 1);
	ck_assert_int_eq(mn_join(other), 0);	/* that one was never in it */

	mn_scope_open(&scope, NULL);	/* by a task */
	mn_timer_init(&canceler.timer, cancel_task);
	mn_timer_arm(&canceler.timer, mn_now() + MN_MSEC, 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	ck_assert_int_eq(ended_by(&scope), 1);
	return 0;
}

START_TEST(a_scope_is_cancelled_from_anywhere_on_its_shard)
{
	run(_i, cancel_fiber);
}
END_TEST

static int two_levels(void *arg)
{
	struct mn_scope outer, inner;

	mn_scope_open(&outer, NULL);
	ck_assert_int_eq(mn_scope_spawn(&outer, scope_for_long, NULL), 0);
	mn_scope_open(&inner, NULL);
	ck_assert_int_eq(mn_scope_spawn(&inner, scope_for_long, NULL), 0);
	ck_assert_int_eq(mn_scope_spawn(&outer, scope_for_long, NULL), 0);	/* one further out */
	if (arg)
		mn_scope_cancel(&outer);
	ck_assert_int_eq(mn_scope_join(&inner), -ECANCELED);
	ck_assert(mn_fiber_canceled());
	return mn_scope_join(&outer);
}

static int inherit_fiber(void *arg)
{
	struct mn_fiber *fiber;

	scope_nr_ended = 0;
	ck_assert_int_eq(two_levels("cancel the outer scope"), -ECANCELED);
	ck_assert(!mn_fiber_canceled());
	ck_assert_int_eq(scope_nr_ended, 3);
	/* A fiber that is cancelled itself has its children end, then joins them. */
	ck_assert_int_eq(mn_spawn(two_levels, NULL, &fiber), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_int_eq(scope_nr_ended, 6);
	return 0;
}

START_TEST(cancellation_goes_inwards_through_scopes_and_fibers)
{
	run(_i, inherit_fiber);
}
END_TEST

static int leave_inner_fiber(void *arg)
{
	struct mn_scope outer, inner, third;

	mn_scope_open(&outer, NULL);
	ck_assert_int_eq(mn_scope_spawn(&outer, scope_for_long, NULL), 0);
	mn_scope_open(&inner, NULL);
	mn_scope_cancel(&inner);
	mn_scope_open(&third, NULL);
	ck_assert_int_eq(mn_sleep(1), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&third), 0);
	ck_assert_int_eq(mn_sleep(1), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&inner), 0);
	ck_assert_int_eq(mn_sleep(1), 0);	/* as before */
	mn_scope_cancel(&outer);
	mn_scope_open(&inner, NULL);		/* and now from the start */
	ck_assert_int_eq(mn_sleep(1), -ECANCELED);
	ck_assert_int_eq(mn_scope_spawn(&inner, scope_for_long, NULL), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&inner), 0);
	ck_assert_int_eq(mn_scope_join(&outer), -ECANCELED);
	return 0;
}

START_TEST(who_leaves_a_cancelled_scope_is_as_before)
{
	run(_i, leave_inner_fiber);
}
END_TEST

/* Scopes in fibers in scopes: as deep as there are stacks, and cancelled from the bottom. */
static int descend(void *left)
{
	intptr_t n = (intptr_t)left;
	struct mn_scope scope;
	int err;

	if (!n)
		return scope_for_long(NULL);
	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(mn_scope_spawn(&scope, descend, (void *)(n - 1)), 0);
	err = mn_scope_join(&scope);
	return err ? err : -EIO;
}

static int deep_fiber(void *arg)
{
	struct mn_scope scope;

	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(mn_scope_spawn(&scope, descend, (void *)2000), 0);
	while (mn_self->fibers.nr_live < 2002)
		mn_sleep(MN_MSEC);
	mn_scope_cancel(&scope);
	ck_assert_int_eq(mn_scope_join(&scope), -ECANCELED);
	ck_assert_uint_eq(mn_self->fibers.nr_live, 1);
	return 0;
}

START_TEST(a_deep_tree_ends_without_a_deep_stack)
{
	run(_i, deep_fiber);
}
END_TEST

/* --- shields --- */

static const struct mn_scope_options shield = { .shield = true };

static int clean_up(void *arg)
{
	struct mn_scope scope, inner;

	ck_assert_int_eq(mn_sleep(3600 * MN_SEC), -ECANCELED);
	mn_scope_open(&scope, &shield);
	ck_assert(!mn_fiber_canceled());
	ck_assert_int_eq(mn_sleep(MN_USEC), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_sleeper, (void *)MN_USEC), 0);
	mn_scope_open(&inner, NULL);	/* inside of a shield there is nothing to hear of */
	ck_assert_int_eq(mn_sleep(MN_USEC), 0);
	ck_assert_int_eq(mn_scope_join(&inner), 0);
	mn_scope_open(&inner, &shield);
	ck_assert_int_eq(mn_sleep(MN_USEC), 0);
	ck_assert_int_eq(mn_scope_join(&inner), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert_int_eq(mn_sleep(MN_USEC), -ECANCELED);	/* again */
	mn_scope_open(&scope, &shield);
	mn_scope_cancel(&scope);	/* this it hears of */
	ck_assert_int_eq(mn_sleep(MN_USEC), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	return 0;
}

static int shielded_sleep(void *arg)
{
	struct mn_scope shielded, around;

	mn_scope_open(&around, NULL);
	mn_scope_open(&shielded, &shield);
	while (!around.stop)	/* cancelled meanwhile */
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_int_eq(mn_scope_spawn(&shielded, scope_sleeper, (void *)MN_MSEC), 0);
	ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_int_eq(mn_scope_join(&shielded), 0);
	ck_assert_int_eq(mn_sleep(1), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&around), 0);
	return 0;
}

static int shield_fiber(void *arg)
{
	struct mn_scope scope;
	struct mn_fiber *fiber;

	scope_nr_ended = 0;
	ck_assert_int_eq(mn_spawn(clean_up, NULL, &fiber), 0);
	mn_yield();
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), 0);
	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(mn_scope_spawn(&scope, clean_up, NULL), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, shielded_sleep, NULL), 0);
	mn_sleep(MN_MSEC);
	mn_scope_cancel(&scope);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert_int_eq(scope_nr_ended, 3);
	return 0;
}

START_TEST(a_shield_keeps_what_is_around_it_away)
{
	run(_i, shield_fiber);
}
END_TEST

Suite *suite_scope(void)
{
	Suite *s = suite_create("scope");
	TCase *tc = tcase_create("scope");
	int n = nr_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_scope_is_left_when_its_children_have_ended, 0, n);
	tcase_add_loop_test(tc, whatever_is_started_inside_belongs_to_the_scope, 0, n);
	tcase_add_loop_test(tc, the_first_failure_ends_the_rest_and_is_the_result, 0, n);
	tcase_add_loop_test(tc, a_scope_that_keeps_going_lets_all_run_and_tells_the_first_failure,
			    0, n);
	tcase_add_loop_test(tc, a_scope_is_cancelled_from_anywhere_on_its_shard, 0, n);
	tcase_add_loop_test(tc, cancellation_goes_inwards_through_scopes_and_fibers, 0, n);
	tcase_add_loop_test(tc, who_leaves_a_cancelled_scope_is_as_before, 0, n);
	tcase_add_loop_test(tc, a_deep_tree_ends_without_a_deep_stack, 0, n);
	tcase_add_loop_test(tc, a_shield_keeps_what_is_around_it_away, 0, n);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_scope_end());
	suite_add_tcase(s, tcase_scope_exact());
	suite_add_tcase(s, tcase_scope_part());
	if (tcase_scope_model)
		suite_add_tcase(s, tcase_scope_model());
	suite_add_tcase(s, tcase_scope_stop());
	return s;
}
