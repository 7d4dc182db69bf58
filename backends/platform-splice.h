/* SPDX-License-Identifier: MIT */
/* Pipes, and moving bytes through them without looking; -EOPNOTSUPP where that is not known. */
#ifndef BACKENDS_PLATFORM_SPLICE_H
#define BACKENDS_PLATFORM_SPLICE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define PIPE_WANTED	(256 << 10)	/* of 1 MiB that the system allows; more gains nothing */
#define PIPE_LEAST	(16 << 10)	/* what there is always */

#ifdef F_SETPIPE_SZ /* Linux */

#define PLATFORM_SPLICE_FLAGS	(SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* How much it holds, or -errno. A user who has many gets smaller ones. */
static inline int platform_pipe(int *fds)
{
	int size;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	size = fcntl(fds[0], F_SETPIPE_SZ, PIPE_WANTED);
	if (size < 0)
		size = fcntl(fds[0], F_GETPIPE_SZ);
	return size < 0 ? PIPE_LEAST : size;
}

/* Offsets are -1 where there is none. -1 with errno. */
static inline ssize_t platform_splice(int from, int64_t from_off, int to, int64_t to_off,
				      size_t len)
{
	off64_t in = from_off, out = to_off;

	return splice(from, from_off < 0 ? NULL : &in, to, to_off < 0 ? NULL : &out, len,
		      PLATFORM_SPLICE_FLAGS);
}

#else

static inline int platform_pipe(int *fds)
{
	return -EOPNOTSUPP;
}

static inline ssize_t platform_splice(int from, int64_t from_off, int to, int64_t to_off,
				      size_t len)
{
	errno = EOPNOTSUPP;
	return -1;
}

#endif

#endif
