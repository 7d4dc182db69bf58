/* SPDX-License-Identifier: MIT */
/*
 * A large piece of address space, of huge pages if there are some: a buffer's
 * address is then found in the processor's own table, and the kernel pins and
 * maps fewer pages. Memory is taken where it is touched, in steps of 2 MiB then.
 */
#ifndef LIB_MEM_ARENA_H
#define LIB_MEM_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_HUGE	((size_t)2 << 20)

struct arena {
	uint8_t *base;
	size_t size;
	const char *pages;	/* which it is of, for people */
	void *map;		/* what was mapped */
	size_t map_size;
};

/*
 * arena_open - @size bytes, aligned to a page at least
 * @pages: auto, hugetlb, thp, off
 * Return: 0; -ENOMEM, for "hugetlb" also where too few are reserved; -EINVAL for
 * another word; -EOPNOTSUPP: "thp", and the system has none. The last three
 * with a line logged.
 */
int arena_open(struct arena *arena, size_t size, const char *pages);
void arena_close(struct arena *arena);

#endif
