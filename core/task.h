/* SPDX-License-Identifier: MIT */
/* Run queues: intrusive FIFO lists of tasks, one for each scheduling group; core/sched.h. */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include <miniss/task.h>

#include "core/compiler.h"

struct shard;

struct runq {
	struct mn_task *head;
	struct mn_task **tail;
};

static inline void runq_init(struct runq *runq)
{
	runq->head = NULL;
	runq->tail = &runq->head;
}

static inline bool runq_empty(const struct runq *runq)
{
	return !runq->head;
}

static inline void runq_push(struct runq *runq, struct mn_task *task)
{
	BUG_ON(!task->fn);
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*runq->tail = task;
	runq->tail = &task->next;
}

static inline struct mn_task *runq_pop(struct runq *runq)
{
	struct mn_task *task = runq->head;

	runq->head = task->next;
	if (!runq->head)
		runq->tail = &runq->head;
	task->queued = false;
	return task;
}

/* runq_last_first - who was just pushed behind @last goes first */
static inline void runq_last_first(struct runq *runq, struct mn_task **last)
{
	struct mn_task *task = *last;

	if (last == &runq->head)
		return;
	*last = NULL;
	runq->tail = last;
	task->next = runq->head;
	runq->head = task;
}

/* runq_remove - take a task out, wherever it is: O(length), for the rare cancel */
bool runq_remove(struct runq *runq, struct mn_task *task);

#endif
