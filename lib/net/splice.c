// SPDX-License-Identifier: MIT
/*
 * Files into streams, streams into files and into each other.
 *
 * Through a pipe: it is filled and emptied in turns, by operations that do not
 * wait; where a socket is not ready, it is polled. So no thread of the kernel's
 * or of the pool's is ever held by a peer that does nothing. A stream lends its
 * own operations for that: who aborts it ends these.
 *
 * Or through the pool: a batch of buffers at a time.
 */
#include <errno.h>
#include <poll.h>

#include <miniss/param.h>
#include <miniss/splice.h>

#include "core/future.h"
#include "core/shard.h"
#include "lib/net/socket.h"
#include "lib/net/idle.h"
#include "lib/net/stream.h"

MN_PARAM(uint, splice_min, 65536, 0, 1 << 30,
	 "bytes from which on files and streams are spliced, not copied; 0: never");

/* Of what is under way between two descriptors. */
struct between {
	int fd[2];		/* a pipe */
	size_t size, held;
	uint64_t done;		/* bytes that are through */
};

static bool worth_it(uint64_t len)
{
	return param_splice_min && len >= param_splice_min;
}

/* One step from a descriptor to another: bytes, 0 at the end, -EAGAIN, -errno. */
static int64_t step(struct mn_op *op, int from, int64_t from_off, int to, int64_t to_off,
		    size_t len)
{
	op_init(op, MN_OP_SPLICE, to);
	op->splice.from = from;
	op->splice.from_off = from_off;
	op->splice.to_off = to_off;
	op->splice.len = (uint32_t)len;
	op_start(op);
	return mn_op_await(op, MN_NEVER);
}

static int ready(struct mn_op *op, int fd, uint32_t events)
{
	int64_t res;

	op_init(op, MN_OP_POLL, fd);
	op->poll.events = events;
	op_start(op);
	res = mn_op_await(op, MN_NEVER);
	return res < 0 ? (int)res : 0;
}

/* ---- the ends of it ---- */

/* Who cannot be spliced says so with one of these, at once. */
static bool refused(int64_t res)
{
	return res == -EINVAL || res == -EBADF || res == -EOPNOTSUPP || res == -ENOSYS ||
	       res == -EMFILE || res == -ENFILE || res == -EPERM;
}

static int between_open(struct between *b)
{
	int size = socket_pipe(b->fd);

	b->held = 0;
	b->done = 0;
	b->size = (size_t)max(size, 0);
	return min(size, 0);
}

static void between_close(struct between *b)
{
	socket_close(b->fd[0]);
	socket_close(b->fd[1]);
}

/* What is written meanwhile is queued until out_return(). */
static int out_borrow(struct mn_stream *to)
{
	int err = mn_stream_flush(to);

	BUG_ON(to->moving || to->lent);
	if (!err && to->shut)
		err = -EPIPE;
	if (!err)
		err = socket_nonblock(to->fd);
	to->lent = !err;
	return err;
}

static int out_return(struct mn_stream *to, int err)
{
	if (err < 0 && err != mn_self->fiber->stop && !to->out_err) {
		to->out_err = err;
		stream_in_fail(to, err);
	}
	to->lent = false;
	out_resume(to);
	return err;
}

/* Send all that the pipe holds: 0 or -errno. */
static int pipe_send(struct between *b, struct mn_stream *to)
{
	int64_t res = 0;

	while (b->held && res >= 0) {
		res = to->out_err ? to->out_err :
				    step(&to->send, b->fd[0], -1, to->fd, -1, b->held);
		if (res > 0) {
			b->held -= (size_t)res;
			b->done += (uint64_t)res;
			to->sent = true;
			stats_add(mn_self, STAT_BYTES_OUT, res);
		} else {
			res = res == -EAGAIN ? ready(&to->send, to->fd, POLLOUT) :
			      res	     ? res :
					       -EPIPE;
		}
	}
	return (int)min(res, 0);
}

/* ---- a file into a stream ---- */

/* As many buffers as there are, up to a batch: a vector over them. */
static unsigned int bufs_get(struct mn_buf *buf, struct iovec *iov, uint64_t len)
{
	unsigned int n = 0;

	while (len && n < BATCH_SLICES && (!n || !pool_pressed(&mn_self->pool)) &&
	       !mn_buf_alloc(&buf[n])) {
		buf[n].len = (size_t)min(buf[n].len, len);
		len -= buf[n].len;
		iov[n] = (struct iovec){ buf[n].data, buf[n].len };
		n++;
	}
	return n;
}

static int64_t transfer(enum mn_opcode code, int fd, const struct iovec *iov, unsigned int n,
			uint64_t off)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.rwv.iov = iov;
	op.rwv.nr = n;
	op.rwv.off = (int64_t)off;
	op_start(&op);
	return mn_op_await(&op, MN_NEVER);
}

/* Of @n buffers the first @len bytes: written, the others freed. */
static int bufs_write(struct mn_stream *to, struct mn_buf *buf, unsigned int n, size_t len)
{
	for (unsigned int i = 0; i < n; i++) {
		buf[i].len = min(buf[i].len, len);
		len -= buf[i].len;
	}
	return mn_stream_write_all(to, buf, n);
}

static int64_t copy_some(struct mn_stream *to, int fd, uint64_t off, uint64_t len)
{
	struct iovec iov[BATCH_SLICES];
	struct mn_buf buf[BATCH_SLICES];
	unsigned int n = bufs_get(buf, iov, len);
	int64_t res;
	int err;

	if (!n)
		return -ENOBUFS;
	res = transfer(MN_OP_READV, fd, iov, n, off);
	err = bufs_write(to, buf, n, (size_t)max(res, 0));
	return err ? err : res;
}

static int64_t file_copy(struct mn_stream *to, int fd, uint64_t off, uint64_t len)
{
	uint64_t done = 0;
	int64_t res = 1;

	while (done < len && res > 0) {
		res = copy_some(to, fd, off + done, len - done);
		if (res > 0) {
			done += (uint64_t)res;
		} else if (res == -ENOBUFS && to->out_bytes) {
			/* Those that are queued come back. */
			res = mn_stream_flush(to);
			res = res ? res : 1;
		}
	}
	return done ? (int64_t)done : min(res, 0);
}

static int64_t file_splice(struct mn_stream *to, struct between *b, int fd, uint64_t off,
			   uint64_t len)
{
	int64_t res = out_borrow(to);

	while (!res && b->done < len) {
		res = step(&to->send, fd, (int64_t)(off + b->done), b->fd[1], -1,
			   min(len - b->done, b->size));
		if (res <= 0)
			break;
		b->held = (size_t)res;
		res = pipe_send(b, to);
		if (res)
			res = out_return(to, (int)res);
	}
	if (to->lent)
		out_return(to, 0);
	return b->done ? (int64_t)b->done : res;
}

int64_t mn_sendfile(struct mn_stream *to, int fd, uint64_t offset, uint64_t len)
{
	struct between b;
	int64_t res;

	if (offset > INT64_MAX)
		return -EINVAL;
	len = min(len, INT64_MAX - offset);
	if (!worth_it(len) || between_open(&b))
		return file_copy(to, fd, offset, len);
	res = file_splice(to, &b, fd, offset, len);
	between_close(&b);
	return refused(res) ? file_copy(to, fd, offset, len) : res;
}

/* ---- a stream into something else ---- */

/* Nothing arrives by itself until stream_in_go(); what has arrived is still queued. */
static int in_borrow(struct mn_stream *from)
{
	int err;

	BUG_ON(from->held);
	if (from->aborted)
		return from->in_err;
	err = socket_nonblock(from->fd);
	if (!err)
		stream_in_stop(from);
	return err;
}

/* From the socket into the pipe, or to the end. */
static int64_t pipe_receive(struct between *b, struct mn_stream *from, size_t len)
{
	int64_t res = -EAGAIN;

	if (from->in_ended || from->aborted)
		return from->in_err;
	while (res == -EAGAIN) {
		res = ready(&from->recv, from->fd, POLLIN);
		if (!res)
			res = step(&from->recv, from->fd, -1, b->fd[1], -1, len);
	}
	if (res > 0) {
		b->held = (size_t)res;
		idle_touch(from);
		stats_add(mn_self, STAT_BYTES_IN, res);
	} else if (from->in_err || (!refused(res) && res != mn_self->fiber->stop)) {
		stream_in_over(from, (int)res);
		res = from->in_err;
	}
	return res;
}

/* Where bytes go: a stream or a file. */
struct target {
	struct mn_stream *stream;
	int fd;
	uint64_t off;
};

static int pipe_write(struct between *b, struct mn_op *op, struct target *t)
{
	int64_t res = 1;

	while (b->held && res > 0) {
		res = step(op, b->fd[0], -1, t->fd, (int64_t)(t->off + b->done), b->held);
		if (res > 0) {
			b->held -= (size_t)res;
			b->done += (uint64_t)res;
		}
	}
	return b->held ? (int)(res ? res : -EIO) : 0;
}

static int64_t in_splice(struct between *b, struct target *t, struct mn_stream *from, uint64_t len)
{
	int64_t res = 1;

	while (b->done < len && res > 0) {
		res = pipe_receive(b, from, min(len - b->done, b->size));
		if (res > 0) {
			int err = t->stream ? pipe_send(b, t->stream) :
					      pipe_write(b, &from->recv, t);

			res = err ? err : res;
		}
	}
	return min(res, 0);
}

/* One slice, not more than @max. The rest of it stays where it was. */
static int64_t in_slice(struct mn_stream *from, uint64_t max, struct mn_buf *in)
{
	struct mn_buf rest;
	int64_t res = mn_stream_read(from, in);

	if (res <= 0 || (uint64_t)res <= max)
		return res;
	rest = *in;
	mn_buf_split(&rest, max, in);
	stream_unread(from, &rest);
	return (int64_t)in->len;
}

static int target_put(struct target *t, struct mn_buf *in, uint64_t done)
{
	struct iovec iov = { in->data, in->len };
	int64_t res;

	if (t->stream)
		return mn_stream_write(t->stream, in);
	res = transfer(MN_OP_WRITEV, t->fd, &iov, 1, t->off + done);
	mn_buf_free(in);
	return res < 0 ? (int)res : res < (int64_t)iov.iov_len ? -EIO : 0;
}

/* By way of the pool; all of it, or only what is @there. */
static int64_t in_copy(struct target *t, struct mn_stream *from, uint64_t len, bool there,
		       uint64_t *done)
{
	int64_t res = 1;

	while (*done < len && res > 0 && (!there || from->in_head)) {
		struct mn_buf in;
		int err;

		res = in_slice(from, len - *done, &in);
		if (res <= 0)
			break;
		err = target_put(t, &in, *done);
		if (err)
			return err;
		*done += (uint64_t)res;
	}
	return min(res, 0);
}

/* First what was received, then in the kernel; by way of the pool where that is refused. */
static int64_t in_pass(struct target *t, struct mn_stream *from, uint64_t len)
{
	struct between b;
	uint64_t done = 0;
	int64_t res;
	bool spliced = worth_it(len) && !between_open(&b);

	if (!spliced) {
		res = in_copy(t, from, len, false, &done);
		return done ? (int64_t)done : res;
	}
	res = in_borrow(from);
	if (!res)
		res = in_copy(t, from, len, true, &done);
	if (!res && t->stream)
		res = out_borrow(t->stream);
	if (!res) {
		b.done = done;
		res = in_splice(&b, t, from, len);
		done = b.done;
	}
	if (t->stream && t->stream->lent) {
		if (b.held)
			stream_abort(t->stream, (int)res);
		out_return(t->stream, 0);
	}
	if (from->held)
		stream_in_go(from);
	between_close(&b);
	if (refused(res) && !b.held)
		res = in_copy(t, from, len, false, &done);
	return done ? (int64_t)done : res;
}

int64_t mn_splice(struct mn_stream *to, struct mn_stream *from, uint64_t len)
{
	struct target t = { .stream = to };

	return to == from ? -EINVAL : in_pass(&t, from, len);
}

int64_t mn_recvfile(int fd, uint64_t offset, struct mn_stream *from, uint64_t len)
{
	struct target t = { .fd = fd, .off = offset };

	if (offset > INT64_MAX)
		return -EINVAL;
	return in_pass(&t, from, min(len, INT64_MAX - offset));
}
