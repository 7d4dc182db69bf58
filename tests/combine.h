/* SPDX-License-Identifier: MIT */
/* What the tests of combinators share. */
#ifndef TESTS_COMBINE_H
#define TESTS_COMBINE_H

#include <check.h>

#include <miniss/combine.h>
#include <miniss/shared.h>

#include "tests/world.h"

/* A future that a timer resolves. */
struct later {
	struct mn_timer timer;
	struct mn_future future;
	int64_t result;
	bool running;
	void (*ended)(struct later *later);	/* or NULL */
	void *arg;
};

struct mn_future *later_start(struct later *later, int64_t ns, int64_t result);
void later_arm(struct later *later, int64_t ns, int64_t result);	/* its future is there */
void later_stop(struct later *later);

/* A world on the mem backend, and what happens in it. tests/combine-run.c */
void combine_setup(void);
void combine_teardown(void);
void combine_run(void);			/* until nothing is left to do */
void combine_run_for(int64_t ns);	/* the same, later */
uint64_t combine_abandoned(void);

static inline struct mn_future *combine_ready(struct mn_future *future, int64_t res)
{
	mn_future_init(future);
	mn_future_resolve(future, res);
	return future;
}

/* How much stack the deepest and the shallowest call were apart. */
struct depth {
	uintptr_t low, high;
};

extern struct depth depth;

static inline void depth_see(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	depth.low = depth.low ? min(depth.low, here) : here;
	depth.high = max(depth.high, here);
}

/* Asks futures that are to be resolved with -ECANCELED. */
struct asked {
	int n;
	struct mn_future *future;
};

static inline void ask(struct mn_future *future, void *arg)
{
	struct asked *asked = arg;

	ck_assert(!mn_future_ready(future));
	asked->n++;
	asked->future = future;
}

TCase *tcase_combine_mem(void) __attribute__((weak));	/* where mem is built */
TCase *tcase_combine_time(void) __attribute__((weak));
TCase *tcase_combine_model(void) __attribute__((weak));

#endif
