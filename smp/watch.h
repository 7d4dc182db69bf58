/* SPDX-License-Identifier: MIT */
/*
 * The watch over a stop: a stop needs every shard, and one that does not come
 * back to its reactor would hold it up for ever. So from the moment that a
 * stop is asked for, a thread leaves something at each shard's door, again
 * and again. If a shard does not come to fetch it for --stop_timeout_ms, the
 * watch has that shard's thread print where it is, and aborts the program.
 * Until then nothing of this costs anything.
 */
#ifndef SMP_WATCH_H
#define SMP_WATCH_H

#include <stdint.h>

struct mn_world;
struct shard;

/* watch_open - room for it: 0 or -ENOMEM; watch_close - end it, no shard runs any more */
int watch_open(struct mn_world *world);
void watch_close(struct mn_world *world);

/* watch_enter, watch_leave - the calling thread begins to run a shard, and ends */
void watch_enter(struct shard *shard);
void watch_leave(struct shard *shard);

/* watch_begin - from now on; from any shard, any number of times */
void watch_begin(struct mn_world *world);

/* watch_limit_ns - --stop_timeout_ms */
int64_t watch_limit_ns(void);

#endif
