// SPDX-License-Identifier: MIT
/*
 * Receives of streams, and the buffer ring that they share: chunks of the
 * shard's pool that the kernel may receive into. It is kept full, and no
 * fuller than its size, so that the same warm chunks go round.
 *
 * A multishot receive that finds the ring empty is put on the starved list and
 * armed again when there are chunks: back-pressure, not an error. But it
 * takes a chunk for all that comes, and more before it can be cancelled. So
 * when the pool is pressed the ring is left to run dry, and a stream waits for
 * readiness and then receives one chunk (or, when the last ones are in the
 * ring, one of those): who does not go on with what it has cannot take what
 * the others need. Where the kernel has no buffer rings it is always so.
 *
 * Incremental buffers take one receive after the other, of any connection:
 * what is delivered then is a view of a chunk, and its share as long as it is.
 * The kernel's share is what is left, and it comes back with the last part.
 */
#include <errno.h>

#include "backends/io_uring/uring.h"
#include "backends/packet.h"

BUILD_BUG_ON(sizeof(struct packet_head) != sizeof(struct io_uring_recvmsg_out) ||
	     offsetof(struct packet_head, len) !=
		     offsetof(struct io_uring_recvmsg_out, payloadlen));

void uring_refill(struct uring *u)
{
	struct pool *pool = &u->be.shard->pool;
	/* Of a small pool the application must get something, too. */
	uint32_t full = min(u->buf_mask + 1u, pool->chunks_max / 2);
	uint16_t tail = u->buf_tail;

	while (u->bufs && u->nr_bufs < full && !pool_pressed(pool)) {
		struct mn_chunk *chunk = pool_get(pool);
		struct io_uring_buf *buf = &u->bufs->bufs[tail & u->buf_mask];

		if (!chunk)
			break;
		buf->addr = (uintptr_t)chunk->data;
		buf->len = pool->chunk_size;
		buf->bid = chunk->id;
		chunk->shared = u->incremental;
		pool_lend(chunk);
		tail++;
		u->nr_bufs++;
	}
	if (tail == u->buf_tail)
		return;
	u->buf_tail = tail;
	/* Release: the entries are written before the tail that covers them. */
	io_uring_smp_store_release(&u->bufs->tail, tail);
}

unsigned int uring_buffers(const struct backend *be)
{
	return container_of(be, struct uring, be)->nr_bufs;
}

static void starve(struct uring *u, struct mn_op *op)
{
	stats_add(u->be.shard, STAT_STARVED, 1);
	op->priv = OP_STARVED;
	op_list_push(&u->starved, op);
}

/* As many as there are buffers: the others would only come back at once. */
void uring_feed(struct uring *u)
{
	struct pool *pool = &u->be.shard->pool;

	uint32_t n = u->nr_bufs + (pool_pressed(pool) || !u->bufs ? pool->nr_free : 0);

	for (; n && u->starved.head; n--)
		uring_resubmit(u, op_list_pop(&u->starved));
}

/* A request was over for the kernel: is that the operation's end? */
static void request_ended(struct uring *u, struct mn_op *op, int res)
{
	/*
	 * Whoever asked for the error took it: what was asked afterwards finds
	 * an end, and so would who cancels now and receives again.
	 */
	if (op->be.num >= RECV_DEAD && (res == -ECANCELED || !res))
		res = -(int)(op->be.num - RECV_DEAD);
	if (res == 0 || (res < 0 && res != -ENOBUFS && res != -EINTR && res != -EAGAIN))
		op_complete(op, res);
	else if (op->state == OP_CANCELING)
		op_complete(op, -ECANCELED);
	else if (res == -ENOBUFS && !pool_pressed(&u->be.shard->pool))
		starve(u, op);
	else
		uring_resubmit(u, op);
}

/* One chunk of what there is: how the request for it ends. */
static int recv_chunk(struct uring *u, struct mn_op *op, struct mn_chunk *chunk)
{
	uint32_t size = u->be.shard->pool.chunk_size;
	ssize_t n;

	if (op->code == MN_OP_RECV_PACKETS) {
		n = packet_receive(op->fd, op->msg.hdr, chunk, size);
	} else {
		n = recv(op->fd, chunk->data, size, MSG_DONTWAIT);
		n = n < 0 ? -errno : n;
	}
	stats_add(u->be.shard, STAT_SYSCALLS, 1);
	if (n <= 0) {
		pool_put(chunk);
		return (int)n;
	}
	chunk->len = (uint32_t)n;
	op->chunk = chunk;
	op_deliver(op, n);
	return -EAGAIN;
}

static void recv_ready(struct uring *u, struct mn_op *op, int res)
{
	struct mn_chunk *chunk = NULL;

	if (res >= 0) {
		res = -EAGAIN;
		if (op->state != OP_CANCELING)
			chunk = pool_get(&u->be.shard->pool);
	}
	if (chunk)
		request_ended(u, op, recv_chunk(u, op, chunk));
	else if (res == -EAGAIN && op->state != OP_CANCELING && !u->nr_bufs)
		starve(u, op);
	else
		request_ended(u, op, res);
}

static struct mn_chunk *take_buffer(struct uring *u, unsigned int bid)
{
	struct mn_chunk *chunk = pool_chunk(&u->be.shard->pool, bid);

	u->nr_bufs--;
	pool_unlend(chunk);
	return chunk;
}

static void deliver(struct mn_op *op, struct mn_chunk *chunk, int len)
{
	chunk->len = (uint32_t)len;
	op->chunk = chunk;
	op->flags &= ~OP_TOLD;
	op_deliver(op, len);
}

#define RECV_LOST	(RECV_DEAD + (uint64_t)ENOMEM)

/* What is lost is lost: nothing may come after it but the end. */
static void recv_lost(struct uring *u, struct mn_op *op)
{
	if (op->be.num != RECV_LOST && op->state == OP_IN_FLIGHT && op->priv == OP_IN_RING)
		uring_cancel(&u->be, op);
	op->be.num = RECV_LOST;
}

/*
 * The next part of a buffer, which the kernel has until it is full: that is
 * when nothing is left of it, and not to be told from a receive that failed.
 */
static void recv_part(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe)
{
	struct pool *pool = &u->be.shard->pool;
	struct mn_chunk *chunk = pool_chunk(pool, cqe->flags >> IORING_CQE_BUFFER_SHIFT), *view;
	uint32_t len = (uint32_t)cqe->res, rest;

	view = pool_view(pool, chunk, chunk->data + chunk->off, len, len);
	poison_show(chunk->data + chunk->off, len);
	chunk->off += len;
	rest = pool->chunk_size - chunk->off;
	if (!rest || !(cqe->flags & URING_CQE_F_BUF_MORE)) {
		u->nr_bufs--;
		pool_unlend(chunk);
		if (rest)
			pool_put_share(chunk, rest);
	}
	if (!view) {
		pool_put_share(chunk, len);
		recv_lost(u, op);
	} else if (op->be.num == RECV_LOST) {
		pool_put(view);
	} else {
		deliver(op, view, cqe->res);
	}
}

/* A whole one. */
static void recv_buffer(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe)
{
	struct mn_chunk *chunk = take_buffer(u, cqe->flags >> IORING_CQE_BUFFER_SHIFT);

	if (cqe->res > 0)
		deliver(op, chunk, cqe->res);
	else
		pool_put(chunk);
}

void uring_recv_stream(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe)
{
	if (op->be.num == RECV_POLLED) {
		recv_ready(u, op, cqe->res);
		return;
	}
	if (cqe->flags & IORING_CQE_F_BUFFER && !u->incremental)
		recv_buffer(u, op, cqe);
	else if (cqe->flags & IORING_CQE_F_BUFFER && cqe->res > 0)
		recv_part(u, op, cqe);
	if (!(cqe->flags & IORING_CQE_F_MORE))
		request_ended(u, op, op->be.num == RECV_LOST ? -ECANCELED : cqe->res);
	else if (op->code == MN_OP_RECV_STREAM && !(cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) &&
		 op->state == OP_IN_FLIGHT && !op->pprev)
		op_list_push(&u->heard, op);
}

/* How the connection ended, or -EAGAIN if it did not. */
static int ask(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n > 0 || (n < 0 && errno == EINTR))
		return -EAGAIN;
	return n ? -errno : 0;
}

/*
 * A reset that arrives while the kernel hands over what came before it can be
 * lost on a multishot receive, which then waits for ever (one in 5,000 on
 * Linux 6.18). It is there when the data is: so those that have just
 * delivered are asked once, unless a send will tell.
 */
void uring_ask(struct uring *u)
{
	struct mn_op *op;

	while ((op = op_list_pop(&u->heard))) {
		int err;

		if (op->flags & OP_TOLD)
			continue;
		stats_add(u->be.shard, STAT_SYSCALLS, 1);
		err = ask(op->fd);
		if (err == -EAGAIN)
			continue;
		op->be.num = RECV_DEAD + (uint64_t)-err;
		uring_cancel(&u->be, op);
	}
}
