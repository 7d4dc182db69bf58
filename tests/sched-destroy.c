// SPDX-License-Identifier: MIT
/* The end of scheduling groups. */
#include <stdatomic.h>
#include <stdio.h>

#include "core/sched.h"
#include "tests/run.h"
#include "tests/sched.h"
#include "tests/suites.h"
#include "tests/world.h"

static void run(int i, mn_fiber_fn fn)
{
	int ret = run_waker(i / NR_SHARDS, 1 + (unsigned int)i % NR_SHARDS, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

static unsigned int last(void)
{
	return mn_shards() - 1;
}

static int sleep_in(void *ns)
{
	return mn_sleep(*(int64_t *)ns);
}

static int destroy_in(void *group)
{
	return mn_group_destroy(*(unsigned int *)group);
}

/* ---- what is in use ---- */

struct member {
	unsigned int group;
	struct mn_fiber *fiber;
	struct mn_future go;
	unsigned int was_in;
};

static int member_fiber(void *arg)
{
	struct member *m = arg;
	int err = (int)mn_await(&m->go);

	m->was_in = mn_group_self();
	return err;
}

static int member_begin(void *arg)
{
	struct member *m = arg;

	mn_future_init(&m->go);
	return mn_spawn_in(m->group, member_fiber, m, &m->fiber);
}

static int member_end(void *arg)
{
	struct member *m = arg;

	mn_future_resolve(&m->go, 0);
	return mn_join(m->fiber);
}

static int busy_fiber(void *arg)
{
	struct member m = { .group = group_new("member", 100, 0, false) };
	unsigned int child = group_new("child", 100, m.group, false);
	unsigned int self = group_new("self", 100, 0, true), none = self + 1;
	struct mn_fiber *fiber;

	ck_assert_int_eq(mn_group_destroy(MN_GROUP_DEFAULT), -EINVAL);
	ck_assert_int_eq(mn_group_destroy(none), -EINVAL);
	ck_assert_int_eq(mn_group_destroy(MN_GROUPS_MAX), -EINVAL);
	ck_assert_int_eq(mn_group_destroy(m.group), -EBUSY);	/* a group is in it */
	ck_assert_int_eq(mn_group_destroy(child), 0);
	/* A fiber on the last shard: it goes on in the group, which is as it was. */
	ck_assert_int_eq(mn_call(last(), member_begin, &m), 0);
	ck_assert_int_eq(mn_group_destroy(m.group), -EBUSY);
	ck_assert_int_eq(mn_call(last(), destroy_in, &m.group), -EBUSY);
	ck_assert_int_eq(mn_call(last(), member_end, &m), 0);
	ck_assert_uint_eq(m.was_in, m.group);
	ck_assert_int_eq(mn_call(last(), destroy_in, &m.group), 0);
	ck_assert_int_eq(mn_group_destroy(m.group), -EINVAL);
	/* Who asks is of it. */
	ck_assert_int_eq(mn_spawn_in(self, destroy_in, &self, &fiber), 0);
	ck_assert_int_eq(mn_join(fiber), -EBUSY);
	ck_assert_int_eq(mn_group_destroy(self), 0);
	/* There is nothing to do with one that is gone. */
	ck_assert_int_eq(mn_group_enter(self), -EINVAL);
	ck_assert_int_eq(mn_spawn_in(self, sleep_in, NULL, &fiber), -EINVAL);
	ck_assert_int_eq(mn_group_set_shares(self, 7), -EINVAL);
	return 0;
}

START_TEST(a_group_is_destroyed_when_nothing_is_of_it_on_any_shard)
{
	run(_i, busy_fiber);
}
END_TEST

/* ---- the number ---- */

static int spends(void *arg)
{
	for (int i = 0; i < 10; i++)
		mn_yield();
	return 0;
}

static void spend_in(unsigned int group)
{
	struct mn_fiber *fiber;

	ck_assert_int_eq(mn_spawn_in(group, spends, NULL, &fiber), 0);
	ck_assert_int_eq(mn_join(fiber), 0);
}

static int number_fiber(void *arg)
{
	struct mn_group_stats stats;
	unsigned int group;

	for (unsigned int i = 1; i < MN_GROUPS_MAX; i++)
		ck_assert_uint_eq(group_new("one of many", 100, 0, i % 2), i);
	ck_assert_int_eq(mn_group_create("too many", 100, &group), -ENOSPC);
	for (unsigned int round = 0; round < 20; round++) {
		unsigned int id = 1 + round * 31 % (MN_GROUPS_MAX - 1);

		spend_in(id);
		ck_assert_int_eq(mn_group_destroy(id), 0);
		ck_assert_int_eq(mn_group_stats(id, &stats), -EINVAL);
		ck_assert_int_eq(mn_print_stats(), 0);
		ck_assert_uint_eq(group_new("again", 300 + round, 0, false), id);
		ck_assert_int_eq(mn_group_stats(id, &stats), 0);
		ck_assert_str_eq(stats.name, "again");
		ck_assert_uint_eq(stats.shares, 300 + round);
		ck_assert(!stats.latency && !stats.parent);
		ck_assert_uint_eq(stats.tasks, 0);
		ck_assert_int_eq(stats.run_ns, 0);
		spend_in(id);
	}
	return 0;
}

START_TEST(the_number_of_one_that_was_destroyed_is_given_out_again)
{
	run(_i, number_fiber);
}
END_TEST

/* ---- what comes late ---- */

struct late {
	struct mn_timer timer;
	struct mn_future ran;
	unsigned int group;
};

static void late_run(struct mn_task *task)
{
	struct late *late = container_of(mn_timer_of(task), struct late, timer);

	mn_future_resolve(&late->ran, mn_group_self());
}

static int late_fiber(void *arg)
{
	struct late late = { .group = group_new("late", 100, 0, true) };

	mn_future_init(&late.ran);
	mn_timer_init(&late.timer, late_run);
	mn_task_group(&late.timer.task, late.group);
	mn_timer_arm(&late.timer, mn_now() + 3600 * MN_SEC, 0);
	ck_assert_int_eq(mn_group_destroy(late.group), 0);
	mn_timer_arm(&late.timer, mn_now() + MN_MSEC, 0);
	ck_assert_int_eq(mn_await(&late.ran), MN_GROUP_DEFAULT);
	return 0;
}

START_TEST(a_timer_of_one_that_was_destroyed_runs_in_the_default_group)
{
	run(_i, late_fiber);
}
END_TEST

static atomic_uint nr_posts;

static int posted(void *arg)
{
	mn_yield();
	atomic_fetch_add(&nr_posts, 1);
	return 0;
}

static int posts(void *arg)
{
	for (int i = 0; i < 20; i++)
		while (mn_post(last(), posted, NULL) == -EAGAIN)
			mn_yield();
	return 0;
}

/* The fiber of the group has ended; what it posted is under way, or runs. */
static int under_way_fiber(void *arg)
{
	unsigned int expected = 0;

	atomic_store(&nr_posts, 0);
	for (int i = 0; i < 100; i++) {
		unsigned int group = group_new("posts", 100, 0, i % 2);
		struct mn_fiber *fiber;
		int err;

		ck_assert_int_eq(mn_spawn_in(group, posts, NULL, &fiber), 0);
		ck_assert_int_eq(mn_join(fiber), 0);
		while ((err = mn_group_destroy(group)) == -EBUSY)
			mn_yield();
		ck_assert_int_eq(err, 0);
		expected += 20;
	}
	for (int i = 0; i < 1000 && atomic_load(&nr_posts) < expected; i++)
		mn_sleep(MN_MSEC);
	ck_assert_uint_eq(atomic_load(&nr_posts), expected);
	return 0;
}

START_TEST(what_is_under_way_when_its_group_is_destroyed_runs_all_the_same)
{
	run(_i, under_way_fiber);
}
END_TEST

TCase *tcase_sched_destroy(void)
{
	TCase *tc = tcase_create("destroy");
	int n = NR_SHARDS * nr_wakers();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_group_is_destroyed_when_nothing_is_of_it_on_any_shard, 0, n);
	tcase_add_loop_test(tc, the_number_of_one_that_was_destroyed_is_given_out_again, 0, n);
	tcase_add_loop_test(tc, a_timer_of_one_that_was_destroyed_runs_in_the_default_group, 0, n);
	tcase_add_loop_test(tc, what_is_under_way_when_its_group_is_destroyed_runs_all_the_same, 0,
			    n);
	return tc;
}
