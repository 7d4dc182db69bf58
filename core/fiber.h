/* SPDX-License-Identifier: MIT */
/*
 * Fibers inside: the object lives at the top of its own stack, so that a
 * parked fiber has touched one page. From the top down: the object, a copy of
 * the argument if there is one, the frames, a guard page.
 */
#ifndef CORE_FIBER_H
#define CORE_FIBER_H

#include <miniss/fiber.h>

#include "core/compiler.h"
#include "core/fiber-sanitizer.h"
#include "lib/mem/guard.h"

struct mn_scope;
struct shard;

struct mn_fiber {
	/* per switch */
	struct mn_task task;		/* resumes it */
	void *sp;			/* where it was suspended */
	void (*cancel)(void *obj);	/* ends the wait it is in; NULL: it cannot be ended */
	void *cancel_obj;
	const char *wait;		/* the function that parked it, or NULL */
	int64_t since_ns;		/* the time as it was known then; not later than it was */
	int32_t stop;			/* why its waits end: 0, -ECANCELED or -ETIMEDOUT */
	int32_t asked;			/* the same outside of the scopes that it has opened */
	struct mn_scope *scope;		/* the innermost that it is in, or NULL */
	uint32_t nr_held;		/* debug builds: of the ledger, on its stack */
	bool detached;
	bool ended;

	/* per life */
	struct mn_scope *home;		/* that it was started in, or NULL */
	struct mn_fiber *sibling;	/* in there */
	struct mn_fiber **psibling;
	const char *where;		/* file:line that opened the innermost of its own */
	mn_fiber_fn fn;
	const void *from;		/* code that spawned it, or NULL */
	void *arg;
	struct mn_future done;
	const char *name;
	struct mn_fiber *next;		/* in the pool */
	struct sanitizer_stack sanitizer;

	/* for ever */
	void *stack_low;		/* lowest usable address */
	size_t stack_size;
};

/* Stacks are mapped many at once and cut one by one; each has its guard below. */
#define STACKS_PER_SLAB	64

struct stack_slab {
	struct stack_slab *next;
	char *base;
	size_t stride;			/* guard and stack */
	uint32_t nr_cut;		/* stacks handed out, from the lowest */
};

struct fiber_pool {
	/* per spawn and end */
	struct mn_fiber *free;		/* ended, stacks warm; last in, first out */
	uint64_t control;		/* of floating point: the reactor's, and a new fiber's */
	uint32_t nr_live;
	uint32_t nr_free;

	/* core/stack.c; every fiber, live or not, is on a stack of a slab */
	struct stack_slab *slabs;
	struct stack_slab *reserved;	/* not cut yet; stack_reserve() */
	bool fixed;			/* there will be no others */
	enum guard_kind guard;		/* GUARD_UNKNOWN until the first slab */
	struct sanitizer_stack reactor;	/* the shard's own stack */

	/* CONFIG_FIBER_HIGHWATER: the deepest use of a stack, and by whom */
	size_t deepest;
	char deepest_name[32];
};

void fiber_pool_open(struct fiber_pool *pool);
void fiber_pool_close(struct fiber_pool *pool);

#define FIBER_COPY_MAX	1024

/*
 * fiber_spawn, fiber_spawn_from - mn_spawn() on a given shard, with a copy of the argument
 * @copy_size: 0, or how many bytes at @arg to copy onto the fiber's stack; @fn
 *	then gets the copy, which is aligned as malloc() would; with @arg NULL,
 *	room for it, which the caller fills, at fiber->arg
 * @from: FIBER_FROM of who spawns; NULL: the runtime does
 *
 * Return: 0, -ENOMEM, or -E2BIG for more than FIBER_COPY_MAX bytes.
 */
int fiber_spawn_from(struct shard *shard, mn_fiber_fn fn, void *arg, size_t copy_size,
		     struct mn_fiber **fiber, const void *from);

static inline int fiber_spawn(struct shard *shard, mn_fiber_fn fn, void *arg, size_t copy_size,
			      struct mn_fiber **fiber)
{
	return fiber_spawn_from(shard, fn, arg, copy_size, fiber, NULL);
}

/* fiber_spawn_here - mn_spawn(), for those that know who called them: @from */
int fiber_spawn_here(mn_fiber_fn fn, void *arg, struct mn_fiber **fiber, const void *from);

/* FIBER_FROM - where the public function that asks will return to: its caller, in any build */
#define FIBER_FROM	__builtin_return_address(0)

/*
 * fiber_park - suspend the running fiber until its task is scheduled
 * @cancel: called with @obj by mn_fiber_cancel(): makes the wait end, by
 *	scheduling the fiber's task now or later; NULL if nothing can. Called
 *	once at most, and not when the fiber is about to run anyway.
 *
 * Reports call the wait by the name of the function that this is called from.
 */
void fiber_park_in(void (*cancel)(void *obj), void *obj, const char *function);
#define fiber_park(cancel, obj)	fiber_park_in(cancel, obj, __func__)

/* fiber_stopped - why a wait of the fiber ended: that it is to stop, or else @why */
static inline int fiber_stopped(const struct mn_fiber *fiber, int64_t why)
{
	return fiber->stop ? fiber->stop : (int)why;
}

/* fiber_stop - end the wait that a fiber is in, and those that follow; the first reason stays */
void fiber_stop(struct mn_fiber *fiber, int why);

/*
 * fiber_cancel - mn_fiber_cancel() with a reason: -ECANCELED or -ETIMEDOUT
 * Stops the scopes that it has opened, too; core/scope.c.
 */
void fiber_cancel(struct mn_fiber *fiber, int why);

/* fiber_revive - the running fiber goes on after fiber_cancel_all() */
static inline void fiber_revive(struct mn_fiber *fiber)
{
	fiber->stop = fiber->asked = 0;
}

/* fiber_wait - mn_await() that cancellation does not end */
int64_t fiber_wait(struct mn_future *future);

/* fiber_cancel_all - mn_fiber_cancel() for each live fiber of a shard that is not a scope's */
void fiber_cancel_all(struct shard *shard);

/* Where fiber_next() is; zero: before the first. */
struct fiber_cursor {
	const struct stack_slab *slab;
	uint32_t i;
	bool begun;
};

/*
 * fiber_next - the next fiber of a pool, dead or alive, or NULL
 * One that starts or ends meanwhile is found or not, and none is found twice.
 */
struct mn_fiber *fiber_next(const struct fiber_pool *pool, struct fiber_cursor *at);

/* fiber_report - log the names of those that have not ended */
void fiber_report(struct shard *shard);

/*
 * One file per architecture. Each of these saves what the ABI requires, swaps
 * stacks and goes on there; nobody but core/fiber.c calls them.
 */

/* fiber_switch - from any stack to any other */
void fiber_switch(void **save_sp, void *load_sp);

/*
 * fiber_enter - the same for a stack whose control words are known
 * @control: of floating point, to have again when somebody switches back
 *
 * The reactor's never change, and reading them takes longer than all the rest.
 */
void fiber_enter(void **save_sp, void *load_sp, uint64_t control);

/* fiber_exit - to another stack, never to come back */
void fiber_exit(void *load_sp) __attribute__((noreturn));

/* fiber_control - how floating point rounds and traps now, if a function must preserve it */
uint64_t fiber_control(void);

/*
 * fiber_prepare - a stack that, when switched to, calls @entry, which never returns
 * @top: 16-byte aligned; returns what to hand to fiber_switch()
 */
void *fiber_prepare(void *top, void (*entry)(void), uint64_t control);

/* stack_reserve - map stacks for @nr fibers at least, which is all there will be; 0 or -ENOMEM */
int stack_reserve(struct fiber_pool *pool, unsigned int nr);

/* core/stack.c: stacks that never go back to the system before the pool closes */
int stack_get(struct fiber_pool *pool, void **low, size_t *size);
void stack_close(struct fiber_pool *pool);
const char *stack_guard_kind(const struct fiber_pool *pool);

/* CONFIG_FIBER_HIGHWATER: prepare a stack, and see how much of it was used */
void stack_fill(void *low, size_t size);
size_t stack_used(const void *low, size_t size);

#endif
