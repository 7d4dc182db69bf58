/* SPDX-License-Identifier: MIT */
/* What a program should not leave behind: failures that nobody took, and what it opened. */
#ifndef CORE_HYGIENE_H
#define CORE_HYGIENE_H

#include <stdint.h>

struct mn_world;
struct shard;

/* Of a shard. Counted in every build. */
struct hygiene {
	uint64_t nr_abandoned;
	char first[160];	/* the first of them, in words */
	int64_t nr_fds;		/* opened less closed; those that moved count elsewhere */
	int64_t nr_ops;		/* started less completed */
};

/*
 * fds_add - this shard opened descriptors, or closed them (@n < 0)
 * op_call() does so for its operations; who gets or gives up a descriptor in
 * another way says so here.
 */
void fds_add(int n);

/*
 * abandoned - a failure that nobody took
 * @fiber: the name of the fiber that ended with it; "" without a name; NULL: no fiber
 * @origin: what made the future, or the fiber; NULL: unknown
 */
void abandoned(struct shard *shard, int64_t result, const char *fiber, const char *origin);

/*
 * hygiene_check - say what a world that has ended left behind
 * @code: of the program. Returns it, or with --fail_on_abandoned MN_EXIT_FAILED
 * instead of 0. On the starting thread, before world_close().
 */
int hygiene_check(const struct mn_world *world, int code);

#endif
