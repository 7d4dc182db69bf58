// SPDX-License-Identifier: MIT
/*
 * Operations on files. The kernel tries each where it is submitted; what
 * would block goes to its worker threads (most that change something on most
 * file systems), of which there are --io_uring.workers at most. What has no
 * ring operation goes to the blocking pool.
 */
#include <errno.h>
#include <sys/stat.h>

#include <miniss/file.h>

#include "backends/file.h"
#include "backends/io_uring/uring.h"
#include "backends/platform-splice.h"

#define UNCACHED	16	/* reads that are not tried */

/*
 * What is in the page cache is copied while the shard waits: so at most that
 * much at a time. A long write goes to a worker at once, and in one piece.
 */
static void prep_transfer(struct uring *u, const struct mn_op *op, struct io_uring_sqe *sqe)
{
	bool reads = op->code == MN_OP_READ || op->code == MN_OP_READV;
	bool direct = file_direct(op);
	struct file_part part;
	uint64_t off;
	int fixed;

	file_part(op, &part, reads && !direct ? FILE_INLINE_MAX : FILE_PART_MAX);
	off = part.off < 0 ? 0 : (uint64_t)part.off;
	if (reads && part.iov)
		io_uring_prep_readv(sqe, op->fd, part.iov, part.nr, off);
	else if (reads)
		io_uring_prep_read(sqe, op->fd, part.base, (unsigned int)part.len, off);
	else if (part.iov)
		io_uring_prep_writev(sqe, op->fd, part.iov, part.nr, off);
	else
		io_uring_prep_write(sqe, op->fd, part.base, (unsigned int)part.len, off);
	fixed = part.iov ? -1 : uring_fixed(u, part.base, part.len);
	if (fixed >= 0) {
		sqe->opcode = reads ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
		sqe->buf_index = (uint16_t)fixed;
	}
	if (part.off < 0)
		sqe->rw_flags = RWF_APPEND;
	if (!reads && !direct && part.len > FILE_INLINE_MAX)
		sqe->flags |= IOSQE_ASYNC;
}

/* The helpers of old versions take what is shorter than a length. */
static void prep_range(const struct mn_op *op, struct io_uring_sqe *sqe)
{
	uint64_t off = (uint64_t)op->range.off, len = (uint64_t)op->range.len;

	switch (op->code) {
	case MN_OP_SYNC_RANGE:
		io_uring_prep_rw(IORING_OP_SYNC_FILE_RANGE, sqe, op->fd, NULL, (unsigned int)len,
				 off);
		sqe->sync_range_flags = (uint32_t)op->range.flags;
		break;
	case MN_OP_ALLOCATE:
		io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, op->fd, NULL,
				 (unsigned int)op->range.flags, off);
		sqe->addr = len;
		break;
	default:
		io_uring_prep_rw(IORING_OP_FADVISE, sqe, op->fd, NULL, (unsigned int)len, off);
		sqe->fadvise_advice = (uint32_t)op->range.flags;
	}
}

static void prep_names(const struct mn_op *op, struct io_uring_sqe *sqe)
{
	switch (op->code) {
	case MN_OP_RENAME:
		io_uring_prep_renameat(sqe, op->fd, op->names.path, op->names.to_fd, op->names.to,
				       (unsigned int)op->names.flags);
		break;
	case MN_OP_LINK:
		io_uring_prep_linkat(sqe, op->fd, op->names.path, op->names.to_fd, op->names.to,
				     op->names.flags);
		break;
	case MN_OP_SYMLINK:
		io_uring_prep_symlinkat(sqe, op->names.path, op->names.to_fd, op->names.to);
		break;
	case MN_OP_UNLINK:
		io_uring_prep_unlinkat(sqe, op->fd, op->names.path, op->names.flags);
		break;
	default:
		io_uring_prep_mkdirat(sqe, op->fd, op->names.path, (mode_t)op->names.flags);
	}
}

void uring_file_prep(struct uring *u, const struct mn_op *op, struct io_uring_sqe *sqe)
{
	switch (op->code) {
	case MN_OP_READ:
	case MN_OP_READV:
	case MN_OP_WRITE:
	case MN_OP_WRITEV:
		prep_transfer(u, op, sqe);
		break;
	case MN_OP_FSYNC:
		io_uring_prep_fsync(sqe, op->fd, op->range.flags ? IORING_FSYNC_DATASYNC : 0);
		break;
	case MN_OP_OPEN:
		io_uring_prep_openat2(sqe, op->fd, op->open.path,
				      (struct open_how *)(uintptr_t)op->open.how);
		break;
	case MN_OP_CLOSE_FILE:
		io_uring_prep_close(sqe, op->fd);
		break;
	case MN_OP_SPLICE:
		io_uring_prep_splice(sqe, op->splice.from, op->splice.from_off, op->fd,
				     op->splice.to_off, op->splice.len, PLATFORM_SPLICE_FLAGS);
		break;
	case MN_OP_STAT:
		io_uring_prep_statx(sqe, op->fd, op->stat.path, (int)op->stat.flags, op->stat.mask,
				    op->stat.buf);
		break;
	case MN_OP_SYNC_RANGE:
	case MN_OP_ALLOCATE:
	case MN_OP_ADVISE:
		prep_range(op, sqe);
		break;
	default:
		prep_names(op, sqe);
	}
}

/* Also: lengths that do not fit into an entry. */
static bool for_thread(const struct mn_op *op)
{
	if (op->code == MN_OP_SYNC_RANGE || op->code == MN_OP_ADVISE)
		return op->range.len > UINT32_MAX;
	return op_is_pooled(op) || (op_is_transfer(op) && op->file && op->file->by_thread);
}

/*
 * Who waits for a read gets what is in the page cache by a system call of its
 * own where nothing else goes on: the ring would take one, too, and a turn. If
 * others are ready it goes through the ring, which costs more, but gives way to
 * them now and not when the slice is over. After one that was not there some
 * others are not tried: it costs as much as it brings.
 */
static bool read_at_once(struct uring *u, struct mn_op *op)
{
	int64_t res;

	if (!(op->flags & OP_AWAITED) || shard_ready(u->be.shard) || uring_pending(u))
		return false;
	if (u->uncached) {
		u->uncached--;
		return false;
	}
	stats_add(u->be.shard, STAT_SYSCALLS, 1);
	res = file_try(op);
	if (res == FILE_BLOCK) {
		u->uncached = UNCACHED;
		return false;
	}
	op_complete(op, res);
	return true;
}

void uring_file_submit(struct uring *u, struct mn_op *op)
{
	if (!for_thread(op)) {
		if (!read_at_once(u, op))
			uring_resubmit(u, op);
		return;
	}
	op->priv = OP_POOLED;
	file_pool_start(op);
}

void uring_file_reap(struct uring *u, struct mn_op *op, int res)
{
	int64_t end = file_progress(op, res, op->state == OP_CANCELING);

	if (end == FILE_MORE) {
		uring_resubmit(u, op);
	} else if (end == FILE_BLOCK) {
		op->priv = OP_POOLED;
		file_pool_start(op);
	} else {
		if (op->code == MN_OP_OPEN && end >= 0 && op->file)
			op->file->by_thread = uring_file_waits(u, (int)end);
		op_complete(op, end);
	}
}
