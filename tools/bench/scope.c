// SPDX-License-Identifier: MIT
/*
 * Scopes: opened and left; with a child; with a deadline that does not come,
 * which is mostly reading the clock.
 */
#include <miniss/scope.h>

#include "tools/bench/bench.h"

static int child(void *arg)
{
	return 0;
}

static int opens(void *arg)
{
	struct mn_scope scope;

	for (uint64_t left = *(uint64_t *)arg; left; left--) {
		mn_scope_open(&scope, NULL);
		mn_scope_join(&scope);
	}
	return 0;
}

static int spawns(void *arg)
{
	struct mn_scope scope;

	for (uint64_t left = *(uint64_t *)arg; left; left--) {
		mn_scope_open(&scope, NULL);
		mn_scope_spawn(&scope, child, NULL);
		mn_scope_join(&scope);
	}
	return 0;
}

static int times(void *arg)
{
	static const struct mn_scope_options late = { .timeout_ns = 3600 * MN_SEC };
	struct mn_scope scope;

	for (uint64_t left = *(uint64_t *)arg; left; left--) {
		mn_scope_open(&scope, &late);
		mn_scope_join(&scope);
	}
	return 0;
}

static void run(struct bench_case *c, mn_fiber_fn fn, uint64_t n)
{
	mn_spawn(fn, &n, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static void open_run(struct bench_case *c, uint64_t n)
{
	run(c, opens, n);
}

static void spawn_run(struct bench_case *c, uint64_t n)
{
	run(c, spawns, n);
}

static void deadline_run(struct bench_case *c, uint64_t n)
{
	run(c, times, n);
}

static const struct bench scope_open = {
	.name = "scope.open",
	.run = open_run,
};
bench_register(scope_open);

static const struct bench scope_spawn_join = {
	.name = "scope.spawn_join",
	.run = spawn_run,
};
bench_register(scope_spawn_join);

static const struct bench scope_deadline = {
	.name = "scope.deadline",
	.run = deadline_run,
};
bench_register(scope_deadline);
