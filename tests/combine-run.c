// SPDX-License-Identifier: MIT
/* Combinators over operations, on every backend, on one shard and on two. */
#include <miniss/combine.h>
#include <miniss/run.h>
#include <miniss/smp.h>

#include "core/op.h"
#include "tests/combine.h"
#include "tests/run.h"
#include "tests/suites.h"

struct depth depth;

static struct mn_world world;

void combine_setup(void)
{
	ck_assert(world_begin(&world, "mem", 1));
}

void combine_teardown(void)
{
	world_end(&world);
}

void combine_run(void)
{
	while (shard_step(mn_self, false))
		;
}

void combine_run_for(int64_t ns)
{
	combine_run();
	mem_clock_advance(&world, ns);
	combine_run();
}

uint64_t combine_abandoned(void)
{
	return mn_self->stats[STAT_ABANDONED];
}

static void later_fire(struct mn_task *task)
{
	struct later *later = container_of(mn_timer_of(task), struct later, timer);

	later->running = false;
	if (later->ended)
		later->ended(later);
	mn_future_resolve(&later->future, later->result);
}

void later_arm(struct later *later, int64_t ns, int64_t result)
{
	later->result = result;
	later->running = true;
	mn_timer_init(&later->timer, later_fire);
	mn_timer_arm(&later->timer, backend_now(mn_self->be) + ns, 0);
}

struct mn_future *later_start(struct later *later, int64_t ns, int64_t result)
{
	mn_future_init(&later->future);
	later_arm(later, ns, result);
	return &later->future;
}

void later_stop(struct later *later)
{
	if (later->running)
		mn_timer_cancel(&later->timer);
	later->running = false;
}

/* Run a fiber on the last of one or two shards of every backend. */
static int on_the_last(void *arg)
{
	return mn_call(mn_shards() - 1, *(mn_fiber_fn *)arg, NULL);
}

static void run(int i, mn_fiber_fn fn)
{
	int n = nr_backends(), ret = run_backend(i % n, 1 + i / n, on_the_last, &fn);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

/* One that nothing ends but cancelling it. */
static struct mn_future *endless(struct mn_op *op)
{
	start_endless(op);
	return &op->done;
}

static int timeout_fiber(void *arg)
{
	int64_t from_ns = mn_now();
	struct mn_timed timed;
	struct mn_op op;

	mn_with_timeout(&timed, endless(&op), 2 * MN_MSEC);
	mn_combine_on_cancel(&timed.combine, mn_cancel_op, NULL);
	ck_assert(mn_await(&timed.done) == -ETIMEDOUT);
	ck_assert(!mn_op_in_flight(&op));
	ck_assert(mn_now() - from_ns >= 2 * MN_MSEC);
	mn_nop_start(&op);
	ck_assert(mn_await(mn_with_timeout(&timed, &op.done, MN_SEC)) == 0);
	return 0;
}

START_TEST(a_timeout_ends_an_operation)
{
	run(_i, timeout_fiber);
}
END_TEST

struct client {
	struct mn_retry retry;
	struct mn_timed timed;
	struct mn_op op;
	int64_t attempts;
};

/* The first two take too long. */
static struct mn_future *client_try(void *arg, int64_t attempt)
{
	struct client *client = arg;

	client->attempts = attempt;
	if (attempt == 3)
		mn_nop_start(&client->op);
	else
		endless(&client->op);
	mn_with_timeout(&client->timed, &client->op.done, MN_MSEC + MN_SEC * (attempt == 3));
	mn_combine_on_cancel(&client->timed.combine, mn_cancel_op, NULL);
	return &client->timed.done;
}

static int retry_fiber(void *arg)
{
	const struct mn_retry_policy policy = { .attempts_max = 4, .base_ns = MN_MSEC };
	struct client client;

	ck_assert(mn_await(mn_retry(&client.retry, &policy, client_try, &client)) == 0);
	ck_assert_int_eq(client.attempts, 3);
	return 0;
}

START_TEST(an_operation_is_tried_until_it_works)
{
	run(_i, retry_fiber);
}
END_TEST

static struct mn_future *endless_try(void *arg, int64_t attempt)
{
	struct client *client = arg;

	mn_with_timeout(&client->timed, endless(&client->op), MN_NEVER);
	mn_combine_on_cancel(&client->timed.combine, mn_cancel_op, NULL);
	return &client->timed.done;
}

static int nested_fiber(void *arg)
{
	const struct mn_retry_policy policy = { .base_ns = MN_MSEC };
	struct client client;

	mn_retry(&client.retry, &policy, endless_try, &client);
	mn_combine_on_cancel(&client.retry.combine, mn_cancel_combine, NULL);
	ck_assert(mn_await_timeout(&client.retry.done, MN_MSEC) == -ETIMEDOUT);
	ck_assert(mn_op_in_flight(&client.op));
	mn_combine_cancel(&client.retry.combine);
	ck_assert(mn_await(&client.retry.done) == -ECANCELED);
	ck_assert(!mn_op_in_flight(&client.op));
	return 0;
}

START_TEST(cancelling_the_outermost_ends_the_operation_within)
{
	run(_i, nested_fiber);
}
END_TEST

struct many {
	struct mn_for_each each;
	struct mn_input wait[8];
	struct mn_op op[8];
};

static struct mn_future *nop_start(void *arg, size_t i, unsigned int slot)
{
	struct many *many = arg;

	mn_nop_start(&many->op[slot]);
	return &many->op[slot].done;
}

static int many_fiber(void *arg)
{
	static struct many many;

	return (int)mn_await(
		mn_parallel_for_each(&many.each, many.wait, 8, 10000, nop_start, &many));
}

START_TEST(many_operations_some_at_a_time)
{
	run(_i, many_fiber);
}
END_TEST

Suite *suite_combine(void)
{
	Suite *s = suite_create("combine");
	TCase *tc = tcase_create("combine");
	int n = 2 * nr_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_timeout_ends_an_operation, 0, n);
	tcase_add_loop_test(tc, an_operation_is_tried_until_it_works, 0, n);
	tcase_add_loop_test(tc, cancelling_the_outermost_ends_the_operation_within, 0, n);
	tcase_add_loop_test(tc, many_operations_some_at_a_time, 0, n);
	suite_add_tcase(s, tc);
	if (tcase_combine_mem)
		suite_add_tcase(s, tcase_combine_mem());
	if (tcase_combine_time)
		suite_add_tcase(s, tcase_combine_time());
	if (tcase_combine_model)
		suite_add_tcase(s, tcase_combine_model());
	return s;
}
