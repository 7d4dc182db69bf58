/* SPDX-License-Identifier: MIT */
/*
 * Operations that are one cheap system call, and signals: shared by the
 * backends of the real world.
 */
#ifndef BACKENDS_INLINE_H
#define BACKENDS_INLINE_H

#include <stdbool.h>

#include "core/op.h"

/* The codes from MN_OP_SOCKET on complete where they are submitted. */
static inline bool op_is_inline(const struct mn_op *op)
{
	return op->code >= MN_OP_SOCKET;
}

/*
 * inline_op - do the system call of such an operation; its result
 * Sockets are made non-blocking if @nonblock, and always close-on-exec.
 */
int64_t inline_op(struct mn_op *op, bool nonblock);

/* accept_skips - is it an error of a connection that was lost, and not of the listener? */
bool accept_skips(int err);

/*
 * unix_bind - bind a Unix socket; see unix.c
 * Its address replaces a file of a socket that nobody answers at. With a
 * backlog it listens, too, before another can take it for a dead one. @mode:
 * of the file; 0: what the umask leaves. Returns which file it is, or -errno.
 */
int64_t unix_bind(const struct mn_op *op);
int64_t unix_unbind(const struct mn_op *op);

/*
 * Signals arrive at a handler, which counts them and writes to a descriptor
 * that the backend polls: that works everywhere. One world in a process may
 * catch some, since signals are the process's.
 */
#define SIGNALS 64

/*
 * signal_catch - catch these signals and no others from now on
 * @once: the first that comes of these gives all of them back, from the
 *	handler: so a second one does what it did before, even if a shard hangs
 * What is not caught any more has the handler again that it had before.
 */
int signal_catch(const void *world, uint64_t set, uint64_t once);
int signal_check(uint64_t set);		/* 0, or -EINVAL: nobody can catch that */

/* For MN_OP_SIGNAL: */
int signal_begin(void);			/* a descriptor to poll for reading, or -errno */
int64_t signal_take(uint32_t *counts);	/* add what came: how many, or -EAGAIN */
void signal_end(void);

#endif
