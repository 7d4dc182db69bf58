// SPDX-License-Identifier: MIT
/*
 * The program's malloc() and mmap() come before the C library's, for all that
 * is linked to it, and hand on to those. A sanitizer has its own in the same
 * place, so it is one or the other.
 */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/alloc-count.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);

static atomic_bool counting;
static atomic_ulong nr_allocs;

void alloc_count_begin(void)
{
	atomic_store(&nr_allocs, 0);
	atomic_store(&counting, true);
}

unsigned long alloc_count_end(void)
{
	atomic_store(&counting, false);
	return atomic_load(&nr_allocs);
}

static void count(void)
{
	if (atomic_load_explicit(&counting, memory_order_relaxed))
		atomic_fetch_add(&nr_allocs, 1);
}

void *malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size)
{
	count();
	return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	count();
	return __libc_memalign(align, size);
}

void *memalign(size_t align, size_t size)
{
	count();
	return __libc_memalign(align, size);
}

int posix_memalign(void **ptr, size_t align, size_t size)
{
	void *got;

	count();
	got = __libc_memalign(align, size);
	if (!got)
		return ENOMEM;
	*ptr = got;
	return 0;
}

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	count();
	return (void *)syscall(SYS_mmap, addr, size, prot, flags, fd, offset);
}
