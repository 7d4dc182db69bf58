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
#include <miniss/socket.h>

struct mn_stream;

/**
 * typedef mn_conn_fn - what a connection does, in a fiber of its own
 *
 * The stream is closed after it returns: gracefully if it returned 0, at
 * once if it returned an error.
 */
typedef int (*mn_conn_fn)(struct mn_stream *conn, void *arg);

/**
 * mn_connect - open a connection
 * @addr: "ADDRESS:PORT", numeric; "[v6]:PORT"; "unix:/path", "unix:@name"; in
 *	builds with CONFIG_DNS also "NAME:PORT": its addresses (mn_resolve()) are
 *	tried as mn_connect_any() does
 * @timeout_ns: from now; MN_NEVER for the kernel's own limit; of a Unix
 *	socket whose server is slow to accept there is none
 * @stream: the new stream, closed by the caller with mn_stream_close()
 *
 * From a fiber; suspends.
 *
 * Return: 0; -EINVAL for an address that cannot be read; -ETIMEDOUT,
 * -ECANCELED, -ECONNREFUSED, -ENOENT, -EMFILE and what else connect(2), of
 * the last address that was tried, and mn_resolve() report.
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

/**
 * mn_stream_write_all - mn_stream_write() for several slices, in order
 * @out: @n of them, all consumed, on failure too
 */
MN_API int mn_stream_write_all(struct mn_stream *stream, struct mn_buf *out, size_t n);

/**
 * mn_stream_write_copy - copy bytes into pooled buffers and write them
 *
 * Small copies share a buffer, and go out as one slice.
 *
 * Return: as mn_stream_write(); -ENOBUFS when the pool is at its limit.
 */
MN_API int mn_stream_write_copy(struct mn_stream *stream, const void *data, size_t len);

/**
 * mn_stream_cork - hold back what is written, to send it together
 *
 * Without that, what is written in one turn of the shard, or while an earlier
 * send is under way, goes out together. With a cork it waits for
 * mn_stream_uncork(), over turns and suspensions too; or until a fiber waits
 * for it: by mn_stream_flush() and what includes that, or in a write beyond
 * the stream's limit. Not counted: one mn_stream_uncork() is enough.
 *
 * On the stream's shard; does not suspend. The cork moves with the stream.
 */
MN_API void mn_stream_cork(struct mn_stream *stream);
MN_API void mn_stream_uncork(struct mn_stream *stream);

/**
 * mn_stream_flush - wait until everything queued was handed to the kernel
 *
 * It was sent then, as far as the stream is concerned: nothing of it is queued.
 * Buffers of a large send, if that went out without a copy
 * (--net.zero_copy_min), are in use until the peer has acknowledged them, and
 * come back to their pool by themselves, also after the stream was closed.
 * Memory of mn_buf_static() is not used any more.
 *
 * From a fiber; suspends. Return: 0, or as mn_stream_write().
 */
MN_API int mn_stream_flush(struct mn_stream *stream);

/**
 * mn_stream_shutdown - end the outgoing side (half-close)
 *
 * Sends what is queued first. From a fiber; suspends. The other direction
 * stays open. Idempotent.
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
 * From a fiber; suspends until the kernel holds nothing of it, other than
 * buffers that the peer has not acknowledged: see mn_stream_flush(). After an
 * error or mn_stream_abort() nothing more is sent.
 *
 * Return: 0, or why queued bytes could not be sent.
 */
MN_API int mn_stream_close(struct mn_stream *stream);

/**
 * mn_stream_migrate - move a connection to another shard
 * @stream: used by no other fiber meanwhile. It stays here, empty
 * @shard: 0 to mn_shards() - 1; this one, too
 * @fn: goes on with the connection there, in a fiber of its own, with a
 *	stream that is new; NULL for one of a server: what the server does with
 *	each, from the start
 * @arg: handed to @fn; what it points to is then the other shard's to use
 *
 * Every byte goes along, in order: those that have arrived and were not read,
 * and those that were written and not sent, which go out first. So do a side
 * that was ended, errors that were not reported, the idle limit, the socket's
 * options and the pointer of mn_stream_set_user(). Buffers are not copied:
 * they go home to the shard that they are of when they are freed. What was
 * read before is the caller's, as always.
 *
 * An on_input handler must not move a connection when it is handed the end of
 * the input: the next shard is handed that again, and would move it again.
 *
 * From a fiber of the stream's shard; suspends, but does not wait for the
 * peer. While it waits for a credit (miniss/smp.h) cancellation ends it.
 *
 * After that, every call with @stream returns -ENOTCONN. It still has to be
 * closed, or the handler has to return, soon: until then a server counts the
 * connection on both shards.
 *
 * Return: 0: @fn has the connection. Else nothing has changed, and it can be
 * used on: -EINVAL for a bad shard, or no @fn for one that is not a server's;
 * -EBUSY if another fiber waits for it, or if the server has as many
 * connections there as it may; -ESHUTDOWN if the server, or the program,
 * stops; -ENOMEM; -ECANCELED if this fiber was cancelled; the reason of
 * mn_stream_abort(), or of the idle limit.
 */
MN_API int mn_stream_migrate(struct mn_stream *stream, unsigned int shard, mn_conn_fn fn,
			     void *arg);

/**
 * struct mn_stream_limits - water marks, in bytes; zero means the default
 * @in_high: when so many were received and not read, receiving stops. Default:
 *	--net.in_max. What is under way still arrives
 * @in_low: it goes on when no more than so many are left. Default: half of @in_high
 * @out_high: a write waits when more than so many are queued. Default: --net.out_max
 * @out_low: until no more than so many are left. Default: half of @out_high
 */
struct mn_stream_limits {
	uint32_t in_high;
	uint32_t in_low;
	uint32_t out_high;
	uint32_t out_low;
};

/**
 * mn_stream_set_limits - how much a stream may queue, from now on
 *
 * On the stream's shard; does not suspend. They move with the stream.
 *
 * Return: 0, or -EINVAL when a low mark is above its high one.
 */
MN_API int mn_stream_set_limits(struct mn_stream *stream, const struct mn_stream_limits *limits);

/** mn_stream_peer - the address of the other end as text, NUL-terminated */
MN_API int mn_stream_peer(struct mn_stream *stream, char *text, size_t size);

/**
 * mn_stream_cred - who was at the other end of a Unix socket when it was connected
 *
 * Does not suspend. Return: 0; -EOPNOTSUPP for other sockets; -ENOTCONN for one
 * that has moved.
 */
MN_API int mn_stream_cred(struct mn_stream *stream, struct mn_cred *cred);

/** mn_stream_set_user, mn_stream_user - one pointer of the application's */
MN_API void mn_stream_set_user(struct mn_stream *stream, void *user);
MN_API void *mn_stream_user(const struct mn_stream *stream);

#endif
