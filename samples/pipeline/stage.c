// SPDX-License-Identifier: MIT
#include "stage.h"

#define WORKERS_MAX	64

struct part {
	struct pipeline *pipeline;
	struct mn_chan numbers;
	struct item slots[16];
	struct mn_chan_remote out;	/* to the last stage */
	struct item window[32];
};

/* ---- first stage: this shard's part of the numbers ---- */

static int generate(void *arg)
{
	struct part *part = arg;
	int err = 0;

	for (uint32_t n = mn_shard(); n < part->pipeline->numbers && !err; n += mn_shards()) {
		struct item item = { .number = n + 1 };

		err = mn_chan_send(&part->numbers, &item);
	}
	mn_chan_close(&part->numbers);
	return err == -EPIPE ? 0 : err;	/* nobody wants more */
}

/* ---- second stage: how long it takes a number to get to 1 (Collatz) ---- */

static uint32_t steps_of(uint64_t n)
{
	uint32_t steps = 0;

	for (; n > 1; steps++)
		n = n % 2 ? 3 * n + 1 : n / 2;
	return steps;
}

static int work(void *arg)
{
	struct part *part = arg;
	struct item item;
	int res;

	while ((res = mn_chan_recv(&part->numbers, &item)) > 0) {
		item.steps = steps_of(item.number);
		res = mn_chan_remote_send(&part->out, &item);
		if (res)
			break;
		if (mn_need_preempt())
			mn_yield();
	}
	mn_chan_close(&part->numbers);	/* if it is not: one that cannot go on ends the part */
	return res == -EPIPE ? 0 : res;
}

/*
 * Children end by their channels: those are closed when there is nothing more
 * to do, or nobody to do it for, or when not all children could begin.
 */
static int part_run(struct part *part)
{
	struct mn_fiber *fiber[WORKERS_MAX + 1];
	unsigned int n = 0, wanted = part->pipeline->workers + 1;
	int err = 0;

	for (; n < wanted && !err; n += !err)
		err = mn_spawn(n ? work : generate, part, &fiber[n]);
	if (err)
		mn_chan_close(&part->numbers);
	while (n--) {
		int res = mn_join(fiber[n]);

		if (res && !err)
			err = res;
	}
	return err;
}

int shard_stages(void *arg)
{
	struct part part = { .pipeline = arg };
	int err, res;

	mn_chan_init(&part.numbers, part.slots);
	mn_chan_remote_open(&part.out, &part.pipeline->found, 0, part.window);
	err = part_run(&part);
	res = mn_chan_remote_close(&part.out);
	mn_chan_destroy(&part.numbers);
	if (res == -EPIPE)	/* the last stage has enough */
		res = 0;
	return err ? err : res;
}

/* ---- last stage ---- */

int collect(struct pipeline *pipeline)
{
	struct item item;
	int res;

	while ((res = mn_chan_recv(&pipeline->found, &item)) > 0) {
		pipeline->nr_results++;
		pipeline->sum += item.steps;
		if (item.steps > pipeline->longest.steps ||
		    (item.steps == pipeline->longest.steps &&
		     item.number < pipeline->longest.number))
			pipeline->longest = item;
		if (pipeline->nr_results == pipeline->wanted)
			break;
	}
	mn_chan_close(&pipeline->found);
	return res < 0 ? res : 0;
}
