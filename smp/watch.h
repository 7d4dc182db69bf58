/* SPDX-License-Identifier: MIT */
/*
 * The watch over a stop: a stop needs every shard, and one that does not come
 * back to its reactor would hold it up for ever. So from the moment that a
 * stop is asked for, the printing thread (smp/dump.h) leaves something at each
 * shard's door, again and again. If a shard does not come to fetch it for
 * --stop_timeout_ms, that thread asks where it is, prints it, and aborts the
 * program. Until then nothing of this costs anything.
 */
#ifndef SMP_WATCH_H
#define SMP_WATCH_H

#include <stdint.h>

struct mn_world;

/* watch_begin - from now on; from any shard, any number of times */
void watch_begin(struct mn_world *world);

/* watch_limit_ns - --stop_timeout_ms */
int64_t watch_limit_ns(void);

#endif
