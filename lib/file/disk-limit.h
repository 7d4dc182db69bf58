/* SPDX-License-Identifier: MIT */
/*
 * How much a device is given at a time, found out from how long it takes.
 *
 * Requests are put into classes by size, reads and writes apart. Each class has
 * a floor: how long such a request takes when the device is not crowded. The
 * limit grows while requests take no longer than twice their floor, or than
 * the goal that the user has set, and shrinks in proportion when they do. The
 * gradient between the floor and what is measured is that of TCP Vegas, and of
 * Netflix's concurrency-limits (Gradient2Limit, AIMDLimit); a goal as the one
 * knob is that of the Kyber scheduler and of Seastar.
 *
 * A floor that was seen once is not true for ever, and one that was seen in a
 * crowd is too high. So each five seconds the limit is a quarter for 40 ms, as
 * BBR does it, and the floors are taken anew. All shards do that at the same
 * time, by the clock: each has a limit of its own, and what they have in common
 * is the device.
 *
 * Pure arithmetic: no clock, no memory, nothing but what it is told.
 */
#ifndef LIB_FILE_DISK_LIMIT_H
#define LIB_FILE_DISK_LIMIT_H

#include <miniss/types.h>

/*
 * Costs: a request as such, and each 4 KiB of it. So one of 16 KiB costs twice
 * what the smallest does: about right for flash, and too little for the seeks
 * of disks that turn; those are what the goal is for.
 */
#define DISK_COST_REQUEST	4
#define DISK_COST_SHIFT		12
#define DISK_COST_MAX		(UINT32_C(1) << 20)

#define DISK_CLASSES		24	/* 12 sizes, each for reading and for writing */

struct disk_class {
	int64_t floor_ns;	/* 0: not known yet */
	int64_t sum_ns;		/* in this window */
	uint32_t n;
};

struct disk_limit {
	uint32_t limit;		/* cost that may be in flight; one request always may */
	uint32_t limit_max;
	int64_t goal_ns;	/* 0: twice the floor */

	/* A window: what was started before it tells of the limit before. */
	uint32_t skip;		/* completions that it does not count yet */
	uint32_t want;		/* how many it counts */
	uint32_t n;
	uint64_t cost;
	int64_t epoch;		/* of the clock; with each the floors are taken anew */
	int64_t look_ns;	/* when that began */
	uint32_t limit_saved;	/* while it is done; else 0 */
	bool full;		/* somebody had to wait in it */
	bool growing;		/* nothing took too long yet: double */

	uint32_t stretch;	/* of the last window: time over the target, in 1/256 */
	uint64_t windows, cuts;
	struct disk_class class[DISK_CLASSES];
};

uint32_t disk_cost(uint64_t len);
unsigned int disk_class(uint64_t len, bool write);

/* @limit_max: in cost */
void disk_limit_init(struct disk_limit *l, uint32_t limit_max, int64_t goal_ns);

/* disk_limit_done - a request has ended; @in_flight: how many have not */
void disk_limit_done(struct disk_limit *l, unsigned int class, uint32_t cost, int64_t took_ns,
		     int64_t now_ns, uint32_t in_flight);

#endif
