// SPDX-License-Identifier: MIT
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "smp/topology.h"
#include "tests/machine.h"
#include "tests/tree.h"

static struct cpu_mask offline_cpus(const struct shape *shape)
{
	struct cpu_mask mask = { 0 };

	if (shape->offline)
		ck_assert_int_eq(cpu_list_parse(shape->offline, &mask), 0);
	return mask;
}

static unsigned int nr_cores(const struct shape *shape)
{
	return shape->packages * shape->llcs * shape->cores;
}

/* The online CPUs of @n cores from @core on, as the kernel prints them. */
static const char *members(const struct shape *shape, unsigned int core, unsigned int n)
{
	struct cpu_mask offline = offline_cpus(shape);
	static char text[8192];
	size_t len = 0;
	int first = -1;

	text[0] = '\0';
	for (unsigned int cpu = 0; cpu <= nr_cores(shape) * shape->threads; cpu++) {
		unsigned int at = cpu % nr_cores(shape);
		bool in = cpu < nr_cores(shape) * shape->threads && at >= core && at < core + n &&
			  !cpu_isset(&offline, cpu);

		if (in && first < 0) {
			first = (int)cpu;
			len += (size_t)sprintf(text + len, "%s%u", len ? "," : "", cpu);
		} else if (!in && first >= 0) {
			if ((int)cpu - 1 > first)
				len += (size_t)sprintf(text + len, "-%u", cpu - 1);
			first = -1;
		}
	}
	strcpy(text + len, "\n");
	return text;
}

void machine_put(unsigned int cpu, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/%s", cpu, name);
	tree_put(path, text);
}

static void cpu_build(const struct shape *shape, unsigned int cpu)
{
	unsigned int core = cpu % nr_cores(shape);
	unsigned int package = shape->llcs * shape->cores;

	machine_put(cpu,
		    shape->old_names ? "topology/core_siblings_list" : "topology/package_cpus_list",
		members(shape, core / package * package, package));
	machine_put(cpu,
		    shape->old_names ? "topology/thread_siblings_list" : "topology/core_cpus_list",
		members(shape, core, 1));
	machine_put(cpu, "cache/index0/level", "1\n");
	machine_put(cpu, "cache/index0/type", "Data\n");
	machine_put(cpu, "cache/index0/shared_cpu_list", members(shape, core, 1));
	machine_put(cpu, "cache/index1/level", "3\n");
	machine_put(cpu, "cache/index1/type", "Unified\n");
	machine_put(cpu, "cache/index1/shared_cpu_list",
		members(shape, core / shape->cores * shape->cores, shape->cores));
	/* Not what a kernel would show: only to see that it does not count. */
	machine_put(cpu, "cache/index2/level", "4\n");
	machine_put(cpu, "cache/index2/type", "Instruction\n");
	machine_put(cpu, "cache/index2/shared_cpu_list", members(shape, 0, nr_cores(shape)));
}

void machine_build(const struct shape *shape)
{
	struct cpu_mask offline = offline_cpus(shape);
	unsigned int nodes = shape->one_node ? 1 : shape->packages;
	char path[64];

	for (unsigned int cpu = 0; cpu < nr_cores(shape) * shape->threads; cpu++)
		if (!cpu_isset(&offline, cpu))
			cpu_build(shape, cpu);
	tree_put("devices/system/node/online", nodes == 1 ? "0\n" : "0-1\n");
	for (unsigned int node = 0; node < nodes; node++) {
		snprintf(path, sizeof(path), "devices/system/node/node%u/cpulist", node);
		tree_put(path,
			 members(shape, node * nr_cores(shape) / nodes, nr_cores(shape) / nodes));
	}
}
