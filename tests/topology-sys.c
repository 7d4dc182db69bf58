// SPDX-License-Identifier: MIT
/* Which CPUs shards get, on machines whose sysfs is made up here. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/shard.h"
#include "smp/topology.h"
#include "tests/machine.h"
#include "tests/suites.h"
#include "tests/tree.h"
#include "tests/world.h"
#include "timers/timer_queue.h"

static const struct shape two_packages = { .packages = 2, .llcs = 2, .cores = 2, .threads = 2 };

static struct topology plan;

static struct cpu_mask cpus(const char *list)
{
	struct cpu_mask mask;

	ck_assert_int_eq(cpu_list_parse(list, &mask), 0);
	return mask;
}

static struct topology_input input(const char *affinity, enum placement placement)
{
	return (struct topology_input){
		.affinity = cpus(affinity),
		.quota = QUOTA_NONE,
		.cpuset_origin = "--cpuset=...",
		.placement = placement,
	};
}

static void ck_plan(const struct topology_input *in, const char *wanted)
{
	char text[1024] = "";

	test_stderr_begin();
	ck_assert_int_eq(topology_plan_input(in, tree, &plan), 0);
	for (unsigned int i = 0; i < plan.nr_shards; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", i ? "," : "",
			 plan.cpus[i]);
	ck_assert_str_eq(text, wanted);
}

static void ck_placement(const char *affinity, enum placement placement, const char *wanted)
{
	struct topology_input in = input(affinity, placement);

	ck_plan(&in, wanted);
	ck_assert(!plan.shared);
	ck_assert_str_eq(test_stderr_end(), "");
}

START_TEST(spread_goes_over_packages_then_caches_then_cores_then_siblings)
{
	machine_build(&two_packages);
	ck_placement("0-15", PLACEMENT_SPREAD, "0,4,2,6,1,5,3,7,8,12,10,14,9,13,11,15");
	/* What may not be used does not count: here are two caches with one core each. */
	ck_placement("0,2,8,10", PLACEMENT_SPREAD, "0,2,8,10");
	ck_placement("4-7,9", PLACEMENT_SPREAD, "9,4,6,5,7");
}
END_TEST

START_TEST(pack_fills_a_core_a_cache_a_package)
{
	machine_build(&two_packages);
	ck_placement("0-15", PLACEMENT_PACK, "0,8,1,9,2,10,3,11,4,12,5,13,6,14,7,15");
	ck_placement("3,5,7,11,13,15", PLACEMENT_PACK, "3,11,5,13,7,15");
}
END_TEST

START_TEST(core_leaves_siblings_out)
{
	machine_build(&two_packages);
	ck_placement("0-15", PLACEMENT_CORE, "0,4,2,6,1,5,3,7");
	ck_assert_str_eq(plan.reason, "8 of 16 CPUs (affinity 16, quota none, one a core)");
	/* The sibling is the one that may be used. */
	ck_placement("0-2,8-11", PLACEMENT_CORE, "0,2,1,11");
}
END_TEST

START_TEST(fewer_shards_get_the_first_of_the_order)
{
	static const char *const four[] = { "0,4,2,6", "0,8,1,9", "0,4,2,6" };
	struct topology_input in = input("0-15", (enum placement)_i);

	machine_build(&two_packages);
	in.cpus_wanted = 4;
	ck_plan(&in, four[_i]);
	in.cpus_wanted = 0;
	in.quota = 3500;
	ck_plan(&in, four[_i]);
	ck_assert(plan.shared);
	ck_assert_str_eq(test_stderr_end(), "");
}
END_TEST

START_TEST(more_shards_than_cpus_begin_again_with_one_warning)
{
	struct topology_input in = input("0-15", PLACEMENT_CORE);
	const char *said;

	machine_build(&two_packages);
	in.cpus_wanted = 10;
	ck_plan(&in, "0,4,2,6,1,5,3,7,0,4");
	ck_assert(plan.shared);
	said = test_stderr_end();
	ck_assert_ptr_nonnull(strstr(said, "warning: 10 shards share 8 CPUs"));
	ck_assert_ptr_eq(strchr(said, '\n'), strrchr(said, '\n'));
	in = input("1,2,9", PLACEMENT_PACK);
	in.cpus_wanted = 5;
	ck_plan(&in, "1,9,2,1,9");
}
END_TEST

START_TEST(the_order_of_a_list_wins)
{
	struct topology_input in = input("0-15", (enum placement)_i);

	machine_build(&two_packages);
	in.cpuset_wanted = "9,1,4-6,5";
	ck_plan(&in, "9,1,4,5,6");
	ck_assert_int_eq(plan.placement, PLACEMENT_LIST);
	in.cpus_wanted = 2;
	ck_plan(&in, "9,1");
}
END_TEST

START_TEST(offline_cpus_leave_gaps)
{
	struct shape shape = two_packages;

	shape.offline = "0,5,9,12-13";
	machine_build(&shape);
	ck_placement("1-4,6-8,10-11,14-15", PLACEMENT_PACK, "1,8,2,10,3,11,4,6,14,7,15");
	ck_placement("1-4,6-8,10-11,14-15", PLACEMENT_CORE, "1,4,2,6,8,3,7");
}
END_TEST

START_TEST(kernels_before_5_2_have_other_names)
{
	struct shape shape = two_packages;

	shape.old_names = true;
	machine_build(&shape);
	ck_placement("0-15", PLACEMENT_SPREAD, "0,4,2,6,1,5,3,7,8,12,10,14,9,13,11,15");
}
END_TEST

START_TEST(nodes_are_told_from_packages)
{
	struct shape shape = two_packages;

	machine_build(&two_packages);
	ck_placement("0-15", PLACEMENT_SPREAD, "0,4,2,6,1,5,3,7,8,12,10,14,9,13,11,15");
	ck_assert(plan.numa);
	ck_placement("0-3", PLACEMENT_SPREAD, "0,2,1,3");
	ck_assert(!plan.numa);
	shape.one_node = true;
	machine_build(&shape);
	ck_placement("0-15", PLACEMENT_PACK, "0,8,1,9,2,10,3,11,4,12,5,13,6,14,7,15");
	ck_assert(!plan.numa);
}
END_TEST

START_TEST(a_node_in_a_package_is_spread_over_too)
{
	struct shape shape = {
		.packages = 1, .llcs = 1, .cores = 8, .threads = 1, .one_node = true
	};

	machine_build(&shape);
	tree_put("devices/system/node/online", "0,2\n");
	tree_put("devices/system/node/node0/cpulist", "0-3\n");
	tree_put("devices/system/node/node2/cpulist", "4-7\n");
	ck_placement("0-7", PLACEMENT_SPREAD, "0,4,1,5,2,6,3,7");
	ck_assert(plan.numa);
}
END_TEST

START_TEST(without_sysfs_the_order_is_plain)
{
	ck_placement("1,3-5,4095", (enum placement)_i, "1,3,4,5,4095");
	ck_assert(!plan.numa);
	ck_assert_str_eq(plan.reason, _i == PLACEMENT_CORE ?
					      "5 of 5 CPUs (affinity 5, quota none, one a core)" :
					      "5 of 5 CPUs (affinity 5, quota none)");
}
END_TEST

START_TEST(nonsense_in_sysfs_is_no_error)
{
	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		machine_put(cpu, "topology/package_cpus_list", cpu ? "9999999\n" : "");
		machine_put(cpu, "topology/core_cpus_list", "\n");
		machine_put(cpu, "cache/index0/level", "many\n");
		machine_put(cpu, "cache/index1/level", "2\n");
	}
	tree_put("devices/system/node/online", "0-3\n");
	tree_put("devices/system/node/node2/cpulist", "none of them\n");
	ck_placement("0-3", (enum placement)_i, "0,1,2,3");
	ck_assert(!plan.numa);
}
END_TEST

START_TEST(what_is_hidden_in_part_is_used_in_part)
{
	/* Cores alone, as where caches and packages are not shown. */
	machine_put(0, "topology/core_cpus_list", "0-1\n");
	machine_put(2, "topology/core_cpus_list", "2-3\n");
	ck_placement("0-4", PLACEMENT_SPREAD, "0,2,4,1,3");
	ck_placement("0-4", PLACEMENT_CORE, "0,2,4");
}
END_TEST

START_TEST(a_large_machine_is_read_in_full)
{
	struct shape shape = { .packages = 2, .llcs = 4, .cores = 5, .threads = 2 };
	struct topology_input in = input("0-79", PLACEMENT_SPREAD);

	machine_build(&shape);
	in.cpus_wanted = 9;
	ck_plan(&in, "0,20,5,25,10,30,15,35,1");
	in = input("7,22-26,38-41,60-67,79", PLACEMENT_PACK);
	ck_plan(&in, "40,41,7,60,61,22,62,23,63,24,64,25,65,26,66,67,38,39,79");
	in = input("0-79", PLACEMENT_CORE);
	in.cpus_wanted = 0;
	test_stderr_begin();
	ck_assert_int_eq(topology_plan_input(&in, tree, &plan), 0);
	ck_assert_uint_eq(plan.nr_shards, 40);
	ck_assert_int_eq(plan.cpus[39], 39);
}
END_TEST

START_TEST(long_lists_are_read_in_full)
{
	char list[8192 * 5];
	size_t len = 0;

	/* Every other CPU: one number each, more than a page of them. */
	for (unsigned int cpu = 1; cpu < 4096; cpu += 2)
		len += (size_t)sprintf(list + len, "%s%u", len ? "," : "", cpu);
	ck_assert_uint_gt(len, 8192);
	tree_put("devices/system/node/online", "0-1\n");
	tree_put("devices/system/node/node1/cpulist", list);
	ck_placement("2,4,4093,4095", PLACEMENT_SPREAD, "2,4093,4,4095");
	ck_assert(plan.numa);
}
END_TEST

START_TEST(an_unknown_placement_is_refused)
{
	enum placement placement = PLACEMENT_LIST;

	test_stderr_begin();
	ck_assert_int_eq(placement_parse("pack", "--placement=pack", &placement), 0);
	ck_assert_int_eq(placement, PLACEMENT_PACK);
	ck_assert_int_eq(placement_parse("list", "--placement=list", &placement), -EINVAL);
	ck_assert_str_eq(strchr(test_stderr_end(), '-'),
			 "--placement=list: must be spread, pack or core\n");
}
END_TEST

static void report(void)
{
	struct machine machine;

	machine_read(tree, &plan.usable, &machine);
	machine_print(&machine, &plan);
}

/* Standard output of report(), which is one of this process. */
static const char *reported(void)
{
	int out;

	fflush(stdout);
	out = dup(STDOUT_FILENO);
	test_stderr_begin();
	ck_assert_int_ge(dup2(STDERR_FILENO, STDOUT_FILENO), 0);
	report();
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	return test_stderr_end();
}

START_TEST(the_report_says_what_there_is_and_who_gets_what)
{
	machine_build(&two_packages);
	ck_placement("0-15", PLACEMENT_SPREAD, "0,4,2,6,1,5,3,7,8,12,10,14,9,13,11,15");
	ck_assert_str_eq(reported(),
			 "  machine      usable: 2 packages, 2 nodes, 4 last-level caches, "
			 "8 cores, with siblings\n"
			 "  nodes        0-3,8-11 4-7,12-15\n"
			 "  caches       0-1,8-9 2-3,10-11 4-5,12-13 6-7,14-15\n"
			 "  siblings     0,8 1,9 2,10 3,11 4,12 5,13 6,14 7,15\n"
			 "  placement    spread     over packages, nodes, caches, cores; "
			 "siblings last\n"
			 "  shards' CPUs 0,4,2,6,1,5,3,7-8,12,10,14,9,13,11,15\n");
	ck_placement("4-5", PLACEMENT_PACK, "4,5");
	ck_assert_str_eq(reported(),
			 "  machine      usable: 1 package, 1 node, 1 last-level cache, 2 cores, "
			 "no siblings\n"
			 "  placement    pack       siblings, then cores of a cache, of a package\n"
			 "  shards' CPUs 4-5\n");
}
END_TEST

START_TEST(the_lines_of_a_report_are_bounded)
{
	struct shape shape = { .packages = 2, .llcs = 4, .cores = 5, .threads = 2 };
	struct topology_input in = input("0-79", PLACEMENT_SPREAD);
	const char *line;

	machine_build(&shape);
	ck_assert_int_eq(topology_plan_input(&in, tree, &plan), 0);
	line = reported();
	for (int n = 0; *line; line += strcspn(line, "\n") + 1, n++) {
		ck_assert_uint_le(strcspn(line, "\n"), 100);
		ck_assert_int_lt(n, 6);
	}
	ck_assert_ptr_nonnull(strstr(test_stderr_end(), " ...\n"));
}
END_TEST

START_TEST(a_report_without_sysfs_says_so)
{
	ck_placement("0-1", PLACEMENT_SPREAD, "0,1");
	ck_assert_ptr_nonnull(strstr(reported(), "machine      unknown: sysfs does not tell"));
}
END_TEST

/* ---- memory near to its shard ---- */

static int opened_on[4];
static int nr_opened;
static const struct timer_queue_ops *real;

static int watched_open(struct timer_queue *tq, int64_t now_ns)
{
	opened_on[nr_opened++] = sched_getcpu();
	return real->open(tq, now_ns);
}

static void world_of_two(struct mn_world *world, struct timer_queue_ops *watched, bool numa)
{
	const struct driver_choice none = { 0 };

	*world = (struct mn_world){ .numa = numa, .backend = none };
	ck_assert_int_eq(driver_choose(&backend_kind, NULL, NULL, NULL, &world->backend), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, NULL, NULL, NULL, &world->queue), 0);
	ck_assert_int_eq(driver_choose(&timer_queue_kind, NULL, NULL, NULL, &world->timer), 0);
	real = container_of(world->timer.driver, struct timer_queue_ops, drv);
	*watched = *real;
	watched->open = watched_open;
	world->timer.driver = &watched->drv;
	nr_opened = 0;
}

static int edge_cpu(const struct cpu_mask *mask, bool last)
{
	int found = -1;

	for (int cpu = 0; cpu < CPUS_MAX && (found < 0 || last); cpu++)
		if (cpu_isset(mask, (unsigned int)cpu))
			found = cpu;
	return found;
}

START_TEST(shards_are_opened_on_their_own_cpus)
{
	struct cpu_mask before, after;
	struct timer_queue_ops watched;
	struct mn_world world;
	int places[2];

	if (timer_queue_kind.stop - timer_queue_kind.start == 1)
		test_skip("the only timer queue is called directly");
	topology_whereabouts(&before);
	places[0] = edge_cpu(&before, true);
	places[1] = edge_cpu(&before, false);
	world_of_two(&world, &watched, _i);
	ck_assert_int_eq(world_open(&world, 2, places), 0);
	ck_assert_int_eq(nr_opened, 2);
	if (_i) {
		ck_assert_int_eq(opened_on[0], places[0]);
		ck_assert_int_eq(opened_on[1], places[1]);
	}
	topology_whereabouts(&after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	world_close(&world);
}
END_TEST

START_TEST(a_shard_that_cannot_be_visited_is_opened_from_afar)
{
	struct cpu_mask before, after;
	struct timer_queue_ops watched;
	struct mn_world world;

	topology_whereabouts(&before);
	world_of_two(&world, &watched, true);
	ck_assert_int_eq(world_open(&world, 2, (int[]){ CPUS_MAX - 1, -1 }), 0);
	topology_whereabouts(&after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	world_close(&world);
}
END_TEST

Suite *suite_topology_sys(void)
{
	Suite *suite = suite_create("topology_sys");
	TCase *tc = tcase_create("placement");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, tree_make, tree_remove);
	tcase_add_test(tc, spread_goes_over_packages_then_caches_then_cores_then_siblings);
	tcase_add_test(tc, pack_fills_a_core_a_cache_a_package);
	tcase_add_test(tc, core_leaves_siblings_out);
	tcase_add_loop_test(tc, fewer_shards_get_the_first_of_the_order, 0, PLACEMENT_LIST);
	tcase_add_test(tc, more_shards_than_cpus_begin_again_with_one_warning);
	tcase_add_loop_test(tc, the_order_of_a_list_wins, 0, PLACEMENT_LIST);
	tcase_add_test(tc, offline_cpus_leave_gaps);
	tcase_add_test(tc, kernels_before_5_2_have_other_names);
	tcase_add_test(tc, nodes_are_told_from_packages);
	tcase_add_test(tc, a_node_in_a_package_is_spread_over_too);
	tcase_add_loop_test(tc, without_sysfs_the_order_is_plain, 0, PLACEMENT_LIST);
	tcase_add_loop_test(tc, nonsense_in_sysfs_is_no_error, 0, PLACEMENT_LIST);
	tcase_add_test(tc, what_is_hidden_in_part_is_used_in_part);
	tcase_add_test(tc, a_large_machine_is_read_in_full);
	tcase_add_test(tc, long_lists_are_read_in_full);
	tcase_add_test(tc, an_unknown_placement_is_refused);
	tcase_add_test(tc, the_report_says_what_there_is_and_who_gets_what);
	tcase_add_test(tc, the_lines_of_a_report_are_bounded);
	tcase_add_test(tc, a_report_without_sysfs_says_so);
	suite_add_tcase(suite, tc);

	tc = tcase_create("memory");
	tcase_add_loop_test(tc, shards_are_opened_on_their_own_cpus, 0, 2);
	tcase_add_test(tc, a_shard_that_cannot_be_visited_is_opened_from_afar);
	suite_add_tcase(suite, tc);
	return suite;
}
