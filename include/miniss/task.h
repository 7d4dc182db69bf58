/* SPDX-License-Identifier: MIT */
/*
 * A task is an intrusive entry of a shard's run queue: embed it, and find
 * the object around it in the function.
 */
#ifndef MINISS_TASK_H
#define MINISS_TASK_H

#include <miniss/types.h>

struct mn_task;

typedef void (*mn_task_fn)(struct mn_task *task);

struct mn_task {
	struct mn_task *next;
	mn_task_fn fn;
	uint16_t group;		/* scheduling group */
	bool queued;
	uint8_t pad;
	uint32_t shard;		/* debug builds: the shard that queued it */
};

/* clang-format off */
#define MN_TASK_INIT(f)	{ .fn = (f) }
/* clang-format on */

/**
 * mn_task_init - prepare a task
 * @task: owned by the caller, who keeps it alive while it is queued
 * @fn: what to run; it may free or requeue the task
 *
 * Any shard. Does not suspend, cannot fail.
 */
static inline void mn_task_init(struct mn_task *task, mn_task_fn fn)
{
	*task = (struct mn_task)MN_TASK_INIT(fn);
}

/**
 * mn_task_schedule - put a task on the run queue of this shard
 * @task: initialised; scheduling one that is queued already does nothing
 *
 * The function runs from the reactor, never from here; tasks of a group run
 * in the order in which they were scheduled. Does not suspend.
 */
MN_API void mn_task_schedule(struct mn_task *task);

#endif
