// SPDX-License-Identifier: MIT
/*
 * Syncs. When writing to the disk has failed, the kernel says so once, and
 * takes the pages for clean: the next sync succeeds, and the data is lost. So
 * the first error stays with the file.
 */
#include "lib/file/file.h"

/* Did it fail, or did it only not begin? */
static bool is_final(int64_t res)
{
	return res < 0 && res != -ECANCELED && res != -EAGAIN && res != -EBADF &&
	       res != -EOPNOTSUPP && res != -EINVAL;
}

/* One that was under way with the one that failed may not be told of it. */
static void synced(struct mn_op *op, int64_t res)
{
	struct mn_file *file = op->file;

	if (!file->failed && is_final(res))
		file->failed = (int)res;
	else if (file->failed && !res)
		res = file->failed;
	op_resolve(op, res);
}

static void sync_start(struct mn_op *op, struct mn_file *file, enum mn_opcode code, int64_t off,
		       int64_t len, int flags)
{
	file_op(op, code, file);
	op->complete = synced;
	op->range.off = off;
	op->range.len = len;
	op->range.flags = flags;
	if (file->failed)
		op_fail(op, file->failed);
	else if (off < 0 || len < 0 || len > INT64_MAX - off)
		op_fail(op, -EINVAL);
	else
		op_start(op);
}

void(mn_file_sync_start)(struct mn_op *op, struct mn_file *file)
{
	sync_start(op, file, MN_OP_FSYNC, 0, 0, 0);
}

void(mn_file_datasync_start)(struct mn_op *op, struct mn_file *file)
{
	sync_start(op, file, MN_OP_FSYNC, 0, 0, 1);
}

void mn_file_sync_range_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len,
			      unsigned int flags)
{
	sync_start(op, file, MN_OP_SYNC_RANGE, off, len, (int)flags);
}

static int sync_do(struct mn_file *file, enum mn_opcode code, int64_t off, int64_t len, int flags)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	sync_start(&op, file, code, off, len, flags);
	return (int)file_await(&op);
}

int mn_file_sync(struct mn_file *file)
{
	return sync_do(file, MN_OP_FSYNC, 0, 0, 0);
}

int mn_file_datasync(struct mn_file *file)
{
	return sync_do(file, MN_OP_FSYNC, 0, 0, 1);
}

int mn_file_sync_range(struct mn_file *file, int64_t off, int64_t len, unsigned int flags)
{
	return sync_do(file, MN_OP_SYNC_RANGE, off, len, (int)flags);
}
