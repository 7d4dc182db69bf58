/* SPDX-License-Identifier: MIT */
/*
 * Services: an object on every shard, of which each does its part of the
 * work. They are started and stopped together, and called here, there or
 * everywhere. The memory of each is its shard's own.
 *
 *	static const struct mn_service counter = { .size = sizeof(struct counter) };
 *	struct mn_sharded counters;
 *
 *	err = mn_sharded_start(&counters, &counter, NULL);
 *	...
 *	err = mn_sharded_call(&counters, shard, add, &n);
 *	...
 *	mn_sharded_stop(&counters);
 */
#ifndef MINISS_SHARDED_H
#define MINISS_SHARDED_H

#include <miniss/smp.h>

/**
 * struct mn_service - what the object of each shard is
 * @size: bytes of it; zeroed, aligned to a cache line
 * @start: makes it ready, in a fiber of its shard; may suspend. 0 or -errno:
 *	then it has to leave nothing behind. NULL: zeroed is ready
 * @stop: the opposite, in a fiber of its shard; may suspend. Or NULL
 */
struct mn_service {
	size_t size;
	int (*start)(void *self, void *arg);
	void (*stop)(void *self);
};

/*
 * Owned by the caller, who keeps it from the start to the stop. Shards know
 * it by its address, and never look into it: any may use it at any time.
 */
struct mn_sharded {
	const struct mn_service *service;
};

/* What is called: @self is the object of the shard that it runs on. */
typedef int (*mn_sharded_fn)(void *self, void *arg);

/**
 * mn_sharded_start - start a service on every shard, in order, and wait
 * @service: constant until the stop
 * @arg: handed to each start function, one after the other
 *
 * From a fiber; suspends. If a shard cannot, those that have started are
 * stopped in reverse order; so they are if the fiber is cancelled.
 *
 * Return: 0, or the failure of the first that could not; -ENOMEM;
 * -ECANCELED; -EALREADY if it is running.
 */
MN_API int mn_sharded_start(struct mn_sharded *s, const struct mn_service *service, void *arg);

/**
 * mn_sharded_stop - stop a service on every shard, in reverse order, and wait
 *
 * From a fiber, but not from one that is called by mn_sharded_call() and the
 * like; suspends, and cancellation does not end that. First waits for calls
 * under way on every shard; those that begin meanwhile, or later, return
 * -ESHUTDOWN. What does not run is stopped already.
 */
MN_API void mn_sharded_stop(struct mn_sharded *s);

/** mn_sharded_local - this shard's object, or NULL if there is none */
MN_API void *mn_sharded_local(const struct mn_sharded *s);

/**
 * mn_sharded_call - call the object of a shard: mn_call() with it
 *
 * From a fiber; suspends.
 *
 * Return: what @fn returned; -ESHUTDOWN if the service does not run here or
 * there; -ECANCELED, -ENOMEM as mn_call() does.
 */
MN_API int mn_sharded_call(const struct mn_sharded *s, unsigned int shard, mn_sharded_fn fn,
			   void *arg);

/**
 * mn_sharded_call_all - call all of them at once: mn_call_all() with them
 * @arg: shared by all of them
 *
 * From a fiber; suspends. Return: 0, or the first failure in the order of shards.
 */
MN_API int mn_sharded_call_all(const struct mn_sharded *s, mn_sharded_fn fn, void *arg);

/**
 * mn_sharded_map_reduce - ask each for a number, and add them up
 * @map: runs on each shard; its result, if it fails, is the result
 * @reduce: runs here, once for each shard, in the order of shards
 *
 * From a fiber; suspends. As mn_map_reduce().
 */
MN_API int mn_sharded_map_reduce(const struct mn_sharded *s,
				 int (*map)(void *self, void *arg, int64_t *value),
				 void (*reduce)(void *arg, int64_t value), void *arg);

#endif
