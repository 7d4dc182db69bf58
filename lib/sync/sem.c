// SPDX-License-Identifier: MIT
/* Semaphores and mutexes, where somebody has to wait. */
#include "lib/sync/wait.h"

void mn__sem_grant(struct mn_sem *sem)
{
	struct mn_waiter *first;

	while ((first = sem->waiting.first) && first->units <= sem->units) {
		sem->units -= first->units;
		wait_grant(first, 0);
	}
}

/* Those behind may want less. */
static void sem_left(struct mn_wait *wait)
{
	mn__sem_grant(container_of(wait->entry->queue, struct mn_sem, waiting));
}

int mn__sem_wait(struct mn_sem *sem, uint64_t units, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &sem->waiting, .units = units };
	struct mn_wait wait = WAIT_FOR(&entry, 1, sem_left);

	return (int)wait_run(&wait, timeout_ns);
}

void mn_sem_break(struct mn_sem *sem, int err)
{
	BUG_ON(err >= 0 || err == -EAGAIN);
	mn__waitq_check(&sem->waiting);
	sem->err = err;
	wait_grant_all(&sem->waiting, err);
}

int mn__mutex_wait(struct mn_mutex *mutex, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &mutex->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	mn__mutex_check(mutex, false);
	return (int)wait_run(&wait, timeout_ns);
}

/* It stays locked: from now on it is the next one's. */
void mn__mutex_pass(struct mn_mutex *mutex)
{
	mutex_given(mutex, mutex->waiting.first->wait->fiber);
	wait_grant(mutex->waiting.first, 0);
}
