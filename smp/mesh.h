/* SPDX-License-Identifier: MIT */
/*
 * Messages between shards. What a shard sends during a turn is staged and
 * goes out at once, with one fence for all and one wake-up for each target
 * that sleeps.
 */
#ifndef SMP_MESH_H
#define SMP_MESH_H

#include "core/shard.h"

#define MESH_STAGED	64	/* messages that may wait for one target within a turn */

struct mesh_peer {
	unsigned int n;
	struct mn_msg staged[MESH_STAGED];
};

struct mesh {
	struct queue *inbox;
	unsigned int nr_dirty;			/* peers with something staged */
	uint64_t dirty[SHARDS_MAX / 64];	/* which */
	struct mesh_peer peer[];
};

/* mesh_open - make the meshes of a world whose shards exist; all or nothing */
int mesh_open(struct mn_world *world);
void mesh_close(struct mn_world *world);

/*
 * mesh_send - stage a message for a shard (this one, too)
 * Return: 0, or -EAGAIN when too many are staged: a fiber yields and tries
 * again.
 */
int mesh_send(struct shard *self, unsigned int to, const struct mn_msg *msg);

void mesh_flush_slow(struct shard *self);
unsigned int mesh_drain(struct shard *self);

static inline bool mesh_sending(const struct shard *self)
{
	return self->mesh->nr_dirty;
}

static inline void mesh_flush(struct shard *self)
{
	if (mesh_sending(self))
		mesh_flush_slow(self);
}

/* mesh_sleep - announce the sleep; false if it must not begin, since there is mail */
bool mesh_sleep(struct shard *self);
void mesh_awake(struct shard *self);

/*
 * shard_call - run a function in a fiber of another shard, wait for its result
 * From a fiber; suspends; not ended by cancellation. -ENOMEM if the fiber
 * could not be made there.
 */
int shard_call(unsigned int to, mn_fiber_fn fn, void *arg);

/* shard_call_all - the same on every shard at once; the first failure, or 0 */
int shard_call_all(mn_fiber_fn fn, void *arg);

/* shard_post - run a function from the reactor of a shard; it must not suspend */
int shard_post(unsigned int to, int (*fn)(void *arg), void *arg);

/* shards_run_threads - a pinned thread for each shard but the first, which is the caller */
int shards_run_threads(struct mn_world *world);

#endif
