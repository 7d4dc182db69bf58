// SPDX-License-Identifier: MIT
/*
 * The output of a stream. Two sends at a time could overtake each other, so
 * there is one; what is written meanwhile is gathered into the next.
 */
#include <errno.h>
#include <string.h>

#include <miniss/param.h>

#include "core/future.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/shed.h"
#include "lib/net/idle.h"
#include "lib/net/stream.h"
#include "lib/net/zerocopy.h"

MN_PARAM(uint, out_max, 262144, 4096, 1 << 30, "bytes that a connection may queue for sending");

void batches_free(struct shard *shard)
{
	struct batch *batch;

	while ((batch = shard->batches)) {
		shard->batches = batch->next;
		mem_free(batch);
	}
}

struct batch *batch_get(void)
{
	struct batch *batch = mn_self->batches;

	if (batch)
		mn_self->batches = batch->next;
	else
		batch = mem_alloc(sizeof(*batch));
	if (batch) {
		batch->next = NULL;
		batch->nr_slices = 0;
		batch->bytes = 0;
	}
	return batch;
}

void batch_put(struct batch *batch)
{
	for (uint32_t i = 0; i < batch->nr_slices; i++)
		mn_buf_free(&batch->slice[i]);
	mn_buf_free(&batch->spare);
	batch->next = mn_self->batches;
	mn_self->batches = batch;
}

void batch_prepare(struct batch *batch)
{
	for (uint32_t i = 0; i < batch->nr_slices; i++) {
		batch->iov[i].iov_base = batch->slice[i].data;
		batch->iov[i].iov_len = batch->slice[i].len;
	}
	batch->hdr = (struct msghdr){ .msg_iov = batch->iov, .msg_iovlen = batch->nr_slices };
}

static void out_sent(struct mn_op *op, int64_t res);

uint32_t out_max_default(void)
{
	return param_out_max;
}

void out_init(struct mn_stream *stream)
{
	stream->queued_tail = &stream->queued;
	stream->limits.out_high = param_out_max;
	stream->limits.out_low = param_out_max / 2;
}

/* Who has corked it wants to go on adding, unless somebody waits for it to be sent. */
static bool out_may_start(const struct mn_stream *stream)
{
	return stream->queued && !stream->sending && !stream->moving && !stream->lent &&
	       (!stream->corked || stream->writer);
}

/* Send stream->sending with a copy. */
static inline void out_copy(struct mn_stream *stream, struct batch *batch)
{
	struct mn_op *op = &stream->send;

	if (batch->nr_slices == 1) {
		op_init(op, MN_OP_SEND, stream->fd);
		op->buf.base = batch->slice[0].data;
		op->buf.len = batch->slice[0].len;
	} else {
		op_init(op, MN_OP_SENDMSG, stream->fd);
		batch_prepare(batch);
		op->msg.hdr = &batch->hdr;
	}
	op->flags = OP_STREAM;
	op->complete = out_sent;
	op_start(op);
}

/* Not in line: what is small has nothing to save for it. */
static __attribute__((noinline)) void out_large(struct mn_stream *stream, struct batch *batch)
{
	if (!zc_send(stream, batch))
		out_copy(stream, batch);
}

void out_start(struct mn_stream *stream)
{
	struct batch *batch = stream->queued;

	stream->queued = batch->next;
	if (!stream->queued) {
		stream->queued_tail = &stream->queued;
		stream->filling = NULL;
	}
	stream->sending = batch;
	stream->recv.flags |= OP_TOLD;
	if (batch->bytes >= mn_self->zc.min)
		out_large(stream, batch);
	else
		out_copy(stream, batch);
}

void out_drop(struct mn_stream *stream)
{
	struct batch *batch;

	while ((batch = stream->queued)) {
		stream->queued = batch->next;
		stream->out_bytes -= batch->bytes;
		batch_put(batch);
	}
	stream->queued_tail = &stream->queued;
	stream->filling = NULL;
}

void out_quiet(struct mn_stream *stream)
{
	struct shard *self = mn_self;
	struct mn_stream **at = &self->unsent;

	if (!stream->unsent)
		return;
	while (*at != stream)
		at = &(*at)->unsent_next;
	*at = stream->unsent_next;
	if (!*at)
		self->unsent_tail = at;
	stream->unsent = false;
}

/* Of what the tasks of a turn have written to a stream, one message. */
static void out_want(struct mn_stream *stream)
{
	struct shard *self = mn_self;

	if (stream->unsent)
		return;
	stream->unsent = true;
	stream->unsent_next = NULL;
	*self->unsent_tail = stream;
	self->unsent_tail = &stream->unsent_next;
}

void out_flush(struct shard *shard)
{
	struct mn_stream *stream, *next = shard->unsent;

	shard->unsent = NULL;
	shard->unsent_tail = &shard->unsent;
	while ((stream = next)) {
		next = stream->unsent_next;
		stream->unsent = false;
		if (stream->out_err)
			out_drop(stream);
		else if (out_may_start(stream))
			out_start(stream);
	}
}

void out_resume(struct mn_stream *stream)
{
	if (stream->out_err)
		out_drop(stream);
	else if (stream->queued)
		out_want(stream);
	if (stream->writer)
		task_schedule(mn_self, stream->writer);
}

/* The first @n bytes were sent. */
static struct batch *batch_cut(struct batch *batch, size_t n)
{
	uint32_t whole = 0;

	batch->bytes -= n;
	for (; n >= batch->slice[whole].len; whole++) {
		n -= batch->slice[whole].len;
		mn_buf_free(&batch->slice[whole]);
	}
	batch->nr_slices -= whole;
	memmove(batch->slice, batch->slice + whole, batch->nr_slices * sizeof(batch->slice[0]));
	batch->slice[0].data += n;
	batch->slice[0].len -= n;
	return batch;
}

/* A send was cancelled after @n bytes: the rest of the batch is the first to go out. */
static void out_unsend(struct mn_stream *stream, size_t n)
{
	struct batch *batch = stream->sending;

	BUG_ON(n >= batch->bytes);
	stream->sending = NULL;
	stream->sent |= n > 0;
	stream->out_bytes -= n;
	stats_add(mn_self, STAT_BYTES_OUT, n);
	batch = batch->stream ? zc_split(batch, n) : batch_cut(batch, n);
	batch->next = stream->queued;
	stream->queued = batch;
	if (!batch->next)
		stream->queued_tail = &batch->next;
}

int out_reserve(struct mn_stream *to, const struct mn_stream *from)
{
	for (const struct batch *b = from->queued; b; b = b->next) {
		struct batch *batch = batch_get();

		if (!batch)
			return -ENOMEM;
		*to->queued_tail = batch;
		to->queued_tail = &batch->next;
		to->filling = batch;
	}
	return 0;
}

void out_take(struct mn_stream *to, struct mn_stream *from)
{
	struct batch *batch = to->queued;

	for (struct batch *b = from->queued; b; b = b->next, batch = batch->next) {
		memcpy(batch->slice, b->slice, b->nr_slices * sizeof(b->slice[0]));
		batch->nr_slices = b->nr_slices;
		batch->bytes = b->bytes;
		b->nr_slices = 0;
		b->bytes = 0;
	}
	to->out_bytes = from->out_bytes;
	to->out_err = from->out_err;
	to->corked = from->corked;
	from->out_bytes = 0;
}

void out_ended(struct mn_stream *stream, int64_t res, size_t n)
{
	struct batch *batch = stream->sending;

	if (res == -ECANCELED && stream->moving && !stream->out_err) {
		out_unsend(stream, n);
		mn_future_resolve(&stream->send.done, 0);
		return;
	}
	stream->sending = NULL;
	stream->out_bytes -= batch->bytes;
	stream->sent = true;
	if (!batch->stream)	/* else the kernel may hold it still */
		batch_put(batch);
	if (res >= 0)
		stats_add(mn_self, STAT_BYTES_OUT, res);
	else if (!stream->out_err)
		stream->out_err = (int)res;
	mn_future_resolve(&stream->send.done, 0);
	if (res < 0)
		stream_in_fail(stream, (int)res);
	if (stream->out_err)
		out_drop(stream);
	else if (out_may_start(stream))
		out_start(stream);
	if (stream->writer)
		task_schedule(mn_self, stream->writer);
}

static void out_sent(struct mn_op *op, int64_t res)
{
	out_ended(container_of(op, struct mn_stream, send), res, op->be.num);
}

/* The batch's, when that is sent without a copy. */
static struct mn_op *out_op(struct mn_stream *stream)
{
	struct batch *batch = stream->sending;

	return batch && batch->stream ? &batch->op : &stream->send;
}

void out_cancel(struct mn_stream *stream)
{
	mn_op_cancel(out_op(stream));
}

void out_cancel_wait(struct mn_stream *stream)
{
	if (mn_op_in_flight(out_op(stream)))
		fiber_wait(&stream->send.done);
}

static void write_cancel(void *obj)
{
	struct mn_stream *stream = obj;

	if (stream->writer)
		task_schedule(mn_self, stream->writer);
}

/* When buffers are short nobody may go on before what it has was sent. */
static bool out_over(const struct mn_stream *stream, size_t limit)
{
	return stream->out_bytes > limit || (stream->out_bytes && pool_pressed(&mn_self->pool));
}

int out_wait(struct mn_stream *stream, size_t limit)
{
	struct mn_fiber *fiber = mn_self->fiber;
	struct stuck stuck;

	while (out_over(stream, limit) && !stream->out_err) {
		if (fiber->stop)
			return fiber->stop;
		stream->writer = &fiber->task;
		if (!stream->sending)
			out_want(stream);
		stuck_enter(&stuck, stream);
		fiber_park(write_cancel, stream);
		stuck_leave(&stuck);
		stream->writer = NULL;
	}
	return stream->out_err;
}

/* What follows the last slice in its buffer makes that longer. */
static bool slice_extends(struct mn_buf *last, const struct mn_buf *out)
{
	if (!out->chunk || last->chunk != out->chunk || last->data + last->len != out->data)
		return false;
	last->len += out->len;
	last->share += out->share;
	return true;
}

static int out_push(struct mn_stream *stream, struct mn_buf *out)
{
	struct batch *batch = stream->filling;

	if (batch && slice_extends(&batch->slice[batch->nr_slices - 1], out))
		goto added;
	if (!batch || batch->nr_slices == BATCH_SLICES) {
		batch = batch_get();
		if (!batch)
			return -ENOMEM;
		*stream->queued_tail = batch;
		stream->queued_tail = &batch->next;
		stream->filling = batch;
	}
	batch->slice[batch->nr_slices++] = *out;
added:
	batch->bytes += out->len;
	stream->out_bytes += out->len;
	*out = (struct mn_buf){ .len = 0 };
	return 0;
}

static int write_begin(struct mn_stream *stream, struct mn_buf *out)
{
	int err = stream->out_err;

	BUG_ON(stream->moving);
	idle_touch(stream);
	if (!err && stream->shut)
		err = -EPIPE;
	if (!err && out->len)
		err = out_push(stream, out);
	if (err || out->chunk) {	/* an empty slice may have a buffer, too */
		mn_buf_free(out);
		return err;
	}
	if (stream->queued && !stream->sending && !stream->corked)
		out_want(stream);
	return 0;
}

static int write_end(struct mn_stream *stream)
{
	return out_over(stream, stream->limits.out_high) ?
		       out_wait(stream, stream->limits.out_low) :
							   stream->out_err;
}

int mn_stream_write(struct mn_stream *stream, struct mn_buf *out)
{
	int err = write_begin(stream, out);

	return err ? err : write_end(stream);
}

int mn_stream_write_all(struct mn_stream *stream, struct mn_buf *out, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		if (err)
			mn_buf_free(&out[i]);
		else
			err = mn_stream_write(stream, &out[i]);
	}
	return err;
}

void mn_stream_cork(struct mn_stream *stream)
{
	stream->corked = true;
}

void mn_stream_uncork(struct mn_stream *stream)
{
	stream->corked = false;
	if (stream->queued && !stream->sending && !stream->moving)
		out_want(stream);
}

/* Where to copy to: behind the last copy, if that was not sent yet. */
static int copy_room(struct mn_stream *stream, struct mn_buf *room)
{
	struct batch *batch = stream->filling;

	if (!batch || !batch->spare.len)
		return mn_buf_alloc(room);
	*room = batch->spare;
	batch->spare = (struct mn_buf){ .len = 0 };
	return 0;
}

/* Writing may wait, and then the batch is gone: what is left stays with it before that. */
static int copied(struct mn_stream *stream, struct mn_buf *out, struct mn_buf *room)
{
	int err = write_begin(stream, out);

	if (!err && stream->filling && !stream->filling->spare.len) {
		stream->filling->spare = *room;
		*room = (struct mn_buf){ .len = 0 };
	}
	mn_buf_free(room);
	return err ? err : write_end(stream);
}

int mn_stream_write_copy(struct mn_stream *stream, const void *data, size_t len)
{
	const uint8_t *from = data;
	struct mn_buf out, room;
	int err = 0;

	while (len && !err) {
		err = copy_room(stream, &room);
		if (err)
			return err;
		mn_buf_split(&room, min(room.len, len), &out);
		memcpy(out.data, from, out.len);
		from += out.len;
		len -= out.len;
		err = copied(stream, &out, &room);
	}
	return err;
}

int mn_stream_flush(struct mn_stream *stream)
{
	return out_wait(stream, 0);
}
