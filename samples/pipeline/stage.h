/* SPDX-License-Identifier: MIT */
/* The stages of mn-pipeline, each a function that runs in fibers. */
#ifndef PIPELINE_STAGE_H
#define PIPELINE_STAGE_H

#include <miniss/miniss.h>

/* What goes from stage to stage: a number, and what is known of it by then. */
struct item {
	uint32_t number;
	uint32_t steps;
};

/* Owned by shard 0; the others know it by its address, and use its channels from there. */
struct pipeline {
	uint32_t numbers;		/* how many there are */
	uint32_t wanted;		/* how many results; 0: all of them */
	unsigned int workers;		/* fibers on each shard */

	struct mn_chan found;		/* to the last stage, from all shards */
	struct item found_slots[64];

	uint64_t nr_results, sum;
	struct item longest;
};

/*
 * What a shard has: a channel with its part of the numbers, and the fibers that
 * work on them. When the last stage has what it wants it closes its channel; the
 * ways into it say so, workers end, their channel is closed, and so the first
 * stage ends, too.
 */
int shard_stages(void *pipeline);

/* The last stage, on shard 0: 0 at the end, or when it has what it wants. */
int collect(struct pipeline *pipeline);

#endif
