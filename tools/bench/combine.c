// SPDX-License-Identifier: MIT
/* Combinators: many at a time, so that the turn is for all of them. */
#include <errno.h>
#include <stdlib.h>

#include <miniss/combine.h>

#include "tools/bench/bench.h"

#define SETS	64
#define OF	8	/* futures in a set */
#define CHAIN	1024

struct set {
	struct mn_future future[OF];
	struct mn_input wait[OF];
	struct mn_when_all all;
};

static int sets_open(struct bench_case *c)
{
	c->state = calloc(SETS, sizeof(struct set));
	return c->state ? 0 : -ENOMEM;
}

static void state_close(struct bench_case *c)
{
	free(c->state);
}

static void set_start(struct set *set)
{
	struct mn_future *futures[OF];

	for (int i = 0; i < OF; i++) {
		mn_future_init(&set->future[i]);
		futures[i] = &set->future[i];
	}
	mn_when_all(&set->all, set->wait, futures, OF);
	for (int i = 0; i < OF; i++)
		mn_future_resolve(&set->future[i], i);
}

/* An operation is all of it: eight futures made, waited for, resolved, and the one result. */
static void when_all_run(struct bench_case *c, uint64_t n)
{
	struct set *set = c->state;

	for (; n; n -= min(n, (uint64_t)SETS)) {
		for (int i = 0; i < SETS; i++)
			set_start(&set[i]);
		while (!mn_future_ready(&set[SETS - 1].all.done))
			case_step(c);
		for (int i = 0; i < SETS; i++)
			bench_keep(mn_future_take(&set[i].all.done));
	}
}

static const struct bench combine_when_all = {
	.name = "combine.when_all.8",
	.open = sets_open,
	.run = when_all_run,
	.close = state_close,
};
bench_register(combine_when_all);

struct chain {
	struct mn_future first, between[CHAIN];
	struct mn_step step[CHAIN];
};

static int chain_open(struct bench_case *c)
{
	c->state = calloc(1, sizeof(struct chain));
	return c->state ? 0 : -ENOMEM;
}

static int64_t add_one(void *arg, int64_t result)
{
	return result + 1;
}

/* Something that has a result at once. */
static struct mn_future *start_one(void *arg, int64_t result)
{
	struct mn_future *future = arg;

	mn_future_init(future);
	mn_future_resolve(future, result + 1);
	return future;
}

/* An operation is one step of a chain. */
static void chain_run(struct bench_case *c, uint64_t n, bool start)
{
	struct chain *chain = c->state;

	for (; n; n -= min(n, (uint64_t)CHAIN)) {
		struct mn_future *at = &chain->first;

		mn_future_init(at);
		for (int i = 0; i < CHAIN; i++)
			at = start ? mn_then(&chain->step[i], at, start_one, &chain->between[i]) :
				     mn_map(&chain->step[i], at, add_one, NULL);
		mn_future_resolve(&chain->first, 0);
		while (!mn_future_ready(at))
			case_step(c);
		bench_keep(mn_future_take(at));
	}
}

static void map_run(struct bench_case *c, uint64_t n)
{
	chain_run(c, n, false);
}

static void then_run(struct bench_case *c, uint64_t n)
{
	chain_run(c, n, true);
}

static const struct bench combine_map = {
	.name = "combine.map",
	.open = chain_open,
	.run = map_run,
	.close = state_close,
};
bench_register(combine_map);

static const struct bench combine_then = {
	.name = "combine.then",
	.open = chain_open,
	.run = then_run,
	.close = state_close,
};
bench_register(combine_then);
