// SPDX-License-Identifier: MIT
/*
 * When to send without a copy, and what to learn from what became of it.
 *
 * It costs: pages are pinned, and there is a second completion. It pays when
 * the batch is large and the way to the peer copies nothing, which the kernel
 * says with that completion. To this machine it always copies, and then it
 * costs both. So each stream begins with a trial; and each trial that failed
 * makes the next one, by any stream of the shard, rarer: a server whose
 * connections are short and local would otherwise do nothing but try.
 *
 * Slices that are not counted (mn_buf_static()) are always copied: who has
 * flushed the stream may do with that memory what he wants.
 *
 * What is held is bounded by a quarter of the buffers. Beyond that, and when
 * they are short, is copied: so peers that do not acknowledge hold memory of
 * the kernel's, as ever, and it is never they who make buffers short.
 */
#include <errno.h>

#include <miniss/param.h>
#include <miniss/run.h>

#include "backends/backend.h"
#include "core/shard.h"
#include "lib/net/stream.h"
#include "lib/net/zerocopy.h"

MN_PARAM(uint, zero_copy_min, 32768, 0, 1 << 30,
	 "bytes of a send from which on it is tried without a copy (io_uring); 0: never");

#define PINNED_PART	4	/* of the buffers, at most this part is held */
#define SKIP_MAX	1023

void zc_init(struct shard *shard)
{
	list_init(&shard->zc.batches);
	shard->zc.min = SIZE_MAX;
}

void zc_start(struct shard *shard)
{
	if (shard->be->zero_copy && param_zero_copy_min)
		shard->zc.min = param_zero_copy_min;
}

/* Is it this stream's turn to find out whether it works? */
static bool may_try(const struct mn_stream *stream, struct zerocopy *zc)
{
	if (stream->zc == ZC_PROVEN || zc->insist)
		return true;
	if (stream->zc == ZC_NEVER || stream->nr_pinned)
		return false;
	if (zc->skipped < zc->skip) {
		zc->skipped++;
		return false;
	}
	return true;
}

static bool may_pin(const struct batch *batch, const struct shard *self)
{
	if (pool_pressed(&self->pool) ||
	    self->zc.nr_pinned + batch->nr_slices > self->pool.chunks_max / PINNED_PART)
		return false;
	for (uint32_t i = 0; i < batch->nr_slices; i++)
		if (!batch->slice[i].chunk)
			return false;
	return true;
}

static void learn(struct mn_stream *stream, struct zerocopy *zc, int64_t copied)
{
	if (!copied) {
		zc->skip = 0;
	} else {
		zc->skip = min(2 * zc->skip + 1, SKIP_MAX);
		zc->skipped = 0;
	}
	if (!stream || stream->zc == ZC_NEVER)
		return;
	if (!copied)
		stream->zc = ZC_PROVEN;
	else if (copied == -EOPNOTSUPP || (copied > 0 && stream->zc == ZC_DOUBTED))
		stream->zc = ZC_NEVER;
	else
		stream->zc = copied > 0 ? ZC_DOUBTED : ZC_UNKNOWN;
}

static void let_go(struct batch *batch, int64_t copied)
{
	struct shard *self = mn_self;

	list_del(&batch->entry);
	self->zc.nr_pinned -= batch->nr_pinned;
	if (batch->stream)
		batch->stream->nr_pinned--;
	if (copied != -ECANCELED && batch->bytes)
		learn(batch->stream, &self->zc, copied);
	if (copied >= 0)
		stats_add(self, copied ? STAT_BYTES_ZC_COPIED : STAT_BYTES_ZC, batch->bytes);
	batch->stream = NULL;
	batch_put(batch);
}

static void zc_event(struct mn_op *op, int64_t res)
{
	struct batch *batch = container_of(op, struct batch, op);
	struct mn_stream *stream = batch->stream;

	if (!(op->flags & OP_MORE)) {
		let_go(batch, res);
		return;
	}
	BUG_ON(!stream || stream->sending != batch);
	out_ended(stream, res, op->be.num);
	if (res < 0)	/* of what was not sent nothing is to be learned */
		batch->bytes = op->be.num;
	if (batch->rest) {
		batch_put(batch->rest);
		batch->rest = NULL;
	}
}

bool zc_send(struct mn_stream *stream, struct batch *batch)
{
	struct shard *self = mn_self;
	struct zerocopy *zc = &self->zc;
	struct mn_op *op = &batch->op;

	if (!may_pin(batch, self) || !may_try(stream, zc))
		return false;
	batch->rest = batch_get();
	if (!batch->rest)
		return false;
	batch->stream = stream;
	batch->nr_pinned = batch->nr_slices;
	zc->nr_pinned += batch->nr_pinned;
	stream->nr_pinned++;
	list_add(&zc->batches, &batch->entry);
	batch_prepare(batch);
	op_init(op, MN_OP_SENDMSG_ZC, stream->fd);
	op->msg.hdr = &batch->hdr;
	op->complete = zc_event;
	mn_future_init(&stream->send.done);	/* who waits for the end of a send waits for that */
	op_start(op);
	return true;
}

struct batch *zc_split(struct batch *batch, size_t n)
{
	struct batch *rest = batch->rest;
	uint32_t whole = 0;

	batch->rest = NULL;
	rest->bytes = batch->bytes - n;
	batch->bytes = n;
	for (; n >= batch->slice[whole].len; whole++)
		n -= batch->slice[whole].len;
	for (uint32_t i = whole; i < batch->nr_slices; i++)
		rest->slice[rest->nr_slices++] = batch->slice[i];
	batch->nr_slices = whole;
	if (n)
		mn_buf_split(&rest->slice[0], n, &batch->slice[batch->nr_slices++]);
	/* The rest is not the operation's any more. */
	ledger_remove(&batch->op);
	batch_prepare(batch);
	ledger_op(&batch->op, future_origin(&batch->op.done));
	return rest;
}

/* Its own are among the last ones, most often. */
void zc_forget(struct mn_stream *stream)
{
	struct list *pos = mn_self->zc.batches.next;

	for (; stream->nr_pinned; pos = pos->next) {
		struct batch *batch = container_of(pos, struct batch, entry);

		if (batch->stream != stream)
			continue;
		batch->stream = NULL;
		stream->nr_pinned--;
	}
}

/* ---- the end of the world ---- */

int zc_drain(void *until_ns)
{
	const struct list *batches = &mn_self->zc.batches;
	int64_t pause_ns = MN_MSEC / 8;

	while (!list_empty(batches) && shard_now(mn_self) < *(int64_t *)until_ns) {
		mn_sleep(pause_ns);
		pause_ns = min(2 * pause_ns, 16 * MN_MSEC);
	}
	return !list_empty(batches);
}

int zc_seal(void *arg)
{
	mn_self->pool.sealed = true;
	return 0;
}

/*
 * The peer does not acknowledge, and who is to say for how long. The kernel
 * has the pages, and goes on without us as it would with its own copy, also when
 * they are not mapped any more.
 */
int zc_abandon(void *arg)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &mn_self->zc.batches) {
		struct mn_op *op = &container_of(pos, struct batch, entry)->op;

		if (!(op->flags & OP_SENT))
			continue;
		op->flags &= ~OP_PINNED;
		op_complete(op, -ECANCELED);
	}
	return 0;
}
