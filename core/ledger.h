/* SPDX-License-Identifier: MIT */
/*
 * Debug builds: what is in flight or armed on a shard, and where it was made.
 * It belongs to somebody else, who may free it, use it for something else or
 * leave the function that it is in, all too early: so the ledger keeps the
 * addresses, and what it says of them it does not read from there. It also
 * knows what memory an operation was given (core/loan.h), which may as little
 * be freed: it is the kernel's until the operation has completed.
 */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include <miniss/op.h>
#include <miniss/timer.h>

#include "core/compiler.h"

struct shard;

enum ledger_kind { LEDGER_OP, LEDGER_TIMER, LEDGER_NR };

#ifdef CONFIG_DEBUG
/* ledger_op, ledger_timer - it is in flight, or armed; @origin: who made it */
void ledger_op(const struct mn_op *op, const char *origin);
void ledger_timer(const struct mn_timer *timer);

/* ledger_remove - it is not any more; what is not in there is no error */
void ledger_remove(const void *obj);

/* ledger_idle - abort if what is at this address is in there: it is about to be initialised */
void ledger_idle(uintptr_t obj);

/* ledger_lost - abort: what completed is no operation in flight, or not any more */
void ledger_lost(const void *obj) __attribute__((cold, noreturn));

/* ledger_fiber_ends - abort if something is in there that is on the stack of the running fiber */
void ledger_fiber_ends(void);

/*
 * ledger_freed - abort if an operation of this shard has some of this memory: it is being freed
 * Any thread; those that are no shards have no operations.
 */
void ledger_freed(const void *base, size_t len);

/* ledger_report - log the first few of a kind; how many there are. Any thread, after the end */
unsigned int ledger_report(const struct shard *shard, enum ledger_kind kind, unsigned int n_max);

void ledger_close(struct shard *shard);
#else
static inline void ledger_op(const struct mn_op *op, const char *origin)
{
}

static inline void ledger_timer(const struct mn_timer *timer)
{
}

static inline void ledger_remove(const void *obj)
{
}

static inline void ledger_idle(uintptr_t obj)
{
}

static inline void ledger_lost(const void *obj)
{
}

static inline void ledger_fiber_ends(void)
{
}

static inline void ledger_freed(const void *base, size_t len)
{
}

static inline unsigned int ledger_report(const struct shard *shard, enum ledger_kind kind,
					 unsigned int n_max)
{
	return 0;
}

static inline void ledger_close(struct shard *shard)
{
}
#endif

#endif
