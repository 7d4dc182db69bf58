/* SPDX-License-Identifier: MIT */
/* The suite of services and of what goes home, in two files. */
#ifndef TESTS_SHARDED_H
#define TESTS_SHARDED_H

#include "core/shard.h"
#include "tests/suites.h"

/* The loop variable counts combinations of backend, queue and number of shards. */
int sharded_worlds(void);

/* sharded_run - run a main fiber on the i-th; then all chunks must be back, and all descriptors closed */
void sharded_run(int i, mn_fiber_fn fn);

/* The same with the preferred queue: combinations of backend and number of shards. */
int sharded_backends(void);
void sharded_run_backend(int i, mn_fiber_fn fn);

/* The same by name. */
void sharded_run_shards(const char *backend, unsigned int nr_shards, mn_fiber_fn fn);

/* Chunks that are not in the pool of their shard. */
unsigned int chunks_out(const struct shard *shard);

TCase *tcase_homing(void);

#endif
