// SPDX-License-Identifier: MIT
/*
 * mn-pipeline: stages with channels between them, on every CPU.
 *
 *	generate -> work, some fibers \
 *	generate -> work, some fibers -> collect, on shard 0
 *	      (the same on each shard)
 *
 * Every channel has room for a few items only: who is faster waits for who is
 * slower, also across shards. The end goes both ways: forward when there are
 * no more numbers, backward when the last stage has seen enough.
 *
 *	mn-pipeline [--numbers=N] [--wanted=N] [--workers=N] [runtime options]
 *
 * Exit codes: 0, 1 failed, 2 usage.
 */
#include <inttypes.h>
#include <stdio.h>

#include "stage.h"

MN_APP_PARAM(uint, numbers, 100000, 1, 100000000, "numbers to look at, from 1 on");
MN_APP_PARAM(uint, wanted, 0, 0, 100000000, "stop after so many results; 0: all");
MN_APP_PARAM(uint, workers, 4, 1, 64, "fibers on each shard that work on them");

static int all_shards(void *pipeline)
{
	int err = mn_call_all(shard_stages, pipeline);

	mn_chan_close(&((struct pipeline *)pipeline)->found);	/* nobody is left to send */
	return err;
}

static void print(const struct pipeline *pipeline)
{
	printf("%" PRIu64 " results, %" PRIu64 " steps in all\n", pipeline->nr_results,
	       pipeline->sum);
	printf("the longest way: %u steps, from %u\n", pipeline->longest.steps,
	       pipeline->longest.number);
}

static int app(void *arg)
{
	struct pipeline pipeline = {
		.numbers = (uint32_t)param_numbers,
		.wanted = (uint32_t)param_wanted,
		.workers = (unsigned int)param_workers,
	};
	struct mn_fiber *others;
	int err = mn_args_end(arg, 0), res;

	if (err)
		return err;
	mn_chan_init(&pipeline.found, pipeline.found_slots);
	err = mn_spawn(all_shards, &pipeline, &others);
	if (err)
		return err;
	res = collect(&pipeline);
	if (res)
		mn_fiber_cancel(others);
	err = mn_join(others);
	mn_chan_destroy(&pipeline.found);
	if (!err && !res)
		print(&pipeline);
	return res ? res : err;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
