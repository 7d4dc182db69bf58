/* SPDX-License-Identifier: MIT */
/*
 * The door of a shard: where threads that are not shards leave things for it.
 * It costs a shard one load a turn while nobody does. No bound of its own:
 * whoever pushes owns what it pushes, and is bounded.
 *
 * Who pushes sees to it that the shard exists until door_push() has returned.
 */
#ifndef SMP_DOOR_H
#define SMP_DOOR_H

#include <stdbool.h>

#include "core/compiler.h"
#include "smp/atomics.h"

struct shard;

/* Embedded in what is handed over; the shard's from door_push() to receive(). */
struct door_item {
	handed_over(struct door_item *) next;
	void (*receive)(struct shard *self, struct door_item *item);	/* from the reactor */
};

struct door {
	_Atomic(struct door_item *) pushed;	/* the last one first */
	struct door_item *taken;		/* the shard's own: in order, not received yet */
} __cacheline_aligned;

/* door_push - hand over an item, and wake the shard if it sleeps; from any thread */
void door_push(struct shard *to, struct door_item *item);

/* door_drain - receive some of what was pushed; how many */
unsigned int door_drain(struct shard *self);

static inline bool door_quiet(const struct door *door)
{
	return !atomic_load_explicit(&door->pushed, memory_order_relaxed) && !door->taken;
}

#endif
