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
#include "lib/net/stream.h"

MN_PARAM(uint, out_max, 262144, 4096, 1 << 30, "bytes that a connection may queue for sending");

void batches_free(struct shard *shard)
{
	struct batch *batch;

	while ((batch = shard->batches)) {
		shard->batches = batch->next;
		mem_free(batch);
	}
}

static struct batch *batch_get(void)
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

static void batch_put(struct batch *batch)
{
	for (uint32_t i = 0; i < batch->nr_slices; i++)
		mn_buf_free(&batch->slice[i]);
	batch->next = mn_self->batches;
	mn_self->batches = batch;
}

static void batch_prepare(struct batch *batch)
{
	for (uint32_t i = 0; i < batch->nr_slices; i++) {
		batch->iov[i].iov_base = batch->slice[i].data;
		batch->iov[i].iov_len = batch->slice[i].len;
	}
	batch->hdr = (struct msghdr){ .msg_iov = batch->iov, .msg_iovlen = batch->nr_slices };
}

void out_start(struct mn_stream *stream)
{
	struct batch *batch = stream->queued;
	struct mn_op *op = &stream->send;

	stream->queued = batch->next;
	if (!stream->queued) {
		stream->queued_tail = &stream->queued;
		stream->filling = NULL;
	}
	stream->sending = batch;
	if (batch->nr_slices == 1) {
		op_init(op, MN_OP_SEND, stream->fd);
		op->buf.base = batch->slice[0].data;
		op->buf.len = batch->slice[0].len;
	} else {
		op_init(op, MN_OP_SENDMSG, stream->fd);
		batch_prepare(batch);
		op->msg.hdr = &batch->hdr;
	}
	op->complete = out_sent;
	stream->recv.flags |= OP_TOLD;
	op_start(op);
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

/* A send was cancelled after @n bytes: the rest of the batch is the first to go out. */
static void out_unsend(struct mn_stream *stream, size_t n)
{
	struct batch *batch = stream->sending;
	uint32_t whole = 0;

	BUG_ON(n >= batch->bytes);
	stream->sending = NULL;
	stream->sent |= n > 0;
	stream->out_bytes -= n;
	batch->bytes -= n;
	stats_add(mn_self, STAT_BYTES_OUT, n);
	for (; n >= batch->slice[whole].len; whole++) {
		n -= batch->slice[whole].len;
		mn_buf_free(&batch->slice[whole]);
	}
	batch->nr_slices -= whole;
	memmove(batch->slice, batch->slice + whole, batch->nr_slices * sizeof(batch->slice[0]));
	batch->slice[0].data += n;
	batch->slice[0].len -= n;
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
	from->out_bytes = 0;
}

void out_sent(struct mn_op *op, int64_t res)
{
	struct mn_stream *stream = container_of(op, struct mn_stream, send);
	struct batch *batch = stream->sending;

	if (res == -ECANCELED && stream->moving && !stream->out_err) {
		out_unsend(stream, op->be.num);
		mn_future_resolve(&op->done, 0);
		return;
	}
	stream->sending = NULL;
	stream->out_bytes -= batch->bytes;
	stream->sent = true;
	batch_put(batch);
	if (res >= 0)
		stats_add(mn_self, STAT_BYTES_OUT, res);
	else if (!stream->out_err)
		stream->out_err = (int)res;
	mn_future_resolve(&op->done, 0);
	if (res < 0)
		stream_in_fail(stream, (int)res);
	if (stream->out_err)
		out_drop(stream);
	else if (stream->queued && !stream->moving)
		out_start(stream);
	if (stream->writer)
		task_schedule(mn_self, stream->writer);
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

	while (out_over(stream, limit) && !stream->out_err) {
		if (fiber->stop)
			return fiber->stop;
		stream->writer = &fiber->task;
		fiber_park(write_cancel, stream);
		stream->writer = NULL;
	}
	return stream->out_err;
}

static int out_push(struct mn_stream *stream, struct mn_buf *out)
{
	struct batch *batch = stream->filling;

	if (!batch || batch->nr_slices == BATCH_SLICES) {
		batch = batch_get();
		if (!batch)
			return -ENOMEM;
		*stream->queued_tail = batch;
		stream->queued_tail = &batch->next;
		stream->filling = batch;
	}
	batch->slice[batch->nr_slices++] = *out;
	batch->bytes += out->len;
	stream->out_bytes += out->len;
	*out = (struct mn_buf){ .len = 0 };
	return 0;
}

int mn_stream_write(struct mn_stream *stream, struct mn_buf *out)
{
	int err = stream->out_err;

	BUG_ON(stream->moving);
	stream_touch(stream);
	if (!err && stream->shut)
		err = -EPIPE;
	if (!err && out->len)
		err = out_push(stream, out);
	if (err || !stream->queued) {
		mn_buf_free(out);
		return err;
	}
	if (!stream->sending)
		out_start(stream);
	return out_over(stream, param_out_max) ? out_wait(stream, param_out_max / 2) :
						 stream->out_err;
}

int mn_stream_write_copy(struct mn_stream *stream, const void *data, size_t len)
{
	const uint8_t *from = data;
	struct mn_buf out;
	int err = 0;

	while (len && !err) {
		err = mn_buf_alloc(&out);
		if (err)
			return err;
		out.len = min(out.len, len);
		memcpy(out.data, from, out.len);
		from += out.len;
		len -= out.len;
		err = mn_stream_write(stream, &out);
	}
	return err;
}

int mn_stream_flush(struct mn_stream *stream)
{
	return out_wait(stream, 0);
}
