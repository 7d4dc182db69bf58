/* SPDX-License-Identifier: MIT */
/* What the reactor needs of timers. */
#ifndef TIMERS_TIMER_H
#define TIMERS_TIMER_H

#include "timers/timer_queue.h"

struct shard;

/*
 * timers_expire - schedule the tasks of what is due on this shard; periodic
 * timers are armed again. At most --timer.batch of them. Returns how many.
 */
unsigned int timers_expire(struct shard *shard);

#endif
