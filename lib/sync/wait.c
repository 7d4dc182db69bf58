// SPDX-License-Identifier: MIT
#include "core/alarm.h"
#include "lib/sync/wait.h"

static void entry_push(struct mn_waiter *entry)
{
	struct mn_waitq *queue = entry->queue;

	mn__waitq_check(queue);
	entry->next = NULL;
	entry->prev = queue->last;
	if (queue->last)
		queue->last->next = entry;
	else
		queue->first = entry;
	queue->last = entry;
}

static void entry_remove(struct mn_waiter *entry)
{
	struct mn_waitq *queue = entry->queue;

	if (entry->prev)
		entry->prev->next = entry->next;
	else
		queue->first = entry->next;
	if (entry->next)
		entry->next->prev = entry->prev;
	else
		queue->last = entry->prev;
}

void wait_begin(struct mn_wait *wait)
{
	BUG_ON(wait->waiting);
	wait->granted = NULL;
	wait->waiting = true;
	for (unsigned int i = 0; i < wait->nr_entries; i++) {
		wait->entry[i].wait = wait;
		entry_push(&wait->entry[i]);
	}
}

void wait_end(struct mn_wait *wait)
{
	wait->waiting = false;
	for (unsigned int i = 0; i < wait->nr_entries; i++)
		entry_remove(&wait->entry[i]);
}

void wait_grant(struct mn_waiter *entry, int64_t res)
{
	struct mn_wait *wait = entry->wait;

	BUG_ON(!wait->waiting);
	wait_end(wait);
	wait->granted = entry;
	wait->res = res;
	if (wait->wake)
		wait->wake(wait);
	else
		task_schedule(mn_self, &wait->fiber->task);
}

void wait_grant_all(struct mn_waitq *queue, int64_t res)
{
	while (queue->first)
		wait_grant(queue->first, res);
}

/* Nothing was granted: the fiber goes on, then those that it kept from going on. */
static void wait_leave(struct mn_wait *wait, int why)
{
	wait_end(wait);
	wait->res = why;
	task_schedule(mn_self, &wait->fiber->task);
	if (wait->left)
		wait->left(wait);
}

void wait_cancel(void *obj)
{
	struct mn_wait *wait = obj;

	wait_leave(wait, wait->fiber->stop);
}

static void wait_expire(struct alarm *alarm)
{
	struct mn_wait *wait = alarm->obj;

	if (wait->waiting)
		wait_leave(wait, -ETIMEDOUT);
}

static int64_t wait_refused(struct mn_wait *wait, int why)
{
	wait->granted = NULL;
	wait->res = why;
	if (wait->left)
		wait->left(wait);
	return why;
}

static int64_t wait_alarmed(struct mn_wait *wait, int64_t timeout_ns)
{
	struct alarm alarm;

	alarm_set(&alarm, timeout_ns, wait_expire, wait);
	wait_begin(wait);
	fiber_park(wait_cancel, wait);
	alarm_cancel(&alarm);
	return wait->res;
}

int64_t wait_otherwise(struct mn_wait *wait, int64_t timeout_ns)
{
	if (IS_ENABLED(CONFIG_DEBUG) && !wait->fiber)
		bug("waiting is for fibers; a task was running", HERE);
	if (wait->fiber->stop)
		return wait_refused(wait, wait->fiber->stop);
	if (timeout_ns <= 0)
		return wait_refused(wait, -ETIMEDOUT);
	return wait_alarmed(wait, timeout_ns);
}

int64_t wait_surely(struct mn_wait *wait)
{
	wait->fiber = mn_self->fiber;
	wait_begin(wait);
	fiber_park(NULL, NULL);
	return wait->res;
}
