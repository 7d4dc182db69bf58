/* SPDX-License-Identifier: MIT */
/* The gate of a world, as its start and its end see it. */
#ifndef SMP_ALIEN_H
#define SMP_ALIEN_H

#include <miniss/alien.h>

struct mn_world;

int alien_open(struct mn_world *world);

/*
 * alien_stop - let nobody in any more; from a fiber of shard 0
 * What has begun goes on; what has not will not.
 */
void alien_stop(struct mn_world *world);

/* alien_close - the shards run no more: end what is left; gates that are held stay */
void alien_close(struct mn_world *world);

#endif
