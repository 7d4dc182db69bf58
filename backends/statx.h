/* SPDX-License-Identifier: MIT */
/* What Linux says of a file; elsewhere, as much of it as stat() knows. */
#ifndef BACKENDS_STATX_H
#define BACKENDS_STATX_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#ifdef __linux__

#include <sys/sysmacros.h>

#else

#include <string.h>

struct statx_timestamp {
	int64_t tv_sec;
	uint32_t tv_nsec;
};

struct statx {
	uint32_t stx_mask, stx_blksize, stx_nlink, stx_uid, stx_gid, stx_mode;
	uint64_t stx_ino, stx_size, stx_blocks;
	struct statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
	uint32_t stx_dev_major, stx_dev_minor, stx_rdev_major, stx_rdev_minor;
	uint32_t stx_dio_mem_align, stx_dio_offset_align;
};

#define STATX_BASIC_STATS	0x7ff
#define STATX_BTIME		0x800
#define STATX_DIOALIGN		0x2000

static inline void statx_from_stat(struct statx *buf, const struct stat *st)
{
	memset(buf, 0, sizeof(*buf));
	buf->stx_mask = STATX_BASIC_STATS;
	buf->stx_blksize = (uint32_t)st->st_blksize;
	buf->stx_nlink = (uint32_t)st->st_nlink;
	buf->stx_uid = st->st_uid;
	buf->stx_gid = st->st_gid;
	buf->stx_mode = st->st_mode;
	buf->stx_ino = st->st_ino;
	buf->stx_size = (uint64_t)st->st_size;
	buf->stx_blocks = (uint64_t)st->st_blocks;
	buf->stx_atime.tv_sec = st->st_atime;
	buf->stx_ctime.tv_sec = st->st_ctime;
	buf->stx_mtime.tv_sec = st->st_mtime;
	buf->stx_dev_minor = (uint32_t)st->st_dev;
	buf->stx_rdev_minor = (uint32_t)st->st_rdev;
}

#endif

#endif
