// SPDX-License-Identifier: MIT
/*
 * Datagrams, several in one system call. How many are asked for follows what
 * came: twice as many when all did. A call that gets fewer has emptied the
 * socket, so that none is needed to hear that nothing is left.
 */
#include "backends/libev/libev.h"
#include "backends/packet.h"
#include "backends/platform.h"

#define BATCH	16

struct batch {
	unsigned int n;
	struct mn_chunk *chunk[BATCH];
	struct iovec iov[BATCH];
	struct mn_mmsg msg[BATCH];
};

/* As many as are asked for, and are there when buffers are short. */
static void batch_fill(struct batch *batch, struct pool *pool, const struct watch *w)
{
	unsigned int n = w->op->flags & OP_ONE || pool_pressed(pool) ?
				 1 :
				 min((unsigned int)w->done + 1, (unsigned int)BATCH);

	for (batch->n = 0; batch->n < n; batch->n++) {
		struct mn_chunk *chunk = pool_get(pool);

		if (!chunk)
			break;
		batch->chunk[batch->n] = chunk;
		packet_prepare(w->op->msg.hdr, chunk, pool->chunk_size, &batch->iov[batch->n],
			       &batch->msg[batch->n].hdr);
	}
}

/* All that came, also when somebody has had enough: it cannot be put back. */
static void batch_deliver(struct libev *ev, struct watch *w, struct batch *batch, unsigned int got)
{
	struct mn_op *op = w->op;

	w->delivering = true;
	for (unsigned int i = 0; i < got; i++) {
		int len = packet_complete(op->msg.hdr, batch->chunk[i], &batch->msg[i].hdr,
					  batch->msg[i].len);

		batch->chunk[i]->len = (uint32_t)len;
		op->chunk = batch->chunk[i];
		ev->nr_done++;
		op_deliver(op, len);
	}
	w->delivering = false;
}

bool libev_packets_receive(struct libev *ev, struct watch *w, int revents)
{
	struct batch batch;
	int got;

	batch_fill(&batch, &ev->be.shard->pool, w);
	if (!batch.n) {
		libev_stream_starve(ev, w);
		return false;
	}
	count_syscalls(ev, 1);
	got = platform_recvmmsg(w->op->fd, batch.msg, batch.n);
	for (unsigned int i = (unsigned int)max(got, 0); i < batch.n; i++)
		pool_put(batch.chunk[i]);
	if (got <= 0) {
		bool nothing = !got || got == -EAGAIN || got == -EWOULDBLOCK || got == -EINTR;

		if (!nothing || revents & EV_ERROR)
			libev_finish(ev, w, nothing ? -EBADF : got);
		return false;
	}
	batch_deliver(ev, w, &batch, (unsigned int)got);
	w->done = (unsigned int)got == batch.n ? 2 * (w->done + 1) : (uint64_t)got;
	w->done = min(w->done, (uint64_t)BATCH);
	if (!w->canceled)
		return (unsigned int)got == batch.n;
	w->canceled = false;
	libev_finish(ev, w, -ECANCELED);
	return false;
}
