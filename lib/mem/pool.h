/* SPDX-License-Identifier: MIT */
/*
 * The buffer pool of a shard: chunks of one size, cut from slabs that are
 * mapped when the pool grows and never move. Free chunks are taken last in,
 * first out, so that the warm ones are used.
 */
#ifndef LIB_MEM_POOL_H
#define LIB_MEM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <miniss/buf.h>

#include "core/compiler.h"

struct pool;

struct mn_chunk {
	uint8_t *data;		/* pool->chunk_size bytes */
	struct mn_chunk *next;	/* in a free list or in a queue */
	struct pool *home;
	uint32_t refs;		/* bytes that are out, in shares; touched by the home shard alone */
	uint32_t off, len;	/* bytes that were received into it, and not read */
	uint16_t id;		/* index in the pool: a buffer ring's bid */
	uint16_t shard;		/* whose it is */
};

#define POOL_CHUNKS_PER_SLAB	256
#define POOL_SLABS_MAX		64	/* 16,384 chunks: ids fit a buffer ring */

struct pool {
	/* per chunk taken or given back */
	struct mn_chunk *free;
	uint32_t nr_free;
	uint32_t nr_chunks;
	uint32_t chunk_size;
	uint32_t chunks_max;
	uint16_t shard;

	/* slabs of POOL_CHUNKS_PER_SLAB chunk headers; ids index them */
	struct mn_chunk *slab[POOL_SLABS_MAX];
};

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
	pool->nr_free--;
	chunk->refs = pool->chunk_size;
	chunk->off = 0;
	return chunk;
}

/** pool_put_share - give back some of a chunk; with the last of it, it is free */
static inline void pool_put_share(struct mn_chunk *chunk, uint32_t share)
{
	struct pool *pool = chunk->home;

	BUG_ON(chunk->refs < share);
	chunk->refs -= share;
	if (chunk->refs)
		return;
	chunk->next = pool->free;
	pool->free = chunk;
	pool->nr_free++;
}

/** pool_put - give back a whole chunk */
static inline void pool_put(struct mn_chunk *chunk)
{
	pool_put_share(chunk, chunk->home->chunk_size);
}

static inline struct mn_chunk *pool_chunk(struct pool *pool, unsigned int id)
{
	return &pool->slab[id / POOL_CHUNKS_PER_SLAB][id % POOL_CHUNKS_PER_SLAB];
}

/** pool_pressed - are free chunks so few that nobody should hold many? */
static inline bool pool_pressed(const struct pool *pool)
{
	return pool->chunks_max - pool->nr_chunks + pool->nr_free < pool->chunks_max / 4;
}

#endif
