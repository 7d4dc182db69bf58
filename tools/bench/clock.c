// SPDX-License-Identifier: MIT
/* What it costs to know what time it is. */
#include "lib/time/clock.h"
#include "tools/bench/bench.h"

static void now_run(struct bench_case *c, uint64_t n)
{
	for (; n; n--)
		bench_keep(clock_now_ns());
}

static const struct bench clock_now = {
	.name = "clock.now",
	.run = now_run,
};
bench_register(clock_now);

static void need_preempt_run(struct bench_case *c, uint64_t n)
{
	for (; n; n--)
		bench_keep(mn_need_preempt());
}

static const struct bench need_preempt = {
	.name = "need_preempt",
	.run = need_preempt_run,
};
bench_register(need_preempt);
