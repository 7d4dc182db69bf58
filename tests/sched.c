// SPDX-License-Identifier: MIT
/*
 * Scheduling groups. Shares are tested in virtual time, where a fiber uses
 * time by moving the clock: so the figures are the same on every machine.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

#include "backends/mem.h"
#include "core/sched.h"
#include "tests/run.h"
#include "tests/sched.h"
#include "tests/spawn.h"
#include "tests/suites.h"
#include "tests/world.h"

#define STEP_NS	(20 * MN_USEC)	/* what a busy fiber does before it asks whether to go on */

/* ---- busy fibers ---- */

static bool enough;

static int burn(void *arg)
{
	while (!enough) {
		mem_clock_advance(mn_self->world, STEP_NS);
		if (mn_need_preempt())
			mn_yield();
	}
	return 0;
}

static int burn_here(void *arg)
{
	return mn_spawn_in(*(unsigned int *)arg, burn, NULL, NULL);
}

/* A fiber on every shard that uses all the time it gets. */
static void burn_in(unsigned int group)
{
	ck_assert_int_eq(mn_call_all(burn_here, &group), 0);
}

unsigned int group_new(const char *name, unsigned int shares, unsigned int parent, bool latency)
{
	struct mn_group_options options = { shares, parent, latency };
	unsigned int group = 0;

	ck_assert_int_eq(mn_group_create_with(name, &options, &group), 0);
	ck_assert_uint_ne(group, MN_GROUP_DEFAULT);
	return group;
}

/* How long each group ran, on one shard. */
struct ran {
	int64_t ns[MN_GROUPS_MAX];
};

static int ran_here(void *arg)
{
	struct ran *ran = &((struct ran *)arg)[mn_shard()];
	struct mn_group_stats stats;

	for (unsigned int i = 0; i < MN_GROUPS_MAX; i++)
		ran->ns[i] = mn_group_stats(i, &stats) ? 0 : stats.run_ns;
	return 0;
}

/* What the groups ran during a time, on each shard. */
static void ran_during(int64_t ns, struct ran ran[static 2])
{
	struct ran before[2];

	ck_assert_int_eq(mn_call_all(ran_here, before), 0);
	ck_assert_int_eq(mn_sleep(ns), 0);
	ck_assert_int_eq(mn_call_all(ran_here, ran), 0);
	for (unsigned int s = 0; s < mn_shards(); s++)
		for (unsigned int i = 0; i < MN_GROUPS_MAX; i++)
			ran[s].ns[i] -= before[s].ns[i];
}

/* In tenths of a percent of what all of them ran. */
static int part(const struct ran *ran, unsigned int group)
{
	int64_t total = 0;

	for (unsigned int i = 0; i < MN_GROUPS_MAX; i++)
		total += ran->ns[i];
	ck_assert_int_gt(total, 0);
	return (int)(ran->ns[group] * 1000 / total);
}

static void ck_part(const struct ran *ran, unsigned int group, int expected, int off)
{
	for (unsigned int s = 0; s < mn_shards(); s++) {
		int is = part(&ran[s], group);

		ck_assert_msg(is >= expected - off && is <= expected + off,
			      "shard %u: group %u has %d.%d%%, not %d.%d%%", s, group, is / 10,
			      is % 10, expected / 10, expected % 10);
	}
}

void run_virtual(int i, mn_fiber_fn fn)
{
	int ret = run_main("mem", i + 1, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

/* ---- shares ---- */

static int shares_fiber(void *arg)
{
	unsigned int a = group_new("a", 100, 0, false), b = group_new("b", 300, 0, false);
	struct ran ran[2];

	burn_in(a);
	burn_in(b);
	burn_in(b);	/* more fibers do not make it more */
	ran_during(MN_SEC, ran);
	ck_part(ran, a, 250, 20);
	ck_part(ran, b, 750, 20);
	ck_assert_int_eq(mn_group_set_shares(a, 600), 0);
	ran_during(MN_SEC, ran);
	ck_part(ran, a, 667, 20);
	ck_part(ran, b, 333, 20);
	enough = true;
	return 0;
}

START_TEST(groups_get_time_in_proportion_to_their_shares_which_may_change)
{
	run_virtual(_i, shares_fiber);
}
END_TEST

/* What is done in many small pieces, and never asks, counts as much. */
struct small {
	struct mn_task task;
	struct mn_world *world;
};

static void small_again(struct mn_task *task)
{
	mem_clock_advance(container_of(task, struct small, task)->world, MN_USEC);
	if (!enough)
		mn_task_schedule(task);
}

static int small_fiber(void *arg)
{
	unsigned int a = group_new("a", 300, 0, false);
	struct small small[100];
	struct mn_group_stats stats;
	struct ran ran[2];

	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		small[i].world = mn_self->world;
		mn_task_init(&small[i].task, small_again);
		mn_task_group(&small[i].task, a);
		mn_task_schedule(&small[i].task);
	}
	ck_assert_int_eq(mn_spawn(burn, NULL, NULL), 0);	/* in the default group */
	ran_during(MN_SEC, ran);
	ck_assert_int_ge(part(&ran[0], a), 730);
	ck_assert_int_le(part(&ran[0], a), 770);
	ck_assert_int_eq(mn_group_stats(a, &stats), 0);
	ck_assert_uint_ge(stats.tasks, 700000);
	ck_assert_uint_le(stats.tasks, 800000);
	ck_assert_int_ge(stats.wait_ns, 200 * MN_MSEC);
	ck_assert_int_le(stats.wait_ns, 300 * MN_MSEC);
	enough = true;
	for (int i = 0; i < 10; i++)
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(the_default_group_is_one_like_the_others)
{
	run_virtual(0, small_fiber);
}
END_TEST

static int nested_fiber(void *arg)
{
	unsigned int outer = group_new("outer", 100, 0, false);
	unsigned int other = group_new("other", 100, 0, false);
	unsigned int a = group_new("a", 100, outer, false), b = group_new("b", 300, outer, false);
	struct ran ran[2];

	burn_in(a);
	burn_in(b);
	burn_in(other);
	ran_during(MN_SEC, ran);
	ck_part(ran, a, 125, 20);
	ck_part(ran, b, 375, 20);
	ck_part(ran, other, 500, 20);
	burn_in(outer);		/* a group's own tasks are one more in it */
	ran_during(MN_SEC, ran);
	ck_part(ran, a, 100, 20);
	ck_part(ran, b, 300, 20);
	ck_part(ran, outer, 100, 20);
	ck_part(ran, other, 500, 20);
	ck_assert_int_eq(mn_group_set_shares(b, 100), 0);
	ck_assert_int_eq(mn_group_set_shares(outer, 300), 0);
	ran_during(MN_SEC, ran);
	ck_part(ran, a, 250, 20);
	ck_part(ran, b, 250, 20);
	ck_part(ran, outer, 250, 20);
	ck_part(ran, other, 250, 20);
	enough = true;
	return 0;
}

START_TEST(groups_in_a_group_share_what_it_gets)
{
	run_virtual(_i, nested_fiber);
}
END_TEST

static int sleeper_fiber(void *arg)
{
	unsigned int a = group_new("a", 100, 0, false), b = group_new("b", 100, 0, false);
	struct ran ran[2];

	burn_in(a);
	ran_during(MN_SEC, ran);
	ck_part(ran, a, 1000, 20);
	burn_in(b);
	ran_during(20 * MN_MSEC, ran);	/* it was asleep for much longer than that */
	ck_part(ran, a, 500, 40);
	ck_part(ran, b, 500, 40);
	enough = true;
	return 0;
}

START_TEST(a_group_that_slept_has_not_saved_up_time)
{
	run_virtual(_i, sleeper_fiber);
}
END_TEST

static int many_fiber(void *arg)
{
	unsigned int group[MN_GROUPS_MAX], extra;
	struct ran ran[2];
	char name[16];

	for (unsigned int i = 1; i < MN_GROUPS_MAX; i++) {
		snprintf(name, sizeof(name), "group-%u", i);
		group[i] = group_new(name, i % 2 ? 100 : 300, 0, false);
		ck_assert_uint_eq(group[i], i);
	}
	ck_assert_int_eq(mn_group_create("one more", 100, &extra), -ENOSPC);
	for (unsigned int i = 1; i < MN_GROUPS_MAX; i++)
		burn_in(group[i]);
	ran_during(4 * MN_SEC, ran);
	for (unsigned int i = 1; i < MN_GROUPS_MAX; i++)	/* 32 with 100, 31 with 300 */
		ck_part(ran, group[i], (i % 2 ? 100 : 300) * 1000 / (3200 + 9300), 2);
	enough = true;
	return 0;
}

START_TEST(as_many_groups_as_there_may_be_share_fairly)
{
	run_virtual(_i, many_fiber);
}
END_TEST

/* ---- latency ---- */

static int bounded_fiber(void *arg)
{
	unsigned int soon = group_new("soon", 1, 0, true);
	unsigned int batch = group_new("batch", 1000, 0, false);
	struct ran ran[2];

	burn_in(soon);
	burn_in(batch);
	ran_during(MN_SEC, ran);
	ck_part(ran, soon, 500, 20);
	ck_part(ran, batch, 500, 20);
	ck_assert_int_eq(mn_group_set_shares(soon, 4000), 0);
	ran_during(MN_SEC, ran);
	for (unsigned int s = 0; s < mn_shards(); s++)
		ck_assert_int_ge(part(&ran[s], soon), 780);
	enough = true;
	return 0;
}

START_TEST(a_latency_group_has_half_of_the_time_first_or_else_its_shares)
{
	run_virtual(_i, bounded_fiber);
}
END_TEST

/* Asks to be woken every millisecond: how much later does it run? */
static int prompt(void *arg)
{
	int64_t *late_max_ns = arg;

	for (int i = 0; i < 200; i++) {
		int64_t due_ns = mn_now() + MN_MSEC;

		ck_assert_int_eq(mn_sleep(due_ns - mem_clock_now(mn_self->world)), 0);
		*late_max_ns = max(*late_max_ns, mem_clock_now(mn_self->world) - due_ns);
	}
	return 0;
}

static int prompt_fiber(void *arg)
{
	unsigned int soon = group_new("soon", 100, 0, true), batch[10];
	int64_t late_ns = 0;
	struct mn_fiber *fiber;
	char name[16];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "batch-%d", i);
		batch[i] = group_new(name, 1000, 0, false);
		burn_in(batch[i]);
	}
	ck_assert_int_eq(mn_spawn_in(soon, prompt, &late_ns, &fiber), 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	enough = true;
	/* A slice with its last step, and a tick of the timer; the other shard's, before and after. */
	ck_assert_int_le(late_ns,
			 (2 * mn_shards() - 1) * (500 * MN_USEC + 2 * STEP_NS) + 32 * MN_USEC);
	return 0;
}

START_TEST(a_latency_group_waits_for_one_slice_at_most)
{
	run_virtual(_i, prompt_fiber);
}
END_TEST

static int wait_for(void *arg)
{
	return (int)mn_await(arg);
}

static int waker(void *arg)
{
	ck_assert(!mn_need_preempt());
	mn_future_resolve(arg, 7);
	ck_assert(mn_need_preempt());
	return 0;
}

static int wake_fiber(void *arg)
{
	unsigned int soon = group_new("soon", 100, 0, true), batch = group_new("b", 100, 0, false);
	struct mn_fiber *waits, *wakes;
	struct mn_future future;

	mn_future_init(&future);
	ck_assert_int_eq(mn_spawn_in(soon, wait_for, &future, &waits), 0);
	mn_sleep(MN_MSEC);
	ck_assert_int_eq(mn_spawn_in(batch, waker, &future, &wakes), 0);
	ck_assert_int_eq(mn_join(wakes), 0);
	ck_assert_int_eq(mn_join(waits), 7);
	return 0;
}

START_TEST(who_wakes_a_latency_group_is_told_to_give_way)
{
	run_virtual(0, wake_fiber);
}
END_TEST

/* ---- in real time ---- */

static int really_burn(void *arg)
{
	while (!atomic_load((_Atomic bool *)arg))
		if (mn_need_preempt())
			mn_yield();
	return 0;
}

static struct really {
	_Atomic bool enough;
	unsigned int a, b;
	struct ran ran[2];
} really;

static int really_spawn(void *arg)
{
	int err = mn_spawn_in(really.a, really_burn, &really.enough, NULL);

	return err ? err : mn_spawn_in(really.b, really_burn, &really.enough, NULL);
}

/* How long this thread was ready while the CPU was somebody else's, in all. */
static int delay_here(void *arg)
{
	long long ran_ns, delay_ns = 0;
	FILE *f = fopen("/proc/thread-self/schedstat", "r");

	if (f && fscanf(f, "%lld %lld", &ran_ns, &delay_ns) < 2)
		delay_ns = 0;
	if (f)
		fclose(f);
	((long long *)arg)[mn_shard()] = delay_ns;
	return 0;
}

/* A second in which the CPUs were ours, or nearly: who is away is charged for it. */
static bool ran_alone(struct ran ran[static 2])
{
	long long before[2], after[2], most_ns = 0;

	ck_assert_int_eq(mn_call_all(delay_here, before), 0);
	ran_during(MN_SEC, ran);
	ck_assert_int_eq(mn_call_all(delay_here, after), 0);
	for (unsigned int s = 0; s < mn_shards(); s++)
		most_ns = max(most_ns, after[s] - before[s]);
	return most_ns < 20 * MN_MSEC;
}

static int really_fiber(void *arg)
{
	bool alone = false;

	atomic_store(&really.enough, false);
	really.a = group_new("a", 100, 0, false);
	really.b = group_new("b", 300, 0, false);
	ck_assert_int_eq(mn_call_all(really_spawn, NULL), 0);
	for (int i = 0; i < 5 && !alone; i++)
		alone = ran_alone(really.ran);
	for (unsigned int s = 0; s < mn_shards(); s++)
		printf("shard %u of %u: shares 100 and 300 ran %lld and %lld us\n", s, mn_shards(),
		       (long long)really.ran[s].ns[really.a] / 1000,
		       (long long)really.ran[s].ns[really.b] / 1000);
	atomic_store(&really.enough, true);
	if (alone)
		ck_part(really.ran, really.a, 250, 50);	/* a host may have been away, too */
	else
		printf("not looked at: other programs had the CPUs\n");
	return 0;
}

START_TEST(shares_are_about_right_on_a_real_clock)
{
	int ret;

	if (waker_virtual_time(_i / NR_SHARDS))
		return;
	ret = run_waker(_i / NR_SHARDS, _i % NR_SHARDS + 1, really_fiber, NULL);
	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

START_TEST(the_sample_prints_who_ran_and_how_late_it_was)
{
	static struct program p;
	char backend[64], cpus[16];

	need_backend(serving[_i / NR_SHARDS]);
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i / NR_SHARDS]);
	snprintf(cpus, sizeof(cpus), "--cpus=%d", _i % NR_SHARDS + 1);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-shares", "--seconds=1", backend, cpus)), 0);
	ck_assert_ptr_nonnull(strstr(program_out(&p), "shard 0: late by "));
	ck_assert_ptr_nonnull(strstr(program_out(&p), "\ndefault "));
	ck_assert_ptr_nonnull(strstr(program_out(&p), "\nsmall "));
	ck_assert_ptr_nonnull(strstr(program_out(&p), "\nlarge "));
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-shares", "--seconds=0")), 2);
}
END_TEST

Suite *suite_sched(void)
{
	Suite *s = suite_create("sched");
	TCase *tc = tcase_create("sched");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, groups_get_time_in_proportion_to_their_shares_which_may_change, 0,
			    NR_SHARDS);
	tcase_add_test(tc, the_default_group_is_one_like_the_others);
	tcase_add_loop_test(tc, groups_in_a_group_share_what_it_gets, 0, NR_SHARDS);
	tcase_add_loop_test(tc, a_group_that_slept_has_not_saved_up_time, 0, NR_SHARDS);
	tcase_add_loop_test(tc, as_many_groups_as_there_may_be_share_fairly, 0, NR_SHARDS);
	tcase_add_loop_test(tc, a_latency_group_has_half_of_the_time_first_or_else_its_shares, 0,
			    NR_SHARDS);
	tcase_add_loop_test(tc, a_latency_group_waits_for_one_slice_at_most, 0, NR_SHARDS);
	tcase_add_test(tc, who_wakes_a_latency_group_is_told_to_give_way);
	tcase_add_loop_test(tc, shares_are_about_right_on_a_real_clock, 0, nr_wakers() * NR_SHARDS);
	tcase_add_loop_test(tc, the_sample_prints_who_ran_and_how_late_it_was, 0,
			    NR_SERVING * NR_SHARDS);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_sched_inherit());
	suite_add_tcase(s, tcase_sched_destroy());
	suite_add_tcase(s, tcase_sched_serve());
	return s;
}
