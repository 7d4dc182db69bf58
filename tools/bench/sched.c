// SPDX-License-Identifier: MIT
/*
 * Scheduling groups: the tasks of task.schedule, half of them in each of two
 * groups. What is more than there is what groups cost.
 */
#include <errno.h>
#include <stdlib.h>

#include <miniss/sched.h>

#include "tools/bench/bench.h"

#define ITEMS	64

struct item {
	struct mn_task task;
	uint64_t *left;		/* tasks to run, of all items together */
};

struct items {
	uint64_t left;
	unsigned int group[2];
	struct item item[ITEMS];
};

static void again(struct mn_task *task)
{
	struct item *item = container_of(task, struct item, task);

	if (!*item->left)
		return;
	--*item->left;
	mn_task_schedule(task);
}

static int create_groups(void *arg)
{
	struct items *items = arg;
	int err = mn_group_create("a", 100, &items->group[0]);

	return err ? err : mn_group_create("b", 300, &items->group[1]);
}

static int groups_open(struct bench_case *c)
{
	struct items *items = calloc(1, sizeof(*items));
	int err;

	if (!items)
		return -ENOMEM;
	err = mn_spawn(create_groups, items, NULL);
	if (err) {
		free(items);
		return err;
	}
	while (!items->group[1])
		case_step(c);
	for (int i = 0; i < ITEMS; i++)
		items->item[i].left = &items->left;
	c->state = items;
	return 0;
}

static void groups_run(struct bench_case *c, uint64_t n)
{
	struct items *items = c->state;

	items->left = n;
	for (int i = 0; i < ITEMS; i++) {
		mn_task_init(&items->item[i].task, again);
		mn_task_group(&items->item[i].task, items->group[i % 2]);
		again(&items->item[i].task);
	}
	while (shard_ready(c->shard))
		case_step(c);
}

static void groups_close(struct bench_case *c)
{
	free(c->state);
}

static const struct bench sched_groups = {
	.name = "sched.groups.2",
	.family = "task.schedule",
	.open = groups_open,
	.run = groups_run,
	.close = groups_close,
};
bench_register(sched_groups);
