/* SPDX-License-Identifier: MIT */
/*
 * Fibers that wait for something, in order: a part of each object of
 * miniss/sync.h and miniss/channel.h. The runtime's: users see it for its size.
 */
#ifndef MINISS_WAITQ_H
#define MINISS_WAITQ_H

#include <miniss/fiber.h>

struct mn_wait;

struct mn_waiter {
	struct mn_waiter *next, *prev;
	struct mn_waitq *queue;		/* where it is to wait */
	struct mn_wait *wait;		/* that it is of */
	union {				/* what it waits for; the object's */
		uint64_t units;
		struct {
			void *item;	/* to put somewhere, or to fill */
			size_t size;
		};
	};
};

struct mn_wait {
	struct mn_waiter *entry;
	unsigned int nr_entries;
	bool waiting;			/* all entries are queued, or else none */
	struct mn_waiter *granted;	/* which one, or NULL */
	int64_t res;			/* what was granted, or why it ended */
	struct mn_fiber *fiber;
	void (*left)(struct mn_wait *wait);
	void (*wake)(struct mn_wait *wait);
};

/* In each object: the fibers that wait for it, in order. */
struct mn_waitq {
	struct mn_waiter *first, *last;
#ifdef CONFIG_DEBUG
	const char *origin;	/* file:line that initialised the object */
	uint32_t shard;
	uint32_t magic;
#endif
};

#ifdef CONFIG_DEBUG
MN_API void mn__waitq_init(struct mn_waitq *queue, const char *origin);
MN_API void mn__waitq_check(const struct mn_waitq *queue);	/* it is one, of this shard */
MN_API void mn__waitq_destroy(struct mn_waitq *queue);		/* and nobody waits */
#else
static inline void mn__waitq_init(struct mn_waitq *queue, const char *origin)
{
	queue->first = queue->last = NULL;
}

static inline void mn__waitq_check(const struct mn_waitq *queue)
{
}

static inline void mn__waitq_destroy(struct mn_waitq *queue)
{
}
#endif

#endif
