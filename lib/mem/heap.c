// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "lib/mem/check.h"
#include "lib/mem/heap.h"
#include "lib/mem/mem.h"

#define CARVE_BYTES	4096	/* objects that are linked at once: their pages are touched */
#define SORT_MAX	256	/* returned objects that are sorted in at a time */
#define SLOW_ALWAYS	UINT32_MAX
#define ALL_FREE	((1u << HEAP_BLOCKS) - 1)

BUILD_BUG_ON(sizeof(struct heap_segment) > HEAP_HEADER);

static void heap_init(struct heap *heap)
{
	for (unsigned int i = 0; i < HEAP_CLASSES; i++)
		list_init(&heap->class[i].partial);
	list_init(&heap->segments);
	list_init(&heap->large);
	heap->ready = true;
}

static struct heap_segment *segment_of(struct heap_block *block)
{
	return heap_segment_of(block);
}

static unsigned int index_of(struct heap_block *block)
{
	return (unsigned int)(block - segment_of(block)->block);
}

char *heap_block_base(struct heap_block *block)
{
	unsigned int i = index_of(block);

	return (char *)segment_of(block) + (i ? i * HEAP_BLOCK : HEAP_HEADER);
}

static uint32_t block_capacity(struct heap_block *block)
{
	return (uint32_t)((HEAP_BLOCK - (index_of(block) ? 0 : HEAP_HEADER)) / block->size);
}

/* ---- segments ---- */

static struct heap_segment *segment_map(struct heap *heap, size_t bytes)
{
	struct heap_segment *segment = mem_map_aligned(bytes, HEAP_SEGMENT);

	if (!segment)
		return NULL;
	segment->magic = heap_magic(segment);
	segment->heap = heap;
	segment->bytes = bytes;
	heap->bytes += bytes;
	heap->bytes_max = max(heap->bytes, heap->bytes_max);
	return segment;
}

static void segment_unmap(struct heap_segment *segment)
{
	struct heap *heap = segment->heap;

	list_del(&segment->entry);
	heap->bytes -= segment->bytes;
	mem_unmap(segment, segment->bytes);
}

/* What needs little has no huge page, which would take all its 2 MiB at once. */
static struct heap_segment *segment_new(struct heap *heap)
{
	struct heap_segment *segment = heap_reserved(heap) ? NULL : segment_map(heap, HEAP_SEGMENT);

	if (!segment)
		return NULL;
	if (heap->huge && heap->nr_segments)
		segment->huge = !mem_huge(segment, HEAP_SEGMENT);
	segment->free = ALL_FREE;
	list_add(&heap->segments, &segment->entry);
	heap->nr_segments++;
	heap->nr_empty++;
	return segment;
}

static void segment_drop(struct heap_segment *segment)
{
	if (heap_reserved(segment->heap))
		return;
	segment->heap->nr_segments--;
	segment->heap->nr_empty--;
	segment_unmap(segment);
}

static void segment_trim(struct heap_segment *segment)
{
	for (; segment->touched && !segment->huge; segment->touched &= segment->touched - 1) {
		struct heap_block *block = &segment->block[__builtin_ctz(segment->touched)];

		mem_untouch(heap_block_base(block),
			    HEAP_BLOCK - (index_of(block) ? 0 : HEAP_HEADER));
	}
}

/* Those with room are in front. */
static struct heap_block *block_new(struct heap *heap, unsigned int class)
{
	struct heap_segment *segment = list_first(&heap->segments, struct heap_segment, entry);
	struct heap_class *c = &heap->class[class];
	struct heap_block *block;

	if (list_empty(&heap->segments) || !segment->free)
		segment = segment_new(heap);
	if (!segment)
		return NULL;
	if (segment->free == ALL_FREE)
		heap->nr_empty--;
	block = &segment->block[__builtin_ctz(segment->free)];
	/* What was in there of another size is not to be taken for what was in there of this one. */
	if (IS_ENABLED(CONFIG_DEBUG))
		segment_trim(segment);
	segment->free &= segment->free - 1;
	segment->touched &= segment->free;
	if (!segment->free) {
		list_del(&segment->entry);
		list_add_tail(&heap->segments, &segment->entry);
	}
	*block = (struct heap_block){ .size = (uint32_t)heap_class_size(class) };
	block->nr_fresh = block_capacity(block);
	list_init(&block->entry);
	c->nr_blocks++;
	c->nr_blocks_max = max(c->nr_blocks, c->nr_blocks_max);
	return block;
}

static void block_drop(struct heap_block *block)
{
	struct heap_segment *segment = segment_of(block);
	struct heap *heap = segment->heap;

	heap->class[heap_class(block->size)].nr_blocks--;
	if (!segment->free) {
		list_del(&segment->entry);
		list_add(&heap->segments, &segment->entry);
	}
	segment->free |= 1u << index_of(block);
	segment->touched |= 1u << index_of(block);
	heap->stale = true;
	if (segment->free != ALL_FREE)
		return;
	if (heap->nr_empty++)
		segment_drop(segment);
}

/* ---- what is larger ---- */

static void *large_take(struct heap *heap, size_t size)
{
	size_t bytes = (size + HEAP_HEADER + HEAP_HEADER - 1) & ~(HEAP_HEADER - 1);
	struct heap_segment *segment = NULL;

	if (bytes > size && !heap_reserved(heap))
		segment = segment_map(heap, bytes);

	if (!segment)
		return NULL;
	segment->large = true;
	segment->block[0].slow_at = SLOW_ALWAYS;
	list_add(&heap->large, &segment->entry);
	heap->large_bytes += bytes - HEAP_HEADER;
	return (char *)segment + HEAP_HEADER;
}

static void large_give(struct heap_segment *segment)
{
	segment->heap->large_bytes -= segment->bytes - HEAP_HEADER;
	segment_unmap(segment);
}

/* ---- from other threads ---- */

void heap_return(struct heap *heap, void *first, void *last)
{
	*(void **)last = heap->returned;
	heap->returned = first;
}

/* The one thing that is atomic: threads that are no shards are few, and seldom free. */
void heap_leave(struct heap *heap, void *obj)
{
	void *next = atomic_load_explicit(&heap->left, memory_order_relaxed);

	do
		*(void **)obj = next;
	while (!atomic_compare_exchange_weak_explicit(&heap->left, &next, obj, memory_order_release,
						      memory_order_relaxed));
}

/* Some of it: who wants memory does not wait for the rest. */
static void sort_in(struct heap *heap, unsigned int n_max)
{
	void *obj;

	if (!heap->returned && atomic_load_explicit(&heap->left, memory_order_relaxed))
		heap->returned = atomic_exchange_explicit(&heap->left, NULL, memory_order_acquire);
	while (n_max-- && (obj = heap->returned)) {
		heap->returned = *(void **)obj;
		heap->nr_returned++;
		heap_release(heap, heap_segment_of(obj), obj);
	}
}

/* ---- objects ---- */

/* A page of objects that nobody has had. */
static void carve(struct heap_block *block)
{
	uint32_t n = max(CARVE_BYTES / block->size, 1);
	char *obj = heap_block_base(block) +
		    (size_t)(block_capacity(block) - block->nr_fresh) * block->size;

	n = min(n, block->nr_fresh);
	block->nr_fresh -= n;
	block->free = obj;
	for (; n > 1; n--, obj += block->size)
		*(void **)obj = obj + block->size;
	*(void **)obj = NULL;
}

static bool block_room(struct heap_block *block)
{
	if (!block->free && block->nr_fresh)
		carve(block);
	return block->free;
}

/* Its objects are all in use: it is in no list until one comes back. */
static void block_full(struct heap_block *block)
{
	block->nr_used--;
	block->slow_at = SLOW_ALWAYS;
}

static struct heap_block *block_next(struct heap *heap, unsigned int class)
{
	struct list *partial = &heap->class[class].partial;
	struct heap_block *block;

	if (list_empty(partial)) {
		block = block_new(heap, class);
	} else {
		block = list_first(partial, struct heap_block, entry);
		list_del(&block->entry);
	}
	if (block)
		block->nr_used++;
	return block;
}

void *heap_take_slow(struct heap *heap, size_t size)
{
	unsigned int class = heap_class(max(size, 1));
	struct heap_block *block;

	if (!heap->ready)
		heap_init(heap);
	if (size > HEAP_SMALL)
		return large_take(heap, size);
	sort_in(heap, SORT_MAX);
	block = heap->block[class];
	if (!block || !block_room(block)) {
		if (block)
			block_full(block);
		heap->block[class] = block = block_next(heap, class);
		if (!block || !block_room(block))
			return NULL;
	}
	return heap_pop(block);
}

/* It was full, or has become empty. */
void heap_give_slow(struct heap_segment *segment, struct heap_block *block)
{
	if (segment->large) {
		large_give(segment);
		return;
	}
	if (block->slow_at) {
		block->slow_at = 0;
		list_add(&segment->heap->class[heap_class(block->size)].partial, &block->entry);
	}
	if (!block->nr_used) {
		list_del(&block->entry);
		block_drop(block);
	}
}

/* ---- idle times, and the end ---- */

void heap_trim(struct heap *heap)
{
	struct list *pos, *tmp;

	sort_in(heap, UINT32_MAX);
	for (unsigned int i = 0; i < HEAP_DETAINED; i++)
		heap_release_oldest(heap);
	for (unsigned int i = 0; i < HEAP_CLASSES; i++)
		if (heap->block[i] && heap->block[i]->nr_used == 1) {
			block_drop(heap->block[i]);
			heap->block[i] = NULL;
		}
	list_for_each_safe(pos, tmp, &heap->segments) {
		struct heap_segment *segment = container_of(pos, struct heap_segment, entry);

		if (segment->free == ALL_FREE)
			segment_drop(segment);
		else
			segment_trim(segment);
	}
	heap->stale = false;
	heap->nr_trims++;
}

static void segment_stats(const struct heap *heap, struct heap_segment *segment,
			  struct heap_stats *stats)
{
	for (uint32_t used = ~segment->free & ALL_FREE; used; used &= used - 1) {
		struct heap_block *block = &segment->block[__builtin_ctz(used)];
		unsigned int class = heap_class(block->size);
		uint32_t nr = block->nr_used - (heap->block[class] == block);

		stats->class[class].in_use += (size_t)nr * block->size;
		stats->in_use += (size_t)nr * block->size;
	}
}

void heap_stats(const struct heap *heap, struct heap_stats *stats)
{
	*stats = (struct heap_stats){ .bytes = heap->bytes,
				      .bytes_max = heap->bytes_max,
				      .large_bytes = heap->large_bytes,
				      .in_use = heap->large_bytes,
				      .nr_returned = heap->nr_returned,
				      .nr_trims = heap->nr_trims };
	if (!heap->ready)
		return;
	for (unsigned int i = 0; i < HEAP_CLASSES; i++) {
		stats->class[i].nr_blocks = heap->class[i].nr_blocks;
		stats->class[i].nr_blocks_max = heap->class[i].nr_blocks_max;
	}
	for (struct list *pos = heap->segments.next; pos != &heap->segments; pos = pos->next)
		segment_stats(heap, container_of(pos, struct heap_segment, entry), stats);
}

int heap_reserve(struct heap *heap, size_t nr_segments)
{
	if (!heap->ready)
		heap_init(heap);
	while (heap->nr_segments < nr_segments)
		if (!segment_new(heap))
			return -ENOMEM;
	heap->reserved = true;
	return 0;
}

static void segments_unmap(struct list *segments)
{
	while (!list_empty(segments))
		segment_unmap(list_first(segments, struct heap_segment, entry));
}

void heap_close(struct heap *heap)
{
	if (!heap->ready)
		return;
	segments_unmap(&heap->segments);
	segments_unmap(&heap->large);
}
