// SPDX-License-Identifier: MIT
/* What goes on in a scope without a fiber: operations and combinators with continuations. */
#include <miniss/combine.h>
#include <miniss/miniss.h>

#include "core/op.h"
#include "tests/run.h"
#include "tests/scope.h"
#include "tests/suites.h"
#include "tests/world.h"
#include "timers/timer_queue.h"

#define FOR_LONG	(3600 * MN_SEC)

static void run(int i, mn_fiber_fn fn)
{
	int ret = run_waker(i / 2, 1 + (unsigned int)i % 2, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

/* An operation whose end is a task, and ends the part. */
struct request {
	struct mn_scope_part part;
	struct mn_op op;
	struct mn_task task;
	unsigned int nr_stops, nr_ends;
	int64_t res;
	bool forgiven;		/* its failure is none */
};

static void request_stop(struct mn_task *task)
{
	struct request *r = container_of(task, struct request, part.stop);

	r->nr_stops++;
	mn_op_cancel(&r->op);
}

static void request_done(struct mn_task *task)
{
	struct request *r = container_of(task, struct request, task);

	r->nr_ends++;
	r->res = mn_future_take(&r->op.done);
	mn_scope_end(&r->part, r->forgiven ? 0 : (int)r->res);
}

static int request_begin(struct mn_scope *scope, struct request *r, void (*start)(struct mn_op *op))
{
	int err;

	*r = (struct request){ .forgiven = r->forgiven };
	err = mn_scope_begin(scope, &r->part, request_stop);
	if (err)
		return err;
	start(&r->op);
	mn_future_then(&r->op.done, &r->task, request_done);
	return 0;
}

static void start_nop(struct mn_op *op)
{
	mn_nop_start(op);
}

static void ck_stopped(const struct request *r)
{
	ck_assert_uint_eq(r->nr_stops, 1);
	ck_assert_uint_eq(r->nr_ends, 1);
	ck_assert_int_eq(r->res, -ECANCELED);
}

static const struct mn_scope_options soon = { .timeout_ns = 2 * MN_MSEC };

static int deadline_fiber(void *arg)
{
	uint64_t nr_armed = mn_self->tq->nr_armed;
	struct request r = { .forgiven = true };
	struct mn_scope scope;

	mn_scope_open(&scope, &soon);
	ck_assert_int_eq(request_begin(&scope, &r, start_endless), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_stopped(&r);
	r.forgiven = false;
	mn_scope_open(&scope, &soon);
	ck_assert_int_eq(request_begin(&scope, &r, start_endless), 0);
	ck_assert_int_eq(mn_sleep(FOR_LONG), -ETIMEDOUT);
	ck_assert_int_eq(mn_scope_join(&scope), -ECANCELED);	/* the part's own result */
	ck_stopped(&r);
	ck_assert(mn_self->tq->nr_armed == nr_armed);
	return 0;
}

START_TEST(a_deadline_reaches_an_operation_that_no_fiber_waits_for)
{
	run(_i, deadline_fiber);
}
END_TEST

static int result_fiber(void *arg)
{
	struct request r[3] = { 0 };
	struct mn_scope scope;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(request_begin(&scope, &r[i], start_nop), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(r[i].nr_ends, 1);
		ck_assert_uint_eq(r[i].nr_stops, 0);
	}
	/* What is over before it is told so is not told. */
	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(request_begin(&scope, &r[0], start_nop), 0);
	while (!mn_future_ready(&r[0].op.done))
		mn_yield();
	mn_scope_cancel(&scope);
	ck_assert_int_eq(request_begin(&scope, &r[1], start_nop), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert_uint_eq(r[0].nr_stops, 0);
	ck_assert_uint_eq(r[0].nr_ends, 1);
	ck_assert_int_eq(r[0].res, 0);
	return 0;
}

START_TEST(joining_waits_for_parts_and_a_result_that_came_first_wins)
{
	run(_i, result_fiber);
}
END_TEST

static void fail_run(struct mn_task *task)
{
	struct request *r = container_of(task, struct request, task);

	mn_scope_end(&r->part, -EPROTO);
}

static void must_not_stop(struct mn_task *task)
{
	ck_abort_msg("a part that has ended was told to stop");
}

static int failure_fiber(void *arg)
{
	struct request r = { .forgiven = true }, failing = { 0 };
	struct mn_scope scope;

	mn_scope_open(&scope, NULL);
	ck_assert_int_eq(request_begin(&scope, &r, start_endless), 0);
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	ck_assert_int_eq(mn_scope_begin(&scope, &failing.part, must_not_stop), 0);
	mn_task_init(&failing.task, fail_run);
	mn_task_schedule(&failing.task);
	ck_assert_int_eq(mn_scope_join(&scope), -EPROTO);
	ck_stopped(&r);
	/* With a policy that forgives, others go on. */
	mn_scope_open(&scope, &(struct mn_scope_options){ .keep_going = true });
	ck_assert_int_eq(request_begin(&scope, &r, start_nop), 0);
	ck_assert_int_eq(mn_scope_begin(&scope, &failing.part, must_not_stop), 0);
	mn_task_schedule(&failing.task);
	ck_assert_int_eq(mn_scope_join(&scope), -EPROTO);
	ck_assert_uint_eq(r.nr_stops, 0);
	ck_assert_int_eq(r.res, 0);
	return 0;
}

START_TEST(the_failure_of_a_part_is_that_of_a_child)
{
	run(_i, failure_fiber);
}
END_TEST

static int cancel_there(void *scope)
{
	mn_scope_cancel(scope);
	return 0;
}

static int nested_fiber(void *arg)
{
	struct request shielded = { .forgiven = true };
	struct mn_scope outer, shield, inner;

	/* Through scopes inside, up to a shield; from another shard, if there is one. */
	mn_scope_open(&outer, NULL);
	mn_scope_open(&shield, &(struct mn_scope_options){ .shield = true });
	ck_assert_int_eq(request_begin(&shield, &shielded, start_endless), 0);
	mn_scope_open(&inner, NULL);
	ck_assert_int_eq(mn_call(mn_shards() - 1, cancel_there, &outer), 0);
	ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_uint_eq(shielded.nr_stops, 0);
	ck_assert_int_eq(mn_call(mn_shards() - 1, cancel_there, &shield), 0);
	ck_assert_int_eq(mn_sleep(MN_MSEC), -ECANCELED);
	ck_assert_int_eq(mn_scope_join(&inner), 0);
	ck_assert_int_eq(mn_scope_join(&shield), 0);
	ck_stopped(&shielded);
	ck_assert_int_eq(mn_scope_join(&outer), 0);
	return 0;
}

START_TEST(parts_stop_with_the_scopes_around_and_behind_a_shield_they_do_not)
{
	run(_i, nested_fiber);
}
END_TEST

/* A chain that tries again and again; only the scope's deadline ends it. */
struct trial {
	struct mn_scope_part part;
	struct mn_retry retry;
	struct mn_future failure;
	struct mn_task task;
	unsigned int nr_attempts;
	int64_t res;
};

static struct mn_future *attempt(void *arg, int64_t nr)
{
	struct trial *t = arg;

	t->nr_attempts++;
	mn_future_init(&t->failure);
	mn_future_resolve(&t->failure, -EAGAIN);
	return &t->failure;
}

static void trial_stop(struct mn_task *task)
{
	mn_combine_cancel(&container_of(task, struct trial, part.stop)->retry.combine);
}

static void trial_done(struct mn_task *task)
{
	struct trial *t = container_of(task, struct trial, task);

	t->res = mn_future_take(&t->retry.done);
	mn_scope_end(&t->part, 0);
}

static int combinator_fiber(void *arg)
{
	struct mn_retry_policy policy = { .base_ns = 100 * MN_USEC, .max_ns = 100 * MN_USEC };
	struct mn_scope scope;
	struct trial t = { .nr_attempts = 0 };

	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 5 * MN_MSEC });
	ck_assert_int_eq(mn_scope_begin(&scope, &t.part, trial_stop), 0);
	mn_future_then(mn_retry(&t.retry, &policy, attempt, &t), &t.task, trial_done);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert(t.res == -ECANCELED ||
		  t.res == -EAGAIN); /* in a pause, or an attempt had failed */
	ck_assert_uint_ge(t.nr_attempts, 2);
	return 0;
}

START_TEST(a_deadline_reaches_a_combinator)
{
	run(_i, combinator_fiber);
}
END_TEST

TCase *tcase_scope_part(void)
{
	TCase *tc = tcase_create("part");
	int n = 2 * nr_wakers();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_deadline_reaches_an_operation_that_no_fiber_waits_for, 0, n);
	tcase_add_loop_test(tc, joining_waits_for_parts_and_a_result_that_came_first_wins, 0, n);
	tcase_add_loop_test(tc, the_failure_of_a_part_is_that_of_a_child, 0, n);
	tcase_add_loop_test(tc, parts_stop_with_the_scopes_around_and_behind_a_shield_they_do_not,
			    0, n);
	tcase_add_loop_test(tc, a_deadline_reaches_a_combinator, 0, n);
	return tc;
}
