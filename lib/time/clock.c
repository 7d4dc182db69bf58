// SPDX-License-Identifier: MIT
#include <stdatomic.h>
#include <time.h>

#include "lib/time/clock.h"

#define MEASURE_NS 500000 /* an error of 50 ns at either end is 0.02% */

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

static inline int64_t read_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t clock_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_coarse_ns(void)
{
	return read_ns(CLOCK_MONOTONIC_COARSE);
}

int64_t clock_wall_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

struct instant {
	int64_t ns;
	uint64_t cycles;
};

/*
 * Both clocks at one instant: of a few tries the one that took least, since
 * in the others something came between the two readings.
 */
static struct instant instant(void)
{
	struct instant best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = clock_cycles();
		int64_t ns = clock_now_ns();
		uint64_t after = clock_cycles();

		if (after - before < least) {
			least = after - before;
			best = (struct instant){ ns, before + least / 2 };
		}
	}
	return best;
}

static uint64_t measure(void)
{
	struct instant from = instant(), to;

	while (clock_now_ns() - from.ns < MEASURE_NS)
		;
	to = instant();
	return (to.cycles - from.cycles) * 1000 / (uint64_t)(to.ns - from.ns);
}

uint64_t clock_cycles_per_us(void)
{
	/* The same whoever measures it: a race stores it twice. */
	static _Atomic uint64_t rate;
	uint64_t known = atomic_load_explicit(&rate, memory_order_relaxed);

	if (known)
		return known;
	known = measure();
	if (!known)
		known = 1; /* a counter slower than 1 MHz: slices end early, nothing else */
	atomic_store_explicit(&rate, known, memory_order_relaxed);
	return known;
}
