/* SPDX-License-Identifier: MIT */
/* A shard with many timers: what the timer benches and the bare one share. */
#ifndef BENCH_TIMER_H
#define BENCH_TIMER_H

#include <stdlib.h>

#include "tools/bench/bench.h"

#define TIMERS_LIVE	1000000

/* Each begins a cache line: both queues miss once for each timer they touch. */
static inline void *timers_alloc(size_t size)
{
	return aligned_alloc(CONFIG_CACHELINE_BYTES, TIMERS_LIVE * size);
}

/* The next timer to take, and a time from 1 s to 70 s from @now_ns. */
static inline uint64_t random_timer(uint64_t *random, int64_t now_ns, int64_t *deadline_ns)
{
	uint64_t r = bench_random(random);

	*deadline_ns = now_ns + MN_SEC + (int64_t)(r & ((UINT64_C(1) << 36) - 1));
	return ((r >> 32) * TIMERS_LIVE) >> 32;
}

#endif
