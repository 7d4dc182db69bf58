/* SPDX-License-Identifier: MIT */
/*
 * A slot of a ring says by itself whether it is full: its last word carries,
 * beside the message's, the lap in which it was written. So who looks for the
 * next message reads the line that the message is in, and no index.
 *
 * Included by the drivers of queues.
 */
#ifndef SMP_SLOT_H
#define SMP_SLOT_H

#include "smp/atomics.h"
#include "smp/queue.h"

/* Rings of a power of two of slots, indices that run free, at most this many. */
#define RING_MAX	32768

#define SLOT_LAP	MSG_QUEUE_BIT

struct slot_data {
	int (*fn)(void *arg);	/* and @arg: or what else the message has there */
	void *arg;
	void *reply;
};

struct slot {
	handed_over(struct slot_data) data;	/* of the message */
	_Atomic(uint64_t) last;			/* the rest of it, and the lap */
};

/* slot_lap - the mark of an index's lap: neither that of the lap before nor, at first, of zeroes */
static inline uint64_t slot_lap(uint32_t index, uint32_t size)
{
	return index & size ? 0 : SLOT_LAP;
}

static inline void slot_put(struct slot *slot, uint64_t lap, const struct mn_msg *msg)
{
	struct slot_data data = { msg->fn, msg->arg, msg->reply };

	BUG_ON(msg->word & SLOT_LAP);
	handed(slot->data) = data;
	/* Release: the data is written before the lap says so. Pairs with slot_take(). */
	atomic_store_explicit(&slot->last, msg->word | lap, memory_order_release);
}

/* slot_full - would slot_take() take something? */
static inline bool slot_full(const struct slot *slot, uint64_t lap)
{
	return (atomic_load_explicit(&slot->last, memory_order_relaxed) & SLOT_LAP) == lap;
}

static inline bool slot_take(const struct slot *slot, uint64_t lap, struct mn_msg *msg)
{
	/* Acquire: the lap is read before the data. Pairs with slot_put(). */
	uint64_t last = atomic_load_explicit(&slot->last, memory_order_acquire);
	struct slot_data data;

	if ((last & SLOT_LAP) != lap)
		return false;
	data = handed(slot->data);
	msg->fn = data.fn;
	msg->arg = data.arg;
	msg->reply = data.reply;
	msg->word = last & ~SLOT_LAP;
	return true;
}

static inline uint32_t ring_size(uint32_t depth)
{
	uint32_t size = 1;

	while (size < depth)
		size *= 2;
	return size;
}

#endif
