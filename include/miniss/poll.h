/* SPDX-License-Identifier: MIT */
/*
 * Waiting until a descriptor is ready: for what is no stream of miniss. A
 * pipe, a terminal, an eventfd, a socket that a library owns: whatever poll(2)
 * takes. A regular file is always ready.
 *
 * Readiness is a hint, of the moment when the kernel looked: somebody else may
 * have been faster. So the descriptor should be non-blocking.
 *
 * Ready bits are those of <poll.h>: POLLIN and POLLOUT are asked for, POLLERR
 * and POLLHUP are reported in any case.
 */
#ifndef MINISS_POLL_H
#define MINISS_POLL_H

#include <poll.h>

#include <miniss/op.h>

/**
 * mn_poll - wait until a descriptor is ready
 * @fd: stays the caller's, who keeps it open meanwhile
 * @events: POLLIN, POLLOUT or both
 * @timeout_ns: from now; <= 0 looks without waiting, MN_NEVER is for ever
 *
 * From a fiber; suspends, also when the answer is there at once. Any number of
 * fibers may wait for one descriptor.
 *
 * Return: the bits that are set, > 0; -EINVAL for other @events; -EBADF for
 * what is no open descriptor; -ETIMEDOUT, -ECANCELED; -ENOMEM.
 */
MN_API int mn_poll(int fd, uint32_t events, int64_t timeout_ns);

struct mn_watch;

/**
 * mn_watch_fn - what a watch calls, as a task: it must not suspend
 * @ready: bits as of mn_poll(), > 0; or -errno: the descriptor cannot be
 *	watched (-EBADF, -ENOMEM), and the interest has become none
 *
 * May change the interest, also to none, and begin the removal of the watch.
 */
typedef void (*mn_watch_fn)(struct mn_watch *watch, int ready);

/**
 * struct mn_watch - calls a function each time a descriptor is ready
 *
 * Level-triggered: when the function has returned and the descriptor is still
 * ready for what is of interest, it is called again, in a later turn. So it
 * need not take everything, and one that takes nothing and stays interested
 * keeps its shard busy. Between two calls other tasks run.
 *
 * Embedded by the caller, for whom all is done on the shard that initialised
 * it. The memory is the watch's until the removal is over. Several watches may
 * be for one descriptor, in either direction.
 *
 * The descriptor is to be closed after the removal. What is closed before is
 * not heard of any more, and depending on the backend not quite closed before
 * the removal either; the removal works all the same.
 */
struct mn_watch {
	struct mn_op op;		/* not for users from here on */
	struct mn_task task;
	struct mn_future removed;
	mn_watch_fn fn;
	uint32_t events;
	int32_t ready;
	bool running;
	bool leaving;
	const char *origin;		/* debug builds: file:line that initialised it */
};

/**
 * mn_watch_init - prepare a watch, without interest in anything
 * @watch: raw memory, owned by the caller
 * @fd: stays the caller's
 * @fn: runs in the scheduling group of whoever calls this
 *
 * Any code of a shard. Does not suspend, cannot fail.
 */
MN_API void mn_watch_init_at(struct mn_watch *watch, int fd, mn_watch_fn fn, const char *origin);
#ifdef CONFIG_DEBUG
#define mn_watch_init(watch, fd, fn)	mn_watch_init_at(watch, fd, fn, MN__HERE)
#else
#define mn_watch_init(watch, fd, fn)	mn_watch_init_at(watch, fd, fn, NULL)
#endif

/**
 * mn_watch_set - change what is of interest
 * @watch: initialised, and not being removed
 * @events: POLLIN, POLLOUT, both, or 0: nothing, not even errors
 *
 * Takes effect at once: what is not of interest any more is not reported, even
 * if the kernel has seen it. The same interest again does nothing, but after a
 * failure it tries again. Does not suspend.
 *
 * Return: 0; -EINVAL for other @events, and nothing has changed.
 */
MN_API int mn_watch_set(struct mn_watch *watch, uint32_t events);

/**
 * mn_watch_remove_start - begin to remove a watch
 * @watch: initialised; one that is being removed already stays so
 *
 * The function is not called any more. When the backend has let go, no sooner
 * than after the function has returned, @watch->removed is resolved: a task
 * (mn_future_then()) or a fiber may wait for that, and then free the watch.
 * Does not suspend.
 */
MN_API void mn_watch_remove_start(struct mn_watch *watch);

/**
 * mn_watch_remove - remove a watch, and wait until the backend has let go
 *
 * From a fiber; suspends for a turn or two. Cancellation does not end this: on
 * return the watch may be freed and the descriptor be closed.
 */
MN_API void mn_watch_remove(struct mn_watch *watch);

#endif
