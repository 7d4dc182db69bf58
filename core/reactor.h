/* SPDX-License-Identifier: MIT */
#ifndef CORE_REACTOR_H
#define CORE_REACTOR_H

#include "core/shard.h"

/* Tell the processor that this is a spin loop. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* shard_started - report to shard 0 that this shard is up, or why not; core/boot.c */
void shard_started(struct shard *shard);

#endif
