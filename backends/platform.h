/* SPDX-License-Identifier: MIT */
/*
 * The system calls that differ between systems, for the backends that use
 * them; each with what stands in for it elsewhere. Nothing else in backends/
 * but io_uring depends on the system.
 */
#ifndef BACKENDS_PLATFORM_H
#define BACKENDS_PLATFORM_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <miniss/op.h>

#include "core/compiler.h"

/* Close-on-exec, and non-blocking if so: 0 or -errno. */
static inline int platform_fd_flags(int fd, bool nonblock)
{
	int err = 0;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		err = -errno;
	if (!err && nonblock && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		err = -errno;
	return err;
}

#ifdef SOCK_CLOEXEC /* Linux, the BSDs */

static inline int platform_socket(int family, int type, bool nonblock)
{
	int fd = socket(family, type | SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0), 0);

	return fd < 0 ? -errno : fd;
}

static inline int platform_accept(int listener, bool nonblock)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0));

	return fd < 0 ? -errno : fd;
}

#else

#include <unistd.h>

static inline int platform_socket_flags(int fd, bool nonblock)
{
	int err = platform_fd_flags(fd, nonblock);

#ifdef SO_NOSIGPIPE /* macOS has no MSG_NOSIGNAL */
	int on = 1;

	if (!err && setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)))
		err = -errno;
#endif
	if (!err)
		return fd;
	close(fd);
	return err;
}

static inline int platform_socket(int family, int type, bool nonblock)
{
	int fd = socket(family, type, 0);

	return fd < 0 ? -errno : platform_socket_flags(fd, nonblock);
}

static inline int platform_accept(int listener, bool nonblock)
{
	int fd = accept(listener, NULL, NULL);

	return fd < 0 ? -errno : platform_socket_flags(fd, nonblock);
}

#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

/* Without waiting: how many of them were sent, or -errno if the first was not. */
#ifdef __linux__

static inline int platform_sendmmsg(int fd, struct mn_mmsg *msg, unsigned int n)
{
	int sent;

	BUILD_BUG_ON(sizeof(struct mn_mmsg) != sizeof(struct mmsghdr));
	BUILD_BUG_ON(offsetof(struct mn_mmsg, len) != offsetof(struct mmsghdr, msg_len));
	do {
		sent = sendmmsg(fd, (struct mmsghdr *)(void *)msg, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* The same for receiving: how many came. */
static inline int platform_recvmmsg(int fd, struct mn_mmsg *msg, unsigned int n)
{
	int got = recvmmsg(fd, (struct mmsghdr *)(void *)msg, n, MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
			   NULL);

	return got < 0 ? -errno : got;
}

#else

static inline int platform_recvmmsg(int fd, struct mn_mmsg *msg, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		ssize_t len = recvmsg(fd, &msg[i].hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (len < 0)
			return i ? (int)i : -errno;
		msg[i].len = (unsigned int)len;
	}
	return (int)n;
}

static inline int platform_sendmmsg(int fd, struct mn_mmsg *msg, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		ssize_t len = sendmsg(fd, &msg[i].hdr, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (len < 0)
			return i ? (int)i : -errno;
		msg[i].len = (unsigned int)len;
	}
	return (int)n;
}

#endif

/*
 * A descriptor that becomes readable at an absolute time, to the nanosecond;
 * -ENOSYS where there is none. Reading it makes it wait for the next.
 */
#ifdef __linux__

#include <sys/timerfd.h>
#include <unistd.h>

static inline int platform_timer_open(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline void platform_timer_set(int fd, int64_t deadline_ns)
{
	struct itimerspec spec = {
		.it_value.tv_sec = deadline_ns / 1000000000,
		.it_value.tv_nsec = deadline_ns % 1000000000,
	};

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static inline void platform_timer_read(int fd)
{
	uint64_t expirations;

	(void)!read(fd, &expirations, sizeof(expirations));
}

#else

static inline int platform_timer_open(void)
{
	return -ENOSYS;
}

static inline void platform_timer_set(int fd, int64_t deadline_ns)
{
}

static inline void platform_timer_read(int fd)
{
}

#endif

#endif
