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

/*
 * Signals arrive at a handler, which writes to a descriptor that the backend
 * polls: that works everywhere. The first signal of a set restores the
 * default action, so a second one ends the process at once, even if a shard
 * hangs. One waiter in a process: signals are the process's.
 */
int signal_open(uint64_t set);		/* a descriptor to poll for reading, or -errno */
int signal_read(int fd);		/* the number of a signal that came, or -EAGAIN */
void signal_close(int fd);

#endif
