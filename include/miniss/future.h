/* SPDX-License-Identifier: MIT */
/*
 * The one completion object. A future is pending until it is resolved, once,
 * on its shard, with a 64-bit result: a value >= 0, or -errno. A task (a
 * continuation), a fiber or a combinator may wait for it, one at a time.
 *
 * The state is in the waiter word, so that the result has all 64 bits and a
 * release build needs 16 bytes.
 *
 * A future's life ends by take, mn_future_reset() or mn_future_drop(). A
 * failure that nobody took by then is abandoned: it is counted, and a debug
 * build logs where the future was made.
 */
#ifndef MINISS_FUTURE_H
#define MINISS_FUTURE_H

#include <miniss/task.h>

struct mn_future {
	int64_t result;
	struct mn_task *waiter;	/* or one of the states below */
#ifdef CONFIG_DEBUG
	const char *origin;	/* file:line that initialised it */
	uint32_t shard;
	uint32_t magic;
#endif
};

/* Values of @waiter that are no task. NULL: pending, and nobody waits. */
#define MN_FUTURE_RESOLVED	((struct mn_task *)1)
#define MN_FUTURE_TAKEN		((struct mn_task *)2)

#define MN__STR2(x)	#x
#define MN__STR(x)	MN__STR2(x)
#define MN__HERE	__FILE__ ":" MN__STR(__LINE__)

#ifdef CONFIG_DEBUG
MN_API void mn_future_init_at(struct mn_future *future, const char *origin);
#define mn_future_init(future)	mn_future_init_at(future, MN__HERE)

/* For what is started by the very next call: where that is. */
MN_API void mn__origin(const char *origin);
#else
/**
 * mn_future_init - make a pending future from raw memory
 * @future: owned by the caller; must outlive the resolution
 *
 * Any shard; the future then belongs to the shard that runs this.
 */
static inline void mn_future_init(struct mn_future *future)
{
	future->waiter = NULL;
}
#endif

/**
 * mn_future_resolve - give a future its result and wake who waits
 * @future: pending; resolving twice is a bug that debug builds abort on
 * @result: a value >= 0, or -errno
 *
 * The waiter goes to the run queue; it never runs from here. On the
 * future's shard only. Does not suspend.
 */
MN_API void mn_future_resolve(struct mn_future *future, int64_t result);

/**
 * mn_future_then - run a task when the future is resolved
 * @future: with no other waiter
 * @task: owned by the caller until it ran
 * @fn: finds the future from the task and takes the result
 *
 * If the future is resolved already, the task is scheduled at once.
 */
MN_API void mn_future_then(struct mn_future *future, struct mn_task *task, mn_task_fn fn);

/** mn_future_ready - has it been resolved (and perhaps taken)? */
static inline bool mn_future_ready(const struct mn_future *future)
{
	return future->waiter == MN_FUTURE_RESOLVED || future->waiter == MN_FUTURE_TAKEN;
}

/**
 * mn_future_take - the result of a resolved future
 * @future: resolved; may be taken again, with the same answer
 *
 * Whoever takes a failure has seen it: it is not abandoned.
 */
MN_API int64_t mn_future_take(struct mn_future *future);

/**
 * mn_future_drop - end the life of a future that nobody will take
 * @future: resolved, or pending with no waiter and no one left to resolve it
 */
MN_API void mn_future_drop(struct mn_future *future);

/**
 * mn_future_reset - end one life of a future and begin the next
 * @future: as for mn_future_drop()
 */
#define mn_future_reset(future)						\
	do {								\
		mn_future_drop(future);					\
		mn_future_init(future);					\
	} while (0)

/*
 * From a fiber only. Each suspends unless the future is ready; each returns
 * -ECANCELED when the fiber or its scope was cancelled, -ETIMEDOUT when the
 * scope's deadline has come (miniss/scope.h), and then the futures are as they
 * were: somebody still has to wait for or drop them.
 */

/** mn_await - wait for a future and take its result */
MN_API int64_t mn_await(struct mn_future *future);

/**
 * mn_await_timeout - wait for a future, but not for ever
 * @timeout_ns: from now; <= 0 looks without waiting
 *
 * Only stops waiting: what would resolve the future goes on, and the future
 * must stay alive. To cancel an operation, use mn_op_await().
 *
 * Return: the result, taken, or -ETIMEDOUT with the future untouched.
 */
MN_API int64_t mn_await_timeout(struct mn_future *future, int64_t timeout_ns);

/**
 * mn_await_all - wait until all of them are resolved, and take them
 * @futures: @n pointers; each future keeps its own result
 *
 * Return: 0, or the first failure in the order of the array.
 */
MN_API int mn_await_all(struct mn_future *const *futures, size_t n);

#define MN_AWAIT_ANY_MAX	64

/**
 * mn_await_any - wait until one of them is resolved
 * @futures: @n pointers, 1 to MN_AWAIT_ANY_MAX
 *
 * Return: the lowest index of a resolved future, which is not taken;
 * -EINVAL for a bad @n.
 */
MN_API int mn_await_any(struct mn_future *const *futures, size_t n);

#endif
