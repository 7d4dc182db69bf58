// SPDX-License-Identifier: MIT
/* What there is to know of a file. */
#include "backends/statx.h"
#include "lib/file/file.h"

#define WANTED	(STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN)

static int64_t ns_of(const struct statx_timestamp *t)
{
	return (int64_t)t->tv_sec * MN_SEC + t->tv_nsec;
}

static uint64_t dev_of(uint32_t major, uint32_t minor)
{
#ifdef __linux__
	return (major & UINT64_C(0xfffff000)) << 32 | (major & UINT64_C(0xfff)) << 8 |
	       (minor & UINT64_C(0xffffff00)) << 12 | (minor & UINT64_C(0xff));
#else
	return minor;
#endif
}

static void stat_fill(struct mn_stat *stat, const struct statx *x)
{
	bool dio = x->stx_mask & STATX_DIOALIGN;

	*stat = (struct mn_stat){
		.size = x->stx_size,
		.allocated = x->stx_blocks * 512,
		.ino = x->stx_ino,
		.dev = dev_of(x->stx_dev_major, x->stx_dev_minor),
		.rdev = dev_of(x->stx_rdev_major, x->stx_rdev_minor),
		.mode = x->stx_mode,
		.nlink = x->stx_nlink,
		.uid = x->stx_uid,
		.gid = x->stx_gid,
		.blksize = x->stx_blksize,
		.mem_align = dio ? x->stx_dio_mem_align : 0,
		.offset_align = dio ? x->stx_dio_offset_align : 0,
		.atime_ns = ns_of(&x->stx_atime),
		.mtime_ns = ns_of(&x->stx_mtime),
		.ctime_ns = ns_of(&x->stx_ctime),
		.btime_ns = x->stx_mask & STATX_BTIME ? ns_of(&x->stx_btime) : 0,
	};
}

int mn_file_stat(struct mn_file *file, struct mn_stat *stat)
{
	struct statx x;
	struct mn_op op;
	int err;

	op_init(&op, MN_OP_FSTAT, file->fd);
	op.stat.path = NULL;
	op.stat.buf = &x;
	op.stat.mask = WANTED;
	err = (int)op_call(&op);
	if (!err)
		stat_fill(stat, &x);
	return err;
}

static int path_stat(const char *path, unsigned int flags, struct mn_stat *stat)
{
	struct statx x;
	struct mn_op op;
	int err;

	op_init(&op, MN_OP_STAT, FILE_NO_DIR);
	op.stat.path = path;
	op.stat.buf = &x;
	op.stat.flags = flags;
	op.stat.mask = WANTED;
	err = (int)file_do(&op);
	if (!err)
		stat_fill(stat, &x);
	return err;
}

int mn_stat(const char *path, struct mn_stat *stat)
{
	return path_stat(path, 0, stat);
}

int mn_lstat(const char *path, struct mn_stat *stat)
{
	return path_stat(path, AT_SYMLINK_NOFOLLOW, stat);
}
