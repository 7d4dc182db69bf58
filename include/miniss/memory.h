/* SPDX-License-Identifier: MIT */
/*
 * Memory of a shard. Each shard has a heap of its own: to take and to free on
 * the same shard is a few instructions, without a lock or an atomic operation.
 *
 * What was taken belongs to whoever has the pointer, on any shard or thread.
 * Freed elsewhere, it goes home with the frees of that turn, and can be taken
 * again when it has got there. It lasts until mn_run() returns, at the latest.
 * What a thread takes that is no shard, main() for instance, is the process's,
 * and lasts until it is freed.
 *
 * Nothing here suspends. Free memory is kept for the next who wants it: an idle
 * shard gives it back to the system after a second. A configuration may have
 * the C library's malloc() behind all of this; or, with CONFIG_STATIC_POOLS, no
 * more than --mem.heap_mib for each shard, and nothing larger than 32 KiB.
 */
#ifndef MINISS_MEMORY_H
#define MINISS_MEMORY_H

#include <miniss/types.h>

/**
 * mn_alloc - memory of this shard, not initialised
 * @size: in bytes; 0 is as good as 1
 *
 * Return: the memory, for any type (16 bytes aligned), or NULL when there is
 * none. A quarter more than was asked for may be taken for it; over 32 KiB,
 * whole pages, from the system: some microseconds.
 */
MN_API void *mn_alloc(size_t size) __attribute__((malloc, alloc_size(1)));

/** mn_calloc - the same for @n elements of @size bytes, all zeroes */
MN_API void *mn_calloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));

/**
 * mn_alloc_aligned - the same at a multiple of @align
 * @align: a power of two, 4096 at most: what direct I/O wants. Others: NULL
 */
MN_API void *mn_alloc_aligned(size_t align, size_t size) __attribute__((malloc, alloc_size(2)));

/** mn_free - free what any of these returned, on any shard or thread; of NULL, nothing */
MN_API void mn_free(void *ptr);

/** mn_usable_size - how many bytes may be used at @ptr: what was asked for, or more */
MN_API size_t mn_usable_size(const void *ptr);

#endif
