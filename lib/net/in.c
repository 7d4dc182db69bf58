// SPDX-License-Identifier: MIT
/*
 * The input of a stream that nobody has read yet: a queue of chunks, and of
 * views of chunks that several streams have parts of.
 */
#include <string.h>

#include "core/shard.h"
#include "lib/net/passing.h"
#include "lib/net/stream.h"

#define IN_SMALL	8	/* at most such a part of a buffer is copied into another */

static bool in_small(const struct mn_chunk *chunk)
{
	return chunk->len <= chunk->home->chunk_size / IN_SMALL;
}

/* Parts of a chunk that lie side by side, with nobody else's in between, are one. */
static bool in_join(struct mn_stream *stream, struct mn_chunk *view)
{
	struct mn_chunk *last;
	struct mn_buf part;

	if (!view->whole)
		return false;
	last = container_of(stream->in_tail, struct mn_chunk, next);
	if (last->whole != view->whole || last->data + last->len != view->data)
		return false;
	pool_slice(view, &part);
	last->len += (uint32_t)part.len;
	last->refs += part.share;
	return true;
}

/*
 * Who reads slowly is not to hold a part of many chunks that are shared: what
 * is little, and not the first, goes to a chunk of its own, and the next behind it.
 */
static struct mn_chunk *in_own(struct mn_stream *stream, struct mn_chunk *view)
{
	struct mn_chunk *own;

	if (!view->whole || !in_small(view))
		return view;
	own = pool_get(&mn_self->pool);
	if (!own)
		return view;
	memcpy(own->data, view->data, view->len);
	own->len = view->len;
	pool_put(view);
	return own;
}

/*
 * Little that comes behind what nobody has read yet is copied there: so who
 * reads slowly holds no more than 2 * IN_SMALL times the bytes that are queued,
 * and not a buffer for each byte that arrives alone.
 */
static bool in_append(struct mn_stream *stream, struct mn_chunk *chunk)
{
	struct mn_chunk *last;
	uint32_t end;

	if (!in_small(chunk))
		return false;
	last = container_of(stream->in_tail, struct mn_chunk, next);
	if (last->whole)
		return false;
	end = last->off + last->len;
	if (stream->passing)
		end += PASSING_ROOM;
	if (end > last->home->chunk_size || chunk->len > last->home->chunk_size - end ||
	    (stream->passing && passing_any(chunk)))
		return false;
	end = last->off + last->len;
	memcpy(last->data + end, chunk->data + chunk->off, chunk->len);
	last->len += chunk->len;
	pool_put(chunk);
	return true;
}

/* What comes behind unread input: NULL when that has taken it. */
static __noinline struct mn_chunk *in_behind(struct mn_stream *stream, struct mn_chunk *chunk)
{
	if (in_join(stream, chunk) || in_append(stream, chunk))
		return NULL;
	return in_own(stream, chunk);
}

void in_add(struct mn_stream *stream, struct mn_chunk *chunk)
{
	if (stream->in_head) {
		chunk = in_behind(stream, chunk);
		if (!chunk)
			return;
	}
	chunk->next = NULL;
	*stream->in_tail = chunk;
	stream->in_tail = &chunk->next;
}

/* The front of the slice has taken as much of the share as it is long. */
void stream_unread(struct mn_stream *stream, struct mn_buf *rest)
{
	struct mn_chunk *chunk = rest->chunk;

	if (chunk->shared) {
		/* It has just been one: there is a header. */
		chunk = pool_view(&mn_self->pool, chunk, rest->data, (uint32_t)rest->len,
				  rest->share);
		BUG_ON(!chunk);
	} else {
		chunk->off = (uint32_t)(rest->data - chunk->data);
		chunk->len = (uint32_t)rest->len;
		BUG_ON(rest->share != chunk->home->chunk_size - chunk->off);
	}
	chunk->next = stream->in_head;
	if (!stream->in_head)
		stream->in_tail = &chunk->next;
	stream->in_head = chunk;
	stream->in_bytes += chunk->len;
	*rest = (struct mn_buf){ .len = 0 };
}

void in_drop(struct mn_stream *stream)
{
	struct mn_chunk *chunk;
	struct mn_buf buf;

	while ((chunk = stream->in_head)) {
		stream->in_head = chunk->next;
		if (stream->passing)
			passing_drop(stream, chunk);
		pool_slice(chunk, &buf);
		mn_buf_free(&buf);
	}
	stream->in_tail = &stream->in_head;
}
