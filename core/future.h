/* SPDX-License-Identifier: MIT */
/* Futures inside: the two ways in which one that is pending can be left. */
#ifndef CORE_FUTURE_H
#define CORE_FUTURE_H

#include <miniss/future.h>

#include "core/compiler.h"

#define FUTURE_MAGIC	0x6675740au	/* debug builds: this memory is a future */

#ifdef CONFIG_DEBUG
const char *future_origin(const struct mn_future *future);
#else
static inline const char *future_origin(const struct mn_future *future)
{
	return NULL;
}
#endif

/* FUTURE_BUG_ON - a BUG_ON that names the future */
#define FUTURE_BUG_ON(future, cond, what)				\
	do {								\
		if (IS_ENABLED(CONFIG_DEBUG) && __builtin_expect(!!(cond), 0)) \
			bugf(HERE, "%s; it was made at %s", what, future_origin(future)); \
	} while (0)

static inline bool future_pending(const struct mn_future *future)
{
	return !mn_future_ready(future);
}

/* future_attach - let @task be scheduled when a pending future is resolved */
static inline void future_attach(struct mn_future *future, struct mn_task *task)
{
	FUTURE_BUG_ON(future, future->waiter, "somebody waits for the future already");
	future->waiter = task;
}

/* future_detach - stop waiting: @task is not scheduled by this future any more */
static inline void future_detach(struct mn_future *future, struct mn_task *task)
{
	if (future->waiter == task)
		future->waiter = NULL;
}

#ifdef CONFIG_DEBUG
/* future_made - by whoever announced it, or else at @origin */
void future_made(struct mn_future *future, const char *origin);
void future_check(const struct mn_future *future);
#else
static inline void future_made(struct mn_future *future, const char *origin)
{
}

static inline void future_check(const struct mn_future *future)
{
}
#endif

#endif
