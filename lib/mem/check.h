/* SPDX-License-Identifier: MIT */
/*
 * Debug builds: who misuses memory of a heap. Behind each object is a redzone, and
 * its size; what is free has a pattern in it, which is looked at when it is taken;
 * and it is not taken before many others were freed, so that who still uses it has
 * time to be noticed. In release builds all of this is nothing.
 */
#ifndef LIB_MEM_CHECK_H
#define LIB_MEM_CHECK_H

#include "lib/mem/heap.h"

#define CHECK_BYTES	(IS_ENABLED(CONFIG_DEBUG) ? (size_t)32 : 0)	/* behind each object */

static inline uintptr_t heap_magic(const struct heap_segment *segment)
{
	return (uintptr_t)segment ^ (uintptr_t)UINT64_C(0x6d696e6973736865);
}

/*
 * check_taken - @ptr is somebody's: abort if it was written to while it was free
 * check_given - it is being freed: abort if it is not in use, or was written beyond its end
 * check_size - how much was asked for
 */
void check_taken(void *ptr, size_t size);
void check_given(void *ptr);
size_t check_size(const void *ptr);

/* heap_release - have it taken again: at once, or when as many as HEAP_DETAINED were freed after it */
static inline void heap_release(struct heap *heap, struct heap_segment *segment, void *obj)
{
	if (IS_ENABLED(CONFIG_DEBUG) && !segment->large) {
		void **at = &heap->detained[heap->detained_at++ % HEAP_DETAINED], *oldest = *at;

		*at = obj;
		if (!oldest)
			return;
		obj = oldest;
		segment = heap_segment_of(obj);
	}
	heap_give(segment, obj);
}

static inline void heap_release_oldest(struct heap *heap)
{
	void **at = &heap->detained[heap->detained_at++ % HEAP_DETAINED], *oldest = *at;

	*at = NULL;
	if (oldest)
		heap_give(heap_segment_of(oldest), oldest);
}

#endif
