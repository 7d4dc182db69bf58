/* SPDX-License-Identifier: MIT */
/*
 * The real clock. Backends of the real world return clock_now_ns() from
 * now(); a simulated world has its own. Nothing else asks what time it is:
 * the shard's time is read once a turn.
 */
#ifndef LIB_TIME_CLOCK_H
#define LIB_TIME_CLOCK_H

#include <stdint.h>

/** clock_now_ns - CLOCK_MONOTONIC, from the vDSO (27 ns) */
int64_t clock_now_ns(void);

/** clock_coarse_ns - the same as of the kernel's last tick (5 ns) */
int64_t clock_coarse_ns(void);

/** clock_wall_ns - CLOCK_REALTIME */
int64_t clock_wall_ns(void);

/*
 * clock_cycles - a counter that is cheap to read and runs at a constant rate;
 * only differences on one CPU mean something.
 */
static inline uint64_t clock_cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t cycles;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(cycles));
	return cycles;
#else
	return (uint64_t)clock_now_ns();
#endif
}

/** clock_cycles_per_us - the rate of clock_cycles(), measured on first use at boot */
uint64_t clock_cycles_per_us(void);

#endif
