/* SPDX-License-Identifier: MIT */
/*
 * The heap of a shard: objects of 40 sizes, each size in blocks of its own,
 * the blocks side by side in segments of 2 MiB. Where an object belongs is
 * found from its address: freeing needs no size and looks nothing up.
 *
 *	segment	2 MiB, aligned to that; begins with what is known of its blocks
 *	block	128 KiB, of one size, or free; the first is short of the beginning
 *	object	no header; each free one begins with the address of the next
 *
 * A heap is one thread's at a time: nothing here is locked, and no operation is
 * atomic, but for what threads that are no shards leave for it. What is larger
 * than the largest size has a mapping of its own, which begins as a segment does.
 *
 * Free memory is taken last in, first out. A block without objects is anybody's;
 * a segment without any goes back to the system, but for one, which is kept; and
 * when the shard has slept for a while, all of that goes back. After Bonwick and
 * Adams, "Magazines and Vmem" (USENIX 2001), and Leijen, Zorn and de Moura,
 * "Mimalloc: Free List Sharding in Action" (APLAS 2019).
 */
#ifndef LIB_MEM_HEAP_H
#define LIB_MEM_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/compiler.h"
#include "lib/list.h"

#define HEAP_SEGMENT	((size_t)2 << 20)
#define HEAP_BLOCK	((size_t)128 << 10)
#define HEAP_BLOCKS	(HEAP_SEGMENT / HEAP_BLOCK)
#define HEAP_HEADER	((size_t)4096)		/* of a segment; what objects may be aligned to */
#define HEAP_SMALL	((size_t)32 << 10)	/* the largest size */
#define HEAP_CLASSES	40
#define HEAP_DETAINED	(IS_ENABLED(CONFIG_DEBUG) ? 256 : 1)
#define HEAP_TRIM_NS	MN_SEC			/* asleep for so long: trim */

struct heap_block {
	/* per object */
	void *free;
	uint32_t nr_used;	/* one more in the block that its size is taken from */
	uint32_t slow_at;	/* when it has come down to that, there is more to do */

	uint32_t nr_fresh;	/* at the end, never taken: their pages may be untouched */
	uint32_t size;		/* of an object */
	struct list entry;	/* heap->partial */
} __cacheline_aligned;

/* What those who are not the heap's thread read does not change. */
struct heap_segment {
	uintptr_t magic;	/* debug builds: that it is one */
	struct heap *heap;
	size_t bytes;		/* mapped */
	uint32_t free;		/* bit n: block n is */
	uint32_t touched;	/* bit n: it is free, and has pages all the same */
	bool large;		/* one object */
	bool huge;		/* of huge pages, maybe: not to be taken to pieces */
	struct list entry;	/* heap->segments, or heap->large */
	struct heap_block block[HEAP_BLOCKS];
};

/* What was done with one size, in blocks. */
struct heap_class {
	struct list partial;	/* blocks with room, and with objects */
	uint32_t nr_blocks, nr_blocks_max;
};

/* What is known of a heap, for people; what was returned to it and not sorted in is in use. */
struct heap_stats {
	size_t bytes, bytes_max;	/* mapped */
	size_t large_bytes;		/* of these, for objects of pages of their own */
	size_t in_use;			/* of all objects */
	uint64_t nr_returned;		/* objects that were freed elsewhere */
	uint64_t nr_trims;
	struct {
		size_t in_use;		/* of its objects */
		uint32_t nr_blocks, nr_blocks_max;
	} class[HEAP_CLASSES];
};

struct heap {
	/* per object */
	struct heap_block *block[HEAP_CLASSES];	/* what each size is taken from, or NULL */

	struct heap_class class[HEAP_CLASSES];
	struct list segments, large;
	void *returned;		/* freed elsewhere, come home, not sorted in yet */
	unsigned int nr_segments;
	unsigned int nr_empty;	/* of these, without a block in use */
	bool ready;		/* the lists are initialised */
	bool reserved;		/* CONFIG_STATIC_POOLS: its segments are all there will be */
	bool sealed;		/* and the shard has started: it maps nothing any more */
	bool stale;		/* blocks became free since the last trim */
	bool huge;		/* all segments but the first are to be of huge pages */
	size_t bytes, bytes_max;	/* mapped */
	size_t large_bytes;
	uint64_t nr_returned, nr_trims;

	/* Debug builds: freed, and not to be had again before as many others were freed. */
	void *detained[HEAP_DETAINED];
	unsigned int detained_at;

	/* Left by threads that are not shards. */
	_Atomic(void *) left __cacheline_aligned;
};

/* heap_class - for @size bytes, 1 to HEAP_SMALL: at most a fourth more, or 15 bytes */
static inline unsigned int heap_class(size_t size)
{
	unsigned int shift;

	if (size <= 128)
		return (unsigned int)(size - 1) / 16;
	shift = 61u - (unsigned int)__builtin_clzll(size - 1);
	return 4 * shift + (unsigned int)((size - 1) >> shift) - 16;
}

/* heap_class_size - the most that fits; a multiple of each power of two that what fits is one of */
static inline size_t heap_class_size(unsigned int class)
{
	if (class < 8)
		return (class + 1) * 16;
	return (size_t)(class % 4 + 5) << (class / 4 + 3);
}

static inline struct heap_segment *heap_segment_of(const void *obj)
{
	return (struct heap_segment *)((uintptr_t)obj & ~(uintptr_t)(HEAP_SEGMENT - 1));
}

static inline struct heap_block *heap_block_of(struct heap_segment *segment, const void *obj)
{
	return &segment->block[((uintptr_t)obj & (HEAP_SEGMENT - 1)) / HEAP_BLOCK];
}

#ifdef CONFIG_MEM_SHARD
void *heap_take_slow(struct heap *heap, size_t size);
void heap_give_slow(struct heap_segment *segment, struct heap_block *block);

/* heap_pop - an object of a block that has one to hand */
static inline void *heap_pop(struct heap_block *block)
{
	void *obj = block->free;

	block->free = *(void **)obj;
	block->nr_used++;
	return obj;
}

/* heap_take - @size bytes, more than 0; NULL when there is no memory. On the heap's thread */
static inline void *heap_take(struct heap *heap, size_t size)
{
	struct heap_block *block;

	if (__builtin_expect(size - 1 >= HEAP_SMALL, 0))
		return heap_take_slow(heap, size);
	block = heap->block[heap_class(size)];
	if (__builtin_expect(!block || !block->free, 0))
		return heap_take_slow(heap, size);
	return heap_pop(block);
}

/* heap_give - take back an object of one's own @segment */
static inline void heap_give(struct heap_segment *segment, void *obj)
{
	struct heap_block *block = heap_block_of(segment, obj);

	*(void **)obj = block->free;
	block->free = obj;
	if (__builtin_expect(--block->nr_used <= block->slow_at, 0))
		heap_give_slow(segment, block);
}

/* heap_usable - how many bytes @obj has */
static inline size_t heap_usable(const void *obj)
{
	struct heap_segment *segment = heap_segment_of(obj);

	return segment->large ? segment->bytes - HEAP_HEADER : heap_block_of(segment, obj)->size;
}

/* heap_reserve - map so many segments at once, which are kept; 0 or -ENOMEM */
int heap_reserve(struct heap *heap, size_t nr_segments);

/* heap_close - give all of it back, whatever is still in use */
void heap_close(struct heap *heap);

/* heap_return - a list of objects that others have freed, from the first to the last */
void heap_return(struct heap *heap, void *first, void *last);

/* heap_leave - an object of a heap whose thread this is not; any thread */
void heap_leave(struct heap *heap, void *obj);

/* heap_trim - give back what is free */
void heap_trim(struct heap *heap);

void heap_stats(const struct heap *heap, struct heap_stats *stats);

/* heap_block_base - where the objects of a block begin: behind a segment's header in the first one */
char *heap_block_base(struct heap_block *block);
#else
static inline void heap_close(struct heap *heap)
{
}

static inline void heap_return(struct heap *heap, void *first, void *last)
{
}

static inline void heap_trim(struct heap *heap)
{
}

static inline void heap_stats(const struct heap *heap, struct heap_stats *stats)
{
}
#endif

/* heap_reserved - does it neither grow nor shrink? */
static inline bool heap_reserved(const struct heap *heap)
{
	return IS_ENABLED(CONFIG_STATIC_POOLS) && heap->reserved;
}

/* heap_stale - is it worth a trim, after a while? */
static inline bool heap_stale(const struct heap *heap)
{
	return IS_ENABLED(CONFIG_MEM_SHARD) && heap->stale && !heap_reserved(heap);
}

#endif
