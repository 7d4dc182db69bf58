// SPDX-License-Identifier: MIT
/*
 * Buffers. A chunk counts bytes, not slices: each slice stands for a share,
 * all of them for the whole chunk. A share is at least as large as its slice
 * is long, or can grow, so that a split divides it, and has nothing to count.
 * Therefore slices may be split and freed on any shard, and shares may come
 * home in any order: the chunk is free when all of it is back, not before.
 */
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "smp/homing.h"

int mn_buf_alloc(struct mn_buf *buf)
{
	struct mn_chunk *chunk = pool_get(&mn_self->pool);

	if (!chunk)
		return -ENOBUFS;
	buf->data = chunk->data;
	buf->len = buf->share = chunk->home->chunk_size;
	buf->chunk = chunk;
	return 0;
}

void mn_buf_free(struct mn_buf *buf)
{
	struct mn_chunk *chunk = buf->chunk;

	if (chunk)
		ledger_freed(buf->data, buf->len);
	if (chunk && chunk->home == &mn_self->pool)
		pool_put_share(chunk, buf->share);
	else if (chunk)
		homing_chunk(mn_self, chunk, buf->share);
	*buf = (struct mn_buf){ .len = 0 };
}

struct mn_chunk *pool_view(struct pool *pool, struct mn_chunk *whole, uint8_t *data, uint32_t len,
			   uint32_t share)
{
	struct mn_chunk *view = pool->views;

	if (view)
		pool->views = view->next;
	else
		view = mem_alloc(sizeof(*view));
	if (!view)
		return NULL;
	*view = (struct mn_chunk){ .data = data,
				   .home = whole->home,
				   .whole = whole,
				   .refs = share,
				   .len = len,
				   .shard = whole->shard };
	return view;
}

void pool_view_slice(struct mn_chunk *view, struct mn_buf *buf)
{
	*buf = (struct mn_buf){ .data = view->data + view->off,
				.len = view->len,
				.chunk = view->whole,
				.share = view->refs };
	view->next = mn_self->pool.views;
	mn_self->pool.views = view;
}

void pool_put_view(struct mn_chunk *view)
{
	struct mn_buf buf;

	pool_view_slice(view, &buf);
	mn_buf_free(&buf);
}

void mn_buf_split(struct mn_buf *buf, size_t len, struct mn_buf *front)
{
	BUG_ON(len > buf->len || (buf->chunk && buf->len > buf->share));
	*front = (struct mn_buf){ .data = buf->data, .len = len };
	buf->data += len;
	buf->len -= len;
	if (!buf->chunk)
		return;
	/* Who has no share holds nothing: it is an empty slice. */
	if (len) {
		front->chunk = buf->chunk;
		front->share = (uint32_t)len;
	}
	buf->share -= front->share;
	if (!buf->share)
		buf->chunk = NULL;
}
