// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include <miniss/param.h>

#include "lib/mem/mem.h"
#include "lib/mem/pool.h"

MN_PARAM(uint, chunk_size, 4096, 512, 65536, "bytes of a receive buffer");
MN_PARAM(uint, chunks_max, 8192, POOL_CHUNKS_PER_SLAB, POOL_CHUNKS_PER_SLAB * POOL_SLABS_MAX,
	 "receive buffers of a shard at most");
MN_PARAM(
	str, hugepages, "auto", 1, 16,
	 "pages of the buffers: hugetlb (reserved ones), thp (transparent), off, auto (what there is)");

bool pool_grow(struct pool *pool)
{
	unsigned int slab = pool->nr_chunks / POOL_CHUNKS_PER_SLAB;
	struct mn_chunk *chunk;
	uint8_t *data = pool->arena.base + slab * pool_slab_bytes(pool);

	if (pool->nr_chunks + POOL_CHUNKS_PER_SLAB > pool->chunks_max || slab == POOL_SLABS_MAX)
		return false;
	chunk = mem_alloc(POOL_CHUNKS_PER_SLAB * sizeof(*chunk));
	if (!chunk)
		return false;
	pool->slab[slab] = chunk;
	if (IS_ENABLED(CONFIG_DEBUG)) {
		memset(data, POISON_BYTE, pool_slab_bytes(pool));
		poison_hide(data, pool_slab_bytes(pool));
	}
	pool->nr_chunks += POOL_CHUNKS_PER_SLAB;
	pool->nr_free += POOL_CHUNKS_PER_SLAB;
	/* Backwards, so that the first to be taken is the lowest. */
	for (int i = POOL_CHUNKS_PER_SLAB - 1; i >= 0; i--) {
		chunk[i].data = data + (size_t)i * pool_stride(pool);
		chunk[i].home = pool;
		chunk[i].shard = pool->shard;
		chunk[i].id = (uint16_t)(slab * POOL_CHUNKS_PER_SLAB + (unsigned int)i);
		chunk[i].next = pool->free;
		if (!pool->free)
			pool->free_tail = &chunk[i].next;
		pool->free = &chunk[i];
	}
	return true;
}

int pool_open(struct pool *pool, unsigned int shard)
{
	int err;

	pool->shard = (uint16_t)shard;
	pool->chunk_size = (param_chunk_size + 63) & ~63u;
	pool->chunks_max = param_chunks_max;
	pool->free_tail = &pool->free;
	err = arena_open(&pool->arena, pool_stride(pool) * pool->chunks_max, param_hugepages);
	if (err)
		return err;
	return pool_grow(pool) ? 0 : -ENOMEM;
}

void pool_close(struct pool *pool)
{
	struct mn_chunk *view;

	while ((view = pool->views)) {
		pool->views = view->next;
		mem_free(view);
	}
	for (unsigned int i = 0; i < pool->nr_chunks / POOL_CHUNKS_PER_SLAB; i++)
		mem_free(pool->slab[i]);
	if (pool->arena.base)
		poison_show(pool->arena.base, pool_stride(pool) * pool->chunks_max);
	arena_close(&pool->arena);
}
