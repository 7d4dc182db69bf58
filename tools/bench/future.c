// SPDX-License-Identifier: MIT
/*
 * Futures and tasks. The queue has as many tasks as a busy shard would have:
 * with a single one, each store to the queue would wait for the last.
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/bench/bench.h"

#define ITEMS	64

struct item {
	struct mn_future future;
	struct mn_task task;
	uint64_t *left;		/* operations to do, of all items together */
};

struct items {
	uint64_t left;
	struct item item[ITEMS];
};

static int items_open(struct bench_case *c)
{
	struct items *items = calloc(1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (int i = 0; i < ITEMS; i++)
		items->item[i].left = &items->left;
	c->state = items;
	return 0;
}

static void items_close(struct bench_case *c)
{
	free(c->state);
}

static void items_finish(struct bench_case *c)
{
	while (!runq_empty(&c->shard->runq))
		case_step(c);
}

static void resolve_run(struct bench_case *c, uint64_t n)
{
	struct mn_future future;

	for (; n; n--) {
		mn_future_init(&future);
		mn_future_resolve(&future, (int64_t)n);
		bench_keep(mn_future_take(&future));
	}
}

static const struct bench future_resolve = {
	.name = "future.resolve",
	.run = resolve_run,
};
bench_register(future_resolve);

static void then_next(struct mn_task *task);

static void then_start(struct item *item)
{
	if (!*item->left)
		return;
	--*item->left;
	mn_future_init(&item->future);
	mn_future_then(&item->future, &item->task, then_next);
	mn_future_resolve(&item->future, 0);
}

static void then_next(struct mn_task *task)
{
	struct item *item = container_of(task, struct item, task);

	bench_keep(mn_future_take(&item->future));
	then_start(item);
}

static void then_run(struct bench_case *c, uint64_t n)
{
	struct items *items = c->state;

	items->left = n;
	for (int i = 0; i < ITEMS; i++)
		then_start(&items->item[i]);
	items_finish(c);
}

static const struct bench future_then = {
	.name = "future.then",
	.open = items_open,
	.run = then_run,
	.close = items_close,
};
bench_register(future_then);

static void task_again(struct mn_task *task)
{
	struct item *item = container_of(task, struct item, task);

	if (!*item->left)
		return;
	--*item->left;
	mn_task_schedule(task);
}

static void schedule_run(struct bench_case *c, uint64_t n)
{
	struct items *items = c->state;

	items->left = n;
	for (int i = 0; i < ITEMS; i++) {
		mn_task_init(&items->item[i].task, task_again);
		task_again(&items->item[i].task);
	}
	items_finish(c);
}

static const struct bench task_schedule_bench = {
	.name = "task.schedule",
	.open = items_open,
	.run = schedule_run,
	.close = items_close,
};
bench_register(task_schedule_bench);
