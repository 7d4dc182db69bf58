// SPDX-License-Identifier: MIT
/*
 * Which CPUs are used, and in which order.
 *
 * Sorted from the outermost group to the innermost, CPUs that share much are
 * neighbours: that is to pack. Each then has a rank in its core, its core in
 * its cache, and so on. Sorted by ranks from the innermost to the outermost,
 * first comes the first CPU of the first core of each cache of each node of
 * each package, then the second cores, and siblings last: that is to spread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/log.h>

#include "lib/mem/mem.h"
#include "smp/topology.h"

int placement_parse(const char *text, const char *origin, enum placement *placement)
{
	static const char *const names[] = {
		[PLACEMENT_SPREAD] = "spread",
		[PLACEMENT_PACK] = "pack",
		[PLACEMENT_CORE] = "core",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i])) {
			*placement = (enum placement)i;
			return 0;
		}
	mn_err("%s: must be spread, pack or core", origin);
	return -EINVAL;
}

static int neighbours_first(const void *a, const void *b)
{
	const struct cpu_seat *x = a, *y = b;

	for (unsigned int level = 0; level < LEVELS; level++)
		if (x->group[level] != y->group[level])
			return x->group[level] - y->group[level];
	return x->cpu - y->cpu;
}

static int strangers_first(const void *a, const void *b)
{
	const struct cpu_seat *x = a, *y = b;

	for (unsigned int level = LEVELS + 1; level-- > 0;)
		if (x->rank[level] != y->rank[level])
			return x->rank[level] - y->rank[level];
	return x->cpu - y->cpu;
}

/* Next to @before in the group that both are in, and first in those that it opens. */
static void seat_rank(struct cpu_seat *seat, const struct cpu_seat *before)
{
	unsigned int level = 0;

	while (level < LEVELS && seat->group[level] == before->group[level])
		level++;
	memset(seat->rank, 0, sizeof(seat->rank));
	memcpy(seat->rank, before->rank, (level + 1) * sizeof(seat->rank[0]));
	seat->rank[level]++;
}

void machine_seats(const struct machine *machine, const struct cpu_mask *cpus,
		   struct cpu_seat *seats)
{
	unsigned int n = 0;

	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!cpu_isset(cpus, cpu))
			continue;
		seats[n].cpu = (uint16_t)cpu;
		memcpy(seats[n++].group, machine->group[cpu], sizeof(seats->group));
	}
	qsort(seats, n, sizeof(*seats), neighbours_first);
	memset(seats[0].rank, 0, sizeof(seats[0].rank));
	for (unsigned int i = 1; i < n; i++)
		seat_rank(&seats[i], &seats[i - 1]);
}

int placement_order(const struct machine *machine, enum placement placement,
		    const struct cpu_mask *cpus, uint16_t *order)
{
	unsigned int n = cpu_count(cpus);
	struct cpu_seat *seats = mem_alloc(n * sizeof(*seats));
	int used = 0;

	if (!seats)
		return -ENOMEM;
	machine_seats(machine, cpus, seats);
	if (placement != PLACEMENT_PACK)
		qsort(seats, n, sizeof(*seats), strangers_first);
	for (unsigned int i = 0; i < n; i++)
		if (placement != PLACEMENT_CORE || !seats[i].rank[LEVELS])
			order[used++] = seats[i].cpu;
	mem_free(seats);
	return used;
}
