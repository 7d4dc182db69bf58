/* SPDX-License-Identifier: MIT */
/*
 * What time it is. mn_now() (miniss/timer.h) is the time of the turn and what
 * to measure with and to set timers by; these are for when that will not do.
 * All are those of the world: one whose time is virtual has clocks of its own.
 * On a shard; none suspends.
 */
#ifndef MINISS_CLOCK_H
#define MINISS_CLOCK_H

#include <miniss/types.h>

/** mn_clock_steady - a fresh reading of the clock of mn_now(), ns (27 ns) */
MN_API int64_t mn_clock_steady(void);

/**
 * mn_clock_coarse - the same clock, up to some milliseconds ago, ns (5 ns)
 *
 * As of the kernel's last tick (1 to 10 ms). Never ahead of the others.
 */
MN_API int64_t mn_clock_coarse(void);

/**
 * mn_clock_wall - ns since 1970-01-01 00:00 UTC
 *
 * May jump, back, too: for what people read, and not for measuring. In a
 * virtual world it began with 2000-01-01 00:00.
 */
MN_API int64_t mn_clock_wall(void);

/**
 * mn_clock_advance - let time pass in a world whose clock stands still
 * @ns: >= 0; the end is rounded up to the next tick of timers (16384 ns), each
 *	time, so that those that are due by then expire
 *
 * For tests of code with timers and time-outs: nothing waits for real. The
 * clock goes from one timer that is due to the next; this returns when the
 * time has come and no shard has anything left to do. From a fiber; suspends.
 *
 * With --backend=mem the clock goes on by itself, too, whenever all shards
 * wait; with --backend=mem:manual by this alone.
 *
 * Return: 0, -ECANCELED, -EINVAL; -EOPNOTSUPP where time is real.
 */
MN_API int mn_clock_advance(int64_t ns);

#endif
