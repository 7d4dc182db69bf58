/* SPDX-License-Identifier: MIT */
/*
 * Where a stack stands: from the context of a signal, or from what a fiber
 * switch left. All that depends on the processor for walking frames.
 */
#ifndef CORE_FRAME_H
#define CORE_FRAME_H

#include <stdint.h>
#include <ucontext.h>

#include "core/compiler.h"

struct frame_at {
	uintptr_t pc;		/* 0: unknown */
	uintptr_t fp;		/* of the frame chain: the last one's, then where to return to */
	uintptr_t sp;
};

/* frame_interrupted - @context: the third argument of a signal handler */
static inline struct frame_at frame_interrupted(const void *context)
{
#if defined(__linux__) && defined(__x86_64__)
	const greg_t *regs = ((const ucontext_t *)context)->uc_mcontext.gregs;

	return (struct frame_at){ .pc = (uintptr_t)regs[REG_RIP],
				  .fp = (uintptr_t)regs[REG_RBP],
				  .sp = (uintptr_t)regs[REG_RSP] };
#elif defined(__linux__) && defined(__aarch64__)
	const mcontext_t *regs = &((const ucontext_t *)context)->uc_mcontext;

	return (struct frame_at){ .pc = regs->pc, .fp = regs->regs[29], .sp = regs->sp };
#else
	return (struct frame_at){ .pc = 0 };
#endif
}

/* frame_suspended - @sp: what fiber_switch() saved; see fiber_*.S */
static inline struct frame_at frame_suspended(const void *sp)
{
	const uintptr_t *saved = sp;

#if defined(CONFIG_FIBER_X86_64)
	return (struct frame_at){ .pc = saved[7], .fp = saved[6], .sp = (uintptr_t)&saved[8] };
#elif defined(CONFIG_FIBER_AARCH64)
	return (struct frame_at){ .pc = saved[1], .fp = saved[0], .sp = (uintptr_t)saved };
#else
	return frame_interrupted(saved);
#endif
}

/* frame_code - an address without what signs it (AArch64 PAC) */
static inline uintptr_t frame_code(uintptr_t pc)
{
#ifdef __aarch64__
	return pc & ((UINT64_C(1) << 48) - 1);
#else
	return pc;
#endif
}

#endif
