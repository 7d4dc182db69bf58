// SPDX-License-Identifier: MIT
/* The space that a file takes, and what is to be done with it. */
#include "lib/file/file.h"

#ifdef __linux__
#include <linux/falloc.h>
#else
#define FALLOC_FL_KEEP_SIZE	1
#define FALLOC_FL_PUNCH_HOLE	2
#endif

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static void range_start(struct mn_op *op, struct mn_file *file, enum mn_opcode code, int64_t off,
			int64_t len, int flags)
{
	file_op(op, code, file);
	op->range.off = off;
	op->range.len = len;
	op->range.flags = flags;
	if (off < 0 || len < 0 || len > INT64_MAX - off)
		op_fail(op, -EINVAL);
	else
		op_start(op);
}

static int range_do(struct mn_file *file, enum mn_opcode code, int64_t off, int64_t len, int flags)
{
	struct mn_op op;
	int stop = file_stopped();

	if (stop)
		return stop;
	range_start(&op, file, code, off, len, flags);
	return (int)file_await(&op);
}

static int allocate_flags(bool keep_size)
{
	return keep_size ? FALLOC_FL_KEEP_SIZE : 0;
}

void mn_file_allocate_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len,
			    bool keep_size)
{
	range_start(op, file, MN_OP_ALLOCATE, off, len, allocate_flags(keep_size));
}

int mn_file_allocate(struct mn_file *file, int64_t off, int64_t len, bool keep_size)
{
	return range_do(file, MN_OP_ALLOCATE, off, len, allocate_flags(keep_size));
}

void mn_file_punch_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len)
{
	range_start(op, file, MN_OP_ALLOCATE, off, len, PUNCH);
}

int mn_file_punch(struct mn_file *file, int64_t off, int64_t len)
{
	return range_do(file, MN_OP_ALLOCATE, off, len, PUNCH);
}

void mn_file_truncate_start(struct mn_op *op, struct mn_file *file, int64_t size)
{
	range_start(op, file, MN_OP_TRUNCATE, 0, size, 0);
}

int mn_file_truncate(struct mn_file *file, int64_t size)
{
	return range_do(file, MN_OP_TRUNCATE, 0, size, 0);
}

void mn_file_advise_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len,
			  int advice)
{
	range_start(op, file, MN_OP_ADVISE, off, len, advice);
}

int mn_file_advise(struct mn_file *file, int64_t off, int64_t len, int advice)
{
	return range_do(file, MN_OP_ADVISE, off, len, advice);
}
