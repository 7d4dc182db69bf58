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

#define NR_SCENARIOS	20

extern const struct scenario scenarios[NR_SCENARIOS];

/* cancel_in_time - what a limit of ours ended is a success, unless the fiber is to stop */
int cancel_in_time(int res);

/* cancel_with_partner - @fn, while a child does the other half, for as long as that takes */
int cancel_with_partner(mn_fiber_fn partner, mn_fiber_fn fn, void *arg);

/* tests/cancel-waits.c */
int scenario_locks(void *arg);
int scenario_lines(void *arg);
void scenario_far_setup(void);
int scenario_far(void *arg);
void scenario_far_teardown(void);

/* tests/cancel-others.c */
int scenario_signals(void *arg);
int scenario_processes(void *arg);
int scenario_combinators(void *arg);
int scenario_parts(void *arg);
int scenario_groups(void *arg);

#endif
