// SPDX-License-Identifier: MIT
/*
 * One ring for all senders: the receiver looks at one place, however many
 * there are, and gets messages in the order in which places were reserved.
 *
 * A sender reserves places by one atomic addition, which cannot fail: there
 * is a share for each, and a sender counts what it has in the ring. So a
 * sender that is never drained stops itself, not the others. The receiver
 * stops at a place that is reserved and not yet filled: what was pushed after
 * it is seen when that push is over.
 */
#include <errno.h>

#include "lib/mem/mem.h"
#include "smp/slot.h"

struct sender {
	/* Its own alone. */
	uint32_t pushed __cacheline_aligned;
	uint32_t taken_seen;	/* a stale copy of taken */

	/* The receiver's; the sender reads it when its share seems used up. */
	_Atomic(uint32_t) taken __cacheline_aligned;
};

struct mpsc {
	struct queue queue;

	/* Set at open. */
	uint32_t size;		/* of the ring: a share for each sender */
	uint32_t share;
	struct slot *slot;
	struct sender *sender;

	_Atomic(uint32_t) tail __cacheline_aligned; /* reserved up to here, by any sender */
	uint32_t head __cacheline_aligned; /* the receiver's */
};

static struct mpsc *to_mpsc(struct queue *queue)
{
	return container_of(queue, struct mpsc, queue);
}

static struct slot *slot_of(const struct mpsc *q, uint32_t index)
{
	return &q->slot[index & (q->size - 1)];
}

static unsigned int mpsc_push_n(struct queue *queue, unsigned int from, const struct mn_msg *msg,
				unsigned int n)
{
	struct mpsc *q = to_mpsc(queue);
	struct sender *sender = &q->sender[from];
	uint32_t tail;

	if (q->share - (sender->pushed - sender->taken_seen) < n) {
		/* Acquire: slots were read before they are written again. Pairs with taken_by(). */
		sender->taken_seen = atomic_load_explicit(&sender->taken, memory_order_acquire);
		n = min(n, q->share - (sender->pushed - sender->taken_seen));
	}
	if (!n)
		return 0;
	sender->pushed += n;
	/*
	 * Release and acquire: that these places were read, this sender may know
	 * only by what another had been told when it reserved. Pairs with itself.
	 */
	tail = atomic_fetch_add_explicit(&q->tail, n, memory_order_acq_rel);
	for (unsigned int i = 0; i < n; i++, tail++) {
		BUG_ON(msg[i].from != from);
		slot_put(slot_of(q, tail), slot_lap(tail, q->size), &msg[i]);
	}
	return n;
}

static void taken_by(struct sender *sender, unsigned int n)
{
	uint32_t taken = atomic_load_explicit(&sender->taken, memory_order_relaxed) + n;

	/* Release: slots are read before they are free. Pairs with mpsc_push_n(). */
	atomic_store_explicit(&sender->taken, taken, memory_order_release);
}

static unsigned int mpsc_pop_n(struct queue *queue, struct mn_msg *msg, unsigned int n)
{
	struct mpsc *q = to_mpsc(queue);
	unsigned int i, first = 0;

	for (i = 0; i < n; i++, q->head++) {
		if (!slot_take(slot_of(q, q->head), slot_lap(q->head, q->size), &msg[i]))
			break;
		if (msg[i].from != msg[first].from) {
			taken_by(&q->sender[msg[first].from], i - first);
			first = i;
		}
	}
	if (i)
		taken_by(&q->sender[msg[first].from], i - first);
	return i;
}

static bool mpsc_empty(struct queue *queue)
{
	const struct mpsc *q = to_mpsc(queue);

	return !slot_full(slot_of(q, q->head), slot_lap(q->head, q->size));
}

static void mpsc_close(struct queue *queue)
{
	struct mpsc *q = to_mpsc(queue);

	mem_unmap(q->slot, q->size * sizeof(*q->slot));
	mem_free(q->sender);
}

static int mpsc_open(struct queue *queue, unsigned int senders, unsigned int depth)
{
	struct mpsc *q = to_mpsc(queue);
	uint64_t size = (uint64_t)senders * depth;

	if (!size || size > RING_MAX * UINT64_C(1024))
		return -EINVAL;
	q->size = ring_size((uint32_t)size);
	q->share = depth;
	q->sender = mem_alloc(senders * sizeof(*q->sender));
	if (!q->sender)
		return -ENOMEM;
	q->slot = mem_map(q->size * sizeof(*q->slot));
	if (!q->slot) {
		mem_free(q->sender);
		return -ENOMEM;
	}
	q->head = 0;
	atomic_init(&q->tail, 0);
	return 0;
}

static const struct queue_ops mpsc_ops = {
	.push_n = mpsc_push_n,
	.pop_n = mpsc_pop_n,
	.empty = mpsc_empty,
	.glance = mpsc_empty,
	.open = mpsc_open,
	.close = mpsc_close,
	.state_size = sizeof(struct mpsc),
	.drv = {
		.name = "mpsc",
		.rating = 200,
	},
};
queue_driver(mpsc_ops);
