/* SPDX-License-Identifier: MIT */
/* A program of its own, what became of it, and what it said. */
#ifndef TESTS_HYGIENE_H
#define TESTS_HYGIENE_H

#include "tests/spawn.h"

struct outcome {
	int code;		/* or minus the signal */
	char said[32768];
};

/* hygiene_run - mn_run() with @fn over serving[@i % NR_SERVING]; @option: one more, or NULL */
void hygiene_run(struct outcome *outcome, int i, const char *option, mn_fiber_fn fn);

void ck_said(const struct outcome *outcome, const char *text);
void ck_code(const struct outcome *outcome, int code);

#endif
