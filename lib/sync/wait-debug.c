// SPDX-License-Identifier: MIT
/* What debug builds know of an object: where it was made, and whose it is. */
#include "lib/sync/wait.h"

#define WAITQ_MAGIC	0x77616974u
#define WAITQ_DEAD	0x64656164u

void mn__waitq_init(struct mn_waitq *queue, const char *origin)
{
	queue->first = queue->last = NULL;
	queue->origin = origin;
	queue->shard = mn_self ? mn_self->id : 0;
	queue->magic = WAITQ_MAGIC;
}

void mn__waitq_check(const struct mn_waitq *queue)
{
	if (queue->magic == WAITQ_DEAD)
		bug("an object to wait for was used after it was destroyed", queue->origin);
	if (queue->magic != WAITQ_MAGIC)
		bug("this memory is not an initialised object to wait for", HERE);
	if (!mn_self || queue->shard != mn_self->id)
		bug("an object to wait for was used by another shard than its own", queue->origin);
}

void mn__waitq_destroy(struct mn_waitq *queue)
{
	mn__waitq_check(queue);
	if (queue->first)
		bug("an object was destroyed while a fiber waits for it", queue->origin);
	queue->magic = WAITQ_DEAD;
}

void mutex_given(struct mn_mutex *mutex, struct mn_fiber *fiber)
{
	mutex->owner = fiber;
}

void mn__mutex_taken(struct mn_mutex *mutex)
{
	mutex_given(mutex, mn_fiber_self());
}

void mn__mutex_check(const struct mn_mutex *mutex, bool mine)
{
	if (mine && (!mutex->locked || mutex->owner != mn_fiber_self()))
		bug("a mutex was unlocked that this fiber does not have", mutex->waiting.origin);
	if (!mine && mutex->locked && mutex->owner == mn_fiber_self())
		bug("a fiber locks a mutex that it has already", mutex->waiting.origin);
}
