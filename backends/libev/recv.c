// SPDX-License-Identifier: MIT
/* Streams that receive: into a chunk of the pool when there is something. */
#include "backends/libev/libev.h"
#include "backends/libev/try.h"

#define RECV_BATCH	16	/* full chunks of a stream at a turn */
#define STREAM_BATCH	32	/* streams that receive at a turn */

/* No buffer: look away from the stream until some come back to the pool. */
void libev_stream_starve(struct libev *ev, struct watch *w)
{
	ev_io_stop(ev->loop, &w->io);
	list_add_tail(&ev->starved, &w->link);
	stats_add(ev->be.shard, STAT_STARVED, 1);
}

void libev_starved_resume(struct libev *ev)
{
	uint32_t n = ev->be.shard->pool.nr_free;

	while (n-- && !list_empty(&ev->starved)) {
		struct watch *w = list_first(&ev->starved, struct watch, link);

		list_del(&w->link);
		ev_io_start(ev->loop, &w->io);
	}
}

/*
 * Receive into one chunk. Returns whether there is probably more: it came back
 * full, and the stream still wants it. Who sends little at a time is asked
 * once a turn; whether there is more the next turn tells, for nothing.
 */
static bool stream_receive(struct libev *ev, struct watch *w, int revents)
{
	struct pool *pool = &ev->be.shard->pool;
	struct mn_chunk *chunk = pool_get(pool);
	uint32_t life = w->life;
	struct mn_op *op = w->op;
	int64_t n;

	if (!chunk) {
		libev_stream_starve(ev, w);
		return false;
	}
	count_syscalls(ev, 1);
	n = libev_transferred(recv(op->fd, chunk->data, pool->chunk_size, MSG_DONTWAIT));
	if (n > 0) {
		chunk->len = (uint32_t)n;
		op->chunk = chunk;
		ev->nr_done++;
		op_deliver(op, n);
		return n == pool->chunk_size && w->op == op && w->life == life;
	}
	pool_put(chunk);
	if (n != NOT_YET || revents & EV_ERROR)
		libev_finish(ev, w, n == NOT_YET ? -EBADF : n);
	return false;
}

static void receive(struct libev *ev, struct watch *w, int revents)
{
	bool packets = w->op->code == MN_OP_RECV_PACKETS, more = true;

	for (int n = 0; n < RECV_BATCH && more; n++)
		more = packets ? libev_packets_receive(ev, w, revents) :
				 stream_receive(ev, w, revents);
}

/*
 * Who receives is likely to send, to the same socket, when its task runs. So
 * not all are received from first: of many, the first ones would be out of the
 * cache by then, kernel and all.
 */
void libev_stream_ready(struct libev *ev, struct watch *w, int revents)
{
	if (ev->nr_received++ < STREAM_BATCH || revents & EV_ERROR)
		receive(ev, w, revents);
	else
		list_add_tail(&ev->ready, &w->link);
}

void libev_streams_go_on(struct libev *ev)
{
	for (int n = 0; n < STREAM_BATCH && !list_empty(&ev->ready); n++) {
		struct watch *w = list_first(&ev->ready, struct watch, link);

		list_del(&w->link);
		receive(ev, w, EV_READ);
	}
}
