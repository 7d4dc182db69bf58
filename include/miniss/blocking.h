/* SPDX-License-Identifier: MIT */
/* Functions that block their thread, for fibers that must not. */
#ifndef MINISS_BLOCKING_H
#define MINISS_BLOCKING_H

#include <miniss/fiber.h>

/**
 * mn_blocking - run a function on a thread that may block; wait for its result
 * @fn: not on a shard: it must use nothing of the runtime but mn_alien_*() and
 *	the log
 * @arg: handed to @fn; the caller's, and untouched by it until this returns
 *
 * From a fiber; suspends. Threads are made when needed, --blocking.user_threads
 * at most, and end when there was nothing to do for a while; when all are busy,
 * functions wait in the order in which they came. In a world whose time is not
 * the real one, @fn runs at once, on the shard.
 *
 * Return: what @fn returned; -ECANCELED: the fiber was cancelled before @fn
 * began, and it will not run. A function that has begun is waited for.
 * -EAGAIN: there is no thread, and none could be made.
 */
MN_API int mn_blocking(int (*fn)(void *arg), void *arg);

#endif
