// SPDX-License-Identifier: MIT
/* What ends scopes: deadlines, and other shards. */
#include <stdatomic.h>
#include <stdio.h>

#include <miniss/miniss.h>

#include "smp/call.h"
#include "tests/run.h"
#include "tests/scope.h"
#include "tests/suites.h"
#include "tests/world.h"
#include "timers/timer_queue.h"

#define FOR_LONG	(3600 * MN_SEC)

/* The loop variable counts combinations of backend, with its wakers, and 1 or 2 shards. */
static void run(int i, mn_fiber_fn fn)
{
	int ret = run_waker(i / 2, 1 + (unsigned int)i % 2, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

static unsigned int last(void)
{
	return mn_shards() - 1;
}

/* --- deadlines --- */

static atomic_int nr_begun, nr_ended;

static int linger(void *arg)
{
	int err;

	atomic_fetch_add(&nr_begun, 1);
	err = mn_sleep(FOR_LONG);
	atomic_fetch_add(&nr_ended, 1);
	return err;
}

static int in_sleep(void *arg)
{
	return mn_sleep(FOR_LONG);
}

static int in_await(void *arg)
{
	struct mn_future never;

	mn_future_init(&never);
	return (int)mn_await(&never);
}

static int in_await_timeout(void *arg)
{
	struct mn_future never;

	mn_future_init(&never);
	return (int)mn_await_timeout(&never, FOR_LONG);
}

static int in_await_all(void *arg)
{
	struct mn_future never;

	mn_future_init(&never);
	return mn_await_all((struct mn_future *[]){ &never }, 1);
}

static int in_await_any(void *arg)
{
	struct mn_future never;

	mn_future_init(&never);
	return mn_await_any((struct mn_future *[]){ &never }, 1);
}

int scope_op(void *timeout_ns)
{
	struct mn_op op;
	int64_t res;

	start_endless(&op);
	res = mn_op_await(&op, (int64_t)(intptr_t)timeout_ns);
	ck_assert(!mn_op_in_flight(&op));
	return (int)res;
}

static int in_op_forever(void *arg)
{
	return scope_op((void *)(intptr_t)MN_NEVER);
}

static int in_op_long(void *arg)
{
	return scope_op((void *)(intptr_t)FOR_LONG);
}

static int in_stop_wait(void *arg)
{
	return mn_stop_wait();
}

static int in_call(void *arg)
{
	return mn_call(last(), linger, NULL);
}

static int in_call_with(void *arg)
{
	struct mn_call_options options = { .timeout_ns = FOR_LONG, .urgent = true };

	return mn_call_with(last(), linger, NULL, &options);
}

static int in_call_all(void *arg)
{
	return mn_call_all(linger, NULL);
}

static int in_map_reduce(void *arg);

static const mn_fiber_fn waits[] = { in_sleep,	   in_await,	 in_await_timeout, in_await_all,
				     in_await_any, in_op_forever, in_op_long,	    in_stop_wait,
				     in_call,	   in_call_with, in_call_all,	    in_map_reduce };

static int map_linger(void *arg, int64_t *value)
{
	return linger(NULL);
}

static void add(void *arg, int64_t value)
{
}

static int in_map_reduce(void *arg)
{
	return mn_map_reduce(map_linger, add, NULL);
}

static const struct mn_scope_options soon = { .timeout_ns = 2 * MN_MSEC };

static int every_wait_fiber(void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		uint64_t nr_armed = mn_self->tq->nr_armed;
		struct mn_scope scope;

		/* Its own, then a child's; and again, what has stopped does not begin to wait. */
		mn_scope_open(&scope, &soon);
		ck_assert_int_eq(waits[i](NULL), -ETIMEDOUT);
		ck_assert_int_eq(waits[i](NULL), -ETIMEDOUT);
		ck_assert_int_eq(mn_scope_join(&scope), 0);
		mn_scope_open(&scope, &soon);
		ck_assert_int_eq(mn_scope_spawn(&scope, waits[i], NULL), 0);
		ck_assert_int_eq(mn_scope_join(&scope), -ETIMEDOUT);
		ck_assert(!mn_fiber_canceled());
		ck_assert_int_eq(atomic_load(&nr_begun), atomic_load(&nr_ended));
		ck_assert_uint_eq(calls_under_way(mn_self), 0);
		ck_assert(mn_self->tq->nr_armed == nr_armed);
	}
	return 0;
}

START_TEST(a_deadline_ends_every_kind_of_wait_in_it)
{
	run(_i, every_wait_fiber);
}
END_TEST

static int nothing(void *arg)
{
	return 0;
}

static int credits_fiber(void *arg)
{
	struct mn_scope scope;

	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 20 * MN_MSEC });
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(mn_scope_spawn(&scope, in_call, NULL), 0);
	ck_assert_int_eq(mn_scope_join(&scope), -ETIMEDOUT);
	ck_assert_int_eq(atomic_load(&nr_begun), atomic_load(&nr_ended));
	ck_assert_uint_eq(calls_under_way(mn_self), 0);
	ck_assert_int_eq(mn_call(last(), nothing, NULL), 0);
	return 0;
}

START_TEST(a_deadline_ends_calls_that_run_and_those_that_wait_for_a_credit)
{
	atomic_store(&nr_begun, 0);
	atomic_store(&nr_ended, 0);
	run(_i, credits_fiber);
}
END_TEST

static int lazy_fiber(void *arg)
{
	const struct mn_scope_options late = { .timeout_ns = FOR_LONG };
	uint64_t nr_armed = mn_self->tq->nr_armed, turn;
	struct mn_scope scope[3];
	int nr_looked = 0;

	mn_yield();
	for (int i = 0; i < 100; i++) {
		turn = mn_self->turns;
		mn_scope_open(&scope[0], &late);
		mn_scope_open(&scope[1], &soon);
		mn_scope_open(&scope[2], &late);	/* the one around it is earlier */
		ck_assert_int_eq(mn_scope_spawn(&scope[2], nothing, NULL), 0);
		ck_assert_int_eq(mn_scope_join(&scope[2]), 0);
		if (mn_self->turns == turn) {	/* its time may have been over */
			ck_assert(mn_self->tq->nr_armed == nr_armed);
			nr_looked++;
		}
		if (i % 10 == 0) {
			mn_sleep(1);
			ck_assert(mn_self->tq->nr_armed > nr_armed);
			mn_scope_open(&scope[2], &soon);
		}
		if (i % 10 == 0)
			ck_assert_int_eq(mn_scope_join(&scope[2]), 0);
		ck_assert_int_eq(mn_scope_join(&scope[1]), 0);
		ck_assert_int_eq(mn_scope_join(&scope[0]), 0);
		ck_assert(mn_self->tq->nr_armed == nr_armed);
	}
	ck_assert_int_ge(nr_looked, 10);
	return 0;
}

START_TEST(a_deadline_is_armed_only_for_what_outlives_the_turn)
{
	run(_i, lazy_fiber);
}
END_TEST

/* --- other shards --- */

/* Asked to stop, it takes its time. */
static int slow_end(void *arg)
{
	struct mn_scope scope;
	int err;

	atomic_fetch_add(&nr_begun, 1);
	err = mn_sleep(FOR_LONG);
	mn_scope_open(&scope, &(struct mn_scope_options){ .shield = true });
	ck_assert_int_eq(mn_sleep(3 * MN_MSEC), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	atomic_fetch_add(&nr_ended, 1);
	return err;
}

static int with_result(void *arg)
{
	ck_assert_int_eq(mn_sleep(FOR_LONG), -ETIMEDOUT);
	return 17;
}

/* There it has scopes of its own, and calls back; unless the time is over by then. */
static int nested_there(void *arg)
{
	struct mn_scope scope;
	int err = 0;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 5 && !err; i++)
		err = mn_scope_spawn(&scope, slow_end, NULL);
	ck_assert_int_eq(mn_call(0, slow_end, NULL), -ETIMEDOUT);
	ck_assert(mn_scope_join(&scope) == -ETIMEDOUT || err == -ETIMEDOUT);
	return -ETIMEDOUT;
}

static int remote_fiber(void *arg)
{
	struct mn_scope scope;

	atomic_store(&nr_begun, 0);
	atomic_store(&nr_ended, 0);
	mn_scope_open(&scope, &soon);
	ck_assert_int_eq(mn_call(last(), slow_end, NULL), -ETIMEDOUT);
	ck_assert_int_eq(atomic_load(&nr_ended), 1);	/* it returned after that, and not before */
	ck_assert_int_eq(mn_scope_join(&scope), 0);

	mn_scope_open(&scope, &soon);
	ck_assert_int_eq(mn_call(last(), with_result, NULL), 17);
	ck_assert_int_eq(mn_call(last(), with_result, NULL), -ETIMEDOUT);
	ck_assert_int_eq(mn_scope_join(&scope), 0);

	mn_scope_open(&scope, &soon);
	ck_assert_int_eq(mn_call_all(slow_end, NULL), -ETIMEDOUT);
	ck_assert_int_eq(atomic_load(&nr_ended), 1 + (int)mn_shards());
	ck_assert_int_eq(mn_scope_join(&scope), 0);

	mn_scope_open(&scope, &soon);
	ck_assert_int_eq(mn_call(last(), nested_there, NULL), -ETIMEDOUT);
	ck_assert_int_eq(atomic_load(&nr_begun), atomic_load(&nr_ended));
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	return 0;
}

START_TEST(a_deadline_ends_what_runs_on_other_shards_and_waits_for_that)
{
	run(_i, remote_fiber);
}
END_TEST

/* From another shard; it is in the scope, and hears of it as well. */
static int cancel_from_there(void *scope)
{
	mn_scope_cancel(scope);
	mn_scope_cancel(scope);	/* cancelled itself by now, perhaps */
	return mn_sleep(FOR_LONG);
}

static int call_cancel_from_there(void *scope)
{
	return mn_call(last(), cancel_from_there, scope);
}

static int remote_cancel_fiber(void *arg)
{
	for (int i = 0; i < 20; i++) {
		struct mn_scope scope;

		mn_scope_open(&scope, NULL);
		ck_assert_int_eq(mn_scope_spawn(&scope, in_call, NULL), 0);
		if (i % 2)
			ck_assert_int_eq(mn_scope_spawn(&scope, call_cancel_from_there, &scope), 0);
		else
			ck_assert_int_eq(mn_call_all(cancel_from_there, &scope), -ECANCELED);
		ck_assert_int_eq(mn_sleep(FOR_LONG), -ECANCELED);
		ck_assert_int_eq(mn_scope_join(&scope), -ECANCELED);
		ck_assert_int_eq(mn_sleep(1), 0);
		ck_assert_uint_eq(calls_under_way(mn_self), 0);
	}
	return 0;
}

START_TEST(a_scope_is_cancelled_from_other_shards)
{
	run(_i, remote_cancel_fiber);
}
END_TEST

TCase *tcase_scope_stop(void)
{
	TCase *tc = tcase_create("stop");
	int n = 2 * nr_wakers();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_deadline_ends_every_kind_of_wait_in_it, 0, n);
	tcase_add_loop_test(tc, a_deadline_ends_calls_that_run_and_those_that_wait_for_a_credit, 0,
			    n);
	tcase_add_loop_test(tc, a_deadline_is_armed_only_for_what_outlives_the_turn, 0, n);
	tcase_add_loop_test(tc, a_deadline_ends_what_runs_on_other_shards_and_waits_for_that, 0, n);
	tcase_add_loop_test(tc, a_scope_is_cancelled_from_other_shards, 0, n);
	return tc;
}
