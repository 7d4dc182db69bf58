/* SPDX-License-Identifier: MIT */
/*
 * Everything that shards do to each other, at random and all at once. Each
 * shard writes its own row; sums are taken when all have stopped.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include <check.h>
#include <stdatomic.h>

#include "core/shard.h"

#define STRESS_SHARDS	8
#define STRESS_WORKERS	6	/* fibers on each */

struct stress_shard {
	uint64_t random;
	uint64_t numbered[STRESS_SHARDS];	/* messages to each shard, in order */
	uint64_t arrived[STRESS_SHARDS];	/* from each */
	uint64_t posts, posts_ended;		/* sent from here; that ran here */
	uint64_t made, destroyed;		/* objects of this shard */
	uint64_t ops;
	unsigned int staying;			/* posts that wait for the stop */
	unsigned int out;			/* chunks that the backend holds from the start */
} __cacheline_aligned;

struct stress {
	struct stress_shard shard[STRESS_SHARDS];
	uint64_t random;			/* the main fiber's */
	struct mn_alien_gate *gate;		/* NULL: this world has none */
	atomic_bool ending;			/* from here on anything may be cancelled */
	atomic_uint_fast64_t alien_calls;
};

extern struct stress stress;

static inline struct stress_shard *stress_here(void)
{
	return &stress.shard[mn_self->id];
}

/* stress_random - a number below @n, of the sequence at @state */
uint64_t stress_random(uint64_t *state, uint64_t n);

/* stress_worker - a fiber that does one thing after another until it is cancelled */
int stress_worker(void *arg);

/* stress_alien - a thread that calls in until the shards have stopped; @arg: its random numbers */
void *stress_alien(void *arg);

#endif
