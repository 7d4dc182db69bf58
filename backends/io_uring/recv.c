// SPDX-License-Identifier: MIT
/*
 * The buffer ring: chunks of the shard's pool that the kernel may receive
 * into. It is kept full, and no fuller than its size, so that the same warm
 * chunks go round. A receive that finds it empty is put on the starved list
 * and armed again when there are chunks: back-pressure, not an error.
 */
#include "backends/io_uring/uring.h"

void uring_refill(struct uring *u)
{
	struct pool *pool = &u->be.shard->pool;
	/* Of a small pool the application must get something, too. */
	uint32_t full = min(u->buf_mask + 1u, pool->chunks_max / 2);
	uint16_t tail = u->buf_tail;

	while (u->nr_bufs < full) {
		struct mn_chunk *chunk = pool_get(pool);
		struct io_uring_buf *buf = &u->bufs->bufs[tail & u->buf_mask];

		if (!chunk)
			break;
		buf->addr = (uintptr_t)chunk->data;
		buf->len = pool->chunk_size;
		buf->bid = chunk->id;
		tail++;
		u->nr_bufs++;
	}
	if (tail == u->buf_tail)
		return;
	u->buf_tail = tail;
	/* Release: the entries are written before the tail that covers them. */
	io_uring_smp_store_release(&u->bufs->tail, tail);
}

void uring_starve(struct uring *u, struct mn_op *op)
{
	stats_add(u->be.shard, STAT_STARVED, 1);
	op->priv = OP_STARVED;
	op_list_push(&u->starved, op);
}

/* As many as there are buffers: the others would only come back at once. */
void uring_feed(struct uring *u)
{
	for (uint32_t n = u->nr_bufs; n && u->starved.head; n--)
		uring_resubmit(u, op_list_pop(&u->starved));
}
