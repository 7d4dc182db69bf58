/* SPDX-License-Identifier: MIT */
#ifndef CORE_REACTOR_H
#define CORE_REACTOR_H

#include "backends/backend.h"
#include "core/shard.h"
#include "lib/time/clock.h"

/* Tell the processor that this is a spin loop. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#define TASKS_PER_TURN	512	/* the bound of a turn, counted */
#define TASKS_CUT	(-1)	/* shard->tasks_max: the turn is to end; smp/stall.c */

/* shard_cycles - the time that tasks use: of the CPU's counter, or ns where time is not real */
static inline uint64_t shard_cycles(struct shard *s)
{
	return s->virtual_time ? (uint64_t)backend_now(s->be) : clock_cycles();
}

/* preempt - what runs has had its time: let the task end, and then the queue wait */
static inline void preempt(struct shard *s)
{
	s->tasks_max = min(s->tasks_max, 1);
	s->slice_end = 1;	/* long ago */
}

/* runq_run - run tasks of a queue that is not empty: at most @n_max, and for a slice; how many */
unsigned int runq_run(struct shard *s, struct runq *runq, int n_max);

/* shard_started - report to shard 0 that this shard is up, or why not; core/boot.c */
void shard_started(struct shard *shard);

#endif
