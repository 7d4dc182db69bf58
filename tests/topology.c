// SPDX-License-Identifier: MIT
/* The plan of shards and CPUs, on machines and control groups made up here. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "smp/topology.h"
#include "tests/suites.h"
#include "tests/tree.h"

static struct topology plan;
static struct cpu_mask cpuset;
static uint64_t quota;

static struct cpu_mask cpus(const char *list)
{
	struct cpu_mask mask;

	ck_assert_int_eq(cpu_list_parse(list, &mask), 0);
	return mask;
}

static struct topology_input machine(const char *affinity)
{
	return (struct topology_input){
		.affinity = cpus(affinity),
		.quota = QUOTA_NONE,
		.cpuset_origin = "--cpuset=...",
	};
}

static int make_plan(const struct topology_input *in)
{
	test_stderr_begin();
	return topology_plan_input(in, "/nonexistent", &plan);
}

static void ck_cpus(const char *wanted)
{
	char text[256] = "";

	for (unsigned int i = 0; i < plan.nr_shards; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", i ? "," : "",
			 plan.cpus[i]);
	ck_assert_str_eq(text, wanted);
}

START_TEST(one_shard_for_each_cpu_of_the_affinity)
{
	struct topology_input in = machine("1,3-5,4095");

	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("1,3,4,5,4095");
	ck_assert(!plan.shared);
	ck_assert_str_eq(plan.reason, "5 of 5 CPUs (affinity 5, quota none)");
}
END_TEST

START_TEST(the_cpuset_of_the_group_counts)
{
	struct topology_input in = machine("0-7");

	in.cpuset = cpus("6-9");
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("6,7");
	/* Files of another machine are not believed. */
	in.cpuset = cpus("100");
	ck_assert_int_eq(make_plan(&in), 0);
	ck_assert_uint_eq(plan.nr_shards, 8);
}
END_TEST

START_TEST(the_quota_is_rounded_up_to_shards)
{
	static const struct {
		uint64_t quota;
		unsigned int shards;
		bool shared;
	} cases[] = {
		{ 1, 1, true },	    { 1000, 1, false }, { 1001, 2, true },   { 1500, 2, true },
		{ 2000, 2, false }, { 8000, 8, false }, { 64000, 8, false },
	};
	struct topology_input in = machine("0-7");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		in.quota = cases[i].quota;
		ck_assert_int_eq(make_plan(&in), 0);
		ck_assert_uint_eq(plan.nr_shards, cases[i].shards);
		ck_assert_int_eq(plan.shared, cases[i].shared);
		ck_assert_str_eq(test_stderr_end(), "");
	}
	in.quota = 1500;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_assert_str_eq(plan.reason, "2 of 8 CPUs (affinity 8, quota 1.5)");
}
END_TEST

START_TEST(cpus_can_be_forced_with_one_warning)
{
	struct topology_input in = machine("0-1");
	const char *said;

	in.cpus_wanted = 1;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("0");
	ck_assert(!plan.shared);
	in.cpus_wanted = 5;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("0,1,0,1,0");
	ck_assert(plan.shared);
	said = test_stderr_end();
	ck_assert_ptr_nonnull(strstr(said, "warning: 5 shards share 2 CPUs"));
	ck_assert_ptr_eq(strchr(said, '\n'), strrchr(said, '\n'));
	in.cpus_wanted = 2;
	in.quota = 1500;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("0,1");
	ck_assert(plan.shared);
}
END_TEST

START_TEST(a_cpuset_is_taken_as_it_is_in_its_order)
{
	struct topology_input in = machine("0-7");

	in.cpuset_wanted = "5,0-1";
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("5,0,1");
	ck_assert(!plan.shared);
	in.quota = 2000;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("5,0,1");
	ck_assert(plan.shared);
	in.cpus_wanted = 2;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("5,0");
	ck_assert(!plan.shared);
	in.cpuset_wanted = "3,3-1,3";
	ck_assert_int_eq(make_plan(&in), -EINVAL);
	in.cpuset_wanted = "3,1-3,1";
	in.cpus_wanted = 5;
	ck_assert_int_eq(make_plan(&in), 0);
	ck_cpus("3,1,2,3,1");
}
END_TEST

START_TEST(a_cpu_outside_is_refused_by_name)
{
	struct topology_input in = machine("0-3");

	in.cpuset_wanted = "2-5";
	ck_assert_int_eq(make_plan(&in), -EINVAL);
	ck_assert_ptr_nonnull(strstr(test_stderr_end(), "--cpuset=...: this process may not run "
							"on CPU 4\n"));
}
END_TEST

START_TEST(bad_lists_are_refused)
{
	/* clang-format off */
	static const char *const bad[] = {
		"", ",", "1,", ",1", "1-", "-1", "3-2", "a", "1 ", "1,,2", "0-1-2", "8192",
		"99999999999",
	};
	/* clang-format on */
	struct topology_input in = machine("0-3");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		in.cpuset_wanted = bad[i];
		ck_assert_msg(make_plan(&in) == -EINVAL, "\"%s\" was taken", bad[i]);
		ck_assert_ptr_nonnull(strstr(test_stderr_end(), "not a list of CPUs"));
	}
}
END_TEST

START_TEST(pinning_is_to_one_cpu)
{
	cpu_set_t set;
	int cpu;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	for (cpu = 0; !CPU_ISSET(cpu, &set); cpu++)
		;
	ck_assert_int_eq(topology_pin(cpu), 0);
	ck_assert_int_eq(sched_getcpu(), cpu);
	ck_assert_int_eq(topology_pin(-1), -EINVAL);
	ck_assert_int_eq(topology_pin(CPUS_MAX - 1), -EINVAL);
}
END_TEST

static void look(const char *self)
{
	char path[128];

	tree_put("self", self);
	snprintf(path, sizeof(path), "%s/self", tree);
	cgroup_limits(tree, path, &cpuset, &quota);
}

START_TEST(v2_quota_and_cpuset)
{
	tree_put("cpu.max", "max 100000\n");
	tree_put("a/b/cpu.max", "150000 100000\n");
	tree_put("a/cpuset.cpus.effective", "0-1,4\n");
	tree_put("cpuset.cpus.effective", "0-63\n");
	look("0::/a/b\n");
	ck_assert_uint_eq(quota, 1500);
	ck_assert_uint_eq(cpu_count(&cpuset), 3);
	ck_assert(cpu_isset(&cpuset, 4));
	look("0::/a\n");
	ck_assert(quota == QUOTA_NONE);
	look("0::/\n");
	ck_assert_uint_eq(cpu_count(&cpuset), 64);
}
END_TEST

START_TEST(the_smallest_quota_on_the_way_up_counts)
{
	tree_put("cpu.max", "800000 100000\n");
	tree_put("a/cpu.max", "50000 20000\n");
	tree_put("a/b/cpu.max", "max 100000\n");
	tree_put("a/b/c/cpu.max", "400000 100000\n");
	look("0::/a/b/c\n");
	ck_assert_uint_eq(quota, 2500);
	look("0::/elsewhere\n");
	ck_assert_uint_eq(quota, 8000);
}
END_TEST

START_TEST(v1_quota_and_cpuset)
{
	tree_put("cpu/cpu.cfs_quota_us", "-1\n");
	tree_put("cpu/cpu.cfs_period_us", "100000\n");
	tree_put("cpu/x/cpu.cfs_quota_us", "300000\n");
	tree_put("cpu/x/cpu.cfs_period_us", "100000\n");
	tree_put("cpu/x/y/cpu.cfs_quota_us", "150000\n");
	tree_put("cpu/x/y/cpu.cfs_period_us", "100000\n");
	tree_put("cpuset/x/cpuset.cpus", "2-3\n");
	tree_put("cpuset/cpuset.cpus", "0-3\n");
	look("9:name=systemd:/\n3:cpuset:/x/y\n2:cpuacct,cpu:/x/y\n");
	ck_assert_uint_eq(quota, 1500);
	ck_assert_uint_eq(cpu_count(&cpuset), 2);
	look("3:cpuset:/\n2:cpu:/x\n");
	ck_assert_uint_eq(quota, 3000);
	ck_assert_uint_eq(cpu_count(&cpuset), 4);
	look("2:cpu:/\n");
	ck_assert(quota == QUOTA_NONE);
	/* Not the controller that it begins like. */
	look("2:cpuacct:/x/y\n");
	ck_assert(quota == QUOTA_NONE);
}
END_TEST

START_TEST(v1_and_v2_at_once)
{
	tree_put("cpu,cpuacct/x/cpu.cfs_quota_us", "200000\n");
	tree_put("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
	tree_put("unified/x/cpuset.cpus.effective", "1\n");
	look("4:cpu,cpuacct:/x\n0::/x\n");
	ck_assert_uint_eq(quota, 2000);
	ck_assert_uint_eq(cpu_count(&cpuset), 1);
}
END_TEST

START_TEST(a_group_that_is_not_visible_here_means_the_root)
{
	tree_put("cpu.max", "200000 100000\n");
	look("0::/docker/0123abcd\n");
	ck_assert_uint_eq(quota, 2000);
	look("0::/../../other\n");
	ck_assert_uint_eq(quota, 2000);
	cgroup_limits(tree, "/nonexistent", &cpuset, &quota);
	ck_assert_uint_eq(quota, 2000);
}
END_TEST

START_TEST(nonsense_limits_nothing)
{
	tree_put("cpu.max", "many of them\n");
	tree_put("cpuset.cpus.effective", "\n");
	look("0::/\nno colons\n:\n1:cpu\n");
	ck_assert(quota == QUOTA_NONE);
	ck_assert_uint_eq(cpu_count(&cpuset), 0);
	cgroup_limits("/nonexistent", "/nonexistent", &cpuset, &quota);
	ck_assert(quota == QUOTA_NONE);
}
END_TEST

Suite *suite_topology(void)
{
	Suite *suite = suite_create("topology");
	TCase *tc = tcase_create("plan");

	tcase_add_test(tc, one_shard_for_each_cpu_of_the_affinity);
	tcase_add_test(tc, the_cpuset_of_the_group_counts);
	tcase_add_test(tc, the_quota_is_rounded_up_to_shards);
	tcase_add_test(tc, cpus_can_be_forced_with_one_warning);
	tcase_add_test(tc, a_cpuset_is_taken_as_it_is_in_its_order);
	tcase_add_test(tc, a_cpu_outside_is_refused_by_name);
	tcase_add_test(tc, bad_lists_are_refused);
	tcase_add_test(tc, pinning_is_to_one_cpu);
	suite_add_tcase(suite, tc);

	tc = tcase_create("cgroup");
	tcase_add_checked_fixture(tc, tree_make, tree_remove);
	tcase_add_test(tc, v2_quota_and_cpuset);
	tcase_add_test(tc, the_smallest_quota_on_the_way_up_counts);
	tcase_add_test(tc, v1_quota_and_cpuset);
	tcase_add_test(tc, v1_and_v2_at_once);
	tcase_add_test(tc, a_group_that_is_not_visible_here_means_the_root);
	tcase_add_test(tc, nonsense_limits_nothing);
	suite_add_tcase(suite, tc);
	return suite;
}
