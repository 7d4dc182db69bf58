/* SPDX-License-Identifier: MIT */
/*
 * A buffer is a slice of a pooled chunk of its home shard. It is passed by
 * value, and owning it means owning a share of the chunk: each slice is
 * freed, or given away, exactly once.
 *
 * A slice that is sent to another shard moves there. It can be used, written
 * to a stream, split and freed on any; what is freed goes home in batches, at
 * the end of a turn, and all is back when the program has stopped.
 */
#ifndef MINISS_BUF_H
#define MINISS_BUF_H

#include <miniss/types.h>

struct mn_chunk;

struct mn_buf {
	uint8_t *data;
	size_t len;
	struct mn_chunk *chunk;	/* NULL: memory that is not counted (mn_buf_static()) */
	uint32_t share;		/* of the chunk, in bytes; the runtime's */
};

/**
 * mn_buf_alloc - take a buffer from this shard's pool
 * @buf: gets a slice over a whole chunk; write into it, then set the length
 *
 * Return: 0, or -ENOBUFS when the pool is at its limit.
 */
MN_API int mn_buf_alloc(struct mn_buf *buf);

/** mn_buf_free - give the slice back; @buf becomes empty. Any shard; cannot fail */
MN_API void mn_buf_free(struct mn_buf *buf);

/**
 * mn_buf_split - cut a slice in two
 * @buf: keeps what follows the first @len bytes; @len <= its length
 * @front: gets the first @len bytes, and is freed on its own
 *
 * Any shard. Cannot fail; costs no message, and does not touch the chunk.
 */
MN_API void mn_buf_split(struct mn_buf *buf, size_t len, struct mn_buf *front);

/**
 * mn_buf_static - a slice over memory that outlives every use of it
 *
 * A stream uses it until mn_stream_flush(), or what includes that, has returned.
 */
static inline struct mn_buf mn_buf_static(const void *data, size_t len)
{
	return (struct mn_buf){ .data = (uint8_t *)(uintptr_t)data, .len = len };
}

#endif
