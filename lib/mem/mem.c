// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "core/compiler.h"
#include "core/shard.h"
#include "lib/mem/mem.h"

void *mem_alloc(size_t size)
{
	void *ptr = mem_take(size, CONFIG_CACHELINE_BYTES);

	return ptr ? memset(ptr, 0, size) : NULL;
}

void *mem_must_alloc(size_t size)
{
	void *ptr = mem_get(size, CONFIG_CACHELINE_BYTES);

	if (!ptr)
		bug("no memory for what debug builds remember", HERE);
	return memset(ptr, 0, size);
}

/* Whoever it is should have had a place before the program began. */
static void map_check(size_t size, const char *where)
{
	if (IS_ENABLED(CONFIG_STATIC_POOLS) && mn_self && mn_self->heap.sealed)
		bugf(where, "%zu bytes were to be mapped after the start", size);
}

static void *map_pages(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return ptr == MAP_FAILED ? NULL : ptr;
}

void *mem_map_from(size_t size, const char *where)
{
	map_check(size, where);
	return mem_fails() ? NULL : map_pages(size);
}

void *mem_map_aligned_from(size_t size, size_t align, const char *where)
{
	char *map, *start;

	map_check(size, where);
	map = map_pages(size);

	/* Such blocks come side by side: the second is where the first ended. */
	if (!map || !((uintptr_t)map & (align - 1)))
		return map;
	mem_unmap(map, size);
	map = size + align > size ? map_pages(size + align) : NULL;
	if (!map)
		return NULL;
	start = (char *)(((uintptr_t)map + align - 1) & ~(uintptr_t)(align - 1));
	if (start > map)
		mem_unmap(map, (size_t)(start - map));
	mem_unmap(start + size, (size_t)(map + align - start));
	return start;
}

void *mem_map_hugetlb(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	return ptr == MAP_FAILED ? NULL : ptr;
}

int mem_huge(void *ptr, size_t size)
{
	return madvise(ptr, size, MADV_HUGEPAGE) ? -errno : 0;
}

void mem_untouch(void *ptr, size_t size)
{
	madvise(ptr, size, MADV_DONTNEED);
}

void mem_unmap(void *ptr, size_t size)
{
	munmap(ptr, size);
}

void *mem_grow_from(void *ptr, size_t size, size_t new_size, const char *where)
{
	void *grown;

	map_check(new_size, where);
	grown = mremap(ptr, size, new_size, MREMAP_MAYMOVE);

	if (grown == MAP_FAILED)
		bug("out of memory", HERE);
	return grown;
}

bool mem_mapped(void *ptr)
{
	unsigned char resident;

	return !mincore(ptr, 1, &resident);
}
