// SPDX-License-Identifier: MIT
/*
 * Each shard has a heap, and what is not a shard shares one, behind a lock.
 * An object goes back to the heap that it is of: what one shard frees of
 * another's goes home with its other frees; a thread that is no shard leaves
 * it at the heap, where its owner finds it.
 */
#include <pthread.h>
#include <string.h>

#include "core/shard.h"
#include "lib/mem/check.h"
#include "lib/mem/mem.h"
#include "smp/homing.h"

/* Of threads that are no shards, of the process: to begin with, shards are made there. */
static struct {
	pthread_mutex_t lock;
	struct heap heap;
} common = { .lock = PTHREAD_MUTEX_INITIALIZER };

static __cold void *common_take(size_t size)
{
	void *ptr;

	pthread_mutex_lock(&common.lock);
	ptr = heap_take(&common.heap, size);
	pthread_mutex_unlock(&common.lock);
	return ptr;
}

static __cold void common_give(struct heap_segment *segment, void *ptr)
{
	pthread_mutex_lock(&common.lock);
	heap_release(&common.heap, segment, ptr);
	pthread_mutex_unlock(&common.lock);
}

/* A heap that is not this thread's, or which has none. */
static __noinline void give_away(struct heap_segment *segment, void *ptr)
{
	struct shard *self = mn_self, *home;

	if (segment->heap == &common.heap) {
		common_give(segment, ptr);
		return;
	}
	home = container_of(segment->heap, struct shard, heap);
	if (self && self->homing && self->world == home->world)
		homing_memory(self, home->id, ptr);
	else
		heap_leave(segment->heap, ptr);
}

static inline void *take(size_t size)
{
	struct shard *self = mn_self;

	if (__builtin_expect(!self, 0))
		return common_take(size);
	stats_add(self, STAT_ALLOCS, 1);
	return heap_take(&self->heap, size);
}

/* Nothing at all has an address, too. What is too much stays it. */
static inline size_t rounded(size_t size, size_t align)
{
	size_t up = (size + !size + CHECK_BYTES + align - 1) & ~(align - 1);

	return up < size ? size : up;
}

static inline void *taken(void *ptr, size_t size)
{
	if (IS_ENABLED(CONFIG_DEBUG) && ptr)
		check_taken(ptr, size);
	return ptr;
}

void *mem_get(size_t size, size_t align)
{
	return taken(take(rounded(size, align)), size);
}

void mem_free(void *ptr)
{
	struct heap_segment *segment = heap_segment_of(ptr);
	struct shard *self = mn_self;

	if (!ptr)
		return;
	if (IS_ENABLED(CONFIG_DEBUG))
		check_given(ptr);
	if (__builtin_expect(self && segment->heap == &self->heap, 1))
		heap_release(&self->heap, segment, ptr);
	else
		give_away(segment, ptr);
}

size_t mem_usable(const void *ptr)
{
	return IS_ENABLED(CONFIG_DEBUG) ? check_size(ptr) : heap_usable(ptr);
}
