// SPDX-License-Identifier: MIT
/* Streams: their input, their life and their end. The queue of input is in in.c, output in out.c. */
#include <errno.h>
#include <string.h>

#include <miniss/param.h>

#include "backends/backend.h"
#include "core/future.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/idle.h"
#include "lib/net/passing.h"
#include "lib/net/socket.h"
#include "lib/net/stream.h"
#include "lib/net/zerocopy.h"

MN_PARAM(uint, in_max, 65536, 4096, 1 << 30, "received bytes that a connection may queue");

static void reader_wake(struct mn_stream *stream)
{
	if (stream->reader)
		task_schedule(mn_self, stream->reader);
}

/* When buffers are short nobody may hold more than one unread, nor get it before it is wanted. */
static bool in_full(const struct mn_stream *stream)
{
	return stream->in_bytes >= stream->limits.in_high || stream->in_fds >= PASSING_QUEUE ||
	       pool_pressed(&mn_self->pool);
}

static void received(struct mn_op *op, int64_t res);

static void recv_start(struct mn_stream *stream)
{
	stream->in_paused = false;
	op_init(&stream->recv, stream->passing ? MN_OP_RECV_PACKETS : MN_OP_RECV_STREAM,
		stream->fd);
	if (stream->passing)
		passing_prepare(&stream->recv);
	stream->recv.complete = received;
	op_start(&stream->recv);
}

static void in_resume(struct mn_stream *stream)
{
	if (stream->in_paused && !stream->held && !mn_op_in_flight(&stream->recv))
		recv_start(stream);
}

static void in_push(struct mn_stream *stream, struct mn_chunk *chunk)
{
	stream->in_bytes += chunk->len;
	in_add(stream, chunk);
	if (in_full(stream) && !stream->in_paused) {
		stream->in_paused = true;
		mn_op_cancel(&stream->recv);
	}
	reader_wake(stream);
}

/* The completion function of the receive: a chunk, or the end. */
static void received(struct mn_op *op, int64_t res)
{
	struct mn_stream *stream = container_of(op, struct mn_stream, recv);

	if (op->flags & OP_MORE && stream->passing && !passing_unpack(stream, op->chunk)) {
		passing_drop(stream, op->chunk);
		pool_put(op->chunk);
		stream->in_eof = true;
		mn_op_cancel(op);
		return;
	}
	if (op->flags & OP_MORE) {
		stats_add(mn_self, STAT_BYTES_IN, op->chunk->len);
		in_push(stream, op->chunk);
		return;
	}
	if (stream->in_eof)
		res = 0;
	if ((stream->moving || stream->held) && res == -ECANCELED && !stream->in_err) {
		mn_future_resolve(&op->done, 0);
		return;
	}
	if (stream->in_paused && res == -ECANCELED && !stream->in_err) {
		/* Emptied already while the cancellation was under way? */
		if (!stream->in_head)
			recv_start(stream);
		return;
	}
	stream->in_paused = false;	/* nothing to go on with */
	stream->in_ended = true;
	if (!stream->in_err)
		stream->in_err = (int)res;
	reader_wake(stream);
	mn_future_resolve(&op->done, 0);
}

/*
 * Sending tells what receiving may not: when a reset comes right behind data,
 * a multishot receive of Linux (seen on 6.18) may miss it and wait for ever.
 */
void stream_in_fail(struct mn_stream *stream, int err)
{
	if (stream->in_ended || stream->in_err)
		return;
	stream->in_err = err;
	if (mn_op_in_flight(&stream->recv)) {
		mn_op_cancel(&stream->recv);
		return;
	}
	stream->in_paused = false;
	stream->in_ended = true;
	reader_wake(stream);
}

int64_t mn_stream_try_read(struct mn_stream *stream, struct mn_buf *in)
{
	struct mn_chunk *chunk = stream->in_head;

	if (stream->aborted)
		return stream->in_err;
	if (!chunk) {
		in_resume(stream);
		return stream->in_ended ? stream->in_err : -EAGAIN;
	}
	stream->in_head = chunk->next;
	if (!stream->in_head)
		stream->in_tail = &stream->in_head;
	stream->in_bytes -= chunk->len;
	if (stream->passing)
		passing_drop(stream, chunk);
	idle_touch(stream);
	pool_slice(chunk, in);	/* a view is gone then */
	if (stream->in_bytes <= stream->limits.in_low && !pool_pressed(&mn_self->pool))
		in_resume(stream);
	return (int64_t)in->len;
}

static void read_cancel(void *obj)
{
	reader_wake(obj);
}

int stream_in_wait(struct mn_stream *stream)
{
	struct mn_fiber *fiber = mn_self->fiber;
	struct mn_task *reader = stream->reader;

	if (fiber->stop)
		return fiber->stop;
	stream->reader = &fiber->task;
	fiber_park(read_cancel, stream);
	stream->reader = reader;
	return 0;
}

int64_t mn_stream_read(struct mn_stream *stream, struct mn_buf *in)
{
	int64_t res;

	while ((res = mn_stream_try_read(stream, in)) == -EAGAIN) {
		int err = stream_in_wait(stream);

		if (err)
			return err;
	}
	return res;
}

void stream_abort(struct mn_stream *stream, int err)
{
	if (stream->away) {
		stream->away_err = err;
		return;
	}
	if (stream->aborted)
		return;
	stream->aborted = true;
	stream->in_err = err;
	if (!stream->out_err)
		stream->out_err = err;
	mn_op_cancel(&stream->recv);
	out_cancel(stream);
	reader_wake(stream);
	if (stream->writer)
		task_schedule(mn_self, stream->writer);
}

void mn_stream_abort(struct mn_stream *stream)
{
	stream_abort(stream, -ECANCELED);
}

void stream_init(struct mn_stream *stream, int fd)
{
	stream->fd = fd;
	stream->in_tail = &stream->in_head;
	stream->limits.in_high = param_in_max;
	stream->limits.in_low = param_in_max / 2;
	out_init(stream);
}

void stream_begin(struct mn_stream *stream)
{
	idle_touch(stream);
	idle_start(stream);
	recv_start(stream);
}

static void end_wait(struct mn_op *op)
{
	if (mn_op_in_flight(op))
		fiber_wait(&op->done);
}

/* ---- splicing ---- */

void stream_in_stop(struct mn_stream *stream)
{
	stream->held = true;
	mn_op_cancel(&stream->recv);
	end_wait(&stream->recv);
}

void stream_in_go(struct mn_stream *stream)
{
	stream->held = false;
	if (!stream->in_ended && !stream->aborted) {
		stream->in_paused = in_full(stream);
		if (!stream->in_paused)
			recv_start(stream);
	}
	if (stream->in_head || stream->in_ended)
		reader_wake(stream);
}

void stream_in_over(struct mn_stream *stream, int err)
{
	stream->in_ended = true;
	if (!stream->in_err)
		stream->in_err = err;
}

/* ---- moving ---- */

void stream_quiet(struct mn_stream *stream)
{
	stream->moving = true;
	idle_stop(stream);
	out_quiet(stream);
	mn_op_cancel(&stream->recv);
	out_cancel(stream);
	end_wait(&stream->recv);
	out_cancel_wait(stream);
	backend_forget(mn_self->be, stream->fd);
}

void stream_resume(struct mn_stream *stream)
{
	stream->moving = false;
	if (stream->aborted)
		return;
	idle_start(stream);
	if (!stream->in_ended) {
		stream->in_paused = in_full(stream);
		if (!stream->in_paused)
			recv_start(stream);
	}
	if (stream->queued && !stream->corked)
		out_start(stream);
	if (stream->in_head || stream->in_ended)
		reader_wake(stream);
}

void stream_take(struct mn_stream *to, struct mn_stream *from)
{
	if (from->in_head) {
		to->in_head = from->in_head;
		to->in_tail = from->in_tail;
	}
	from->in_head = NULL;
	to->in_bytes = from->in_bytes;
	to->in_fds = from->in_fds;
	to->passing = from->passing;
	to->in_ended = from->in_ended;
	to->in_err = from->in_err;
	to->shut = from->shut;
	to->limits = from->limits;
	out_take(to, from);
	to->zc = from->zc;
	to->sent = from->sent;
	to->user = from->user;
	stream_resume(to);
}

void stream_moved(struct mn_stream *stream)
{
	stream->moving = false;
	stream->aborted = true;
	stream->in_err = stream->out_err = -ENOTCONN;
	stream->fd = -1;
	zc_forget(stream);
	idle_drop(stream);
	out_drop(stream);
}

int stream_end(struct mn_stream *stream)
{
	int err;

	if (stream->fd < 0)	/* it has moved */
		return 0;
	err = out_wait(stream, 0);
	/* From here on nothing starts again, and what is in flight ends soon. */
	stream->reader = stream->writer = NULL;
	out_quiet(stream);
	stream_abort(stream, err ? err : -ECANCELED);
	end_wait(&stream->recv);
	out_cancel_wait(stream);
	zc_forget(stream);
	idle_drop(stream);
	in_drop(stream);
	out_drop(stream);
	socket_close(stream->fd);
	return err;
}

int mn_stream_close(struct mn_stream *stream)
{
	int err = stream_end(stream);

	mem_free(stream);
	return err;
}

int mn_stream_shutdown(struct mn_stream *stream)
{
	int err = mn_stream_flush(stream);
	bool again = stream->shut;

	BUG_ON(stream->moving);
	stream->shut = true;
	/* The system would complain, once the other side has ended, too. */
	return err || again ? err : socket_shutdown(stream->fd, SHUT_WR);
}

/* What is zero is as the parameters say, and half of that. */
static int limits_complete(struct mn_stream_limits *limits, uint32_t out_max)
{
	if (!limits->in_high)
		limits->in_high = param_in_max;
	if (!limits->in_low)
		limits->in_low = limits->in_high / 2;
	if (!limits->out_high)
		limits->out_high = out_max;
	if (!limits->out_low)
		limits->out_low = limits->out_high / 2;
	return limits->in_low > limits->in_high || limits->out_low > limits->out_high ? -EINVAL : 0;
}

int mn_stream_set_limits(struct mn_stream *stream, const struct mn_stream_limits *limits)
{
	struct mn_stream_limits new = *limits;
	int err = limits_complete(&new, out_max_default());

	if (err)
		return err;
	stream->limits = new;
	if (stream->in_bytes <= new.in_low)
		in_resume(stream);
	return 0;
}

int mn_stream_peer(struct mn_stream *stream, char *text, size_t size)
{
	struct mn_addr addr;
	int err = stream->fd < 0 ? -ENOTCONN : socket_peer(stream->fd, &addr);

	if (!err)
		mn_addr_format(&addr, text, size);
	return err;
}

int mn_stream_cred(struct mn_stream *stream, struct mn_cred *cred)
{
	return stream->fd < 0 ? -ENOTCONN : socket_cred(stream->fd, cred);
}

void mn_stream_set_user(struct mn_stream *stream, void *user)
{
	stream->user = user;
}

void *mn_stream_user(const struct mn_stream *stream)
{
	return stream->user;
}
