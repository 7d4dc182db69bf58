// SPDX-License-Identifier: MIT
/*
 * Operations on files, the same for all backends. Systems may do less than
 * they were asked to; to the core a transfer ends once: with all of it, with
 * what there was until the end of the file, or with an error. An error after
 * a part is not lost: the part is the result, and whoever goes on meets it.
 *
 * op->be.num says how many bytes are done. While a thread of the pool has
 * the operation, that thread alone touches it, and the shard only its state.
 */
#include <unistd.h>

#include <miniss/fiber.h>
#include <miniss/file.h>

#include "backends/file.h"
#include "backends/platform-file.h"
#include "backends/platform-splice.h"
#include "smp/blocking.h"

#define TRY_MAX	(64U << 10)	/* bytes that are copied where a shard waits for it, uncalled for */

BUILD_BUG_ON(sizeof(struct blocking_job) > sizeof(((struct mn_op *)NULL)->job));

static bool is_read(const struct mn_op *op)
{
	return op->code == MN_OP_READ || op->code == MN_OP_READV;
}

static bool is_vector(const struct mn_op *op)
{
	return op->code == MN_OP_READV || op->code == MN_OP_WRITEV;
}

bool file_direct(const struct mn_op *op)
{
	return op->file && op->file->offset_align > 1;
}

/* ---- parts ---- */

static uint64_t total(const struct mn_op *op)
{
	uint64_t len = 0;

	if (!is_vector(op))
		return op->rw.len;
	for (size_t i = 0; i < op->rwv.nr; i++)
		len += op->rwv.iov[i].iov_len;
	return len;
}

/* Whole slices as long as they fit; the rest of one that was begun goes by itself. */
static void vector_part(const struct mn_op *op, struct file_part *part, size_t max_len)
{
	const struct iovec *v = op->rwv.iov, *end = v + op->rwv.nr;
	uint64_t skip = op->be.num;

	while (v < end && skip >= v->iov_len)
		skip -= v++->iov_len;
	if (v < end && (skip || v->iov_len > max_len)) {
		part->base = (uint8_t *)v->iov_base + skip;
		part->len = min(v->iov_len - skip, max_len);
		return;
	}
	part->iov = v;
	for (; v < end && part->nr < FILE_IOV_MAX && v->iov_len <= max_len - part->len; v++) {
		part->len += v->iov_len;
		part->nr++;
	}
}

void file_part(const struct mn_op *op, struct file_part *part, size_t max_len)
{
	/* Both forms have it at the same place. */
	*part = (struct file_part){ .off = op->rw.off };
	if (part->off >= 0)
		part->off += (int64_t)op->be.num;
	if (is_vector(op)) {
		vector_part(op, part, max_len);
		return;
	}
	part->base = (uint8_t *)op->rw.base + op->be.num;
	part->len = min(op->rw.len - op->be.num, max_len);
}

/* Past the page cache a file ends where a read stops short of a block: no need, nor way, to ask. */
static bool at_the_end(const struct mn_op *op, int64_t n)
{
	return is_read(op) && file_direct(op) && n % op->file->offset_align;
}

static int64_t failed(const struct mn_op *op, int64_t err, bool canceled)
{
	if (op_is_transfer(op) && op->be.num)
		return (int64_t)op->be.num;
	return err == -EINTR && canceled ? -ECANCELED : err;
}

int64_t file_progress(struct mn_op *op, int64_t res, bool canceled)
{
	if (res == -EINTR && !canceled)
		return FILE_MORE;
	if (op->code == MN_OP_SPLICE)
		return res;
	if (res == -EAGAIN && !canceled)
		return FILE_BLOCK;	/* it was not to wait; it will */
	if (res < 0)
		return failed(op, res, canceled);
	if (!op_is_transfer(op))
		return res;
	op->be.num += (uint64_t)res;
	if (!res || canceled || at_the_end(op, res) || op->be.num >= total(op))
		return (int64_t)op->be.num;
	return FILE_MORE;
}

/* ---- system calls ---- */

static int64_t transfer(const struct mn_op *op)
{
	struct file_part part;
	struct iovec one;
	int nr;

	file_part(op, &part, FILE_PART_MAX);
	if (!part.iov) {
		one = (struct iovec){ part.base, part.len };
		part.iov = &one;
		part.nr = 1;
	}
	nr = (int)part.nr;
	if (is_read(op))
		return preadv(op->fd, part.iov, nr, part.off);
	if (part.off < 0)
		return platform_appendv(op->fd, part.iov, nr);
	return pwritev(op->fd, part.iov, nr, part.off);
}

int64_t file_stat(const struct mn_op *op)
{
	const char *path = op->stat.path ? op->stat.path : "";
	unsigned int flags = op->stat.path ? op->stat.flags : AT_EMPTY_PATH | STAT_NO_WAIT;

	return platform_statx(op->fd, path, flags, op->stat.mask, op->stat.buf) ? -errno : 0;
}

/* Whatever it says, the descriptor is gone. */
static int close_once(int fd)
{
	int ret = close(fd);

	if (ret && errno == EINTR)
		ret = 0;
	return ret;
}

static int64_t call_names(const struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_RENAME:
		return platform_rename(op->fd, op->names.path, op->names.to_fd, op->names.to,
				       (unsigned int)op->names.flags);
	case MN_OP_LINK:
		return linkat(op->fd, op->names.path, op->names.to_fd, op->names.to,
			      op->names.flags);
	case MN_OP_SYMLINK:
		return symlinkat(op->names.path, op->names.to_fd, op->names.to);
	case MN_OP_UNLINK:
		return unlinkat(op->fd, op->names.path, op->names.flags);
	case MN_OP_MKDIR:
		return mkdirat(op->fd, op->names.path, (mode_t)op->names.flags);
	case MN_OP_READLINK:
		return readlinkat(op->fd, op->link.path, op->link.buf, op->link.len);
	default:
		errno = EOPNOTSUPP;
		return -1;
	}
}

static int64_t call(const struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_READ:
	case MN_OP_READV:
	case MN_OP_WRITE:
	case MN_OP_WRITEV:
		return transfer(op);
	case MN_OP_FSYNC:
		return op->range.flags ? fdatasync(op->fd) : fsync(op->fd);
	case MN_OP_SYNC_RANGE:
		return platform_sync_range(op->fd, op->range.off, op->range.len, op->range.flags);
	case MN_OP_ALLOCATE:
		return platform_allocate(op->fd, op->range.flags, op->range.off, op->range.len);
	case MN_OP_ADVISE:
		return platform_advise(op->fd, op->range.off, op->range.len, op->range.flags);
	case MN_OP_TRUNCATE:
		return ftruncate(op->fd, op->range.len);
	case MN_OP_OPEN:
		return platform_open(op->fd, op->open.path, op->open.how);
	case MN_OP_CLOSE_FILE:
		return close_once(op->fd);
	case MN_OP_SPLICE:
		return platform_splice(op->splice.from, op->splice.from_off, op->fd,
				       op->splice.to_off, op->splice.len);
	case MN_OP_STAT:
		return platform_statx(op->fd, op->stat.path, op->stat.flags, op->stat.mask,
				      op->stat.buf);
	case MN_OP_LIST:
		return platform_list(op->fd, op->buf.base, op->buf.len);
	case MN_OP_LOCK:
		return platform_lock(op->fd, op->range.off, op->range.len, op->range.flags);
	default:
		return call_names(op);
	}
}

int64_t file_call(struct mn_op *op)
{
	int64_t res;

	do {
		res = call(op);
		res = res < 0 ? -errno : res;
		if (res == -EAGAIN)	/* here it is an error */
			return failed(op, res, false);
		res = file_progress(op, res, false);
	} while (res == FILE_MORE);
	return res;
}

int64_t file_try(struct mn_op *op)
{
	struct file_part part;
	struct iovec one;
	int64_t res;

	/* Who reads on and on must not keep the shard, just because nothing blocks. */
	if (!is_read(op) || file_direct(op) || mn_need_preempt())
		return FILE_BLOCK;
	file_part(op, &part, TRY_MAX);
	if (part.len == TRY_MAX)
		return FILE_BLOCK;
	if (!part.iov) {
		one = (struct iovec){ part.base, part.len };
		part.iov = &one;
		part.nr = 1;
	}
	res = platform_readv_cached(op->fd, part.iov, (int)part.nr, part.off);
	if (res < 0)
		return FILE_BLOCK;	/* which will tell what is wrong, if anything is */
	res = file_progress(op, res, false);
	return res == FILE_MORE ? FILE_BLOCK : res;
}

/* ---- the pool ---- */

static struct blocking_job *job_of(struct mn_op *op)
{
	return (struct blocking_job *)(void *)op->job;
}

static struct mn_op *op_of(struct blocking_job *job)
{
	return container_of((void *)job, struct mn_op, job);
}

static void job_run(struct blocking_job *job)
{
	struct mn_op *op = op_of(job);

	op->be.num = (uint64_t)file_call(op);
}

static void job_done(struct blocking_job *job)
{
	struct mn_op *op = op_of(job);

	op_complete(op, (int64_t)op->be.num);
}

void file_pool_start(struct mn_op *op)
{
	struct blocking_job *job = job_of(op);
	int err;

	job->run = job_run;
	job->done = job_done;
	err = blocking_start(job, BLOCKING_FILE);
	if (err)
		op_complete(op, failed(op, err, false));
}

void file_pool_cancel(struct mn_op *op)
{
	if (blocking_cancel(job_of(op)))
		op_complete(op, failed(op, -ECANCELED, true));
}
