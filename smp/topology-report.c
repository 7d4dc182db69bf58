// SPDX-License-Identifier: MIT
/*
 * The machine and the placement of shards, for --doctor: a line a subject,
 * and none for groups that there is one of.
 */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "lib/mem/mem.h"
#include "smp/topology.h"

struct line {
	char text[84]; /* what is left of 100 columns */
	size_t len;
	bool full;
};

static void line_add(struct line *line, char separator, unsigned int first, unsigned int last)
{
	char word[32];
	size_t len;

	if (line->full)
		return;
	if (first == last)
		snprintf(word, sizeof(word), "%c%u", separator, first);
	else
		snprintf(word, sizeof(word), "%c%u-%u", separator, first, last);
	len = strlen(word);
	line->full = line->len + len + sizeof(" ...") > sizeof(line->text);
	strcpy(line->text + line->len, line->full ? " ..." : word);
	line->len += len;
}

static void line_mask(struct line *line, const struct cpu_mask *mask)
{
	char separator = ' ';

	for (unsigned int first = 0, last; first < CPUS_MAX; first = last + 1) {
		last = first;
		if (!cpu_isset(mask, first))
			continue;
		while (last + 1 < CPUS_MAX && cpu_isset(mask, last + 1))
			last++;
		line_add(line, separator, first, last);
		separator = ',';
	}
}

/* Does a group of this level begin here? Then it is the first in all that are inside of it. */
static bool group_begins(const struct cpu_seat *seat, enum cpu_level level)
{
	for (unsigned int inner = level + 1u; inner <= LEVELS; inner++)
		if (seat->rank[inner])
			return false;
	return true;
}

static unsigned int groups_count(const struct cpu_seat *seats, unsigned int n, enum cpu_level level)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		count += group_begins(&seats[i], level);
	return count;
}

/* "0-3,8-11 4-7,12-15", where there are as many as to say something. */
static void groups_print(const struct cpu_seat *seats, unsigned int n, enum cpu_level level,
			 const char *title)
{
	unsigned int count = groups_count(seats, n, level);
	struct cpu_mask mask = { 0 };
	struct line line = { 0 };

	if (count == 1 || count == n)
		return;
	for (unsigned int i = 0; i < n; i++) {
		cpu_set(&mask, seats[i].cpu);
		if (i + 1 < n && !group_begins(&seats[i + 1], level))
			continue;
		line_mask(&line, &mask);
		memset(&mask, 0, sizeof(mask));
	}
	print_out("  %-12s%s\n", title, line.text);
}

static void count_print(unsigned int count, const char *what)
{
	print_out("%u %s%s, ", count, what, count == 1 ? "" : "s");
}

static void seats_print(const struct cpu_seat *seats, unsigned int n, bool known)
{
	unsigned int nr_cores = groups_count(seats, n, LEVEL_CORE);

	print_out("  %-12s ", "machine");
	if (!known) {
		print_out("unknown: sysfs does not tell (--sysfs_root)\n");
		return;
	}
	print_out("usable: ");
	count_print(groups_count(seats, n, LEVEL_PACKAGE), "package");
	count_print(groups_count(seats, n, LEVEL_NODE), "node");
	count_print(groups_count(seats, n, LEVEL_LLC), "last-level cache");
	count_print(nr_cores, "core");
	print_out("%s siblings\n", nr_cores == n ? "no" : "with");
	groups_print(seats, n, LEVEL_NODE, "nodes");
	groups_print(seats, n, LEVEL_LLC, "caches");
	groups_print(seats, n, LEVEL_CORE, "siblings");
}

static void placement_print(const struct topology *topology)
{
	static const struct {
		const char *name, *why;
	} text[] = {
		[PLACEMENT_SPREAD] = { "spread",
				       "over packages, nodes, caches, cores; siblings last" },
		[PLACEMENT_PACK] = { "pack", "siblings, then cores of a cache, of a package" },
		[PLACEMENT_CORE] = { "core", "spread, and one CPU of each core only" },
		[PLACEMENT_LIST] = { "list", "the order of --cpuset" },
	};
	const int *cpus = topology->cpus;
	struct line line = { 0 };
	char separator = ' ';

	for (unsigned int i = 0, last; i < topology->nr_shards; i = last + 1) {
		for (last = i; last + 1 < topology->nr_shards && cpus[last + 1] == cpus[last] + 1;)
			last++;
		line_add(&line, separator, (unsigned int)cpus[i], (unsigned int)cpus[last]);
		separator = ',';
	}
	print_out("  %-12s %-10s %s\n", "placement", text[topology->placement].name,
		  text[topology->placement].why);
	print_out("  %-12s%s\n", "shards' CPUs", line.text);
}

void machine_print(const struct machine *machine, const struct topology *topology)
{
	unsigned int n = cpu_count(&topology->usable);
	struct cpu_seat *seats = mem_alloc(n * sizeof(*seats));

	if (seats) {
		machine_seats(machine, &topology->usable, seats);
		seats_print(seats, n, machine->known);
	}
	mem_free(seats);
	placement_print(topology);
}
