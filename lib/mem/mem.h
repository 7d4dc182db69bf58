/* SPDX-License-Identifier: MIT */
/*
 * Where memory comes from. Nothing else in the library calls malloc or mmap.
 * What a shard takes is its own (lib/mem/heap.h), or the C library's if the
 * configuration says so; anybody may free it.
 */
#ifndef LIB_MEM_MEM_H
#define LIB_MEM_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/mem/fail.h"

/* mem_alloc - zeroed memory, cache-line aligned; NULL when there is none */
void *mem_alloc(size_t size);

#define MEM_ALIGN	((size_t)16)	/* enough for anything that C has */

/* mem_must_alloc - the same for what debug builds remember: without memory it ends the program */
void *mem_must_alloc(size_t size);

/* mem_get - memory as it is, at a multiple of @align: a power of two, 4096 at most */
void *mem_get(size_t size, size_t align);

static inline void *mem_take(size_t size, size_t align)
{
	return mem_fails() ? NULL : mem_get(size, align);
}

/* mem_free - any thread; of NULL, nothing */
void mem_free(void *ptr);

/* mem_usable - how many bytes may be used there: as many as were asked for, or more */
size_t mem_usable(const void *ptr);

/**
 * mem_map - zeroed pages, not touched yet: the first shard to write a page
 * gets it on its node. NULL when there is no address space.
 */
#define mem_map(size)	mem_map_from(size, HERE)
void *mem_map_from(size_t size, const char *where);

/* mem_map_aligned - the same, at a multiple of @align, a power of two and a multiple of the page */
#define mem_map_aligned(size, align)	mem_map_aligned_from(size, align, HERE)
void *mem_map_aligned_from(size_t size, size_t align, const char *where);

/* mem_map_hugetlb - the same of reserved huge pages; NULL when there are not as many */
void *mem_map_hugetlb(size_t size);

/* mem_huge - let what is mapped be of huge pages, where it is touched; 0 or -errno */
int mem_huge(void *ptr, size_t size);

/* mem_untouch - the pages go back, the address space stays, and is all zeroes again */
void mem_untouch(void *ptr, size_t size);

void mem_unmap(void *ptr, size_t size);

/* mem_mapped - can the page at @ptr, where one begins, be read? */
bool mem_mapped(void *ptr);

/**
 * mem_grow - make a mapping larger, moving it if need be
 *
 * For what must not fail: ends the program with a message when there is no
 * memory.
 */
#define mem_grow(ptr, size, new_size)	mem_grow_from(ptr, size, new_size, HERE)
void *mem_grow_from(void *ptr, size_t size, size_t new_size, const char *where);

#endif
