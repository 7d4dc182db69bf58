// SPDX-License-Identifier: MIT
#include "lib/sync/wait.h"

#define WRITING	(-1)

static void readers_admit(struct mn_rwlock *rwlock)
{
	while (rwlock->readers.first) {
		rwlock->nr_readers++;
		wait_grant(rwlock->readers.first, 0);
	}
}

static void writer_admit(struct mn_rwlock *rwlock)
{
	rwlock->nr_readers = WRITING;
	wait_grant(rwlock->writers.first, 0);
}

int mn_rwlock_try_read(struct mn_rwlock *rwlock)
{
	mn__waitq_check(&rwlock->readers);
	if (rwlock->nr_readers == WRITING || rwlock->writers.first)
		return -EAGAIN;
	rwlock->nr_readers++;
	return 0;
}

int mn_rwlock_try_write(struct mn_rwlock *rwlock)
{
	mn__waitq_check(&rwlock->writers);
	if (rwlock->nr_readers)
		return -EAGAIN;
	rwlock->nr_readers = WRITING;
	return 0;
}

int mn_rwlock_read_timeout(struct mn_rwlock *rwlock, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &rwlock->readers };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	return mn_rwlock_try_read(rwlock) ? (int)wait_run(&wait, timeout_ns) : 0;
}

/* It was the last writer that kept readers out. */
static void writer_left(struct mn_wait *wait)
{
	struct mn_rwlock *rwlock = container_of(wait->entry->queue, struct mn_rwlock, writers);

	if (!rwlock->writers.first && rwlock->nr_readers != WRITING)
		readers_admit(rwlock);
}

int mn_rwlock_write_timeout(struct mn_rwlock *rwlock, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &rwlock->writers };
	struct mn_wait wait = WAIT_FOR(&entry, 1, writer_left);

	return mn_rwlock_try_write(rwlock) ? (int)wait_run(&wait, timeout_ns) : 0;
}

void mn_rwlock_read_end(struct mn_rwlock *rwlock)
{
	mn__waitq_check(&rwlock->readers);
	BUG_ON(rwlock->nr_readers <= 0);
	rwlock->nr_readers--;
	if (!rwlock->nr_readers && rwlock->writers.first)
		writer_admit(rwlock);
}

void mn_rwlock_write_end(struct mn_rwlock *rwlock)
{
	mn__waitq_check(&rwlock->writers);
	BUG_ON(rwlock->nr_readers != WRITING);
	rwlock->nr_readers = 0;
	if (rwlock->readers.first)
		readers_admit(rwlock);
	else if (rwlock->writers.first)
		writer_admit(rwlock);
}
