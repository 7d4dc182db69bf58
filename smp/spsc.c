// SPDX-License-Identifier: MIT
/*
 * A ring for each sender: nobody shares a line that both write, and there is
 * no atomic read-modify-write.
 *
 * Slots say by themselves that they are full (smp/slot.h), so a message can
 * reach the receiver with one line. But looking at a slot of each of many
 * senders costs a line for each. So a sender also rings: it writes the low
 * bits of its tail to its place in a packed array, and the receiver compares
 * that with its own copy, many senders at a time. What was rung says whose
 * ring to look at, never what is in it: nothing is ordered by it.
 *
 * The sender of the last message is likely to send the next. Its slot is
 * looked at first, without waiting for the line of the bells, as long as its
 * share lasts. Who has nothing else to do looks at one vector of bells at a
 * time, so that an empty turn costs the same with one sender and with many, and
 * not each time: a bell is rung just after its slot was filled, and who has
 * read both lines in advance has to read them again.
 *
 * Measured (mn-bench --filter=smp; 2 CPUs of an EPYC, ratios to a line that
 * both write in turns, 30 to 50 ns a way): one way 1.9 to 2.1, 6 ns a message
 * in batches of 16. Each way costs two transfers, one to take the line from
 * who polls it: two bare lines, one a way, are at 1.55. In a prototype, with
 * an index in place of marked slots 2.9, with marked slots and no bells 2.2
 * but 64 ns a look at 64 idle senders (bells: 4.7, and 3.3 at one), with the
 * next line fetched in advance 2.4 to 3.4 and more a message. With @tail and
 * @head on one line 2.3 to 2.8; 128 bytes apart, no different from 64.
 */
#include <errno.h>
#include <limits.h>

#include "lib/mem/mem.h"
#include "smp/slot.h"

#define GROUP		16	/* senders, in one look at who has rung */
#define SHARE		64	/* messages of a sender before the others have a turn */
#define POP_COST	8	/* as many at least are counted when its ring alone is looked at */
#define BELLS_EVERY	4	/* glances at the last sender's ring, one at bells */
#define GLANCE		64	/* senders whose bells are looked at together */
#define SENDERS_MAX	65536

/* Where one side of a ring is: the slot, and the mark of its lap. */
struct cursor {
	struct slot *slot;
	uint64_t lap;
};

struct ring {
	/* The sender's alone. */
	struct cursor put __cacheline_aligned;
	struct slot *first, *end;
	uint32_t tail;
	uint32_t head_seen;	/* a stale copy of head */

	/* The receiver's; the sender reads @head when the ring seems full. */
	struct cursor take __cacheline_aligned;
	struct slot *begin, *limit;	/* as @first and @end */
	_Atomic(uint32_t) head;
};

struct spsc {
	struct queue queue;

	/* Set at open. */
	uint32_t size;		/* of a ring */
	uint32_t senders;
	struct ring *ring;
	struct slot *slot;	/* of all rings, one after the other */
	_Atomic(uint16_t) *rung; /* the low bits of each tail, written by its sender */

	/* The receiver's, and no sender looks at this line. */
	struct cursor next __cacheline_aligned;	/* of the last sender */
	uint16_t *seen;		/* the low bits of each head */
	uint32_t last;		/* the sender that had something */
	uint32_t left;		/* of its share */
	uint32_t glance;	/* the senders to look at next time */
	uint32_t looks;
};

static struct spsc *to_spsc(struct queue *queue)
{
	return container_of(queue, struct spsc, queue);
}

static inline struct cursor after(struct cursor at, struct slot *first, const struct slot *end)
{
	if (++at.slot == end)
		at = (struct cursor){ .slot = first, .lap = at.lap ^ SLOT_LAP };
	return at;
}

static unsigned int spsc_push_n(struct queue *queue, unsigned int from, const struct mn_msg *msg,
				unsigned int n)
{
	struct spsc *q = to_spsc(queue);
	struct ring *ring = &q->ring[from];
	struct cursor put = ring->put;
	uint32_t room = q->size - (ring->tail - ring->head_seen);

	if (room < n) {
		/* Acquire: slots were read before they are written again. Pairs with ring_take(). */
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		n = min(n, q->size - (ring->tail - ring->head_seen));
	}
	for (unsigned int i = 0; i < n; i++, put = after(put, ring->first, ring->end)) {
		BUG_ON(msg[i].from != from);
		slot_put(put.slot, put.lap, &msg[i]);
	}
	ring->put = put;
	ring->tail += n;
	/* Relaxed: it is a hint. Who sleeps on it has fences, see smp/wake.h. */
	atomic_store_explicit(&q->rung[from], (uint16_t)ring->tail, memory_order_relaxed);
	return n;
}

static inline unsigned int ring_take(struct spsc *q, unsigned int from, struct mn_msg *msg,
				     unsigned int n)
{
	struct ring *ring = &q->ring[from];
	struct cursor take = ring->take;
	unsigned int i = 0;
	uint32_t head;

	for (; i < n && slot_take(take.slot, take.lap, &msg[i]); i++)
		take = after(take, ring->begin, ring->limit);
	if (!i)
		return 0;
	head = atomic_load_explicit(&ring->head, memory_order_relaxed) + i;
	/* Release: slots are read before they are free. Pairs with spsc_push_n(). */
	atomic_store_explicit(&ring->head, head, memory_order_release);
	ring->take = take;
	q->seen[from] = (uint16_t)head;
	q->last = from;
	q->next = take;
	return i;
}

static bool rang(const struct spsc *q, unsigned int from)
{
	return atomic_load_explicit(&q->rung[from], memory_order_relaxed) != q->seen[from];
}

/* Has any sender of this group rung since its ring was looked at? */
static bool group_rang(const struct spsc *q, unsigned int first)
{
	return atomic_differ_16(&q->rung[first], &q->seen[first]);
}

/* Take from each sender that has rung, from @first up to @end. */
static unsigned int visit(struct spsc *q, unsigned int first, unsigned int end, struct mn_msg *msg,
			  unsigned int n)
{
	unsigned int got = 0;

	for (unsigned int from = first; from < end && got < n; from++) {
		if (rang(q, from)) {
			unsigned int taken = ring_take(q, from, msg + got, min(n - got, SHARE));

			got += taken;
			if (taken)
				q->left = SHARE - taken;
		} else if (from % GROUP == 0 && !group_rang(q, from)) {
			from += GROUP - 1;
		}
	}
	return got;
}

/* The others have their turn, as long as one of them has something. */
static __noinline unsigned int pop_others(struct spsc *q, struct mn_msg *msg, unsigned int n,
					  unsigned int got)
{
	unsigned int before = UINT_MAX;

	while (got < n && got != before) {
		unsigned int first = q->last + 1;

		before = got;
		got += visit(q, first, q->senders, msg + got, n - got);
		got += visit(q, 0, min(first, q->senders), msg + got, n - got);
	}
	return got;
}

static unsigned int spsc_pop_n(struct queue *queue, struct mn_msg *msg, unsigned int n)
{
	struct spsc *q = to_spsc(queue);
	unsigned int most = min(n, q->left);
	unsigned int got = ring_take(q, q->last, msg, most);

	q->left -= min(q->left, max(got, POP_COST));
	if (got && (got < most || got == n))
		return got;
	return pop_others(q, msg, n, got);
}

static bool has_mail(const struct cursor *at)
{
	return slot_full(at->slot, at->lap);
}

/* Out of line: a look that finds nothing saves no registers. */
static __noinline bool group_has_mail(const struct spsc *q, unsigned int first)
{
	for (unsigned int from = first; from < min(first + GROUP, q->senders); from++)
		if (rang(q, from) && has_mail(&q->ring[from].take))
			return true;
	return false;
}

static bool spsc_empty(struct queue *queue)
{
	const struct spsc *q = to_spsc(queue);

	if (has_mail(&q->next))
		return false;
	for (unsigned int first = 0; first < q->senders; first += GROUP)
		if (group_rang(q, first) && group_has_mail(q, first))
			return false;
	return true;
}

static bool spsc_glance(struct queue *queue)
{
	struct spsc *q = to_spsc(queue);
	unsigned int first = q->glance, end;

	if (has_mail(&q->next))
		return false;
	if (++q->looks % BELLS_EVERY)
		return true;
	end = min(first + GLANCE, q->senders);
	q->glance = end < q->senders ? end : 0;
	for (; first < end; first += GROUP)
		if (group_rang(q, first) && group_has_mail(q, first))
			return false;
	return true;
}

static void spsc_close(struct queue *queue)
{
	struct spsc *q = to_spsc(queue);

	if (q->slot)
		mem_unmap(q->slot, (size_t)q->senders * q->size * sizeof(*q->slot));
	mem_free(q->ring);
	mem_free(q->rung);
	mem_free(q->seen);
}

static void ring_open(struct ring *ring, struct slot *first, uint32_t size)
{
	ring->put = ring->take = (struct cursor){ .slot = first, .lap = slot_lap(0, size) };
	ring->first = ring->begin = first;
	ring->end = ring->limit = first + size;
}

static int spsc_open(struct queue *queue, unsigned int senders, unsigned int depth)
{
	struct spsc *q = to_spsc(queue);
	unsigned int places = (senders + GROUP - 1) / GROUP * GROUP;

	if (!senders || senders > SENDERS_MAX || !depth || depth > RING_MAX)
		return -EINVAL;
	q->senders = senders;
	q->size = ring_size(depth);
	q->ring = mem_alloc(senders * sizeof(*q->ring));
	q->rung = mem_alloc(places * sizeof(*q->rung));
	q->seen = mem_alloc(places * sizeof(*q->seen));
	q->slot = mem_map((size_t)senders * q->size * sizeof(*q->slot));
	if (!q->ring || !q->rung || !q->seen || !q->slot) {
		spsc_close(queue);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < senders; i++)
		ring_open(&q->ring[i], &q->slot[(size_t)i * q->size], q->size);
	q->last = 0;
	q->left = 0;
	q->next = q->ring[0].take;
	return 0;
}

static const struct queue_ops spsc_ops = {
	.push_n = spsc_push_n,
	.pop_n = spsc_pop_n,
	.empty = spsc_empty,
	.glance = spsc_glance,
	.open = spsc_open,
	.close = spsc_close,
	.state_size = sizeof(struct spsc),
	.drv = {
		.name = "spsc",
		.rating = 300,
	},
};
queue_driver(spsc_ops);
