/* SPDX-License-Identifier: MIT */
/*
 * System calls on files that differ between systems, for backends/file.c;
 * each with what stands in for it elsewhere, or -EOPNOTSUPP. As the calls
 * they stand for, they return -1 and set errno.
 */
#ifndef BACKENDS_PLATFORM_FILE_H
#define BACKENDS_PLATFORM_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static inline int platform_unsupported(void)
{
	errno = EOPNOTSUPP;
	return -1;
}

#ifdef __linux__

#include <linux/openat2.h>
#include <sys/syscall.h>

#define STAT_NO_WAIT	AT_STATX_DONT_SYNC	/* asks no other machine, nor process */

/* As far as that goes without waiting. */
static inline ssize_t platform_readv_cached(int fd, const struct iovec *iov, int nr, int64_t off)
{
	return preadv2(fd, iov, nr, off, RWF_NOWAIT);
}

static inline ssize_t platform_appendv(int fd, const struct iovec *iov, int nr)
{
	return pwritev2(fd, iov, nr, 0, RWF_APPEND);
}

static inline int platform_open(int dir, const char *path, const struct open_how *how)
{
	int fd = (int)syscall(SYS_openat2, dir, path, how, sizeof(*how));

	if (fd < 0 && errno == ENOSYS && !how->resolve)
		fd = openat(dir, path, (int)how->flags, (mode_t)how->mode);
	return fd;
}

static inline int platform_statx(int dir, const char *path, unsigned int flags, unsigned int mask,
				 struct statx *buf)
{
	return statx(dir, path, (int)flags, mask, buf);
}

static inline int platform_rename(int dir, const char *path, int to_dir, const char *to,
				  unsigned int flags)
{
	return renameat2(dir, path, to_dir, to, flags);
}

static inline int64_t platform_list(int fd, void *buf, size_t len)
{
	return syscall(SYS_getdents64, fd, buf, len);
}

static inline int platform_sync_range(int fd, int64_t off, int64_t len, int flags)
{
	return sync_file_range(fd, off, len, (unsigned int)flags);
}

static inline int platform_allocate(int fd, int mode, int64_t off, int64_t len)
{
	return fallocate(fd, mode, off, len);
}

static inline int platform_advise(int fd, int64_t off, int64_t len, int advice)
{
	errno = posix_fadvise(fd, off, len, advice);
	return errno ? -1 : 0;
}

#else

#include <string.h>

#include "backends/statx.h"

struct open_how {
	uint64_t flags, mode, resolve;
};

#define STAT_NO_WAIT	0

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH	0x1000
#endif

static inline ssize_t platform_readv_cached(int fd, const struct iovec *iov, int nr, int64_t off)
{
	errno = EAGAIN;
	return -1;
}

/* Of a file that was opened for appending. */
static inline ssize_t platform_appendv(int fd, const struct iovec *iov, int nr)
{
	return fcntl(fd, F_GETFL) & O_APPEND ? writev(fd, iov, nr) : platform_unsupported();
}

static inline int platform_open(int dir, const char *path, const struct open_how *how)
{
	if (how->resolve)
		return platform_unsupported();
	return openat(dir, path, (int)how->flags, (mode_t)how->mode);
}

static inline int platform_statx(int dir, const char *path, unsigned int flags, unsigned int mask,
				 struct statx *buf)
{
	struct stat st;
	int ret = flags & AT_EMPTY_PATH && !*path ? fstat(dir, &st) :
						    fstatat(dir, path, &st, (int)flags);

	if (!ret)
		statx_from_stat(buf, &st);
	return ret;
}

static inline int platform_rename(int dir, const char *path, int to_dir, const char *to,
				  unsigned int flags)
{
	return flags ? platform_unsupported() : renameat(dir, path, to_dir, to);
}

static inline int64_t platform_list(int fd, void *buf, size_t len)
{
	return platform_unsupported();
}

static inline int platform_sync_range(int fd, int64_t off, int64_t len, int flags)
{
	return platform_unsupported();
}

static inline int platform_allocate(int fd, int mode, int64_t off, int64_t len)
{
	return platform_unsupported();
}

static inline int platform_advise(int fd, int64_t off, int64_t len, int advice)
{
	return 0;
}

#endif

/* Locks belong to the open file, and not to the process. */
static inline int platform_lock(int fd, int64_t off, int64_t len, int type)
{
#ifdef F_OFD_SETLK
	struct flock lock = {
		.l_type = (short)type,
		.l_whence = SEEK_SET,
		.l_start = off,
		.l_len = len,
	};

	return fcntl(fd, F_OFD_SETLK, &lock);
#else
	return platform_unsupported();
#endif
}

#ifdef __APPLE__
#define fdatasync(fd)	fsync(fd)
#endif

#endif
