/* SPDX-License-Identifier: MIT */
/*
 * The longest pause of a stream. Few have such a limit; what it takes lies
 * apart, so that a connection without one is not larger for it.
 */
#ifndef LIB_NET_IDLE_H
#define LIB_NET_IDLE_H

#include <miniss/clock.h>
#include <miniss/timer.h>

#include "lib/net/stream.h"

struct idle_limit {
	struct mn_timer timer;
	struct mn_stream *stream;
	int64_t active_ns;	/* when the application last read or wrote */
	int64_t limit_ns;
};

/* idle_set - from the start of the stream; MN_NEVER: no limit. 0 or -ENOMEM */
int idle_set(struct mn_stream *stream, int64_t limit_ns);

/* idle_take - the limit of a stream that moves here, and since when; 0 or -ENOMEM */
int idle_take(struct mn_stream *to, const struct mn_stream *from);

/* idle_touch - the application reads or writes */
static inline void idle_touch(struct mn_stream *stream)
{
	if (stream->idle)
		stream->idle->active_ns = mn_now();
}

/* idle_start - watch it; -ETIMEDOUT ends a stream that was silent for too long */
void idle_start(struct mn_stream *stream);
void idle_stop(struct mn_stream *stream);
void idle_drop(struct mn_stream *stream);

#endif
