// SPDX-License-Identifier: MIT
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem/mem.h"

void *mem_take(size_t size, size_t align)
{
	size_t rounded = (size + align - 1) & ~(align - 1);

	if (align <= MEM_ALIGN)
		return malloc(size);
	return rounded < size ? NULL : aligned_alloc(align, rounded);
}

void *mem_alloc(size_t size)
{
	void *ptr = mem_take(size, CONFIG_CACHELINE_BYTES);

	return ptr ? memset(ptr, 0, size) : NULL;
}

void mem_free(void *ptr)
{
	free(ptr);
}

size_t mem_usable(const void *ptr)
{
	return malloc_usable_size((void *)(uintptr_t)ptr);
}
