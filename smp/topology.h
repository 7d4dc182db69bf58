/* SPDX-License-Identifier: MIT */
/*
 * How many shards, and on which CPUs: as many as the process may use, which
 * its affinity, its cpuset and the CPU quota of its control groups say; in
 * the order that --placement makes of the machine's packages, nodes, caches
 * and cores.
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

/* Which CPUs are used first; smp/topology-place.c. */
enum placement {
	PLACEMENT_SPREAD, /* far from each other: packages, nodes, caches, cores, then siblings */
	PLACEMENT_PACK, /* near each other: one core, one cache, one package after another */
	PLACEMENT_CORE, /* spread, and one CPU of each core only */
	PLACEMENT_LIST, /* as the user listed them */
};

struct topology {
	unsigned int nr_shards;
	int cpus[SHARDS_MAX]; /* where each shard is pinned */
	bool shared; /* more shards than CPUs, or less than whole CPUs */
	bool numa; /* the usable CPUs are on more than one node */
	enum placement placement;
	struct cpu_mask usable; /* by affinity and cpuset */
	char reason[128]; /* "2 of 2 CPUs (affinity 2, quota none)" */
};

/** topology_plan - by the options: 0, or -EINVAL after a message, or another error after one */
int topology_plan(struct topology *topology);

/** topology_report - print the machine, and which CPU each shard gets: --doctor */
void topology_report(const struct topology *topology);

/** topology_pin - bind the calling thread to a CPU: 0 or -errno, and errno is set */
int topology_pin(int cpu);

/* topology_affinity - the CPUs that the calling thread may use; 0 or -errno */
int topology_affinity(struct cpu_mask *cpus);

/* topology_confine - bind the calling thread to some CPUs; 0 or -errno */
int topology_confine(const struct cpu_mask *cpus);

/*
 * Memory is on the node of the CPU that touches it first. Whoever opens the
 * shards of a world goes to each one's CPU, and comes back at the end.
 *
 * topology_visit - go to a CPU, or with one node stay: it does not matter
 * topology_whereabouts - where the calling thread may run now
 * topology_return - let it run there again
 */
void topology_visit(const struct mn_world *world, int cpu);
void topology_whereabouts(struct cpu_mask *mask);
void topology_return(const struct cpu_mask *mask);

/* The pieces, for tests: what the world looks like, and what the user wants. */

/* What CPUs are grouped by, from the outermost on. */
enum cpu_level { LEVEL_PACKAGE, LEVEL_NODE, LEVEL_LLC, LEVEL_CORE, LEVELS };

/*
 * The groups that each CPU is in: a node's is its number, the others' that of
 * the lowest CPU in the group. LLC is the last-level cache.
 */
struct machine {
	bool known; /* /sys told something */
	int16_t group[CPUS_MAX][LEVELS];
};

/*
 * machine_read - what sysfs says of these CPUs
 * @root: where it is mounted, "/sys"
 * Containers may hide it, all or in part. CPUs of which nothing is known are
 * cores of their own in one package.
 */
void machine_read(const char *root, const struct cpu_mask *cpus, struct machine *machine);

/* A CPU and its rank at each level: the how-manieth of its siblings, LEVELS, in its core ... */
struct cpu_seat {
	uint16_t cpu;
	uint16_t rank[LEVELS + 1];
	int16_t group[LEVELS];
};

/*
 * machine_seats - the CPUs of a mask, neighbours together
 * @seats: room for as many as the mask has
 */
void machine_seats(const struct machine *machine, const struct cpu_mask *cpus,
		   struct cpu_seat *seats);

/*
 * placement_order - the CPUs of a mask in the order in which shards get them
 * @order: room for as many as the mask has
 * Return: how many there are: PLACEMENT_CORE leaves siblings out; or -ENOMEM.
 */
int placement_order(const struct machine *machine, enum placement placement,
		    const struct cpu_mask *cpus, uint16_t *order);

#define QUOTA_NONE UINT64_MAX

struct topology_input {
	struct cpu_mask affinity;
	struct cpu_mask cpuset; /* of the control group; empty: unknown */
	uint64_t quota; /* thousandths of a CPU, or QUOTA_NONE */
	unsigned int cpus_wanted; /* 0: as many as there are */
	const char *cpuset_wanted; /* "0,2-3", or NULL */
	const char *cpuset_origin; /* how the user spelled it, for messages */
	enum placement placement;
};

/* topology_plan_input - @root: of sysfs */
int topology_plan_input(const struct topology_input *in, const char *root,
			struct topology *topology);

/* machine_print - of topology_report(), once the machine is read */
void machine_print(const struct machine *machine, const struct topology *topology);

/* placement_parse - a placement by name: 0, or -EINVAL after a message that names @origin */
int placement_parse(const char *text, const char *origin, enum placement *placement);

/*
 * cgroup_limits - what the control groups of this process allow
 * @root: where their file systems are mounted, "/sys/fs/cgroup"
 * @self: says which groups, "/proc/self/cgroup"
 * What cannot be read limits nothing.
 */
void cgroup_limits(const char *root, const char *self, struct cpu_mask *cpuset, uint64_t *quota);

/* cpu_list_parse - "0,2-3" to a mask: 0, or -EINVAL */
int cpu_list_parse(const char *text, struct cpu_mask *mask);

/*
 * cpu_list_parse_order - the same, and each CPU where it is first named
 * @order: room for CPUS_MAX, or NULL
 * Return: how many CPUs, or -EINVAL.
 */
int cpu_list_parse_order(const char *text, struct cpu_mask *mask, uint16_t *order);

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
