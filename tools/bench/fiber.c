// SPDX-License-Identifier: MIT
/*
 * Fibers. Two that yield in turns: each yield is a switch to the reactor and
 * one to the other fiber, with the run queue in between.
 */
#include "tools/bench/bench.h"

static int yields(void *arg)
{
	for (uint64_t left = *(uint64_t *)arg; left; left--)
		mn_yield();
	return 0;
}

static void two_yield(struct bench_case *c, uint64_t n)
{
	uint64_t half = n / 2, rest = n - half;

	mn_spawn(yields, &half, NULL);
	mn_spawn(yields, &rest, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static const struct bench fiber_yield = {
	.name = "fiber.yield",
	.run = two_yield,
};
bench_register(fiber_yield);

static void switch_run(struct bench_case *c, uint64_t n)
{
	two_yield(c, (n + 1) / 2);
}

/* One way: half a yield. */
static const struct bench fiber_switch_bench = {
	.name = "fiber.switch",
	.run = switch_run,
};
bench_register(fiber_switch_bench);

static int child(void *arg)
{
	return 0;
}

static int parent(void *arg)
{
	struct mn_fiber *fiber;

	for (uint64_t left = *(uint64_t *)arg; left; left--)
		if (!mn_spawn(child, NULL, &fiber))
			mn_join(fiber);
	return 0;
}

static void spawn_run(struct bench_case *c, uint64_t n)
{
	mn_spawn(parent, &n, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static const struct bench fiber_spawn_bench = {
	.name = "fiber.spawn",
	.run = spawn_run,
};
bench_register(fiber_spawn_bench);
