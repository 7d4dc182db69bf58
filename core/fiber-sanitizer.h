/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers must be told when a thread changes stacks. Each switch
 * is three calls: sanitizer_leave() right before, the switch, and
 * sanitizer_enter() as the first thing on the other side. A stack is opened
 * once, renewed for each life of a fiber on it, and closed. All empty in an
 * ordinary build.
 *
 * Parked stacks are not registered with the leak checker: it would read the
 * guards. What only a parked fiber points to is a leak to it; worlds that end
 * have no parked fibers.
 */
#ifndef CORE_FIBER_SANITIZER_H
#define CORE_FIBER_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#define sanitizer_feature(name)	__has_feature(name)
#else
#define sanitizer_feature(name)	0
#endif

#if defined(__SANITIZE_ADDRESS__) || sanitizer_feature(address_sanitizer)

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

struct sanitizer_stack {
	const void *low;
	size_t size;
	void *fake;		/* its frames that ASan keeps elsewhere, while it is suspended */
};

static inline void sanitizer_open(struct sanitizer_stack *stack, void *low, size_t size)
{
	*stack = (struct sanitizer_stack){ .low = low, .size = size };
}

/* Redzones of frames that never returned must not meet the next life, or the next mapping. */
static inline void sanitizer_close(struct sanitizer_stack *stack)
{
	__asan_unpoison_memory_region(stack->low, stack->size);
}

static inline void sanitizer_renew(struct sanitizer_stack *stack)
{
	sanitizer_close(stack);
	stack->fake = NULL;
}

/* Both before the switch. @ends: @from never comes back. */
static inline void sanitizer_leave(struct sanitizer_stack *from, const struct sanitizer_stack *to,
				   bool ends)
{
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake, to->low, to->size);
}

/* First thing after. The reactor's bounds are learnt from where @from was left. */
static inline void sanitizer_enter(struct sanitizer_stack *self, struct sanitizer_stack *from)
{
	__sanitizer_finish_switch_fiber(self->fake, &from->low, &from->size);
}

static inline void sanitizer_reactor(struct sanitizer_stack *reactor)
{
}

#elif defined(__SANITIZE_THREAD__) || sanitizer_feature(thread_sanitizer)

#include <sanitizer/tsan_interface.h>

/*
 * TSan keeps a stack of calls for each of ours, and every instrumented
 * function adds itself and takes itself off. Both must happen on the same
 * one: so these are inlined, nothing jumps into the switch, and fiber_main(),
 * which never returns, is taken off by hand.
 */
void __tsan_func_exit(void *unused);	/* gcc thinks that it takes one */

struct sanitizer_stack {
	void *tsan;
};

static inline void sanitizer_open(struct sanitizer_stack *stack, void *low, size_t size)
{
	stack->tsan = __tsan_create_fiber(0);
}

static inline void sanitizer_close(struct sanitizer_stack *stack)
{
	if (stack->tsan)
		__tsan_destroy_fiber(stack->tsan);
}

static inline void sanitizer_renew(struct sanitizer_stack *stack)
{
}

__attribute__((always_inline)) static inline void
sanitizer_leave(struct sanitizer_stack *from, const struct sanitizer_stack *to, bool ends)
{
	if (ends)
		__tsan_func_exit(NULL);
	__tsan_switch_to_fiber(to->tsan, 0);
}

__attribute__((always_inline)) static inline void sanitizer_enter(struct sanitizer_stack *self,
								  struct sanitizer_stack *from)
{
	__asm__ volatile("" : : : "memory");
}

/* Each time: a test may step a shard from one thread, then another. */
static inline void sanitizer_reactor(struct sanitizer_stack *reactor)
{
	reactor->tsan = __tsan_get_current_fiber();
}

#else

struct sanitizer_stack {};

static inline void sanitizer_open(struct sanitizer_stack *stack, void *low, size_t size)
{
}

static inline void sanitizer_close(struct sanitizer_stack *stack)
{
}

static inline void sanitizer_renew(struct sanitizer_stack *stack)
{
}

static inline void sanitizer_leave(struct sanitizer_stack *from, const struct sanitizer_stack *to,
				   bool ends)
{
}

static inline void sanitizer_enter(struct sanitizer_stack *self, struct sanitizer_stack *from)
{
}

static inline void sanitizer_reactor(struct sanitizer_stack *reactor)
{
}

#endif

#endif
