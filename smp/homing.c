// SPDX-License-Identifier: MIT
/*
 * Frees on their way home.
 *
 * Nothing here can fail or needs a credit of calls. What waits is bounded:
 * of chunks by how many the home shard has, since shares of one are added up;
 * and objects are linked through themselves. The batch under way is a block
 * that the sender does not touch until the answer; its message and that
 * answer have places of their own in the rings (smp/mesh.c).
 *
 * All of it is mapped at the start, and zeroes are a good beginning: of two
 * shards that never free each other's, no page is touched.
 */
#include <errno.h>

#include <miniss/foreign.h>
#include <miniss/log.h>

#include "lib/mem/mem.h"
#include "smp/homing.h"
#include "smp/mesh.h"

#define BATCH_CHUNKS	256	/* of a batch; home, each costs a few nanoseconds */
#define DESTROY_BATCH	64	/* destructors that run before others have a turn */
#define DRAIN_NS	(5 * MN_SEC)

/* A FIFO of objects; also of memory, which has nothing but the link. */
struct objects {
	struct mn_foreign_node *head, *tail;
};

/* Read by the home shard. A record is a chunk's id, and its share less one. */
struct batch {
	struct objects objects, memory;
	unsigned int nr_chunks;
	uint32_t record[BATCH_CHUNKS];
};

/* What one shard has freed of another's. */
struct homing_peer {
	struct homing_peer *next;	/* to be flushed */
	unsigned int home;
	unsigned int nr_chunks;
	bool busy;			/* to be flushed, or a batch is under way */
	struct objects objects;
	struct objects memory;		/* of the heap: nothing but a link is in it any more */

	struct batch batch __cacheline_aligned;

	/* The chunks that wait, and by chunk how much; then, the ids of those. */
	uint32_t share[] __cacheline_aligned;
};

struct homing {
	uint8_t *peers;			/* struct homing_peer, every @stride bytes */
	size_t stride, bytes;
	struct homing_peer *ready;	/* to be flushed */
	unsigned int nr_busy;
	uint64_t nr_events, nr_events_seen;	/* for homing_drain() */

	/* Of this shard, come home. */
	struct objects doomed;
	struct mn_task destroy;
};

/* ---- set-up ---- */

static void destroy_some(struct mn_task *task);

static int shard_homing_open(struct shard *shard, unsigned int nr_shards)
{
	struct homing *homing = mem_alloc(sizeof(*homing));
	size_t chunks = shard->pool.chunks_max;

	if (!homing)
		return -ENOMEM;
	shard->homing = homing;
	mn_task_init(&homing->destroy, destroy_some);
	homing->stride =
		sizeof(struct homing_peer) + chunks * (sizeof(uint32_t) + sizeof(uint16_t));
	homing->stride = (homing->stride + CONFIG_CACHELINE_BYTES - 1) &
			 ~(size_t)(CONFIG_CACHELINE_BYTES - 1);
	homing->bytes = nr_shards * homing->stride;
	homing->peers = mem_map(homing->bytes);
	return homing->peers ? 0 : -ENOMEM;
}

int homing_open(struct mn_world *world)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < world->nr_shards; i++)
		err = shard_homing_open(world->shards[i], world->nr_shards);
	return err;
}

void homing_close(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct homing *homing = world->shards[i] ? world->shards[i]->homing : NULL;

		if (!homing)
			continue;
		if (homing->peers)
			mem_unmap(homing->peers, homing->bytes);
		mem_free(homing);
		world->shards[i]->homing = NULL;
	}
}

/* ---- away from home ---- */

static void objects_append(struct objects *to, const struct objects *from)
{
	if (!from->head)
		return;
	if (to->head)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
}

static uint16_t *chunk_ids(struct shard *self, struct homing_peer *peer)
{
	return (uint16_t *)(peer->share + self->pool.chunks_max);
}

static void peer_ready(struct shard *self, struct homing_peer *peer)
{
	peer->next = self->homing->ready;
	self->homing->ready = peer;
	self->mesh->homing = true;
}

static struct homing_peer *peer_begin(struct shard *self, unsigned int home)
{
	struct homing *homing = self->homing;
	struct homing_peer *peer = (struct homing_peer *)(homing->peers + home * homing->stride);

	if (!peer->busy) {
		peer->busy = true;
		peer->home = home;
		homing->nr_busy++;
		homing->nr_events++;
		peer_ready(self, peer);
	}
	return peer;
}

void homing_chunk(struct shard *self, const struct mn_chunk *chunk, uint32_t share)
{
	struct homing_peer *peer = peer_begin(self, chunk->shard);

	if (!peer->share[chunk->id])
		chunk_ids(self, peer)[peer->nr_chunks++] = chunk->id;
	peer->share[chunk->id] += share;
}

void homing_object(struct shard *self, struct mn_foreign_node *node)
{
	struct homing_peer *peer = peer_begin(self, node->home);
	struct objects one = { node, node };

	node->next = NULL;
	objects_append(&peer->objects, &one);
}

void homing_memory(struct shard *self, unsigned int home, void *obj)
{
	struct homing_peer *peer = peer_begin(self, home);
	struct objects one = { obj, obj };

	one.head->next = NULL;
	objects_append(&peer->memory, &one);
}

/* Last in, first out: the lines of the last ones are warm. */
static void batch_fill(struct shard *self, struct homing_peer *peer)
{
	struct batch *batch = &peer->batch;
	uint16_t *id = chunk_ids(self, peer);

	batch->nr_chunks = 0;
	while (peer->nr_chunks && batch->nr_chunks < BATCH_CHUNKS) {
		uint32_t chunk = id[--peer->nr_chunks];

		batch->record[batch->nr_chunks++] = chunk << 16 | (peer->share[chunk] - 1);
		peer->share[chunk] = 0;
	}
	batch->objects = peer->objects;
	batch->memory = peer->memory;
	peer->objects = peer->memory = (struct objects){ .head = NULL };
}

void homing_flush(struct shard *self)
{
	struct homing *homing = self->homing;
	struct homing_peer *peer;

	self->mesh->homing = false;
	while ((peer = homing->ready)) {
		struct mn_msg *msg = mesh_send(self, peer->home, LANE_BULK, MSG_HOME, 0, 0);

		homing->ready = peer->next;
		batch_fill(self, peer);
		msg->arg = &peer->batch;
		msg->reply = peer;
	}
}

static void batch_arrived(struct shard *self, struct homing_peer *peer)
{
	if (peer->nr_chunks || peer->objects.head || peer->memory.head) {
		peer_ready(self, peer);
		return;
	}
	peer->busy = false;
	self->homing->nr_busy--;
}

/* ---- at home ---- */

/* A task, since destructors are the application's. */
static void destroy_some(struct mn_task *task)
{
	struct homing *homing = container_of(task, struct homing, destroy);

	for (int n = 0; n < DESTROY_BATCH && homing->doomed.head; n++) {
		struct mn_foreign_node *node = homing->doomed.head;

		homing->doomed.head = node->next;	/* it goes with its object */
		node->destroy(node->obj);
	}
	if (homing->doomed.head)
		task_schedule(mn_self, &homing->destroy);
}

static void batch_receive(struct shard *self, const struct mn_msg *msg)
{
	const struct batch *batch = msg->arg;
	struct homing *homing = self->homing;

	homing->nr_events++;
	for (unsigned int i = 0; i < batch->nr_chunks; i++)
		pool_put_share(pool_chunk(&self->pool, batch->record[i] >> 16),
			       (batch->record[i] & 0xffff) + 1);
	if (batch->memory.head)
		heap_return(&self->heap, batch->memory.head, batch->memory.tail);
	objects_append(&homing->doomed, &batch->objects);
	if (homing->doomed.head)
		task_schedule(self, &homing->destroy);
	mesh_send(self, msg->from, LANE_BULK, MSG_HOMED, 0, 0)->reply = msg->reply;
}

void homing_receive(struct shard *self, const struct mn_msg *msg)
{
	if (msg->kind == MSG_HOME)
		batch_receive(self, msg);
	else
		batch_arrived(self, msg->reply);
}

/*
 * A shard that said 0 in two rounds had nothing between them; when all did,
 * there was a moment at which none had, and nothing comes of nothing.
 */
int homing_drain(void *arg)
{
	struct homing *homing = mn_self->homing;
	int64_t until_ns = mn_self->now_ns + DRAIN_NS, pause_ns = MN_MSEC / 8;
	int moved;

	while (homing->nr_busy || homing->doomed.head) {
		if (mn_self->now_ns > until_ns) {
			mn_err("what was freed for %u shards did not get there within %d s",
			       homing->nr_busy, (int)(DRAIN_NS / MN_SEC));
			return -ETIMEDOUT;
		}
		mn_sleep(pause_ns);
		pause_ns = min(2 * pause_ns, 16 * MN_MSEC);
	}
	moved = homing->nr_events != homing->nr_events_seen;
	homing->nr_events_seen = homing->nr_events;
	return moved;
}

/* ---- owners ---- */

struct mn_foreign mn_foreign_make(struct mn_foreign_node *node, void *obj,
				  void (*destroy)(void *obj))
{
	*node = (struct mn_foreign_node){ .obj = obj, .destroy = destroy, .home = mn_self->id };
	return (struct mn_foreign){ .obj = obj, .node = node };
}

void mn_foreign_free(struct mn_foreign *foreign)
{
	struct mn_foreign_node *node = foreign->node;

	if (!foreign->obj)
		return;
	*foreign = (struct mn_foreign){ .obj = NULL };
	if (node->home == mn_self->id)
		node->destroy(node->obj);
	else
		homing_object(mn_self, node);
}
