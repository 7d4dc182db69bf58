// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/compiler.h"
#include "core/ledger.h"
#include "lib/mem/mem.h"
#include "lib/mem/poison.h"
#include "lib/mem/slab.h"

/* At the start of a block; the objects follow, the free ones linked. */
struct slab_block {
	struct list entry;		/* in slab->partial, while there is room */
	void *free;			/* freed objects; each begins with the next */
	uint32_t nr_used;
	uint32_t nr_fresh;		/* at the end, never taken: their pages may be untouched */
};

#define HEADER                                                      \
	((sizeof(struct slab_block) + CONFIG_CACHELINE_BYTES - 1) & \
		 ~(size_t)(CONFIG_CACHELINE_BYTES - 1))

static uint32_t per_block(const struct slab *slab)
{
	return (uint32_t)((SLAB_BLOCK - HEADER) / slab->size);
}

static struct slab_block *block_of(void *obj)
{
	return (struct slab_block *)((uintptr_t)obj & ~(uintptr_t)(SLAB_BLOCK - 1));
}

void slab_init(struct slab *slab, size_t size)
{
	const size_t mask = CONFIG_CACHELINE_BYTES - 1;

	*slab = (struct slab){ .size = (size + mask) & ~mask };
	list_init(&slab->partial);
}

static void block_unmap(struct slab_block *block)
{
	poison_show(block, SLAB_BLOCK);
	mem_unmap(block, SLAB_BLOCK);
}

static struct slab_block *block_new(struct slab *slab)
{
	struct slab_block *block = slab->spare;

	slab->spare = NULL;
	if (!block && !slab->fixed)
		block = mem_map_aligned(SLAB_BLOCK, SLAB_BLOCK);
	if (!block)
		return NULL;
	block->nr_fresh = per_block(slab);
	block->free = NULL;
	list_add_tail(&slab->partial, &block->entry);
	return block;
}

void *slab_alloc(struct slab *slab)
{
	struct slab_block *block;
	void *obj;

	if (mem_fails())
		return NULL;
	if (list_empty(&slab->partial))
		block = block_new(slab);
	else
		block = container_of(slab->partial.next, struct slab_block, entry);
	if (!block)
		return NULL;
	if (block->free) {
		obj = block->free;
		poison_show(obj, slab->size);
		block->free = *(void **)obj;
	} else {
		obj = (char *)block + HEADER + (per_block(slab) - block->nr_fresh--) * slab->size;
		poison_show(obj, slab->size);
	}
	block->nr_used++;
	slab->nr++;
	if (!block->free && !block->nr_fresh)
		list_del(&block->entry);
	return memset(obj, 0, slab->size);
}

int slab_reserve(struct slab *slab, size_t nr)
{
	for (size_t room = 0; room < nr; room += per_block(slab))
		if (!block_new(slab))
			return -ENOMEM;
	slab->fixed = true;
	return 0;
}

void slab_close(struct slab *slab)
{
	BUG_ON(slab->nr);
	while (slab->fixed && !list_empty(&slab->partial)) {
		struct slab_block *block = list_first(&slab->partial, struct slab_block, entry);

		list_del(&block->entry);
		block_unmap(block);
	}
	if (slab->spare)
		block_unmap(slab->spare);
	slab->spare = NULL;
}

static void block_free(struct slab *slab, struct slab_block *block)
{
	if (slab->fixed)
		return;
	list_del(&block->entry);
	if (slab->spare)
		block_unmap(block);
	else
		slab->spare = block;
}

void slab_free(struct slab *slab, void *obj)
{
	struct slab_block *block = block_of(obj);
	bool full;

	if (!obj)
		return;
	ledger_freed(obj, slab->size);
	full = !block->free && !block->nr_fresh;
	*(void **)obj = block->free;
	block->free = obj;
	poison_hide(obj, slab->size);
	if (full)
		list_add_tail(&slab->partial, &block->entry);
	slab->nr--;
	if (!--block->nr_used)
		block_free(slab, block);
}
