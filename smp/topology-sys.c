// SPDX-License-Identifier: MIT
/*
 * What sysfs tells of CPUs: which share a core, a cache, a node, a package.
 *
 * Every list is read once for all CPUs that it names, so a start costs a few
 * files per core and not per CPU and kind. Which CPUs are online is not read:
 * the affinity has none that are not, and containers that put a file of their
 * own there (lxcfs) put the right number of the wrong CPUs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smp/topology.h"

#define PATH_SIZE	(4096 + 128)
#define CACHES_MAX	16	/* of a CPU, all levels and kinds */

/* The first line of a file, to be freed; NULL if there is none. */
static char *line_read(const char *root, const char *format, va_list args)
{
	char path[PATH_SIZE], *line = NULL;
	int len = snprintf(path, sizeof(path), "%s/devices/system/", root);
	size_t size = 0;
	FILE *file;

	vsnprintf(path + len, sizeof(path) - (size_t)len, format, args);
	file = fopen(path, "re");
	if (!file)
		return NULL;
	if (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
	} else {
		free(line);
		line = NULL;
	}
	fclose(file);
	return line;
}

static __printf(2, 3) char *text_read(const char *root, const char *format, ...)
{
	va_list args;
	char *line;

	va_start(args, format);
	line = line_read(root, format, args);
	va_end(args);
	return line;
}

static __printf(3, 4) bool list_read(struct cpu_mask *mask, const char *root, const char *format,
				     ...)
{
	va_list args;
	char *line;
	bool found;

	va_start(args, format);
	line = line_read(root, format, args);
	va_end(args);
	found = line && !cpu_list_parse(line, mask);
	free(line);
	return found;
}

/* @group: its number, or -1 for that of its lowest CPU */
static void group_mark(struct machine *machine, enum cpu_level level, const struct cpu_mask *mask,
		       int group)
{
	for (unsigned int w = 0; w < ARRAY_SIZE(mask->word); w++)
		for (unsigned long bits = mask->word[w]; bits; bits &= bits - 1) {
			unsigned int cpu = (unsigned int)(w * CPU_WORD_BITS) +
					   (unsigned int)__builtin_ctzl(bits);

			if (group < 0)
				group = (int)cpu;
			machine->group[cpu][level] = (int16_t)group;
		}
	machine->known = true;
}

/* From a CPU's own list; @older: what kernels before 5.2 call it. */
static void siblings_read(const char *root, unsigned int cpu, struct machine *machine,
			  enum cpu_level level, const char *name, const char *older)
{
	struct cpu_mask mask;

	if (machine->group[cpu][level] < 0 &&
	    (list_read(&mask, root, "cpu/cpu%u/topology/%s", cpu, name) ||
	     list_read(&mask, root, "cpu/cpu%u/topology/%s", cpu, older)))
		group_mark(machine, level, &mask, -1);
}

/* Of a cache that has data; 0 for others, -1 after the last one. */
static int cache_level(const char *root, unsigned int cpu, unsigned int index)
{
	char *level = text_read(root, "cpu/cpu%u/cache/index%u/level", cpu, index);
	char *type = text_read(root, "cpu/cpu%u/cache/index%u/type", cpu, index);
	int n = !level ? -1 : type && !strcmp(type, "Instruction") ? 0 : atoi(level);

	free(type);
	free(level);
	return n;
}

static void llc_read(const char *root, unsigned int cpu, struct machine *machine)
{
	unsigned int last = 0;
	int level, level_max = 0;
	struct cpu_mask mask;

	if (machine->group[cpu][LEVEL_LLC] >= 0)
		return;
	for (unsigned int i = 0; i < CACHES_MAX; i++) {
		level = cache_level(root, cpu, i);
		if (level < 0)
			break;
		if (level > level_max) {
			level_max = level;
			last = i;
		}
	}
	if (level_max &&
	    list_read(&mask, root, "cpu/cpu%u/cache/index%u/shared_cpu_list", cpu, last))
		group_mark(machine, LEVEL_LLC, &mask, -1);
}

static void nodes_read(const char *root, struct machine *machine)
{
	struct cpu_mask nodes, mask;

	/* The numbers of nodes are a list of the same form. */
	if (!list_read(&nodes, root, "node/online"))
		return;
	for (unsigned int node = 0; node < CPUS_MAX; node++)
		if (cpu_isset(&nodes, node) && list_read(&mask, root, "node/node%u/cpulist", node))
			group_mark(machine, LEVEL_NODE, &mask, (int)node);
}

/* What is not known: a core of its own, and the cache and the node of its package. */
static void unknown_fill(struct machine *machine, unsigned int cpu)
{
	int16_t *group = machine->group[cpu];

	if (group[LEVEL_PACKAGE] < 0)
		group[LEVEL_PACKAGE] = 0;
	if (group[LEVEL_NODE] < 0)
		group[LEVEL_NODE] = 0;
	if (group[LEVEL_LLC] < 0)
		group[LEVEL_LLC] = group[LEVEL_PACKAGE];
	if (group[LEVEL_CORE] < 0)
		group[LEVEL_CORE] = (int16_t)cpu;
}

void machine_read(const char *root, const struct cpu_mask *cpus, struct machine *machine)
{
	machine->known = false;
	memset(machine->group, -1, sizeof(machine->group));
	nodes_read(root, machine);
	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!cpu_isset(cpus, cpu))
			continue;
		siblings_read(root, cpu, machine, LEVEL_PACKAGE, "package_cpus_list",
			      "core_siblings_list");
		siblings_read(root, cpu, machine, LEVEL_CORE, "core_cpus_list",
			      "thread_siblings_list");
		llc_read(root, cpu, machine);
		unknown_fill(machine, cpu);
	}
}
