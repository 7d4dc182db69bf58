/* SPDX-License-Identifier: MIT */
/*
 * How many shards, and on which CPUs: as many as the process may use, which
 * its affinity, its cpuset and the CPU quota of its control groups say.
 */
#ifndef SMP_TOPOLOGY_H
#define SMP_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/shard.h"

#define CPUS_MAX 8192 /* as many as Linux can be built for */

struct cpu_mask {
	unsigned long word[CPUS_MAX / (8 * sizeof(unsigned long))];
};

struct topology {
	unsigned int nr_shards;
	int cpus[SHARDS_MAX]; /* where each shard is pinned */
	bool shared; /* more shards than CPUs, or less than whole CPUs */
	char reason[128]; /* "2 of 2 CPUs (affinity 2, quota none)" */
};

/** topology_plan - by --cpus, --cpuset and --cgroup-root: 0, or -EINVAL after a message */
int topology_plan(struct topology *topology);

/** topology_pin - bind the calling thread to a CPU: 0 or -errno, and errno is set */
int topology_pin(int cpu);

/* topology_affinity - the CPUs that the calling thread may use; 0 or -errno */
int topology_affinity(struct cpu_mask *cpus);

/* topology_confine - bind the calling thread to some CPUs; 0 or -errno */
int topology_confine(const struct cpu_mask *cpus);

/* The pieces, for tests: what the world looks like, and what the user wants. */

#define QUOTA_NONE UINT64_MAX

struct topology_input {
	struct cpu_mask affinity;
	struct cpu_mask cpuset; /* of the control group; empty: unknown */
	uint64_t quota; /* thousandths of a CPU, or QUOTA_NONE */
	unsigned int cpus_wanted; /* 0: as many as there are */
	const char *cpuset_wanted; /* "0,2-3", or NULL */
	const char *cpuset_origin; /* how the user spelled it, for messages */
};

int topology_plan_input(const struct topology_input *in, struct topology *topology);

/*
 * cgroup_limits - what the control groups of this process allow
 * @root: where their file systems are mounted, "/sys/fs/cgroup"
 * @self: says which groups, "/proc/self/cgroup"
 * What cannot be read limits nothing.
 */
void cgroup_limits(const char *root, const char *self, struct cpu_mask *cpuset, uint64_t *quota);

/* cpu_list_parse - "0,2-3" to a mask: 0, or -EINVAL */
int cpu_list_parse(const char *text, struct cpu_mask *mask);

#define CPU_WORD_BITS (8 * sizeof(unsigned long))

static inline bool cpu_isset(const struct cpu_mask *mask, unsigned int cpu)
{
	return mask->word[cpu / CPU_WORD_BITS] >> (cpu % CPU_WORD_BITS) & 1;
}

static inline void cpu_set(struct cpu_mask *mask, unsigned int cpu)
{
	mask->word[cpu / CPU_WORD_BITS] |= 1UL << (cpu % CPU_WORD_BITS);
}

static inline unsigned int cpu_count(const struct cpu_mask *mask)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mask->word); i++)
		n += (unsigned int)__builtin_popcountl(mask->word[i]);
	return n;
}

#endif
