// SPDX-License-Identifier: MIT
/*
 * What a table of functions costs: the same function, called as with a sole
 * driver and called as with several, where an entry point of its own jumps
 * through the table of the object. See timers/timer_queue.h for the real ones.
 */
#include "timers/timer_queue.h"
#include "tools/bench/bench.h"

/* With something to do, and unknown to callers, as in another file. */
static __attribute__((noinline)) int64_t driver_next(struct timer_queue *tq)
{
	__asm__ volatile("");
	return (int64_t)tq->nr_armed;
}

static const struct timer_queue_ops driver_ops = { .next = driver_next };

static __attribute__((noinline)) int64_t dispatch_next(struct timer_queue *tq)
{
	const struct timer_queue_ops *ops = tq->ops;

	__asm__ volatile("");
	return ops->next(tq);
}

static int dispatch_open(struct bench_case *c)
{
	static struct timer_queue tq;

	tq.ops = &driver_ops;
	c->state = &tq;
	return 0;
}

static void direct_run(struct bench_case *c, uint64_t n)
{
	for (; n; n--)
		bench_keep(driver_next(c->state));
}

static const struct bench dispatch_direct = {
	.name = "dispatch.direct",
	.family = "dispatch",
	.open = dispatch_open,
	.run = direct_run,
};
bench_register(dispatch_direct);

static void indirect_run(struct bench_case *c, uint64_t n)
{
	for (; n; n--)
		bench_keep(dispatch_next(c->state));
}

static const struct bench dispatch_indirect = {
	.name = "dispatch.indirect",
	.family = "dispatch",
	.open = dispatch_open,
	.run = indirect_run,
};
bench_register(dispatch_indirect);
