// SPDX-License-Identifier: MIT
/*
 * mn-counter: a service with an object on every CPU. Each shard counts the
 * numbers that fall to it, whoever has found them; at the end all are added up.
 *
 *	mn-counter [--numbers=N] [runtime options]
 *
 * Exit codes: 0, 1 failed, 2 usage.
 */
#include <inttypes.h>
#include <stdio.h>

#include <miniss/miniss.h>

MN_APP_PARAM(uint, numbers, 1000, 1, 1000000, "numbers that each shard looks for");

struct counter {
	int64_t n;
	int64_t sum;
};

static int counter_add(void *self, void *arg)
{
	struct counter *counter = self;

	counter->n++;
	counter->sum += *(int64_t *)arg;
	return 0;
}

static int counter_sum(void *self, void *arg, int64_t *value)
{
	const struct counter *counter = self;

	printf("shard %u counted %" PRId64 " numbers\n", mn_shard(), counter->n);
	*value = counter->sum;
	return 0;
}

static void add_up(void *total, int64_t value)
{
	*(int64_t *)total += value;
}

/* On each shard: find numbers, and have each counted by the shard that it is for. */
static int find(void *counters)
{
	int err = 0;

	for (int64_t n = 1; !err && n <= param_numbers; n++)
		err = mn_sharded_call(counters, (unsigned int)n % mn_shards(), counter_add, &n);
	return err;
}

static int app(void *arg)
{
	static const struct mn_service service = { .size = sizeof(struct counter) };
	struct mn_sharded counters;
	int64_t sum = 0;
	int err = mn_args_end(arg, 0);

	if (!err)
		err = mn_sharded_start(&counters, &service, NULL);
	if (err)
		return err;
	err = mn_call_all(find, &counters);
	if (!err)
		err = mn_sharded_map_reduce(&counters, counter_sum, add_up, &sum);
	if (!err)
		printf("sum %" PRId64 "\n", sum);
	mn_sharded_stop(&counters);
	return err;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
