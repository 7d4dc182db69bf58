// SPDX-License-Identifier: MIT
/* Who is of which scheduling group, and groups that cannot be. */
#include <errno.h>

#include "core/sched.h"
#include "tests/run.h"
#include "tests/sched.h"
#include "tests/world.h"

struct seen {
	unsigned int group, n;
	struct mn_task task;
	struct mn_future future;
};

static void seen_then(struct mn_task *task)
{
	struct seen *seen = container_of(task, struct seen, task);

	ck_assert_uint_eq(mn_group_self(), seen->group);
	seen->n++;
}

static int is_in(void *arg)
{
	struct seen *seen = arg;

	ck_assert_uint_eq(mn_group_self(), seen->group);
	ck_assert_int_eq(mn_sleep(MN_USEC), 0);
	ck_assert_uint_eq(mn_group_self(), seen->group);
	return (int)mn_shard();
}

static int is_in_and_counts(void *arg)
{
	struct seen *seen = arg;

	ck_assert_uint_eq(mn_group_self(), seen->group);
	seen->n++;
	return 0;
}

static int posts(void *arg)
{
	return mn_post(0, is_in_and_counts, arg);
}

static void inherits(struct seen *seen)
{
	struct mn_call_options urgent = { .urgent = true };
	struct mn_future *future = &seen->future;
	struct mn_fiber *fiber;
	struct mn_call call;

	ck_assert_int_eq(mn_spawn(is_in, seen, &fiber), 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	for (unsigned int s = 0; s < mn_shards(); s++) {
		ck_assert_int_eq(mn_call(s, is_in, seen), (int)s);
		ck_assert_int_eq(mn_call_with(s, is_in, seen, &urgent), (int)s);
		ck_assert_int_eq(mn_call_start(&call, s, is_in, seen), 0);
		ck_assert_int_eq(mn_await(&call.done), (int)s);
		seen->n = 0;
		ck_assert_int_eq(mn_call(s, posts, seen), 0);
		while (!seen->n)
			mn_sleep(MN_USEC);
	}
	ck_assert_int_ge(mn_call_all(is_in, seen), 0);
	seen->n = 0;
	mn_future_init(future);
	mn_future_then(future, &seen->task, seen_then);
	mn_future_resolve(future, 0);
	mn_yield();
	ck_assert_uint_eq(seen->n, 1);
	mn_future_init(future);
	ck_assert_int_eq(mn_await_timeout(future, MN_USEC), -ETIMEDOUT);
	ck_assert_uint_eq(mn_group_self(), seen->group);
	mn_future_drop(future);
}

static int inherit_fiber(void *arg)
{
	unsigned int a = group_new("a", 100, 0, false), soon = group_new("soon", 1, 0, true);
	unsigned int in = group_new("in", 5, a, false);
	const unsigned int groups[] = { a, soon, in, MN_GROUP_DEFAULT, a };
	struct seen seen = { .group = MN_GROUP_DEFAULT };

	ck_assert_uint_eq(mn_group_self(), MN_GROUP_DEFAULT);
	inherits(&seen);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		ck_assert_int_eq(mn_group_enter(groups[i]), 0);
		ck_assert_uint_eq(mn_group_self(), groups[i]);
		seen.group = groups[i];
		inherits(&seen);
	}
	return 0;
}

START_TEST(a_group_goes_where_its_fibers_spawn_call_and_wait)
{
	int ret = run_waker(_i / NR_SHARDS, _i % NR_SHARDS + 1, inherit_fiber, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

/* A timer that has expired, in a group, is taken out of that group's queue. */
static void never(struct mn_task *task)
{
	ck_abort_msg("a cancelled timer ran");
}

static int cancel_fiber(void *arg)
{
	unsigned int a = group_new("a", 100, 0, false);
	struct mn_timer timer;
	struct mn_task task;

	ck_assert_int_eq(mn_group_enter(a), 0);
	mn_task_init(&task, never);
	mn_task_group(&task, a);
	mn_task_schedule(&task);
	ck_assert(task_unqueue(mn_self, &task));
	mn_timer_init(&timer, never);
	mn_task_group(&timer.task, a);
	mn_timer_arm(&timer, mn_now() - 1, 0);
	for (int i = 0; i < 3 && !timer.task.queued; i++)
		mn_yield();
	mn_timer_cancel(&timer);
	mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(what_is_taken_out_of_a_group_does_not_run)
{
	run_virtual(_i, cancel_fiber);
}
END_TEST

static int refused_fiber(void *arg)
{
	struct mn_group_options in = { .parent = 1 }, soon = { .parent = 1, .latency = true };
	struct mn_group_stats stats;
	unsigned int group = 0;

	ck_assert_int_eq(mn_group_stats(MN_GROUP_DEFAULT, &stats), -EINVAL);
	ck_assert_int_eq(mn_group_enter(MN_GROUP_DEFAULT), 0);
	ck_assert_int_eq(mn_group_enter(1), -EINVAL);
	ck_assert_int_eq(mn_group_create("a", 0, &group), -EINVAL);
	ck_assert_int_eq(mn_group_create("a", MN_SHARES_MAX + 1, &group), -EINVAL);
	ck_assert_int_eq(mn_group_create("", 100, &group), -EINVAL);
	ck_assert_int_eq(mn_group_create("a name of thirty-two characters!", 100, &group), -EINVAL);
	ck_assert_int_eq(mn_group_create_with("in", &in, &group), -EINVAL);
	ck_assert_int_eq(mn_group_create("a name of thirty-one characters", 50, &group), 0);
	ck_assert_uint_eq(group, 1);
	ck_assert_int_eq(mn_group_create_with("in", &soon, &group), -EINVAL);
	ck_assert_int_eq(mn_group_create_with("in", &in, &group), 0);
	ck_assert_uint_eq(group, 2);
	in.parent = 2;
	ck_assert_int_eq(mn_group_create_with("in in", &in, &group), -EINVAL);
	ck_assert_int_eq(mn_group_set_shares(3, 100), -EINVAL);
	ck_assert_int_eq(mn_group_set_shares(1, 0), -EINVAL);
	ck_assert_int_eq(mn_group_set_shares(64, 1), -EINVAL);
	ck_assert_int_eq(mn_spawn_in(3, refused_fiber, NULL, NULL), -EINVAL);
	ck_assert_int_eq(mn_group_stats(2, &stats), 0);
	ck_assert_str_eq(stats.name, "in");
	ck_assert_uint_eq(stats.parent, 1);
	ck_assert_uint_eq(stats.shares, MN_SHARES_DEFAULT);
	ck_assert_int_eq(mn_group_stats(1, &stats), 0);
	ck_assert_uint_eq(stats.shares, 50);
	ck_assert_int_eq(mn_group_stats(MN_GROUP_DEFAULT, &stats), 0);
	ck_assert_str_eq(stats.name, "default");
	return 0;
}

START_TEST(groups_that_cannot_be_are_refused)
{
	run_virtual(_i, refused_fiber);
}
END_TEST

TCase *tcase_sched_inherit(void)
{
	TCase *tc = tcase_create("sched-inherit");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_group_goes_where_its_fibers_spawn_call_and_wait, 0,
			    nr_wakers() * NR_SHARDS);
	tcase_add_loop_test(tc, what_is_taken_out_of_a_group_does_not_run, 0, NR_SHARDS);
	tcase_add_loop_test(tc, groups_that_cannot_be_are_refused, 0, NR_SHARDS);
	return tc;
}
