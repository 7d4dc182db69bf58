// SPDX-License-Identifier: MIT
/*
 * Transfers. What the system would refuse for reasons that it does not tell
 * (past the page cache, everything must be aligned) is refused here, and told.
 */
#include <miniss/log.h>

#include "lib/file/disk.h"
#include "lib/file/file.h"

static __cold int misaligned(struct mn_file *file, const void *base, size_t len, int64_t off)
{
	if (!file->told)
		mn_err("descriptor %d is open with O_DIRECT: memory must be aligned to %u, offsets "
		       "and lengths to %u; not %p, %lld, %zu",
		       file->fd, file->mem_align, file->offset_align, base, (long long)off, len);
	file->told = true;
	return -EINVAL;
}

static bool aligned(const struct mn_file *file, const void *base, size_t len, int64_t off)
{
	return !((uintptr_t)base & (file->mem_align - 1)) &&
	       !((len | (uint64_t)off) & (file->offset_align - 1));
}

/* 0 or -EINVAL. */
static inline int range_check(struct mn_file *file, const void *base, size_t len, int64_t off)
{
	if (off < 0 || len > (uint64_t)(INT64_MAX - off))
		return -EINVAL;
	return aligned(file, base, len, off) ? 0 : misaligned(file, base, len, off);
}

static inline void start(struct mn_op *op, struct mn_file *file, uint64_t len, bool write, int err)
{
	if (err)
		op_fail(op, err);
	else if (__builtin_expect(file->disk != NULL, 0))
		disk_start(file->disk, op, len, write);
	else
		op_start(op);
}

/* ---- one buffer ---- */

static inline void rw_init(struct mn_op *op, struct mn_file *file, enum mn_opcode code, void *base,
			   size_t len, int64_t off)
{
	file_op(op, code, file);
	op->rw.base = base;
	op->rw.len = len;
	op->rw.off = off;
}

void(mn_read_start)(struct mn_op *op, struct mn_file *file, void *buf, size_t len, int64_t off)
{
	rw_init(op, file, MN_OP_READ, buf, len, off);
	start(op, file, len, false, range_check(file, buf, len, off));
}

void(mn_write_start)(struct mn_op *op, struct mn_file *file, const void *buf, size_t len,
		     int64_t off)
{
	rw_init(op, file, MN_OP_WRITE, (void *)(uintptr_t)buf, len, off);
	start(op, file, len, true, range_check(file, buf, len, off));
}

void(mn_append_start)(struct mn_op *op, struct mn_file *file, const void *buf, size_t len)
{
	rw_init(op, file, MN_OP_WRITE, (void *)(uintptr_t)buf, len, -1);
	start(op, file, len, true, range_check(file, buf, len, 0));
}

int64_t mn_read(struct mn_file *file, void *buf, size_t len, int64_t off)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	rw_init(&op, file, MN_OP_READ, buf, len, off);
	op.flags = OP_AWAITED;
	start(&op, file, len, false, range_check(file, buf, len, off));
	return file_await(&op);
}

int64_t mn_write(struct mn_file *file, const void *buf, size_t len, int64_t off)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	(mn_write_start)(&op, file, buf, len, off);
	return file_await(&op);
}

int64_t mn_append(struct mn_file *file, const void *buf, size_t len)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	(mn_append_start)(&op, file, buf, len);
	return file_await(&op);
}

/* ---- several ---- */

/* 0 or -EINVAL; @sum: bytes of all. */
static int vector_check(struct mn_file *file, const struct iovec *iov, size_t nr, int64_t off,
			uint64_t *sum)
{
	*sum = 0;
	if (nr > MN_IOV_MAX)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++) {
		int err;

		if (iov[i].iov_len > INT64_MAX - *sum)
			return -EINVAL;
		err = range_check(file, iov[i].iov_base, iov[i].iov_len, off);
		if (err)
			return err;
		*sum += iov[i].iov_len;
	}
	return off < 0 || *sum > (uint64_t)(INT64_MAX - off) ? -EINVAL : 0;
}

static void vector_start(struct mn_op *op, struct mn_file *file, enum mn_opcode code,
			 const struct iovec *iov, size_t nr, int64_t off, uint8_t flags)
{
	uint64_t sum;
	int err;

	file_op(op, code, file);
	op->flags = flags;
	op->rwv.iov = iov;
	op->rwv.nr = nr;
	op->rwv.off = off;
	err = vector_check(file, iov, nr, off, &sum);
	start(op, file, sum, code == MN_OP_WRITEV, err);
}

void(mn_readv_start)(struct mn_op *op, struct mn_file *file, const struct iovec *iov, size_t nr,
		     int64_t off)
{
	vector_start(op, file, MN_OP_READV, iov, nr, off, 0);
}

void(mn_writev_start)(struct mn_op *op, struct mn_file *file, const struct iovec *iov, size_t nr,
		      int64_t off)
{
	vector_start(op, file, MN_OP_WRITEV, iov, nr, off, 0);
}

int64_t mn_readv(struct mn_file *file, const struct iovec *iov, size_t nr, int64_t off)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	vector_start(&op, file, MN_OP_READV, iov, nr, off, OP_AWAITED);
	return file_await(&op);
}

int64_t mn_writev(struct mn_file *file, const struct iovec *iov, size_t nr, int64_t off)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	vector_start(&op, file, MN_OP_WRITEV, iov, nr, off, 0);
	return file_await(&op);
}
