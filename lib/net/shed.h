/* SPDX-License-Identifier: MIT */
/* Fibers that wait for output to shrink, and whom to give up when buffers run out. */
#ifndef LIB_NET_SHED_H
#define LIB_NET_SHED_H

#include "lib/list.h"

struct mn_stream;

/* Of one wait, on the stack of the fiber. */
struct stuck {
	struct list entry;
	struct mn_stream *stream;
	int64_t since_ns;
};

/*
 * stuck_enter - this fiber waits for @stream, which has just made progress, or
 * has begun to wait; stuck_leave - it was woken
 */
void stuck_enter(struct stuck *stuck, struct mn_stream *stream);
void stuck_leave(struct stuck *stuck);

#endif
