/* SPDX-License-Identifier: MIT */
/*
 * How fibers wait for what other fibers of their shard do: the one wait list
 * under all that is in miniss/sync.h and miniss/channel.h.
 *
 * A wait has one entry, or for a select several, in as many queues. It ends
 * once: by wait_grant(), by cancellation, or by its alarm; whichever comes
 * first takes all entries out of their queues and makes the fiber ready. So
 * what is in a queue can always be granted, what was granted cannot be lost,
 * and who was woken has nothing to do with the object any more.
 */
#ifndef LIB_SYNC_WAIT_H
#define LIB_SYNC_WAIT_H

#include <miniss/sync.h>

#include "core/shard.h"

/*
 * Of struct mn_wait:
 * @left: called when the wait ended with nothing, even before it began; or NULL
 * @wake: in place of a fiber: called out of wait_grant() when something was
 *	granted; or NULL
 *
 * It and its entries are on the stack of the fiber that waits, or part of what
 * has no fiber.
 */

/* clang-format off */
#define WAIT_FOR(e, n, on_left)	{ .entry = (e), .nr_entries = (n), .left = (on_left) }
/* clang-format on */

/* wait_begin, wait_end - queue the entries of what has no fiber, and take them out */
void wait_begin(struct mn_wait *wait);
void wait_end(struct mn_wait *wait);

/* The parts of wait_run(). */
void wait_cancel(void *obj);
int64_t wait_otherwise(struct mn_wait *wait, int64_t timeout_ns);

/*
 * wait_run - suspend until granted, or until that is not to be waited for any more
 * @wait: with entries that say which queues
 *
 * Return: what was granted (@wait->granted says where), or -ECANCELED,
 * -ETIMEDOUT with @wait->granted NULL.
 */
static inline int64_t wait_run(struct mn_wait *wait, int64_t timeout_ns)
{
	wait->fiber = mn_self->fiber;
	if (!wait->fiber || wait->fiber->stop || timeout_ns != MN_NEVER)
		return wait_otherwise(wait, timeout_ns);
	wait_begin(wait);
	/* Each call less between here and the fiber is one mispredicted return less. */
	fiber_park(wait_cancel, wait);
	return wait->res;
}

/* wait_surely - the same, but nothing ends it early */
int64_t wait_surely(struct mn_wait *wait);

/* wait_grant - end the wait that an entry of a queue is of, with a result */
void wait_grant(struct mn_waiter *entry, int64_t res);

#ifdef CONFIG_DEBUG
void mutex_given(struct mn_mutex *mutex, struct mn_fiber *fiber);
#else
static inline void mutex_given(struct mn_mutex *mutex, struct mn_fiber *fiber)
{
}
#endif

/* wait_grant_all - all that are in the queue */
void wait_grant_all(struct mn_waitq *queue, int64_t res);

#endif
