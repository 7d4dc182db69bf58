/* SPDX-License-Identifier: MIT */
/*
 * Operations on files, as far as they are the same for all backends: how one
 * goes on after the system did a part of it, and how a thread that may block
 * does the whole.
 */
#ifndef BACKENDS_FILE_H
#define BACKENDS_FILE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "core/op.h"

static inline bool op_is_file(const struct mn_op *op)
{
	return op->code >= MN_OP_READ && op->code <= MN_OP_LOCK;
}

/* Of these: the ones that only a thread can do. */
static inline bool op_is_pooled(const struct mn_op *op)
{
	return op->code >= MN_OP_TRUNCATE && op->code <= MN_OP_LOCK;
}

/* What to do next of READ and its like: either @iov, or @base if @iov is NULL. */
struct file_part {
	void *base;
	size_t len;		/* of either */
	const struct iovec *iov;
	unsigned int nr;
	int64_t off;		/* -1: at the end of the file */
};

#define FILE_IOV_MAX	1024		/* that systems take at once */
#define FILE_PART_MAX	(1U << 30)
#define FILE_INLINE_MAX	(1U << 20)	/* what may be copied where a shard waits for it */

/* Of these: the ones that move bytes. */
static inline bool op_is_transfer(const struct mn_op *op)
{
	return op->code >= MN_OP_READ && op->code <= MN_OP_WRITEV;
}

/* file_part - the rest of an operation, @op->be.num bytes of which are done; not more than @max */
void file_part(const struct mn_op *op, struct file_part *part, size_t max);

/* file_direct - does it go past the page cache? */
bool file_direct(const struct mn_op *op);

#define FILE_MORE	(INT64_MIN + 1)	/* go on, with the next part */
#define FILE_BLOCK	(INT64_MIN + 2)	/* go on, on a thread that may block */

/*
 * file_progress - account for what the system said
 * @res: of any operation on files, -errno if it failed
 * @canceled: it was asked to end
 *
 * Return: what it completes with, or one of the above.
 */
int64_t file_progress(struct mn_op *op, int64_t res, bool canceled);

/* file_call - do all of it, or the rest, here; its result. It may block */
int64_t file_call(struct mn_op *op);

/* file_try - the same for what does not block and is not much; FILE_BLOCK: the rest would */
int64_t file_try(struct mn_op *op);

/* file_stat - MN_OP_STAT, MN_OP_FSTAT */
int64_t file_stat(const struct mn_op *op);

/*
 * file_pool_start - do all of it, or the rest, on a thread of the blocking pool
 * Completes it later; or from here, with -EAGAIN, if there is no thread.
 */
void file_pool_start(struct mn_op *op);

/* file_pool_cancel - completes it, if no thread has begun with it */
void file_pool_cancel(struct mn_op *op);

#endif
