// SPDX-License-Identifier: MIT
#include <malloc.h>
#include <stdlib.h>

#include "lib/mem/mem.h"

void *mem_get(size_t size, size_t align)
{
	size_t rounded = (size + align - 1) & ~(align - 1);

	if (align <= MEM_ALIGN)
		return malloc(size);
	return rounded < size ? NULL : aligned_alloc(align, rounded);
}

void mem_free(void *ptr)
{
	free(ptr);
}

size_t mem_usable(const void *ptr)
{
	return malloc_usable_size((void *)(uintptr_t)ptr);
}
