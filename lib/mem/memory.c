// SPDX-License-Identifier: MIT
#include <string.h>

#include <miniss/memory.h>

#include "core/compiler.h"
#include "lib/mem/mem.h"

#define ALIGN_MAX	4096

void *mn_alloc(size_t size)
{
	return mem_take(size, MEM_ALIGN);
}

void *mn_calloc(size_t n, size_t size)
{
	size_t bytes;
	void *ptr;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	ptr = mem_take(bytes, MEM_ALIGN);
	return ptr ? memset(ptr, 0, bytes) : NULL;
}

void *mn_alloc_aligned(size_t align, size_t size)
{
	if (!align || align > ALIGN_MAX || (align & (align - 1)))
		return NULL;
	return mem_take(size, max(align, MEM_ALIGN));
}

void mn_free(void *ptr)
{
	mem_free(ptr);
}

size_t mn_usable_size(const void *ptr)
{
	return mem_usable(ptr);
}
