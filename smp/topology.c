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

#include "smp/topology.h"

MN_PARAM(uint, cpus, 0, 1, SHARDS_MAX, "shards, one for each CPU");
MN_PARAM(str, cpuset, NULL, 1, 4096, "CPUs to run on, such as 0,2-3");
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

int cpu_list_parse(const char *text, struct cpu_mask *mask)
{
	unsigned int first, last;

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
		for (unsigned int cpu = first; cpu <= last; cpu++)
			cpu_set(mask, cpu);
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
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

/* The CPUs that the user asked for, or a refusal that names the first bad one. */
static int wanted_cpus(const struct topology_input *in, struct cpu_mask *usable)
{
	struct cpu_mask wanted;

	if (!in->cpuset_wanted)
		return 0;
	if (cpu_list_parse(in->cpuset_wanted, &wanted)) {
		mn_err("%s: not a list of CPUs such as 0,2-3", in->cpuset_origin);
		return -EINVAL;
	}
	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++)
		if (cpu_isset(&wanted, cpu) && !cpu_isset(usable, cpu)) {
			mn_err("%s: this process may not run on CPU %u", in->cpuset_origin, cpu);
			return -EINVAL;
		}
	*usable = wanted;
	return 0;
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

static void cpus_assign(struct topology *topology, const struct cpu_mask *usable)
{
	unsigned int cpu = CPUS_MAX - 1;

	for (unsigned int i = 0; i < topology->nr_shards; i++) {
		do {
			cpu = (cpu + 1) % CPUS_MAX;
		} while (!cpu_isset(usable, cpu));
		topology->cpus[i] = (int)cpu;
	}
}

int topology_plan_input(const struct topology_input *in, struct topology *topology)
{
	unsigned int nr_usable, nr_cpus;
	struct cpu_mask cpus;
	char quota[32];
	int err;

	usable_cpus(in, &cpus);
	nr_usable = cpu_count(&cpus);
	err = wanted_cpus(in, &cpus);
	if (err)
		return err;
	nr_cpus = cpu_count(&cpus);
	if (!nr_cpus) {
		mn_err("the affinity of this process has no CPU in it");
		return -ENODEV;
	}
	topology->nr_shards = shards_count(in, nr_cpus);
	topology->shared = topology->nr_shards > nr_cpus ||
			   (uint64_t)topology->nr_shards * 1000 > in->quota;
	cpus_assign(topology, &cpus);
	quota_format(in->quota, quota, sizeof(quota));
	snprintf(topology->reason, sizeof(topology->reason),
		 "%u of %u CPUs (affinity %u, quota %s%s%s)", min(topology->nr_shards, nr_cpus),
		 nr_usable, cpu_count(&in->affinity), quota, in->cpuset_wanted ? ", --cpuset" : "",
		 in->cpus_wanted ? ", --cpus" : "");
	if (topology->shared && (in->cpus_wanted || in->cpuset_wanted))
		mn_warn("%u shards share %u CPUs (quota %s): expect long and uneven latencies",
			topology->nr_shards, nr_cpus, quota);
	return 0;
}

int topology_plan(struct topology *topology)
{
	struct topology_input in = {
		.cpus_wanted = param_cpus,
		.cpuset_wanted = param_cpuset,
		.cpuset_origin = param_origin_cpuset,
	};

	if (topology_affinity(&in.affinity)) {
		mn_err("cannot read the CPU affinity: %s", strerror(errno));
		return -ENODEV;
	}
	cgroup_limits(param_cgroup_root, "/proc/self/cgroup", &in.cpuset, &in.quota);
	return topology_plan_input(&in, topology);
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
