// SPDX-License-Identifier: MIT
/*
 * When deadlines come, and who wins when several things happen at one time:
 * in virtual time, with timers that are exact.
 */
#include <stdio.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/scope.h"
#include "tests/suites.h"
#include "tests/world.h"
#include "timers/timer_queue.h"

#define FOR_LONG	(3600 * MN_SEC)

static const struct mn_scope_options soon = { .timeout_ns = 2 * MN_MSEC };

static void run_exact(mn_fiber_fn fn, void *arg)
{
	struct mn_world world = { .fn = fn, .arg = arg };

	if (driver_choose(&backend_kind, "mem", "this test", NULL, &world.backend) ||
	    driver_choose(&timer_queue_kind, "heap", "this test", NULL, &world.timer))
		test_skip("needs the mem backend and the heap");
	ck_assert_int_eq(driver_choose(&queue_kind, NULL, NULL, NULL, &world.queue), 0);
	ck_assert_int_eq(world_open(&world, 1, NULL), 0);
	ck_assert_int_eq(world_run(&world), 0);
	world_close(&world);
}

static int64_t ended_ns;

static int sleep_and_tell(void *arg)
{
	int err = mn_sleep(FOR_LONG);

	ended_ns = mn_now();
	return err;
}

static int exact_fiber(void *arg)
{
	for (int64_t ns = 1; ns < 100 * MN_SEC; ns = ns * 3 + 1) {
		struct mn_scope outer, inner;
		int64_t from_ns = mn_now();

		mn_scope_open(&outer, &(struct mn_scope_options){ .timeout_ns = 3 * ns });
		mn_scope_open(&inner, &(struct mn_scope_options){
					      .timeout_ns = ns, .deadline_ns = from_ns + 2 * ns });
		ck_assert_int_eq(mn_scope_spawn(&inner, sleep_and_tell, NULL), 0);
		ck_assert_int_eq(mn_scope_join(&inner), -ETIMEDOUT);
		ck_assert(ended_ns == from_ns + ns);
		mn_scope_open(&inner,
			      &(struct mn_scope_options){ .timeout_ns = 90 * ns,
								  .deadline_ns = from_ns + 2 * ns });
		ck_assert_int_eq(sleep_and_tell(NULL), -ETIMEDOUT);
		ck_assert(ended_ns == from_ns + 2 * ns);
		ck_assert_int_eq(mn_scope_join(&inner), 0);
		mn_scope_open(&inner, &(struct mn_scope_options){ .timeout_ns = 90 * ns });
		ck_assert_int_eq(sleep_and_tell(NULL), -ETIMEDOUT);	/* the outer one's */
		ck_assert(ended_ns == from_ns + 3 * ns);
		ck_assert_int_eq(mn_scope_join(&inner), 0);
		ck_assert_int_eq(mn_scope_join(&outer), 0);
		ck_assert_int_eq(mn_sleep(1), 0);
	}
	return 0;
}

START_TEST(deadlines_are_exact_and_the_earliest_counts)
{
	run_exact(exact_fiber, NULL);
}
END_TEST

static int past_fiber(void *arg)
{
	struct mn_scope_options past = { .deadline_ns = 1 };
	struct mn_scope scope;
	int64_t from_ns;

	ck_assert_int_eq(mn_sleep(MN_SEC), 0);
	from_ns = mn_now();
	mn_scope_open(&scope, &past);
	ck_assert_int_eq(mn_sleep(FOR_LONG), -ETIMEDOUT);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = -MN_MSEC });
	ck_assert_int_eq(mn_sleep(FOR_LONG), -ETIMEDOUT);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert(mn_now() == from_ns);
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = MN_NEVER });
	ck_assert_int_eq(mn_sleep(FOR_LONG), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = MN_NEVER });
	ck_assert_int_eq(mn_sleep(FOR_LONG), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	return 0;
}

START_TEST(a_deadline_in_the_past_ends_the_first_wait_and_one_that_never_comes_none)
{
	run_exact(past_fiber, NULL);
}
END_TEST

static int shield_fiber(void *arg)
{
	struct mn_scope_options shield = { .shield = true, .timeout_ns = 3 * MN_MSEC };
	struct mn_scope around, scope;
	int64_t from_ns = mn_now();

	mn_scope_open(&around, &soon);
	mn_scope_open(&scope, &shield);
	ck_assert_int_eq(sleep_and_tell(NULL), -ETIMEDOUT);
	ck_assert(ended_ns == from_ns + shield.timeout_ns);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	mn_scope_open(&scope, &shield);	/* in what has stopped already */
	ck_assert_int_eq(mn_scope_spawn(&scope, sleep_and_tell, NULL), 0);
	ck_assert_int_eq(mn_scope_join(&scope), -ETIMEDOUT);
	ck_assert(ended_ns == from_ns + 2 * shield.timeout_ns);
	ck_assert_int_eq(mn_sleep(1), -ETIMEDOUT);
	ck_assert_int_eq(mn_scope_join(&around), 0);
	ck_assert_int_eq(mn_sleep(1), 0);
	return 0;
}

START_TEST(a_shield_has_a_deadline_of_its_own_and_not_that_around_it)
{
	run_exact(shield_fiber, NULL);
}
END_TEST

/* --- ties: several things at one time, in either order --- */

struct event {
	struct mn_timer timer;
	struct mn_future *future;	/* resolved with 7 */
	struct mn_scope *scope;		/* or canceled */
};

static void happen(struct mn_task *task)
{
	struct event *event = container_of(mn_timer_of(task), struct event, timer);

	if (event->future)
		mn_future_resolve(event->future, 7);
	else
		mn_scope_cancel(event->scope);
}

static void event_at(struct event *event, int64_t at_ns)
{
	mn_timer_init(&event->timer, happen);
	mn_timer_arm(&event->timer, at_ns, 0);
}

enum { TIE_AWAIT, TIE_AWAIT_TIMEOUT, TIE_ANY, TIE_SLEEP, TIE_OP, NR_TIES };

static int64_t tie_wait(int kind, struct mn_future *future, int64_t ns)
{
	switch (kind) {
	case TIE_AWAIT:
		return mn_await(future);
	case TIE_AWAIT_TIMEOUT:
		return mn_await_timeout(future, ns);
	case TIE_ANY:
		return mn_await_any(&future, 1);
	case TIE_SLEEP:
		return mn_sleep(ns);
	default:
		return scope_op((void *)(intptr_t)ns);
	}
}

/* A result, the limit of the wait, and the deadline of the scope: armed in either order. */
static void tie_result(int kind, bool deadline_first, int64_t wins)
{
	int64_t at_ns = mn_now() + MN_MSEC;
	struct mn_scope_options options = { .deadline_ns = at_ns };
	struct mn_future future;
	struct event event = { .future = &future };
	struct mn_scope scope;

	mn_future_init(&future);
	if (!deadline_first)
		event_at(&event, at_ns);
	mn_scope_open(&scope, &options);
	if (deadline_first) {
		ck_assert_int_eq(mn_sleep(1), 0);	/* it is armed when the turn ends */
		event_at(&event, at_ns);
	}
	ck_assert(tie_wait(kind, &future, at_ns - mn_now()) == wins);
	ck_assert(mn_now() == at_ns);
	ck_assert_int_eq(mn_sleep(1), -ETIMEDOUT);	/* the next wait tells */
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert(mn_future_take(&future) == 7);
}

static int tie_result_fiber(void *arg)
{
	static const int64_t wins[NR_TIES] = { 7, 7, 0, 0, -ETIMEDOUT };

	for (int kind = 0; kind < NR_TIES; kind++) {
		tie_result(kind, false, wins[kind]);
		tie_result(kind, true, wins[kind]);
	}
	return 0;
}

START_TEST(in_a_tie_the_result_wins_over_the_deadline)
{
	run_exact(tie_result_fiber, NULL);
}
END_TEST

/* The limit of a wait, and somebody who cancels: by a timer armed before the wait's, or after. */
struct late_event {
	struct event event;
	int64_t at_ns;
};

static int arm_late(void *arg)
{
	struct late_event *late = arg;

	event_at(&late->event, late->at_ns);
	return 0;
}

static void tie_cancel(int kind, bool cancel_first, int64_t wins)
{
	struct late_event late = { .at_ns = mn_now() + MN_MSEC };
	struct mn_future never;
	struct mn_scope scope;

	mn_future_init(&never);
	mn_scope_open(&scope, NULL);
	late.event = (struct event){ .scope = &scope };
	if (cancel_first)
		arm_late(&late);
	else	/* runs when this fiber waits */
		ck_assert_int_eq(mn_scope_spawn(&scope, arm_late, &late), 0);
	ck_assert(tie_wait(kind, &never, late.at_ns - mn_now()) == wins);
	ck_assert(mn_now() == late.at_ns);
	ck_assert_int_eq(mn_sleep(1), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
}

static int tie_cancel_fiber(void *arg)
{
	for (int first = 0; first < 2; first++) {
		tie_cancel(TIE_AWAIT_TIMEOUT, first, -ECANCELED);
		tie_cancel(TIE_OP, first, -ECANCELED);
		tie_cancel(TIE_SLEEP, first, 0);
	}
	return 0;
}

START_TEST(in_a_tie_cancellation_wins_over_the_limit_of_a_wait_but_sleep_has_slept)
{
	run_exact(tie_cancel_fiber, NULL);
}
END_TEST

TCase *tcase_scope_exact(void)
{
	TCase *tc = tcase_create("exact");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, deadlines_are_exact_and_the_earliest_counts);
	tcase_add_test(tc,
		       a_deadline_in_the_past_ends_the_first_wait_and_one_that_never_comes_none);
	tcase_add_test(tc, a_shield_has_a_deadline_of_its_own_and_not_that_around_it);
	tcase_add_test(tc, in_a_tie_the_result_wins_over_the_deadline);
	tcase_add_test(tc, in_a_tie_cancellation_wins_over_the_limit_of_a_wait_but_sleep_has_slept);
	return tc;
}
