/* SPDX-License-Identifier: MIT */
/* Run a main fiber the way mn_run() does, on chosen drivers and shards. */
#ifndef TESTS_RUN_H
#define TESTS_RUN_H

#include "core/shard.h"

/*
 * run_main - world_run() with @fn on shard 0; what it returned
 * RUN_SKIPPED, with the reason printed, where the backend cannot be used.
 */
int run_main(const char *backend, unsigned int nr_shards, mn_fiber_fn fn, void *arg);

#define RUN_SKIPPED	12345

/* The same over a queue that is named. */
int run_queue(const char *backend, const char *queue, unsigned int nr_shards, mn_fiber_fn fn,
	      void *arg);

/* The same for the loop variable of a test over all backends. */
int run_backend(int i, unsigned int nr_shards, mn_fiber_fn fn, void *arg);

/*
 * The same over all backends, and a backend that has several ways to wake a
 * shard with each of them: for whatever crosses shards.
 */
int nr_wakers(void);
int run_waker(int i, unsigned int nr_shards, mn_fiber_fn fn, void *arg);
const char *waker_backend(int i);	/* "io_uring:msg_ring"; until the next one */
bool waker_virtual_time(int i);

#endif
