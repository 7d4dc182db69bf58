// SPDX-License-Identifier: MIT
/*
 * A 4-ary heap in an array: exact deadlines, in exact order (timers of one
 * deadline in any).
 *
 * An entry holds its deadline, so that sifting compares without touching
 * timers; it only tells those that move where they went. Four children fill
 * one cache line: half the levels of a binary heap for the same misses.
 */
#include "lib/mem/mem.h"
#include "timers/timer_queue.h"

#define ARITY		4
#define HEAP_SIZE_MIN	4096	/* bytes; doubled as needed, never given back */

struct heap_entry {
	int64_t due_ns;
	struct mn_timer *timer;
};

/* The root is where its children begin a cache line, and so all others' do. */
#define ROOT_OFFSET	(ARITY - 1)
BUILD_BUG_ON(CONFIG_CACHELINE_BYTES % (ARITY * sizeof(struct heap_entry)));

struct heap {
	struct timer_queue tq;
	struct heap_entry *entry;	/* [0] is the earliest; tq.nr_armed of them */
	size_t nr_max;

	/* growing, and the end */
	void *map;
	size_t size;
};

static inline struct heap *to_heap(struct timer_queue *tq)
{
	return container_of(tq, struct heap, tq);
}

static void heap_use(struct heap *heap, void *map, size_t size)
{
	heap->map = map;
	heap->size = size;
	heap->entry = (struct heap_entry *)map + ROOT_OFFSET;
	heap->nr_max = size / sizeof(struct heap_entry) - ROOT_OFFSET;
}

static inline void heap_put(struct heap *heap, size_t i, struct heap_entry entry)
{
	heap->entry[i] = entry;
	entry.timer->index = i;
}

/* There is a hole at @i: fill it with a parent while that is later than @entry. */
static void heap_up(struct heap *heap, size_t i, struct heap_entry entry)
{
	size_t parent;

	for (; i; i = parent) {
		parent = (i - 1) / ARITY;
		if (heap->entry[parent].due_ns <= entry.due_ns)
			break;
		heap_put(heap, i, heap->entry[parent]);
	}
	heap_put(heap, i, entry);
}

/* There is a hole at @i: fill it with the first child while that is before @entry. */
static void heap_down(struct heap *heap, size_t i, struct heap_entry entry)
{
	size_t nr = heap->tq.nr_armed, child, first, end;

	for (; (child = i * ARITY + 1) < nr; i = first) {
		end = min(child + ARITY, nr);
		for (first = child; ++child < end;)
			if (heap->entry[child].due_ns < heap->entry[first].due_ns)
				first = child;
		if (heap->entry[first].due_ns >= entry.due_ns)
			break;
		heap_put(heap, i, heap->entry[first]);
	}
	heap_put(heap, i, entry);
}

static void heap_arm(struct timer_queue *tq, struct mn_timer *timer)
{
	struct heap *heap = to_heap(tq);
	struct heap_entry entry = {
		.due_ns = timer_due(timer->deadline_ns, timer->slack_ns),
		.timer = timer,
	};

	BUG_ON(timer->armed);
	if (tq->nr_armed == heap->nr_max)
		heap_use(heap, mem_grow(heap->map, heap->size, 2 * heap->size), 2 * heap->size);
	heap_up(heap, tq->nr_armed++, entry);
	timer->armed = 1;
}

static void heap_cancel(struct timer_queue *tq, struct mn_timer *timer)
{
	struct heap *heap = to_heap(tq);
	size_t i = timer->index;
	struct heap_entry last;

	BUG_ON(!timer->armed);
	BUG_ON(i >= tq->nr_armed || heap->entry[i].timer != timer);
	timer->armed = 0;
	last = heap->entry[--tq->nr_armed];
	if (last.timer == timer)
		return;
	/* The last is not below @i in general: it may have to go up. */
	if (i && heap->entry[(i - 1) / ARITY].due_ns > last.due_ns)
		heap_up(heap, i, last);
	else
		heap_down(heap, i, last);
}

static struct mn_timer *heap_advance(struct timer_queue *tq, int64_t now_ns, unsigned int n_max)
{
	struct heap *heap = to_heap(tq);
	struct mn_timer *expired = NULL, **tail = &expired, *timer;

	BUG_ON(!n_max);
	for (; n_max && tq->nr_armed; n_max--) {
		if (heap->entry[0].due_ns > now_ns || heap->entry[0].due_ns == MN_NEVER)
			break;
		timer = heap->entry[0].timer;
		heap_cancel(tq, timer);
		*tail = timer;
		tail = &timer->next;
	}
	*tail = NULL;
	return expired;
}

static int64_t heap_next(struct timer_queue *tq)
{
	return tq->nr_armed ? to_heap(tq)->entry[0].due_ns : MN_NEVER;
}

static int heap_open(struct timer_queue *tq, int64_t now_ns)
{
	void *map = mem_map(HEAP_SIZE_MIN);

	if (!map)
		return -ENOMEM;
	heap_use(to_heap(tq), map, HEAP_SIZE_MIN);
	return 0;
}

static void heap_close(struct timer_queue *tq)
{
	mem_unmap(to_heap(tq)->map, to_heap(tq)->size);
}

static const struct timer_queue_ops heap_ops = {
	.arm		= heap_arm,
	.cancel		= heap_cancel,
	.advance	= heap_advance,
	.next		= heap_next,
	.open		= heap_open,
	.close		= heap_close,
	.state_size	= sizeof(struct heap),
	.drv		= { .name = "heap", .rating = 200 },
};
timer_queue_driver(heap_ops);
