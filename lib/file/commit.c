// SPDX-License-Identifier: MIT
/*
 * Group commit. Nobody leads: the sync is an operation of the object, so that
 * who waits can leave at any time. When it ends, a task answers those who
 * waited for it and starts the next one for those who came meanwhile.
 */
#include <miniss/commit.h>

#include "lib/sync/wait.h"

static struct mn_waitq *queue_now(struct mn_commit *commit)
{
	return &commit->queue[commit->current];
}

static struct mn_waitq *queue_next(struct mn_commit *commit)
{
	return &commit->queue[commit->current ^ 1];
}

/* For all who have come so far. */
static void sync_start(struct mn_commit *commit)
{
	commit->running = true;
	commit->nr_syncs++;
	commit->current ^= 1;
	mn_file_datasync_start(&commit->op, commit->file);
	mn_future_then(&commit->op.done, &commit->done, commit->done.fn);
}

static void synced(struct mn_task *task)
{
	struct mn_commit *commit = container_of(task, struct mn_commit, done);
	int res = (int)mn_future_take(&commit->op.done);

	commit->running = false;
	commit->failed = commit->file->failed;	/* not if it only could not begin */
	if (commit->failed)
		res = commit->failed;
	wait_grant_all(queue_now(commit), res);
	if (commit->failed)
		wait_grant_all(queue_next(commit), commit->failed);
	else if (queue_next(commit)->first)
		sync_start(commit);
	if (!commit->running)
		wait_grant_all(&commit->closing, commit->failed);
}

void mn__commit_init(struct mn_commit *commit, struct mn_file *file, const char *origin)
{
	*commit = (struct mn_commit){ .file = file, .failed = file->failed };
	mn_task_init(&commit->done, synced);
	mn__waitq_init(&commit->queue[0], origin);
	mn__waitq_init(&commit->queue[1], origin);
	mn__waitq_init(&commit->closing, origin);
}

int mn_commit_timeout(struct mn_commit *commit, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = queue_next(commit) };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	mn__waitq_check(&commit->closing);
	if (commit->failed)
		return commit->failed;
	if (mn_self->fiber && mn_self->fiber->stop)
		return mn_self->fiber->stop;
	if (!commit->running && timeout_ns > 0)
		sync_start(commit);
	return (int)wait_run(&wait, timeout_ns);
}

int mn_commit_close(struct mn_commit *commit)
{
	struct mn_waiter entry = { .queue = &commit->closing };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int res = commit->failed;

	if (commit->running)
		res = (int)wait_surely(&wait);
	mn__waitq_destroy(&commit->queue[0]);
	mn__waitq_destroy(&commit->queue[1]);
	mn__waitq_destroy(&commit->closing);
	return res;
}
