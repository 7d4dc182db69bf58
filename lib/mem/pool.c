// SPDX-License-Identifier: MIT
#include <errno.h>

#include <miniss/param.h>

#include "lib/mem/mem.h"
#include "lib/mem/pool.h"

MN_PARAM(uint, chunk_size, 4096, 512, 65536, "bytes of a receive buffer");
MN_PARAM(uint, chunks_max, 8192, POOL_CHUNKS_PER_SLAB, POOL_CHUNKS_PER_SLAB * POOL_SLABS_MAX,
	 "receive buffers of a shard at most");

static size_t slab_bytes(const struct pool *pool)
{
	return (size_t)POOL_CHUNKS_PER_SLAB * pool->chunk_size;
}

bool pool_grow(struct pool *pool)
{
	unsigned int slab = pool->nr_chunks / POOL_CHUNKS_PER_SLAB;
	struct mn_chunk *chunk;
	uint8_t *data;

	if (pool->nr_chunks + POOL_CHUNKS_PER_SLAB > pool->chunks_max || slab == POOL_SLABS_MAX)
		return false;
	chunk = mem_alloc(POOL_CHUNKS_PER_SLAB * sizeof(*chunk));
	data = mem_map(slab_bytes(pool));
	if (!chunk || !data) {
		mem_free(chunk);
		if (data)
			mem_unmap(data, slab_bytes(pool));
		return false;
	}
	pool->slab[slab] = chunk;
	/* Backwards, so that the first to be taken is the lowest. */
	for (int i = POOL_CHUNKS_PER_SLAB - 1; i >= 0; i--) {
		chunk[i].data = data + (size_t)i * pool->chunk_size;
		chunk[i].home = pool;
		chunk[i].shard = pool->shard;
		chunk[i].id = (uint16_t)(pool->nr_chunks + (unsigned int)i);
		chunk[i].next = pool->free;
		pool->free = &chunk[i];
	}
	pool->nr_chunks += POOL_CHUNKS_PER_SLAB;
	pool->nr_free += POOL_CHUNKS_PER_SLAB;
	return true;
}

int pool_open(struct pool *pool, unsigned int shard)
{
	pool->shard = (uint16_t)shard;
	pool->chunk_size = (param_chunk_size + 63) & ~63u;
	pool->chunks_max = param_chunks_max;
	return pool_grow(pool) ? 0 : -ENOMEM;
}

void pool_close(struct pool *pool)
{
	for (unsigned int i = 0; i < pool->nr_chunks / POOL_CHUNKS_PER_SLAB; i++) {
		mem_unmap(pool->slab[i][0].data, slab_bytes(pool));
		mem_free(pool->slab[i]);
	}
}
