// SPDX-License-Identifier: MIT
#include <errno.h>

#include <miniss/param.h>

#include "core/shard.h"
#include "lib/mem/static.h"

MN_PARAM(uint, heap_mib, 16, 2, 1 << 20, "small objects of a shard at most, MiB");
MN_PARAM(uint, fibers_max, 4096, STACKS_PER_SLAB, 1 << 24, "fibers of a shard at most, at once");

int static_reserve(struct shard *shard)
{
	int err = heap_reserve(&shard->heap, param_heap_mib / (HEAP_SEGMENT >> 20));

	if (!err)
		err = stack_reserve(&shard->fibers, param_fibers_max);
	if (!err)
		err = conns_reserve(shard);
	while (!err && shard->pool.nr_chunks + POOL_CHUNKS_PER_SLAB <= shard->pool.chunks_max)
		err = pool_grow(&shard->pool) ? 0 : -ENOMEM;
	return err;
}

void static_seal(struct shard *shard)
{
	shard->heap.sealed = true;
}
