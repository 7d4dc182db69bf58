/* SPDX-License-Identifier: MIT */
/*
 * What each shard has one of. Use it where a program of threads would have a
 * static variable or _Thread_local: a shard may not be a thread, and several
 * shards may share one.
 *
 *	MN_LOCAL(struct cache, cache);
 *
 *	mn_local(cache)->hits++;
 *
 * What has to be started or stopped, or called from elsewhere, is a service:
 * miniss/sharded.h.
 */
#ifndef MINISS_LOCAL_H
#define MINISS_LOCAL_H

#include <miniss/types.h>

struct mn_local_slot {
	size_t size;
	const char *name;
};

/* clang-format off */
/* MN_LOCAL - declare a slot, at file scope; @type aligned to a cache line at most */
#define MN_LOCAL(type, slot)						\
	typedef __typeof__(type) mn_local_type_##slot;			\
	_Static_assert(_Alignof(mn_local_type_##slot) <= CONFIG_CACHELINE_BYTES, \
		       "aligned to more than a cache line");		\
	static const struct mn_local_slot mn_local_slot_##slot = {	\
		.size = sizeof(mn_local_type_##slot), .name = #slot,	\
	}

/**
 * mn_local - this shard's instance: a pointer, the same until the shard ends
 * @slot: from MN_LOCAL()
 *
 * Zeroed, and allocated when it is first asked for; without memory for that
 * the program ends with a message. About the cost of a function call.
 */
#define mn_local(slot)	((mn_local_type_##slot *)mn_local_get(&mn_local_slot_##slot))
/* clang-format on */

MN_API void *mn_local_get(const struct mn_local_slot *slot);

#endif
