/* SPDX-License-Identifier: MIT */
/* Counters of a shard. They are its own: no atomics; others ask by message. */
#ifndef CORE_STATS_H
#define CORE_STATS_H

#include <stdint.h>

#include "core/compiler.h"

enum stat_id {
	STAT_TURNS,
	STAT_TASKS,
	STAT_FIBERS,		/* spawned */
	STAT_TIMERS,		/* expired */
	STAT_OPS,		/* submitted */
	STAT_COMPLETIONS,
	STAT_SYSCALLS,		/* by the backend, to submit, reap or wait */
	STAT_PARKS,		/* waits in the kernel */
	STAT_SPINS,		/* idle times that ended while spinning */
	STAT_WAKES,		/* wake-ups sent to other shards */
	STAT_WAKES_UNSENT,	/* io_uring: those that failed as messages; the eventfd did it */
	STAT_MESSAGES,		/* sent to other shards */
	STAT_ACCEPTS,
	STAT_HANDED,		/* accepted here, handed to a shard with fewer connections */
	STAT_MIGRATIONS,	/* connections that came from other shards */
	STAT_ACCEPT_PAUSES,	/* no descriptors left, or the connection limit */
	STAT_BYTES_IN,
	STAT_BYTES_OUT,
	STAT_BYTES_ZC,		/* of these, those that no CPU has copied */
	STAT_BYTES_ZC_COPIED,	/* and those that were copied all the same, at more expense */
	STAT_STARVED,		/* receives that paused for want of buffers */
	STAT_SHED,		/* connections given up for that, since their peers do not read */
	STAT_FILES_AT_HAND,	/* io_uring: sockets that were put into the table of its files */
	STAT_CQ_OVERFLOWS,	/* io_uring: completions that did not fit */
	STAT_JOBS,		/* that threads of the blocking pool did */
	STAT_JOBS_WAIT_US,	/* how long these were queued, in all */
	STAT_STALLS,		/* tasks that kept the shard for longer than --stall_ms */
	STAT_ABANDONED,		/* failed futures that nobody took */
	STAT_ALLOCS,		/* of its heap, by mn_alloc() and by the runtime */
	STAT_LOG_DROPPED,
	STAT_NR
};

extern const char *const stat_names[STAT_NR];

#define stats_add(shard, which, n)					\
	do {								\
		if (IS_ENABLED(CONFIG_STATS))				\
			(shard)->stats[which] += (uint64_t)(n);		\
	} while (0)

#endif
