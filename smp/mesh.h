/* SPDX-License-Identifier: MIT */
/*
 * Messages between shards. What a shard sends during a turn is staged and
 * goes out at once, with one fence for all and one wake-up for each target
 * that sleeps. There are two lanes; the urgent one is short, and is looked at
 * first.
 *
 * Only smp/call.c and smp/homing.c send. Each message of the former belongs
 * to a call, which holds a credit; the latter has one batch under way between
 * two shards. So a lane's staging area and its rings, which have room for all
 * of that, are never full.
 */
#ifndef SMP_MESH_H
#define SMP_MESH_H

#include "core/shard.h"

enum { LANE_BULK, LANE_URGENT, LANES };

#define URGENT_CREDITS	8	/* between two shards */

/* What waits to go out to one shard, on one lane. */
struct mesh_out {
	struct mn_msg *staged;
	unsigned int n;
};

struct mesh {
	struct queue *inbox[LANES];
	struct mesh_out *out;			/* [shard * LANES + lane] */
	unsigned int nr_dirty;			/* shards with something staged for */
	bool settling;				/* posts are done; smp/call.c */
	bool homing;				/* frees are to go home; smp/homing.c */
	unsigned int credits[LANES];		/* between two shards */
	uint64_t dirty[SHARDS_MAX / 64];	/* which */
};

/* mesh_open - make the mesh of a shard; mesh_close - take down all that there are */
int mesh_open(struct shard *shard);
void mesh_close(struct mn_world *world);

/* mesh_send - stage a message for a shard, which may be this one */
void mesh_send(struct shard *self, unsigned int to, unsigned int lane, const struct mn_msg *msg);

void mesh_flush_slow(struct shard *self);
unsigned int mesh_drain_slow(struct shard *self);

static inline bool mesh_sending(const struct shard *self)
{
	return self->mesh->nr_dirty || self->mesh->settling || self->mesh->homing;
}

static inline void mesh_flush(struct shard *self)
{
	if (mesh_sending(self))
		mesh_flush_slow(self);
}

static inline bool mesh_quiet(struct shard *self)
{
	return queue_empty(self->mesh->inbox[LANE_URGENT]) &&
	       queue_empty(self->mesh->inbox[LANE_BULK]) && door_quiet(&self->door);
}

static inline unsigned int mesh_drain(struct shard *self)
{
	return mesh_quiet(self) ? 0 : mesh_drain_slow(self);
}

/* mesh_sleep - announce the sleep; false if it must not begin, since there is mail */
bool mesh_sleep(struct shard *self);
void mesh_awake(struct shard *self);

/* shards_run_threads - a pinned thread for each shard but the first, which is the caller */
int shards_run_threads(struct mn_world *world);

#endif
