// SPDX-License-Identifier: MIT
#include "core/shard.h"

bool runq_remove(struct runq *runq, struct mn_task *task)
{
	struct mn_task **link;

	for (link = &runq->head; *link; link = &(*link)->next) {
		if (*link != task)
			continue;
		*link = task->next;
		if (!*link)
			runq->tail = link;
		task->queued = false;
		return true;
	}
	return false;
}

void mn_task_schedule(struct mn_task *task)
{
	BUG_ON(!mn_self);
	task_schedule(mn_self, task);
}
