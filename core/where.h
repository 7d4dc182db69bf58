/* SPDX-License-Identifier: MIT */
/*
 * Where a fiber or a task is, seen at one moment: copied, since another
 * thread prints it while its shard goes on. Gathering it takes no system
 * call and no lock, so a signal handler can.
 */
#ifndef CORE_WHERE_H
#define CORE_WHERE_H

#include <miniss/sched.h>

#include "core/frame.h"
#include "core/shard.h"

#define WHERE_FRAMES	24

struct where {
	bool fiber;			/* or else a task, or the reactor */
	bool ready;			/* it would run if others did not */
	char name[32];			/* of the fiber; empty: it has none */
	char group[MN_GROUP_NAME_MAX];
	mn_fiber_fn fn;			/* what was spawned */
	uintptr_t from;			/* by the code at this address, or 0 */
	const char *origin;		/* that is file:line, in debug builds */
	const char *wait;		/* the function in which it waits, or NULL */
	int64_t for_ns;			/* how long */
	unsigned int nr_frames;
	uintptr_t frame[WHERE_FRAMES];
};

/* where_running - what the calling thread's shard runs; @stack_high: end of the reactor's stack */
void where_running(const struct shard *s, struct frame_at at, uintptr_t stack_high,
		   struct where *where);

/* where_fiber - one that does not run, from its own shard */
void where_fiber(const struct shard *s, const struct mn_fiber *fiber, struct where *where);

#endif
