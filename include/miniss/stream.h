/* SPDX-License-Identifier: MIT */
/*
 * A stream is a connection: bytes in order, in both directions. It belongs
 * to the shard that accepted or connected it. One fiber reads and one fiber
 * writes at a time; they may be two.
 */
#ifndef MINISS_STREAM_H
#define MINISS_STREAM_H

#include <miniss/buf.h>
#include <miniss/future.h>

struct mn_stream;

/**
 * mn_connect - open a TCP connection
 * @addr: "ADDRESS:PORT", numeric; "[v6]:PORT"
 * @timeout_ns: from now; MN_NEVER for the kernel's own limit
 * @stream: the new stream, closed by the caller with mn_stream_close()
 *
 * From a fiber; suspends.
 *
 * Return: 0; -EINVAL for an address that cannot be read; -ETIMEDOUT,
 * -ECANCELED, -ECONNREFUSED, -EMFILE and what else connect(2) reports.
 */
MN_API int mn_connect(const char *addr, int64_t timeout_ns, struct mn_stream **stream);

/**
 * mn_stream_read - the next bytes
 * @in: gets a slice that the caller owns, when the result is > 0
 *
 * From a fiber; suspends while nothing has arrived.
 *
 * Return: its length; 0 when the peer has ended its side; -ECONNRESET,
 * -ECANCELED, -ETIMEDOUT (idle for too long), ...: final, and returned again.
 */
MN_API int64_t mn_stream_read(struct mn_stream *stream, struct mn_buf *in);

/** mn_stream_try_read - the same without waiting: -EAGAIN when nothing is there */
MN_API int64_t mn_stream_try_read(struct mn_stream *stream, struct mn_buf *in);

/**
 * mn_stream_write - queue a slice for sending
 * @out: consumed, on failure too
 *
 * From a fiber; suspends while more than the stream's limit is queued.
 * Queued slices are gathered into one send. A failure of the connection is
 * reported by the next call.
 *
 * Return: 0, or -EPIPE after mn_stream_shutdown(), -ECONNRESET, -ECANCELED, ...
 */
MN_API int mn_stream_write(struct mn_stream *stream, struct mn_buf *out);

/** mn_stream_write_copy - copy bytes into pooled buffers and write them */
MN_API int mn_stream_write_copy(struct mn_stream *stream, const void *data, size_t len);

/** mn_stream_flush - wait until everything queued was handed to the kernel */
MN_API int mn_stream_flush(struct mn_stream *stream);

/**
 * mn_stream_shutdown - end the outgoing side (half-close)
 *
 * Sends what is queued first. From a fiber; suspends. The other direction
 * stays open.
 */
MN_API int mn_stream_shutdown(struct mn_stream *stream);

/**
 * mn_stream_abort - give up on the connection
 *
 * Every wait on it ends with -ECANCELED; what was queued is dropped. The
 * stream still has to be closed. Does not suspend; idempotent.
 */
MN_API void mn_stream_abort(struct mn_stream *stream);

/**
 * mn_stream_close - send what is queued, close, and free the stream
 *
 * From a fiber; suspends until the kernel holds nothing of it. After an
 * error or mn_stream_abort() nothing more is sent.
 *
 * Return: 0, or why queued bytes could not be sent.
 */
MN_API int mn_stream_close(struct mn_stream *stream);

/** mn_stream_peer - the address of the other end as text, NUL-terminated */
MN_API int mn_stream_peer(struct mn_stream *stream, char *text, size_t size);

/** mn_stream_set_user, mn_stream_user - one pointer of the application's */
MN_API void mn_stream_set_user(struct mn_stream *stream, void *user);
MN_API void *mn_stream_user(const struct mn_stream *stream);

#endif
