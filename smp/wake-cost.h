/* SPDX-License-Identifier: MIT */
/* What it costs to wake a shard, measured in a world of its own: for --doctor. */
#ifndef SMP_WAKE_COST_H
#define SMP_WAKE_COST_H

#include <stdint.h>

struct driver_choice;
struct mn_world;

/* Medians, in ns. */
struct wake_cost {
	int64_t run_ns;		/* from the send until the shard, which slept, runs it */
	int64_t send_ns;	/* what the message and the wake-up add to the sender's turn */
};

/*
 * wake_cost_measure - wake a sleeping shard a number of times
 * @like: has the timers and queues
 * @backend: of both shards
 * @cpus: of the sender and of the shard that sleeps, or NULL
 * Return: 0 or -errno. Takes some milliseconds.
 */
int wake_cost_measure(const struct mn_world *like, const struct driver_choice *backend,
		      const int *cpus, struct wake_cost *cost);

#endif
