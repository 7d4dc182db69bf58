/* SPDX-License-Identifier: MIT */
/*
 * Calls into a program from threads that are not its shards: those of a
 * library, of another runtime, or of mn_blocking(). They go through a gate,
 * which a shard hands out. What runs is a fiber of the shard that was asked.
 *
 * Arguments are copied, and the thread shares no memory with the shard. So a
 * time-out returns at once: the function may then still run, on its copy, as
 * a fiber that was cancelled.
 *
 * A gate outlives its program's shards: it must be put back once, and when
 * they have stopped, all that goes through it fails with -ESHUTDOWN.
 */
#ifndef MINISS_ALIEN_H
#define MINISS_ALIEN_H

#include <miniss/fiber.h>

struct mn_alien_gate;

#define MN_ALIEN_ARG_MAX	256	/* bytes of an argument that are copied */

/**
 * mn_alien_gate - a way in for a thread that is not a shard
 * @gate: any number of threads may use it at once, until mn_alien_gate_put()
 *
 * On a shard, from a task or a fiber. Does not suspend.
 *
 * Return: 0; -ENOMEM; -EOPNOTSUPP in a world whose time is not the real one,
 * where nobody could say when a real thread's call comes.
 */
MN_API int mn_alien_gate(struct mn_alien_gate **gate);

/**
 * mn_alien_gate_put - give a gate back
 * @gate: nobody uses it any more in the name of this mn_alien_gate()
 *
 * From any thread, before or after the end of the program's shards.
 */
MN_API void mn_alien_gate_put(struct mn_alien_gate *gate);

/**
 * mn_alien_call - run a function in a fiber of a shard and wait for its result
 * @shard: 0 to mn_shards() - 1
 * @fn: may suspend
 * @arg: its argument: @arg_size bytes are copied, and @fn gets the copy,
 *	aligned as malloc() would. With 0 bytes, @fn gets @arg itself; what it
 *	points to must then outlive the shards
 * @timeout_ns: from now; the wait for room in the queue is part of it.
 *	MN_NEVER: as long as it takes
 *
 * Blocks its thread, so never on a shard.
 *
 * Return: what @fn returned; -ETIMEDOUT: @fn will not run, or was cancelled;
 * -ESHUTDOWN: the shards stop, and @fn did not run or was cancelled; -E2BIG:
 * more than MN_ALIEN_ARG_MAX bytes; -EINVAL: no such shard; -ENOMEM: no
 * stack for the fiber; -EDEADLK: this thread is a shard.
 */
MN_API int mn_alien_call(struct mn_alien_gate *gate, unsigned int shard, mn_fiber_fn fn,
			 const void *arg, size_t arg_size, int64_t timeout_ns);

/**
 * mn_alien_post - run a function in a fiber of a shard, and forget it
 * @shard, @fn, @arg, @arg_size: as for mn_alien_call(); a failure of @fn is
 *	counted as abandoned
 *
 * Does not wait.
 *
 * Return: 0; -EAGAIN: as many calls and posts as --alien.queue says are under
 * way on that shard; -ESHUTDOWN, -E2BIG and -EINVAL as mn_alien_call().
 */
MN_API int mn_alien_post(struct mn_alien_gate *gate, unsigned int shard, mn_fiber_fn fn,
			 const void *arg, size_t arg_size);

#endif
