// SPDX-License-Identifier: MIT
/*
 * Group commit: 64 fibers write 512 bytes each to a log, and wait until that is
 * on the disk. Beside it, the same with a sync for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <miniss/commit.h>

#include "tools/bench/bench.h"

#define WRITERS		64
#define RECORD		512
#define LOG_BYTES	(1 << 20)

struct log {
	struct mn_file file;
	struct mn_commit commit;
	uint64_t left;			/* records to be written in this sample */
	int64_t at;
	bool single;
	int err;
	char path[256];
};

/* From a fiber each, since the case is a task. */
static int log_open(void *arg)
{
	struct log *log = arg;
	const char *dir = getenv("TMPDIR");

	snprintf(log->path, sizeof(log->path), "%s/mn-bench-log-%d", dir ? dir : "/tmp",
		 (int)getpid());
	log->err = mn_file_open(&log->file, log->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (!log->err)
		log->err = mn_file_allocate(&log->file, 0, LOG_BYTES, false);
	mn_commit_init(&log->commit, &log->file);
	return 0;
}

static int log_close(void *arg)
{
	struct log *log = arg;

	mn_commit_close(&log->commit);
	mn_file_close(&log->file);
	mn_unlink(log->path);
	return 0;
}

static int writer(void *arg)
{
	static const char record[RECORD];
	struct log *log = arg;

	while (log->left && !log->err) {
		int64_t at = log->at;
		int64_t n;

		log->left--;
		log->at = (at + RECORD) % LOG_BYTES;
		n = mn_write(&log->file, record, RECORD, at);
		if (n == RECORD)
			n = log->single ? mn_file_datasync(&log->file) : mn_commit(&log->commit);
		if (n < 0)
			log->err = (int)n;
	}
	return 0;
}

static void fibers(struct bench_case *c, mn_fiber_fn fn, int n)
{
	while (n--)
		mn_spawn(fn, c->state, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static int commit_open(struct bench_case *c)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	c->state = log;
	fibers(c, log_open, 1);
	return log->err;
}

static void commit_close(struct bench_case *c)
{
	fibers(c, log_close, 1);
	free(c->state);
}

static void group_run(struct bench_case *c, uint64_t n)
{
	struct log *log = c->state;

	log->left = n;
	log->single = false;
	fibers(c, writer, WRITERS);
}

static void single_run(struct bench_case *c, uint64_t n)
{
	struct log *log = c->state;

	log->left = n;
	log->single = true;
	fibers(c, writer, WRITERS);
}

static const struct bench fsync_group = {
	.name = "file.fsync_group",
	.family = "file.fsync",
	.kind = &backend_kind,
	.open = commit_open,
	.run = group_run,
	.close = commit_close,
	.n = 4 * WRITERS,
};
bench_register(fsync_group);

static const struct bench fsync_each = {
	.name = "file.fsync_each",
	.family = "file.fsync",
	.kind = &backend_kind,
	.open = commit_open,
	.run = single_run,
	.close = commit_close,
	.n = WRITERS,
};
bench_register(fsync_each);
