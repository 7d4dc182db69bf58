/* SPDX-License-Identifier: MIT */
/* What is cancelled at each of its suspension points; tests/cancel.c. */
#ifndef TESTS_CANCEL_H
#define TESTS_CANCEL_H

#include <miniss/fiber.h>

struct scenario {
	const char *name;
	mn_fiber_fn fn;		/* 0, or the reason why it was stopped; cleans up after itself */
	void (*setup)(void);	/* from a fiber that is not stopped; or NULL */
	void (*teardown)(void);
};

#define NR_SCENARIOS	12

extern const struct scenario scenarios[NR_SCENARIOS];

#endif
