/* SPDX-License-Identifier: MIT */
/*
 * The buffer pool of a shard: chunks of one size, cut from the slabs of an
 * arena, that are touched when the pool grows. Free chunks are taken last in,
 * first out, so that the warm ones are used; in debug builds first in, first
 * out, and what they are not to contain meanwhile is looked at.
 */
#ifndef LIB_MEM_POOL_H
#define LIB_MEM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <miniss/buf.h>

#include "core/compiler.h"
#include "core/ledger.h"
#include "lib/mem/arena.h"
#include "lib/mem/poison.h"

struct pool;

struct mn_chunk {
	uint8_t *data;		/* pool->chunk_size bytes */
	struct mn_chunk *next;	/* in a free list or in a queue */
	struct pool *home;
	struct mn_chunk *whole;	/* this is a view, a part of that one: @refs of it, nobody else's */
	uint32_t refs;		/* bytes that are out, in shares; touched by the home shard alone */
	uint32_t off, len;	/* bytes that were received into it, and not read */
	uint16_t id;		/* index in the pool: a buffer ring's bid */
	uint16_t shard;		/* whose it is */
	bool shared;		/* what was received into it is several slices, of anybody's */
	bool lent;		/* debug builds: the kernel may write to it */
};

#define POOL_CHUNKS_PER_SLAB	256
#define POOL_SLABS_MAX		64	/* 16,384 chunks: ids fit a buffer ring */

struct pool {
	/* per chunk taken or given back */
	struct mn_chunk *free;
	struct mn_chunk **free_tail;	/* debug builds: those that were freed last are taken last */
	uint32_t nr_free;
	uint32_t nr_chunks;
	uint32_t chunk_size;
	uint32_t chunks_max;
	uint16_t shard;
	bool sealed;		/* the end: what is free is not written to any more */

	/* slabs of POOL_CHUNKS_PER_SLAB chunk headers; ids index them */
	struct mn_chunk *slab[POOL_SLABS_MAX];

	struct mn_chunk *views;	/* headers without a use; those that move belong where they go */

	struct arena arena;	/* the memory of the chunks */
};

/* pool_stride - from chunk to chunk; pool_slab_bytes - from slab to slab, in the arena */
static inline size_t pool_stride(const struct pool *pool)
{
	return pool->chunk_size + POISON_REDZONE;
}

static inline size_t pool_slab_bytes(const struct pool *pool)
{
	return POOL_CHUNKS_PER_SLAB * pool_stride(pool);
}

/** pool_open - sizes come from --mem.chunk_size and --mem.chunks_max; -ENOMEM */
int pool_open(struct pool *pool, unsigned int shard);
void pool_close(struct pool *pool);

/** pool_grow - map one more slab; false at the limit or without memory */
bool pool_grow(struct pool *pool);

/** pool_get - a free chunk, all of it; or NULL at the limit */
static inline struct mn_chunk *pool_get(struct pool *pool)
{
	struct mn_chunk *chunk = pool->free;

	if (!chunk) {
		if (!pool_grow(pool))
			return NULL;
		chunk = pool->free;
	}
	pool->free = chunk->next;
	if (IS_ENABLED(CONFIG_DEBUG) && !pool->free)
		pool->free_tail = &pool->free;
	pool->nr_free--;
	poison_take(chunk->data, pool->chunk_size);
	chunk->refs = pool->chunk_size;
	chunk->off = 0;
	chunk->shared = false;
	return chunk;
}

/* A sanitizer, and the pattern, find late what is taken again at once. */
static inline void pool_free(struct pool *pool, struct mn_chunk *chunk)
{
	if (IS_ENABLED(CONFIG_DEBUG) && chunk->lent)
		bugf(HERE, "buffer %u of shard %u was freed, which the kernel receives into",
		     chunk->id, chunk->shard);
	ledger_freed(chunk->data, pool->chunk_size);
	pool->nr_free++;
	if (IS_ENABLED(CONFIG_DEBUG) && pool->sealed)
		return;
	poison_free(chunk->data, pool->chunk_size);
	if (IS_ENABLED(CONFIG_DEBUG)) {
		chunk->next = NULL;
		*pool->free_tail = chunk;
		pool->free_tail = &chunk->next;
	} else {
		chunk->next = pool->free;
		pool->free = chunk;
	}
}

/** pool_put_share - give back some of a chunk; with the last of it, it is free */
static inline void pool_put_share(struct mn_chunk *chunk, uint32_t share)
{
	struct pool *pool = chunk->home;

	BUG_ON(chunk->refs < share);
	chunk->refs -= share;
	if (chunk->refs)
		return;
	pool_free(pool, chunk);
}

/*
 * pool_view - a header for @share bytes of a chunk, @len of which are at @data, to be queued as one
 * @pool: this shard's. NULL when there is no memory.
 */
struct mn_chunk *pool_view(struct pool *pool, struct mn_chunk *whole, uint8_t *data, uint32_t len,
			   uint32_t share);

/* pool_view_slice - what a view shows; the view is gone then */
void pool_view_slice(struct mn_chunk *view, struct mn_buf *buf);

/*
 * pool_slice - what is in a chunk, or in a view, which is gone then
 *
 * Written where it goes, and not returned: a copy would be read in other pieces than it
 * was just written in, and wait for the store buffer.
 */
static inline void pool_slice(struct mn_chunk *chunk, struct mn_buf *buf)
{
	if (chunk->whole) {
		pool_view_slice(chunk, buf);
		return;
	}
	buf->data = chunk->data + chunk->off;
	buf->len = chunk->len;
	buf->chunk = chunk;
	buf->share = chunk->home->chunk_size - chunk->off;
}

void pool_put_view(struct mn_chunk *view);

/** pool_put - give back a whole chunk, or a view */
static inline void pool_put(struct mn_chunk *chunk)
{
	if (chunk->whole)
		pool_put_view(chunk);
	else
		pool_put_share(chunk, chunk->home->chunk_size);
}

/*
 * pool_lend - the kernel may write to it from now on, and nobody else touch it
 * pool_unlend - not any more
 */
static inline void pool_lend(struct mn_chunk *chunk)
{
	if (!IS_ENABLED(CONFIG_DEBUG))
		return;
	chunk->lent = true;
	poison_hide(chunk->data, chunk->home->chunk_size);
}

static inline void pool_unlend(struct mn_chunk *chunk)
{
	if (!IS_ENABLED(CONFIG_DEBUG))
		return;
	BUG_ON(!chunk->lent);
	chunk->lent = false;
	poison_show(chunk->data, chunk->home->chunk_size);
}

static inline struct mn_chunk *pool_chunk(struct pool *pool, unsigned int id)
{
	return &pool->slab[id / POOL_CHUNKS_PER_SLAB][id % POOL_CHUNKS_PER_SLAB];
}

/** pool_left - how many chunks can be had */
static inline uint32_t pool_left(const struct pool *pool)
{
	return pool->chunks_max - pool->nr_chunks + pool->nr_free;
}

/** pool_pressed - are free chunks so few that nobody should hold many? */
static inline bool pool_pressed(const struct pool *pool)
{
	return pool_left(pool) < pool->chunks_max / 4;
}

#endif
