// SPDX-License-Identifier: MIT
/*
 * How many instructions an operation takes, which is the same each time where
 * nanoseconds are not. callgrind counts them (valgrind.org/docs/manual/cl-manual.html):
 * n operations, and then 2 n, so that the difference is that of n of them and
 * nothing of how they begin. What was counted it writes to a file for each.
 */
#include <errno.h>
#include <stdio.h>

#include "tools/bench/bench.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define counted()		RUNNING_ON_VALGRIND
#define count_begin()		CALLGRIND_ZERO_STATS
#define count_end(name)		CALLGRIND_DUMP_STATS_AT(name)
#else
#define counted()		0
#define count_begin() \
	do {          \
	} while (0)
#define count_end(name)		((void)(name))
#endif

static void count(struct bench_case *c, uint64_t n, unsigned int times)
{
	char title[CASE_NAME_MAX + 8];

	snprintf(title, sizeof(title), "%s x%u", c->name, times);
	if (c->bench->prepare)
		c->bench->prepare(c, n * times);
	count_begin();
	c->bench->run(c, n * times);
	count_end(title);
}

int count_possible(void)
{
	return counted() ? 0 : -EOPNOTSUPP;
}

void count_case(struct bench_case *c, uint64_t n)
{
	struct shard *home = mn_self;

	if (!c->bench->run)
		return;
	mn_self = c->shard;
	/* Once for caches of objects that were freed, and for what is looked up the first time. */
	if (c->bench->prepare)
		c->bench->prepare(c, n);
	c->bench->run(c, n);
	count(c, n, 1);
	count(c, n, 2);
	mn_self = home;
}
