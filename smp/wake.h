/* SPDX-License-Identifier: MIT */
/*
 * Sleep and wake: no message may lie in the inbox of a shard that sleeps and
 * that nobody wakes.
 *
 *	who sleeps			who sends
 *	wake_announce(asleep)		push, to as many as there are
 *	mail? then do not sleep		wake_look()
 *	wait				for each: if wake_claim(asleep), wake it
 *	wake_cancel(asleep)
 *
 * Each side writes, then looks at what the other wrote; so that they cannot
 * both have looked too early, each has a fence in between.
 */
#ifndef SMP_WAKE_H
#define SMP_WAKE_H

#include <stdbool.h>

#include "smp/atomics.h"

static inline void wake_announce(_Atomic(uint32_t) *asleep)
{
	atomic_store_explicit(asleep, 1, memory_order_relaxed);
	/* Store-load: we say that we sleep before we look for messages. Pairs with wake_look(). */
	atomic_thread_fence(memory_order_seq_cst);
}

/* wake_look - between all that is pushed in a turn and the first look at who sleeps */
static inline void wake_look(void)
{
	/* Store-load: messages are visible before we look who sleeps. Pairs with wake_announce(). */
	atomic_thread_fence(memory_order_seq_cst);
}

/* wake_claim - does it sleep, and is it for us to wake it? For one of several senders, once. */
static inline bool wake_claim(_Atomic(uint32_t) *asleep)
{
	return atomic_load_explicit(asleep, memory_order_relaxed) &&
	       atomic_exchange_explicit(asleep, 0, memory_order_relaxed);
}

static inline void wake_cancel(_Atomic(uint32_t) *asleep)
{
	atomic_store_explicit(asleep, 0, memory_order_relaxed);
}

#endif
