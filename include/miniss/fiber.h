/* SPDX-License-Identifier: MIT */
/*
 * Fibers: functions that can wait. A fiber runs on the shard that spawned
 * it, on a pooled stack with a guard page below; it never moves and is never
 * interrupted, only suspends where a function says that it may.
 */
#ifndef MINISS_FIBER_H
#define MINISS_FIBER_H

#include <miniss/future.h>

struct mn_fiber;

typedef int (*mn_fiber_fn)(void *arg);

/**
 * mn_spawn - start a fiber on this shard
 * @fn: runs at the next turn, not from here
 * @arg: handed to @fn
 * @fiber: where to put the handle for mn_join(), which must then be called;
 *	NULL detaches: a failure is then counted as abandoned, unless it says
 *	that the fiber was cancelled
 *
 * In a scope the fiber is the scope's (miniss/scope.h): that waits for it, and
 * without a handle a failure is the scope's.
 *
 * Return: 0 or -ENOMEM; -ECANCELED or -ETIMEDOUT in a scope that has stopped.
 */
MN_API int mn_spawn(mn_fiber_fn fn, void *arg, struct mn_fiber **fiber);

#ifdef CONFIG_DEBUG	/* so that reports can say where */
#define mn_spawn(...)	(mn__origin(MN__HERE), mn_spawn(__VA_ARGS__))
#endif

/**
 * mn_join - wait for a fiber to end and free its handle
 * @fiber: from mn_spawn(); only once
 *
 * From a fiber. Being cancelled does not end this wait: a cancelled parent
 * cancels its children first, then joins them.
 *
 * Return: what the fiber's function returned.
 */
MN_API int mn_join(struct mn_fiber *fiber);

/**
 * mn_fiber_cancel - ask a fiber to stop
 * @fiber: of this shard, not yet joined
 *
 * Sticky: what it waits for now and every later wait return -ECANCELED. An
 * operation in flight is cancelled, and its wait returns when nobody, the
 * kernel included, holds its memory any more. Scopes that the fiber has opened
 * stop with it, unless they are shields.
 */
MN_API void mn_fiber_cancel(struct mn_fiber *fiber);

/** mn_fiber_self - the running fiber, or NULL in a task */
MN_API struct mn_fiber *mn_fiber_self(void);

/** mn_fiber_canceled - was the running fiber asked to stop, or has the scope that it is in? */
MN_API bool mn_fiber_canceled(void);

/**
 * mn_fiber_name - name the running fiber for reports
 * @name: a string that outlives the fiber
 */
MN_API void mn_fiber_name(const char *name);

/** mn_yield - let every task of its group that is ready now run first, and others by their shares */
MN_API void mn_yield(void);

/**
 * mn_need_preempt - has this task used up its time slice?
 *
 * For long computations: ask now and then, and mn_yield() when true. The slice
 * is --slice_us; with scheduling groups, the quota of the group. Costs about
 * as much as reading the cycle counter.
 */
MN_API bool mn_need_preempt(void);

/**
 * mn_sleep - suspend the fiber for a time
 * @ns: from now; <= 0 is mn_yield()
 *
 * Return: 0; -ECANCELED, or -ETIMEDOUT if a scope's deadline has come.
 */
MN_API int mn_sleep(int64_t ns);

#endif
