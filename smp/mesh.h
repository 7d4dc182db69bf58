/* SPDX-License-Identifier: MIT */
/*
 * Messages between shards. What a shard sends during a turn is staged and
 * goes out at once, with one fence for all and one wake-up for each target
 * that sleeps. There are two lanes; the urgent one is short, and is looked at
 * first.
 *
 * Only smp/call.c, smp/homing.c and smp/parcel.c send. Each message of the
 * first belongs to a call, which holds a credit; the others have one batch each
 * under way between two shards. So a lane's staging area and its rings, which
 * have room for all of that, are never full.
 */
#ifndef SMP_MESH_H
#define SMP_MESH_H

#include "core/shard.h"

enum { LANE_BULK, LANE_URGENT, LANES };

#define URGENT_CREDITS	8	/* between two shards */

/* What waits to go out to one shard, on one lane. */
struct mesh_out {
	struct mn_msg *staged;
	unsigned int n, n_max;
	struct queue *inbox;	/* a copy: the line that theirs is in is written all the time */
};

/* All that sending to a shard looks at: a line. */
struct mesh_peer {
	struct mesh_out out[LANES];
	struct shard *shard;
};

struct mesh {
	struct queue *inbox[LANES];
	struct mesh_peer *peer;		/* [shard] */
	uint16_t *dirty;		/* peers with something staged for, in any order */
	unsigned int nr_dirty;
	bool settling;			/* posts are done, and it is time to say so; smp/call.c */
	bool homing;			/* frees are to go home; smp/homing.c */
	bool parcels;			/* to go out; smp/parcel.c */
	unsigned int credits[LANES];	/* between two shards */
};

/* mesh_open - make the mesh of a shard; mesh_close - take down all that there are */
int mesh_open(struct shard *shard);
void mesh_connect(struct mn_world *world);	/* in between, when all are open */
void mesh_close(struct mn_world *world);

/*
 * mesh_send - stage a message for a shard, which may be this one
 * Return: the message, where the caller fills in what its kind has.
 */
static inline struct mn_msg *mesh_send(struct shard *self, unsigned int to, unsigned int lane,
				       enum msg_kind kind, uint8_t credit, int32_t res)
{
	struct mesh *mesh = self->mesh;
	struct mesh_peer *peer = &mesh->peer[to];
	struct mesh_out *out = &peer->out[lane];
	struct mn_msg *msg = &out->staged[out->n];

	BUG_ON(to >= self->world->nr_shards || out->n >= out->n_max);
	if (!peer->out[LANE_BULK].n && !peer->out[LANE_URGENT].n)
		mesh->dirty[mesh->nr_dirty++] = (uint16_t)to;
	out->n++;
	stats_add(self, STAT_MESSAGES, 1);
	msg->word = msg_word(res, self->id, kind, credit);
	return msg;
}

void mesh_flush_slow(struct shard *self);

/* mesh_drain - receive some of what came; how much. Idle: it will look again soon */
unsigned int mesh_drain(struct shard *self, bool idle);

static inline bool mesh_gathers(const struct mesh *mesh)
{
	return mesh->settling || mesh->homing || mesh->parcels;
}

static inline bool mesh_sending(const struct shard *self)
{
	return self->mesh->nr_dirty || mesh_gathers(self->mesh);
}

static inline void mesh_flush(struct shard *self)
{
	if (mesh_sending(self))
		mesh_flush_slow(self);
}

/* mesh_flush_alone - when nothing else can run before the turn's own flush: somebody waits */
static inline void mesh_flush_alone(struct shard *self)
{
	if (self->mesh->nr_dirty && !shard_ready(self))
		mesh_flush_slow(self);
}

static inline bool mesh_quiet(struct shard *self)
{
	return queue_empty(self->mesh->inbox[LANE_URGENT]) &&
	       queue_empty(self->mesh->inbox[LANE_BULK]) && door_quiet(&self->door);
}

/* mesh_settle - nothing has come for a while: say which posts are done */
void mesh_settle(struct shard *self);

/* mesh_sleep - announce the sleep; false if it must not begin, since there is mail */
bool mesh_sleep(struct shard *self);
void mesh_awake(struct shard *self);

/* shards_run_threads - a pinned thread for each shard but the first, which is the caller */
int shards_run_threads(struct mn_world *world);

#endif
