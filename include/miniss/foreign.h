/* SPDX-License-Identifier: MIT */
/*
 * Owning an object of another shard. It was made on its home shard, is used
 * wherever its owner is, and goes home to be destroyed. Whoever has the
 * struct mn_foreign owns the object: passing it on by value moves that, and
 * it is freed exactly once, on any shard.
 */
#ifndef MINISS_FOREIGN_H
#define MINISS_FOREIGN_H

#include <miniss/types.h>

/* Embedded in the object: what it takes to bring it home. The runtime's. */
struct mn_foreign_node {
	struct mn_foreign_node *next;
	void *obj;
	void (*destroy)(void *obj);
	uint32_t home;
};

struct mn_foreign {
	void *obj;			/* NULL: none */
	struct mn_foreign_node *node;
};

/**
 * mn_foreign_make - let an object of this shard be owned from anywhere
 * @node: in the object
 * @obj: what @destroy and owners get
 * @destroy: runs on this shard, from a task or whatever frees it here; does
 *	not suspend
 *
 * Return: the owner. Cannot fail.
 */
MN_API struct mn_foreign mn_foreign_make(struct mn_foreign_node *node, void *obj,
					 void (*destroy)(void *obj));

/**
 * mn_foreign_free - destroy the object: now if this is its home, else when it gets there
 * @foreign: becomes empty; nothing happens if it is
 *
 * From a task or a fiber of any shard. Does not suspend, cannot fail. Objects
 * go home in batches, at the end of a turn; all have been destroyed when the
 * program has stopped.
 */
MN_API void mn_foreign_free(struct mn_foreign *foreign);

/** mn_foreign_home - the shard that the object is of; @foreign is not empty */
static inline unsigned int mn_foreign_home(const struct mn_foreign *foreign)
{
	return foreign->node->home;
}

#endif
