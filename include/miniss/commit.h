/* SPDX-License-Identifier: MIT */
/*
 * Group commit: many fibers write to a file, each waits until what it wrote is
 * on the disk, and one sync is for all of them. While one is under way, those
 * who come gather for the next: what a disk does in the time of a sync, the
 * next one makes safe, however many they are.
 *
 * The caller embeds it and uses it on the file's shard.
 */
#ifndef MINISS_COMMIT_H
#define MINISS_COMMIT_H

#include <miniss/file.h>
#include <miniss/waitq.h>

struct mn_commit {
	struct mn_file *file;
	struct mn_op op;
	struct mn_task done;
	struct mn_waitq queue[2];	/* who waits for the sync under way, and for the next */
	uint8_t current;		/* which of them is which */
	bool running;
	int32_t failed;
	uint64_t nr_syncs;
	struct mn_waitq closing;
};

/**
 * mn_commit_init - make one for a file
 * @file: open for writing; stays open, and where it is, until mn_commit_close()
 */
#define mn_commit_init(commit, file)	mn__commit_init(commit, file, MN__HERE)
MN_API void mn__commit_init(struct mn_commit *commit, struct mn_file *file, const char *origin);

/**
 * mn_commit_timeout - return when all that was written before is on the disk
 * @timeout_ns: from now; MN_NEVER for no limit; <= 0 does not wait
 *
 * Everything for which a write had returned when this was called, as with
 * mn_file_datasync(): by a sync that began after that. From a fiber; suspends.
 *
 * Return: 0; -ECANCELED, -ETIMEDOUT: it may be on the disk or not, and the
 * sync goes on for the others; -EIO, -ENOSPC and so on: the sync failed, which
 * is final: all who waited for it or for the next, and all who come later, get
 * the same.
 */
MN_API int mn_commit_timeout(struct mn_commit *commit, int64_t timeout_ns);

static inline int mn_commit(struct mn_commit *commit)
{
	return mn_commit_timeout(commit, MN_NEVER);
}

/**
 * mn_commit_close - the end of its life
 *
 * Waits for the sync that is under way, and for those who wait for one; nobody
 * may come any more. From a fiber; suspends; cancellation does not end it.
 *
 * Return: 0, or the failure of a sync.
 */
MN_API int mn_commit_close(struct mn_commit *commit);

/** mn_commit_syncs - how many syncs there were so far */
static inline uint64_t mn_commit_syncs(const struct mn_commit *commit)
{
	return commit->nr_syncs;
}

#endif
