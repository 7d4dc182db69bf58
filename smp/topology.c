// SPDX-License-Identifier: MIT
/*
 * The plan: one shard for each CPU that the process may use.
 *
 * A quota counts as CPUs, rounded up: with 1.5 of 8 CPUs two shards can both
 * run, eight would take turns at being throttled. What the user forces is
 * done, with a warning where it makes shards share CPUs, since then they
 * must not spin.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "lib/mem/mem.h"
#include "smp/topology.h"

MN_PARAM(uint, cpus, 0, 1, SHARDS_MAX, "shards, one for each CPU");
MN_PARAM(str, cpuset, NULL, 1, 4096, "CPUs to run on, such as 0,2-3");
MN_PARAM(str, placement, "spread", 1, 16,
	 "which CPUs first: spread (over packages, caches, cores), pack, core (one a core)");
MN_PARAM(str, sysfs_root, "/sys", 1, 4096, "where sysfs is mounted");
MN_PARAM(str, cgroup_root, "/sys/fs/cgroup", 1, 4096, "where the control groups are mounted");

static const char *number_parse(const char *text, unsigned int *value)
{
	unsigned int sum = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		sum = sum * 10 + (unsigned int)(*text - '0');
		if (sum >= CPUS_MAX)
			return NULL;
	}
	*value = sum;
	return text;
}

int cpu_list_parse_order(const char *text, struct cpu_mask *mask, uint16_t *order)
{
	unsigned int first, last;
	int n = 0;

	memset(mask, 0, sizeof(*mask));
	for (;;) {
		text = number_parse(text, &first);
		if (!text)
			return -EINVAL;
		last = first;
		if (*text == '-')
			text = number_parse(text + 1, &last);
		if (!text || last < first)
			return -EINVAL;
		for (unsigned int cpu = first; cpu <= last; cpu++) {
			if (cpu_isset(mask, cpu))
				continue;
			cpu_set(mask, cpu);
			if (order)
				order[n] = (uint16_t)cpu;
			n++;
		}
		if (!*text)
			return n;
		if (*text++ != ',')
			return -EINVAL;
	}
}

int cpu_list_parse(const char *text, struct cpu_mask *mask)
{
	return cpu_list_parse_order(text, mask, NULL) < 0 ? -EINVAL : 0;
}

/*
 * The kernel keeps the affinity within the cpuset, so they only disagree
 * where the files are of another machine; the affinity is then right.
 */
static void usable_cpus(const struct topology_input *in, struct cpu_mask *usable)
{
	for (size_t i = 0; i < ARRAY_SIZE(usable->word); i++)
		usable->word[i] = in->affinity.word[i] & in->cpuset.word[i];
	if (!cpu_count(usable))
		*usable = in->affinity;
}

/* The CPUs that the user listed, or a refusal that names the first bad one. */
static int wanted_cpus(const struct topology_input *in, const struct cpu_mask *usable,
		       uint16_t *order)
{
	struct cpu_mask wanted;
	int n = cpu_list_parse_order(in->cpuset_wanted, &wanted, order);

	if (n < 0) {
		mn_err("%s: not a list of CPUs such as 0,2-3", in->cpuset_origin);
		return -EINVAL;
	}
	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++)
		if (cpu_isset(&wanted, cpu) && !cpu_isset(usable, cpu)) {
			mn_err("%s: this process may not run on CPU %u", in->cpuset_origin, cpu);
			return -EINVAL;
		}
	return n;
}

static void quota_format(uint64_t quota, char *text, size_t size)
{
	if (quota == QUOTA_NONE)
		snprintf(text, size, "none");
	else
		snprintf(text, size, "%.4g", (double)quota / 1000);
}

static unsigned int shards_count(const struct topology_input *in, unsigned int nr_cpus)
{
	uint64_t n = nr_cpus;

	if (in->cpus_wanted)
		n = in->cpus_wanted;
	else if (!in->cpuset_wanted && in->quota != QUOTA_NONE)
		n = min(n, (in->quota + 999) / 1000);
	return (unsigned int)max(min(n, (uint64_t)SHARDS_MAX), (uint64_t)1);
}

static bool on_many_nodes(const struct machine *machine, const struct cpu_mask *cpus)
{
	int node = -1;

	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!cpu_isset(cpus, cpu))
			continue;
		if (node >= 0 && machine->group[cpu][LEVEL_NODE] != node)
			return true;
		node = machine->group[cpu][LEVEL_NODE];
	}
	return false;
}

/* The CPUs for shards, in order: their number, or an error after a message. */
static int cpus_choose(const struct topology_input *in, const char *root, struct topology *topology,
		       uint16_t *order)
{
	struct machine *machine = mem_alloc(sizeof(*machine));
	int n = -ENOMEM;

	if (machine) {
		machine_read(root, &topology->usable, machine);
		topology->numa = on_many_nodes(machine, &topology->usable);
		if (in->cpuset_wanted)
			n = wanted_cpus(in, &topology->usable, order);
		else
			n = placement_order(machine, in->placement, &topology->usable, order);
	}
	if (n == -ENOMEM)
		mn_err("no memory to look at the CPUs");
	mem_free(machine);
	return n;
}

static void reason_format(const struct topology_input *in, unsigned int nr_cpus,
			  struct topology *topology)
{
	char quota[32];

	quota_format(in->quota, quota, sizeof(quota));
	snprintf(topology->reason, sizeof(topology->reason),
		 "%u of %u CPUs (affinity %u, quota %s%s%s%s)", min(topology->nr_shards, nr_cpus),
		 cpu_count(&topology->usable), cpu_count(&in->affinity), quota,
		 topology->placement == PLACEMENT_CORE ? ", one a core" : "",
		 in->cpuset_wanted ? ", --cpuset" : "", in->cpus_wanted ? ", --cpus" : "");
	if (topology->shared && (in->cpus_wanted || in->cpuset_wanted))
		mn_warn("%u shards share %u CPUs (quota %s): expect long and uneven latencies",
			topology->nr_shards, nr_cpus, quota);
}

int topology_plan_input(const struct topology_input *in, const char *root,
			struct topology *topology)
{
	uint16_t order[CPUS_MAX];
	int nr_cpus;

	usable_cpus(in, &topology->usable);
	if (!cpu_count(&topology->usable)) {
		mn_err("the affinity of this process has no CPU in it");
		return -ENODEV;
	}
	nr_cpus = cpus_choose(in, root, topology, order);
	if (nr_cpus < 0)
		return nr_cpus;
	topology->placement = in->cpuset_wanted ? PLACEMENT_LIST : in->placement;
	topology->nr_shards = shards_count(in, (unsigned int)nr_cpus);
	topology->shared = topology->nr_shards > (unsigned int)nr_cpus ||
			   (uint64_t)topology->nr_shards * 1000 > in->quota;
	for (unsigned int i = 0; i < topology->nr_shards; i++)
		topology->cpus[i] = order[i % (unsigned int)nr_cpus];
	reason_format(in, (unsigned int)nr_cpus, topology);
	return 0;
}

int topology_plan(struct topology *topology)
{
	struct topology_input in = {
		.cpus_wanted = param_cpus,
		.cpuset_wanted = param_cpuset,
		.cpuset_origin = param_origin_cpuset,
	};
	int err = placement_parse(param_placement, param_origin_placement, &in.placement);

	if (err)
		return err;
	if (topology_affinity(&in.affinity)) {
		mn_err("cannot read the CPU affinity: %s", strerror(errno));
		return -ENODEV;
	}
	cgroup_limits(param_cgroup_root, "/proc/self/cgroup", &in.cpuset, &in.quota);
	return topology_plan_input(&in, param_sysfs_root, topology);
}

void topology_report(const struct topology *topology)
{
	struct machine *machine = mem_alloc(sizeof(*machine));

	if (!machine)
		return;
	machine_read(param_sysfs_root, &topology->usable, machine);
	machine_print(machine, topology);
	mem_free(machine);
}

int topology_pin(int cpu)
{
	struct cpu_mask mask = { 0 };

	if (cpu < 0 || cpu >= CPUS_MAX) {
		errno = EINVAL;
		return -EINVAL;
	}
	cpu_set(&mask, (unsigned int)cpu);
	return sched_setaffinity(0, sizeof(mask), (const cpu_set_t *)&mask) ? -errno : 0;
}

int topology_affinity(struct cpu_mask *cpus)
{
	return sched_getaffinity(0, sizeof(*cpus), (cpu_set_t *)cpus) ? -errno : 0;
}

int topology_confine(const struct cpu_mask *cpus)
{
	return sched_setaffinity(0, sizeof(*cpus), (const cpu_set_t *)cpus) ? -errno : 0;
}

/* Where this fails, memory is farther away, and nothing else is wrong. */
void topology_visit(const struct mn_world *world, int cpu)
{
	if (world->numa && cpu >= 0)
		topology_pin(cpu);
}

void topology_whereabouts(struct cpu_mask *mask)
{
	if (topology_affinity(mask))
		memset(mask, 0, sizeof(*mask));
}

void topology_return(const struct cpu_mask *mask)
{
	if (cpu_count(mask) && topology_confine(mask))
		mn_warn("cannot restore the CPU affinity: %s", strerror(errno));
}
