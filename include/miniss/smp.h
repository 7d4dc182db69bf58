/* SPDX-License-Identifier: MIT */
/*
 * Calls between shards. Shards share nothing; they ask each other. A request
 * is a slot in a ring and starts a fiber on the other shard; its result comes
 * back the same way. Nothing is allocated, and nothing is lost: each ordered
 * pair of shards has a number of credits (--queue-depth / 4), a call holds one
 * until its reply is here, and without one a fiber waits.
 *
 * What @arg points to belongs to the caller again when the call has returned,
 * and not before, whatever happened: a call that timed out or was cancelled
 * has the other side cancel the fiber, and waits for its end.
 *
 * A function that calls on keeps its caller's credit meanwhile. Calls that go
 * round (A calls B, which calls A) can so use up the credits of both sides
 * and then wait for each other: give them a time-out, or bound how many run.
 *
 * Messages of one shard to another arrive in order; urgent ones pass others.
 */
#ifndef MINISS_SMP_H
#define MINISS_SMP_H

#include <miniss/fiber.h>

/**
 * mn_call - run a function in a fiber of another shard, wait for its result
 * @shard: 0 to mn_shards() - 1; this one, too
 * @fn: may suspend; its result is returned
 *
 * From a fiber; suspends.
 *
 * Return: what @fn returned; -ECANCELED if this fiber was cancelled, after the
 * other one has ended; -ENOMEM if it had no memory for a stack.
 */
MN_API int mn_call(unsigned int shard, mn_fiber_fn fn, void *arg);

/**
 * struct mn_call_options - how to call; zero is how mn_call() does
 * @timeout_ns: from now, the wait for a credit included; 0: none. Then
 *	-ETIMEDOUT is returned, after the other side let go
 * @urgent: pass what is queued. At most a few urgent calls are under way
 *	between two shards; they cannot starve the others
 */
struct mn_call_options {
	int64_t timeout_ns;
	bool urgent;
};

MN_API int mn_call_with(unsigned int shard, mn_fiber_fn fn, void *arg,
			const struct mn_call_options *options);

/* A call that somebody else waits for. Embedded in the caller's object. */
struct mn_call {
	struct mn_future done;	/* resolved with the result */
	uint32_t shard;
	uint8_t credit;		/* the runtime's */
	uint8_t state;
	bool urgent;
};

/**
 * mn_call_start - begin a call; @call->done gets the result
 * @call: owned by the caller, who keeps it until it is resolved
 *
 * From a task or a fiber; does not suspend.
 *
 * Return: 0, or -EAGAIN without a credit: then nothing was started.
 */
MN_API int mn_call_start(struct mn_call *call, unsigned int shard, mn_fiber_fn fn, void *arg);

/**
 * mn_call_cancel - ask that the other side's fiber be cancelled
 * @call: started; still resolved once, by the result of the function
 */
MN_API void mn_call_cancel(struct mn_call *call);

/**
 * mn_post - run a function in a fiber of another shard, and forget it
 * @fn: a failure is counted as abandoned, there
 *
 * From a task or a fiber; does not suspend.
 *
 * Return: 0, or -EAGAIN without a credit: a fiber may mn_yield() and try again.
 */
MN_API int mn_post(unsigned int shard, mn_fiber_fn fn, void *arg);

/**
 * mn_call_all - run a function on every shard at once, wait for all
 * @arg: shared by all of them: read-only, or indexed by mn_shard()
 *
 * From a fiber; suspends. If it is cancelled, so are all of them.
 *
 * Return: 0, or the first failure in the order of shards.
 */
MN_API int mn_call_all(mn_fiber_fn fn, void *arg);

/**
 * mn_map_reduce - ask every shard for a number, and add them up
 * @map: runs on each shard; its result, if it fails, is the result
 * @reduce: runs here, once for each shard, in the order of shards
 * @arg: handed to both
 * @value: what @map writes to its shard's, @reduce gets one after another
 *
 * From a fiber; suspends.
 *
 * Return: 0, or the first failure of @map; @reduce may then have run for some.
 */
MN_API int mn_map_reduce(int (*map)(void *arg, int64_t *value),
			 void (*reduce)(void *arg, int64_t value), void *arg);

#endif
