// SPDX-License-Identifier: MIT
#include <errno.h>

#include <miniss/param.h>

#include "backends/backend.h"
#include "lib/mem/mem.h"
#include "smp/call.h"
#include "smp/homing.h"
#include "smp/parcel.h"
#include "smp/wake.h"

#define URGENT_MAX	16	/* messages handled in a turn: then the others have theirs */
#define BULK_MAX	64

/*
 * A credit stands for four messages: a request and its cancel, the reply to a
 * request of the other side, and a cancel that crossed the reply of the call
 * that had the credit before.
 */
#define MSGS_PER_CREDIT	4
#define MSGS_HOMING	2	/* a batch of frees, and the answer to one of the other side */
#define MSGS_PARCELS	2	/* likewise, of parcels */
#define CREDITS_MAX	255

MN_PARAM(uint, queue_depth, 252, MSGS_PER_CREDIT, MSGS_PER_CREDIT * CREDITS_MAX,
	 "messages of one shard that another holds at most; a fourth is calls under way");

static unsigned int lane_credits(unsigned int lane)
{
	return lane == LANE_URGENT ? URGENT_CREDITS : param_queue_depth / MSGS_PER_CREDIT;
}

static unsigned int lane_depth(unsigned int lane)
{
	return lane_credits(lane) * MSGS_PER_CREDIT +
	       (lane == LANE_BULK ? MSGS_HOMING + MSGS_PARCELS : 0);
}

static size_t staged_bytes(unsigned int lane)
{
	return lane_depth(lane) * sizeof(struct mn_msg);
}

/* All staging areas of a shard, mapped: what is not used is not touched. */
static size_t staging_bytes(const struct mn_world *world)
{
	return world->nr_shards * (staged_bytes(LANE_BULK) + staged_bytes(LANE_URGENT));
}

static int inbox_open(struct mn_world *world, struct mesh *mesh, unsigned int lane)
{
	const struct queue_ops *ops = container_of(world->queue.driver, struct queue_ops, drv);
	struct queue *inbox = mem_alloc(ops->state_size);
	int err;

	if (!inbox)
		return -ENOMEM;
	inbox->ops = ops;
	err = queue_open(inbox, world->nr_shards, lane_depth(lane));
	if (err)
		mem_free(inbox);
	else
		mesh->inbox[lane] = inbox;
	return err;
}

static int staging_open(struct mn_world *world, struct mesh *mesh)
{
	unsigned int n = world->nr_shards;
	uint8_t *staging;

	mesh->peer = mem_alloc(n * sizeof(*mesh->peer));
	mesh->dirty = mem_alloc(n * sizeof(*mesh->dirty));
	staging = mem_map(staging_bytes(world));
	if (!mesh->peer || !mesh->dirty || !staging) {
		if (staging)
			mem_unmap(staging, staging_bytes(world));
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < n * LANES; i++) {
		struct mesh_out *out = &mesh->peer[i / LANES].out[i % LANES];

		out->staged = (struct mn_msg *)staging;
		out->n_max = lane_depth(i % LANES);
		staging += staged_bytes(i % LANES);
	}
	return 0;
}

int mesh_open(struct shard *shard)
{
	struct mn_world *world = shard->world;
	struct mesh *mesh = mem_alloc(sizeof(*mesh));
	int err;

	if (!mesh)
		return -ENOMEM;
	shard->mesh = mesh;
	for (unsigned int lane = 0; lane < LANES; lane++)
		mesh->credits[lane] = lane_credits(lane);
	err = staging_open(world, mesh);
	for (unsigned int lane = 0; !err && lane < LANES; lane++)
		err = inbox_open(world, mesh, lane);
	return err;	/* mesh_close() takes down what there is */
}

void mesh_connect(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++)
		for (unsigned int j = 0; j < world->nr_shards; j++) {
			struct mesh_peer *peer = &world->shards[i]->mesh->peer[j];

			peer->shard = world->shards[j];
			for (unsigned int lane = 0; lane < LANES; lane++)
				peer->out[lane].inbox = peer->shard->mesh->inbox[lane];
		}
}

void mesh_close(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct mesh *mesh = world->shards[i] ? world->shards[i]->mesh : NULL;

		if (!mesh)
			continue;
		for (unsigned int lane = 0; lane < LANES; lane++) {
			if (mesh->inbox[lane])
				queue_close(mesh->inbox[lane]);
			mem_free(mesh->inbox[lane]);
		}
		if (mesh->peer && mesh->peer->out->staged)
			mem_unmap(mesh->peer->out->staged, staging_bytes(world));
		mem_free(mesh->peer);
		mem_free(mesh->dirty);
		mem_free(mesh);
		world->shards[i]->mesh = NULL;
	}
}

/* All of it fits: each message is one of those that its credit stands for. */
static void lane_flush(struct shard *self, struct mesh_out *out)
{
	if (queue_push_n(out->inbox, self->id, out->staged, out->n) != out->n)
		bug("a queue between shards was full", HERE);
	out->n = 0;
}

static void peer_flush(struct shard *self, struct mesh_peer *peer)
{
	if (peer->out[LANE_URGENT].n)
		lane_flush(self, &peer->out[LANE_URGENT]);
	if (peer->out[LANE_BULK].n)
		lane_flush(self, &peer->out[LANE_BULK]);
}

static void wake(struct shard *self, struct shard *target)
{
	if (wake_claim(&target->asleep)) {
		stats_add(self, STAT_WAKES, 1);
		backend_wake(target->be);
	}
}

/* What others have left for a message of this turn to take along. */
static __noinline void gather(struct shard *self)
{
	struct mesh *mesh = self->mesh;

	if (mesh->settling)
		calls_settle(self);
	if (mesh->homing)
		homing_flush(self);
	if (mesh->parcels)
		parcels_flush(self);
}

void mesh_flush_slow(struct shard *self)
{
	struct mesh *mesh = self->mesh;
	unsigned int n;

	if (mesh_gathers(mesh))
		gather(self);
	n = mesh->nr_dirty;
	for (unsigned int i = 0; i < n; i++)
		peer_flush(self, &mesh->peer[mesh->dirty[i]]);
	wake_look();
	for (unsigned int i = 0; i < n; i++)
		wake(self, mesh->peer[mesh->dirty[i]].shard);
	mesh->nr_dirty = 0;
}

void mesh_settle(struct shard *self)
{
	if (!calls_unsettled(self))
		return;
	self->mesh->settling = true;
	mesh_flush_slow(self);
}

bool mesh_sleep(struct shard *self)
{
	if (calls_unsettled(self))
		self->mesh->settling = true;
	if (mesh_sending(self))
		return false;
	wake_announce(&self->asleep);
	return mesh_quiet(self);
}

void mesh_awake(struct shard *self)
{
	wake_cancel(&self->asleep);
}

static __noinline unsigned int lane_drain(struct shard *self, unsigned int lane, unsigned int n_max)
{
	struct mn_msg msg[BULK_MAX];
	unsigned int n = queue_pop_n(self->mesh->inbox[lane], msg, n_max);

	for (unsigned int i = 0; i < n; i++)
		call_receive(self, lane, &msg[i]);
	return n;
}

unsigned int mesh_drain(struct shard *self, bool idle)
{
	struct queue *urgent = self->mesh->inbox[LANE_URGENT];
	struct queue *bulk = self->mesh->inbox[LANE_BULK];
	unsigned int n = 0;

	if (idle ? !queue_glance(urgent) : !queue_empty(urgent))
		n += lane_drain(self, LANE_URGENT, URGENT_MAX);
	if (idle ? !queue_glance(bulk) : !queue_empty(bulk))
		n += lane_drain(self, LANE_BULK, BULK_MAX);
	if (!door_quiet(&self->door))
		n += door_drain(self);
	return n;
}
