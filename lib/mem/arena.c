// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <miniss/log.h>

#include "lib/mem/arena.h"
#include "lib/mem/mem.h"

static size_t round_up(size_t size)
{
	return (size + ARENA_HUGE - 1) & ~(ARENA_HUGE - 1);
}

/* Reserved for all of it, or not at all: or else touching it could kill the process. */
static int open_hugetlb(struct arena *arena, size_t size)
{
	size = round_up(size);
	arena->map = mem_map_hugetlb(size);
	if (!arena->map)
		return -ENOMEM;
	arena->map_size = size;
	arena->base = arena->map;
	arena->pages = "hugetlb";
	return 0;
}

/* Aligned, since only a whole huge page can be one. */
static int open_plain(struct arena *arena, size_t size, bool huge)
{
	arena->map_size = size + (huge ? ARENA_HUGE : 0);
	arena->map = mem_map(arena->map_size);
	if (!arena->map)
		return -ENOMEM;
	arena->base = arena->map;
	arena->pages = "plain";
	if (!huge)
		return 0;
	arena->base = (uint8_t *)round_up((uintptr_t)arena->map);
	if (mem_huge(arena->base, size))
		return -EOPNOTSUPP;
	arena->pages = "thp";
	return 0;
}

int arena_open(struct arena *arena, size_t size, const char *pages)
{
	bool any = !strcmp(pages, "auto");
	int err;

	arena->size = size;
	if (!strcmp(pages, "off"))
		return open_plain(arena, size, false);
	if (any || !strcmp(pages, "hugetlb")) {
		err = open_hugetlb(arena, size);
		if (err && !any)
			mn_err("--mem.hugepages=hugetlb: fewer than %zu are free (vm.nr_hugepages)",
			       round_up(size) / ARENA_HUGE);
		if (!err || !any)
			return err;
	}
	if (any || !strcmp(pages, "thp")) {
		err = open_plain(arena, size, true);
		if (err == -EOPNOTSUPP && any)
			return 0;
		if (err == -EOPNOTSUPP)
			mn_err("--mem.hugepages=thp: the system has none");
		return err;
	}
	mn_err("--mem.hugepages=%s: must be auto, hugetlb, thp or off", pages);
	return -EINVAL;
}

void arena_close(struct arena *arena)
{
	if (arena->map)
		mem_unmap(arena->map, arena->map_size);
	arena->map = NULL;
	arena->base = NULL;
}
