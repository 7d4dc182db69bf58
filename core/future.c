// SPDX-License-Identifier: MIT
/*
 * Futures. The waiter word says everything: NULL, a task, or one of two
 * states that no task can have as its address. Nothing here is atomic, since
 * a future never leaves its shard.
 */
#include "core/future.h"
#include "core/shard.h"

BUILD_BUG_ON(sizeof(struct mn_future) != 16 && !IS_ENABLED(CONFIG_DEBUG));
BUILD_BUG_ON(sizeof(struct mn_task) != 24);

void mn_future_resolve(struct mn_future *future, int64_t result)
{
	struct mn_task *waiter = future->waiter;

	future_check(future);
	FUTURE_BUG_ON(future, mn_future_ready(future), "a future was resolved twice");
	future->result = result;
	future->waiter = MN_FUTURE_RESOLVED;
	if (waiter)
		task_schedule(mn_self, waiter);
}

void mn_future_then(struct mn_future *future, struct mn_task *task, mn_task_fn fn)
{
	future_check(future);
	mn_task_init(task, fn);
	task->group = mn_self->group;
	if (mn_future_ready(future))
		task_schedule(mn_self, task);
	else
		future_attach(future, task);
}

int64_t mn_future_take(struct mn_future *future)
{
	future_check(future);
	FUTURE_BUG_ON(future, future_pending(future), "a future was taken before it was resolved");
	future->waiter = MN_FUTURE_TAKEN;
	return future->result;
}

void mn_future_drop(struct mn_future *future)
{
	future_check(future);
	FUTURE_BUG_ON(future, future_pending(future) && future->waiter,
		      "a future was dropped that somebody waits for");
	if (future->waiter == MN_FUTURE_RESOLVED && future->result < 0)
		abandoned(mn_self, future->result, NULL, future_origin(future));
	future->waiter = MN_FUTURE_TAKEN;
}
