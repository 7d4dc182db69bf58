/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and credentials over Unix streams. Descriptors travel with the
 * bytes that they were sent with: they are received with the first of these,
 * or, since the kernel joins bytes up to there, together with some from before.
 *
 * They come to a stream that asks for them from its beginning, with @fds of
 * struct mn_sockopt, in mn_connect_conf or mn_server; to any other one they do
 * not, and the kernel closes them.
 */
#ifndef MINISS_PASSING_H
#define MINISS_PASSING_H

#include <miniss/stream.h>

#define MN_PASSED_MAX	253	/* that go along with one send: the limit of Linux */

/**
 * struct mn_passed - what came along with bytes
 * @fds: room for descriptors, the caller's; those that come are then the
 *	caller's, too, and are close-on-exec
 * @fds_max: how many fit, up to MN_PASSED_MAX; 0 is allowed
 * @nr_fds: how many came
 * @cred: who sent the bytes, as the kernel knows it, if the stream asks for
 *	that (mn_sockopt.creds); else pid 0
 */
struct mn_passed {
	int *fds;
	unsigned int fds_max;
	unsigned int nr_fds;
	struct mn_cred cred;
};

/**
 * mn_stream_recv_fds - mn_stream_read(), with what came along
 * @in: gets a slice that the caller owns, when the result is > 0. Descriptors
 *	were sent with bytes of it: no slice has those of two sends
 * @passed: @fds and @fds_max are set by the caller
 *
 * From a fiber; suspends while nothing has arrived. What comes along with
 * bytes that are read in another way, or not before the stream is closed, is
 * closed. A stream stops to receive while as many as MN_PASSED_MAX wait.
 *
 * Return: as mn_stream_read(). -EMFILE: some that came with the next bytes
 * were lost, for the limits of the process or the system, and the others are
 * closed; told once, then the bytes can be read. -EMSGSIZE: more than
 * @fds_max wait with the next bytes; nothing was read. -EOPNOTSUPP: the stream
 * does not take any: it was not asked for, it is no Unix socket, or buffers
 * (--mem.chunk_size) are smaller than 4,096 bytes.
 */
MN_API int64_t mn_stream_recv_fds(struct mn_stream *stream, struct mn_buf *in,
				  struct mn_passed *passed);

/**
 * mn_stream_send_fds - send bytes, and descriptors along with them
 * @data: copied
 * @len: at least 1
 * @fds: still the caller's, who may close them on return
 * @n: 1 to MN_PASSED_MAX
 *
 * From a fiber, the one that writes; suspends until what was written before,
 * corked or not, and at least the first byte of @data were handed to the
 * kernel. The rest is written as by mn_stream_write_copy().
 *
 * Return: 0. Nothing was sent: -EINVAL; -EBADF for what is no descriptor;
 * -EOPNOTSUPP for what is no Unix socket; -ETOOMANYREFS when too many are on
 * their way; -EPIPE after mn_stream_shutdown(); -ETIMEDOUT, -ECANCELED (of the
 * fiber). Else as mn_stream_write_copy().
 */
MN_API int mn_stream_send_fds(struct mn_stream *stream, const void *data, size_t len,
			      const int *fds, unsigned int n);

#endif
