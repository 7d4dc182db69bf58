// SPDX-License-Identifier: MIT
/*
 * The fiber switch for processors without assembly of their own. What a
 * "stack pointer" points to is the context, which lies on the stack that it
 * is the context of.
 */
#include <ucontext.h>

#include "core/fiber.h"

void fiber_switch(void **save_sp, void *load_sp)
{
	ucontext_t self;

	*save_sp = &self;
	swapcontext(&self, load_sp);
}

/* The context has the control words, and whatever else the system keeps with it. */
void fiber_enter(void **save_sp, void *load_sp, uint64_t control)
{
	fiber_switch(save_sp, load_sp);
}

void fiber_exit(void *load_sp)
{
	void *nobody;

	fiber_switch(&nobody, load_sp);
	__builtin_unreachable();
}

uint64_t fiber_control(void)
{
	return 0;
}

/*
 * makecontext() wants both ends of the stack, of which it uses the top. The
 * other end is a guess that any stack has room for.
 */
#define ROOM	((size_t)8 * 1024)

void *fiber_prepare(void *top, void (*entry)(void), uint64_t control)
{
	ucontext_t *context = (ucontext_t *)(((uintptr_t)top - sizeof(*context)) & ~(uintptr_t)63);

	getcontext(context);
	context->uc_stack.ss_sp = (char *)context - ROOM;
	context->uc_stack.ss_size = ROOM;
	context->uc_link = NULL;
	makecontext(context, entry, 0);
	return context;
}
