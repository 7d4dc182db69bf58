/* SPDX-License-Identifier: MIT */
/* One future that many wait for; beside the combinators of combine.h. One shard's. */
#ifndef MINISS_SHARED_H
#define MINISS_SHARED_H

#include <miniss/combine.h>

/* A future that many may wait for. */
struct mn_shared {
	struct mn_input wait;
	struct mn_shared_wait *first, **last;
};

/* One who does. */
struct mn_shared_wait {
	struct mn_future done;
	struct mn_shared *shared;
	struct mn_shared_wait *next, **pprev;	/* pprev NULL: not in the list */
};

/**
 * mn_shared_init - let many wait for a future
 * @shared: embedded by the caller, who keeps it and @future until mn_shared_stop()
 * @future: with no other waiter
 *
 * It is taken when the first of those who wait gets it: a failure that nobody
 * asked for is abandoned when @future is dropped.
 */
MN_API void mn_shared_init(struct mn_shared *shared, struct mn_future *future);

/**
 * mn_shared_get - be one of those who wait
 * @wait: embedded by the caller, one for each
 *
 *	static struct mn_future *config_get(struct client *client)
 *	{
 *		return mn_shared_get(&config.shared, &client->config);
 *	}
 *
 * Return: &@wait->done: the result; at once if it is there and nobody waits
 * before. Those who wait get it in the order in which they came.
 */
MN_API struct mn_future *mn_shared_get(struct mn_shared *shared, struct mn_shared_wait *wait);

/** mn_shared_leave - stop waiting; @wait may be freed. Nobody waits for its @done */
MN_API void mn_shared_leave(struct mn_shared_wait *wait);

/** mn_shared_stop - stop waiting for the future; who still waits gets -ECANCELED */
MN_API void mn_shared_stop(struct mn_shared *shared);

#if defined(CONFIG_DEBUG) && !defined(MN__COMBINE_INSIDE)
#define mn_shared_get(...)		mn__made(mn_shared_get(__VA_ARGS__), MN__HERE)
#endif

#endif
