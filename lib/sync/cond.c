// SPDX-License-Identifier: MIT
#include "lib/sync/wait.h"

/* Whatever happens: who waits for a condition returns with the mutex. */
static void lock_surely(struct mn_mutex *mutex)
{
	struct mn_waiter entry = { .queue = &mutex->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	if (mn_mutex_try(mutex))
		wait_surely(&wait);
}

int mn_cond_wait_timeout(struct mn_cond *cond, struct mn_mutex *mutex, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &cond->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int err;

	mn__waitq_check(&cond->waiting);
	/* Nobody runs before we wait: no signal can come in between. */
	mn_mutex_unlock(mutex);
	err = (int)wait_run(&wait, timeout_ns);
	lock_surely(mutex);
	return err;
}

void mn_cond_signal(struct mn_cond *cond)
{
	mn__waitq_check(&cond->waiting);
	if (cond->waiting.first)
		wait_grant(cond->waiting.first, 0);
}

void mn_cond_broadcast(struct mn_cond *cond)
{
	mn__waitq_check(&cond->waiting);
	wait_grant_all(&cond->waiting, 0);
}
