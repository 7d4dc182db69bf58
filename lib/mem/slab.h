/* SPDX-License-Identifier: MIT */
/*
 * Objects of one size, of one shard: side by side in blocks, without a header
 * each. A block goes back to the system when its last object is freed, but for
 * one that is kept. After Bonwick, "The Slab Allocator" (USENIX 1994).
 */
#ifndef LIB_MEM_SLAB_H
#define LIB_MEM_SLAB_H

#include <stddef.h>

#include "lib/list.h"

#define SLAB_BLOCK	(256u << 10)	/* its size, and what it is aligned to */

struct slab {
	size_t size;			/* of an object, a multiple of the cache line */
	struct list partial;		/* blocks with room */
	struct slab_block *spare;	/* one without objects, or NULL */
	size_t nr;			/* objects that are taken */
	bool fixed;			/* slab_reserve() */
};

/* slab_init - for objects of @size bytes, 1 to SLAB_BLOCK / 8; takes no memory yet */
void slab_init(struct slab *slab, size_t size);

/* slab_reserve - map all that @nr objects need, which is all there will ever be; 0 or -ENOMEM */
int slab_reserve(struct slab *slab, size_t nr);

/* slab_close - every object was freed */
void slab_close(struct slab *slab);

/* slab_alloc - zeroed and cache-line aligned; NULL when there is no memory */
void *slab_alloc(struct slab *slab);

/* slab_free - @obj is of this slab, or NULL */
void slab_free(struct slab *slab, void *obj);

#endif
