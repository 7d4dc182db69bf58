// SPDX-License-Identifier: MIT
#include <errno.h>

#include "lib/mem/mem.h"
#include "smp/mesh.h"
#include "smp/parcel.h"

#define BATCH_MAX	64	/* parcels */

/* What is to go to one shard. */
struct parcel_peer {
	struct mn_parcel *head, **tail;
	struct parcel_peer *next;	/* to be flushed */
	unsigned int to;
	bool busy;			/* to be flushed, or a batch is under way */
};

struct parcels {
	struct parcel_peer *ready;	/* to be flushed */
	struct parcel_peer peer[];
};

int parcels_open(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct parcels *parcels =
			mem_alloc(sizeof(*parcels) + world->nr_shards * sizeof(struct parcel_peer));

		if (!parcels)
			return -ENOMEM;
		world->shards[i]->parcels = parcels;
		for (unsigned int to = 0; to < world->nr_shards; to++) {
			parcels->peer[to].tail = &parcels->peer[to].head;
			parcels->peer[to].to = to;
		}
	}
	return 0;
}

void parcels_close(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++)
		if (world->shards[i])
			mem_free(world->shards[i]->parcels);
}

static void peer_ready(struct shard *self, struct parcel_peer *peer)
{
	peer->busy = true;
	peer->next = self->parcels->ready;
	self->parcels->ready = peer;
	self->mesh->parcels = true;
}

void parcel_send(struct mn_parcel *parcel)
{
	struct parcel_peer *peer = &mn_self->parcels->peer[parcel->to];

	if (parcel->queued)
		return;
	parcel->queued = true;
	parcel->next = NULL;
	*peer->tail = parcel;
	peer->tail = &parcel->next;
	if (!peer->busy)
		peer_ready(mn_self, peer);
}

static struct mn_parcel *batch_pack(struct parcel_peer *peer)
{
	struct mn_parcel *first = NULL, **link = &first;

	for (unsigned int n = 0; peer->head && n < BATCH_MAX; n++) {
		struct mn_parcel *parcel = peer->head;

		peer->head = parcel->next;
		parcel->queued = false;
		parcel->pack(parcel);
		*link = parcel;
		link = &parcel->batch_next;
	}
	*link = NULL;
	if (!peer->head)
		peer->tail = &peer->head;
	return first;
}

void parcels_flush(struct shard *self)
{
	struct parcel_peer *peer;

	self->mesh->parcels = false;
	while ((peer = self->parcels->ready)) {
		struct mn_msg *msg = mesh_send(self, peer->to, LANE_BULK, MSG_PARCELS, 0, 0);

		self->parcels->ready = peer->next;
		msg->arg = batch_pack(peer);
		msg->reply = peer;
	}
}

static void batch_receive(struct shard *self, const struct mn_msg *msg)
{
	struct mn_parcel *next;

	for (struct mn_parcel *parcel = msg->arg; parcel; parcel = next) {
		next = parcel->batch_next;
		parcel->receive(parcel);
	}
	mesh_send(self, msg->from, LANE_BULK, MSG_PARCELED, 0, 0)->reply = msg->reply;
}

static void batch_arrived(struct shard *self, struct parcel_peer *peer)
{
	peer->busy = false;
	if (peer->head)
		peer_ready(self, peer);
}

void parcels_receive(struct shard *self, const struct mn_msg *msg)
{
	if (msg->kind == MSG_PARCELS)
		batch_receive(self, msg);
	else
		batch_arrived(self, msg->reply);
}
