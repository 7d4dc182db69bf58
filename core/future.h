/* SPDX-License-Identifier: MIT */
/* Futures inside: the two ways in which one that is pending can be left. */
#ifndef CORE_FUTURE_H
#define CORE_FUTURE_H

#include <miniss/future.h>

#include "core/compiler.h"

#define FUTURE_MAGIC	0x6675740au	/* debug builds: this memory is a future */

static inline bool future_pending(const struct mn_future *future)
{
	return !mn_future_ready(future);
}

/* future_attach - let @task be scheduled when a pending future is resolved */
static inline void future_attach(struct mn_future *future, struct mn_task *task)
{
	BUG_ON(future->waiter);
	future->waiter = task;
}

/* future_detach - stop waiting: @task is not scheduled by this future any more */
static inline void future_detach(struct mn_future *future, struct mn_task *task)
{
	if (future->waiter == task)
		future->waiter = NULL;
}

#ifdef CONFIG_DEBUG
void future_check(const struct mn_future *future);
const char *future_origin(const struct mn_future *future);
#else
static inline void future_check(const struct mn_future *future)
{
}

static inline const char *future_origin(const struct mn_future *future)
{
	return NULL;
}
#endif

#endif
