/* SPDX-License-Identifier: MIT */
/*
 * The one place where a world's signals arrive: an operation on shard 0, in
 * flight while anybody wants a signal. It hands them out to the streams, and
 * to the stop.
 */
#ifndef LIB_SIGNAL_HUB_H
#define LIB_SIGNAL_HUB_H

#include <miniss/op.h>
#include <miniss/signal.h>

struct mn_world;

struct signal_hub {
	struct mn_op op;
	struct mn_signals *streams;
	uint64_t once;			/* what the stop waits for; 0: not any more */
	void (*on_once)(struct mn_world *world, int number, bool last);
	bool closed;
	uint32_t counts[MN_SIGNALS];
};

/*
 * hub_once - call a function with the first of these signals
 * It does what it did before from then on, even if this shard hangs; unless a
 * stream has it open, which then means that @last is false. On shard 0.
 */
int hub_once(struct mn_world *world, uint64_t set,
	     void (*on_once)(struct mn_world *world, int number, bool last));

/* hub_forget - undo hub_once(), if the signal has not come yet */
void hub_forget(struct mn_world *world);

/* hub_close - catch no signals any more; from a fiber of shard 0 */
void hub_close(struct mn_world *world);

#endif
