/* SPDX-License-Identifier: MIT */
/* What the tests of scheduling groups have in common. */
#ifndef TESTS_SCHED_H
#define TESTS_SCHED_H

#include <check.h>

#include <miniss/miniss.h>

#define NR_SHARDS	2	/* loop tests run with one shard, then with two */

/* group_new - a group that must be possible */
unsigned int group_new(const char *name, unsigned int shares, unsigned int parent, bool latency);

/* run_virtual - on the mem backend, with @i + 1 shards; skipped where it is not built */
void run_virtual(int i, mn_fiber_fn fn);

TCase *tcase_sched_destroy(void);
TCase *tcase_sched_inherit(void);
TCase *tcase_sched_serve(void);

#endif
