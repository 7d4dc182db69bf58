// SPDX-License-Identifier: MIT
#include "core/shard.h"

int mn_buf_alloc(struct mn_buf *buf)
{
	struct mn_chunk *chunk = pool_get(&mn_self->pool);

	if (!chunk)
		return -ENOBUFS;
	buf->data = chunk->data;
	buf->len = chunk->home->chunk_size;
	buf->chunk = chunk;
	return 0;
}

void mn_buf_free(struct mn_buf *buf)
{
	BUG_ON(buf->chunk && buf->chunk->home != &mn_self->pool);
	if (buf->chunk)
		pool_put(buf->chunk);
	*buf = (struct mn_buf){ .len = 0 };
}

void mn_buf_split(struct mn_buf *buf, size_t len, struct mn_buf *front)
{
	BUG_ON(len > buf->len);
	*front = (struct mn_buf){ .data = buf->data, .len = len, .chunk = buf->chunk };
	buf->data += len;
	buf->len -= len;
	if (buf->chunk)
		buf->chunk->refs++;
}
