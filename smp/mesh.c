// SPDX-License-Identifier: MIT
#include <errno.h>

#include <miniss/param.h>

#include "backends/backend.h"
#include "lib/mem/mem.h"
#include "smp/mesh.h"

#define DRAIN_MAX	64	/* messages handled in a turn */

MN_PARAM(uint, queue_depth, 192, MESH_STAGED, 65536, "messages of one shard that another holds at most");

int mesh_open(struct mn_world *world)
{
	const struct queue_ops *ops = container_of(world->queue.driver, struct queue_ops, drv);
	size_t size = sizeof(struct mesh) + world->nr_shards * sizeof(struct mesh_peer);

	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct mesh *mesh = mem_alloc(size);
		int err = -ENOMEM;

		if (mesh)
			mesh->inbox = mem_alloc(ops->state_size);
		if (mesh && mesh->inbox) {
			mesh->inbox->ops = ops;
			err = queue_open(mesh->inbox, world->nr_shards, param_queue_depth);
		}
		if (err) {
			if (mesh)
				mem_free(mesh->inbox);
			mem_free(mesh);
			mesh_close(world);
			return err;
		}
		world->shards[i]->mesh = mesh;
	}
	return 0;
}

void mesh_close(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct mesh *mesh = world->shards[i]->mesh;

		if (!mesh)
			continue;
		queue_close(mesh->inbox);
		mem_free(mesh->inbox);
		mem_free(mesh);
		world->shards[i]->mesh = NULL;
	}
}

int mesh_send(struct shard *self, unsigned int to, const struct mn_msg *msg)
{
	struct mesh *mesh = self->mesh;
	struct mesh_peer *peer = &mesh->peer[to];

	BUG_ON(to >= self->world->nr_shards);
	if (peer->n == MESH_STAGED)
		return -EAGAIN;
	if (!peer->n) {
		mesh->dirty[to / 64] |= UINT64_C(1) << (to % 64);
		mesh->nr_dirty++;
	}
	peer->staged[peer->n] = *msg;
	peer->staged[peer->n++].from = (uint16_t)self->id;
	stats_add(self, STAT_MESSAGES, 1);
	return 0;
}

/* Push what fits; what does not stays staged, in order. True if any went. */
static bool peer_flush(struct shard *self, unsigned int to)
{
	struct mesh *mesh = self->mesh;
	struct mesh_peer *peer = &mesh->peer[to];
	struct queue *inbox = self->world->shards[to]->mesh->inbox;
	unsigned int n = queue_push_n(inbox, self->id, peer->staged, peer->n);

	peer->n -= n;
	for (unsigned int i = 0; i < peer->n; i++)
		peer->staged[i] = peer->staged[i + n];
	if (!peer->n) {
		mesh->dirty[to / 64] &= ~(UINT64_C(1) << (to % 64));
		mesh->nr_dirty--;
	}
	return n > 0;
}

static void wake(struct shard *self, struct shard *target)
{
	if (target == self)
		return;
	/* The exchange lets one of several senders wake, and only once. */
	if (atomic_load_explicit(&target->asleep, memory_order_relaxed) &&
	    atomic_exchange_explicit(&target->asleep, 0, memory_order_relaxed)) {
		stats_add(self, STAT_WAKES, 1);
		backend_wake(target->be);
	}
}

void mesh_flush_slow(struct shard *self)
{
	uint64_t sent[SHARDS_MAX / 64] = { 0 };
	unsigned int words = (self->world->nr_shards + 63) / 64;

	for (unsigned int w = 0; w < words; w++)
		for (uint64_t bits = self->mesh->dirty[w]; bits; bits &= bits - 1) {
			unsigned int bit = (unsigned int)__builtin_ctzll(bits);

			if (peer_flush(self, w * 64 + bit))
				sent[w] |= UINT64_C(1) << bit;
		}
	/*
	 * Store-load: the messages are visible before we look who sleeps.
	 * Pairs with the fence in mesh_sleep().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned int w = 0; w < words; w++)
		for (uint64_t bits = sent[w]; bits; bits &= bits - 1)
			wake(self, self->world->shards[w * 64 + (unsigned int)__builtin_ctzll(bits)]);
}

bool mesh_sleep(struct shard *self)
{
	if (mesh_sending(self))
		return false;
	atomic_store_explicit(&self->asleep, 1, memory_order_relaxed);
	/*
	 * Store-load: senders see that we sleep before we look for messages.
	 * Pairs with the fence in mesh_flush_slow().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	return queue_empty(self->mesh->inbox);
}

void mesh_awake(struct shard *self)
{
	atomic_store_explicit(&self->asleep, 0, memory_order_relaxed);
}

/* A fiber that runs a call from another shard has this on its stack. */
static int call_fiber(void *arg)
{
	struct mn_msg *call = arg;
	struct mn_msg reply = { .kind = MSG_REPLY, .reply = call->reply };

	reply.res = call->fn(call->arg);
	while (mesh_send(mn_self, call->from, &reply) == -EAGAIN)
		mn_yield();
	return 0;
}

static void call_begin(struct shard *self, struct mn_msg *call)
{
	struct mn_msg reply = { .kind = MSG_REPLY, .reply = call->reply };

	reply.res = fiber_spawn(self, call_fiber, call, sizeof(*call), NULL);
	if (reply.res)
		mesh_send(self, call->from, &reply);
}

unsigned int mesh_drain(struct shard *self)
{
	struct mn_msg msg[DRAIN_MAX];
	unsigned int n;

	if (queue_empty(self->mesh->inbox))
		return 0;
	n = queue_pop_n(self->mesh->inbox, msg, DRAIN_MAX);
	for (unsigned int i = 0; i < n; i++) {
		switch (msg[i].kind) {
		case MSG_POST:
			msg[i].fn(msg[i].arg);
			break;
		case MSG_CALL:
			call_begin(self, &msg[i]);
			break;
		case MSG_REPLY:
			mn_future_resolve(msg[i].reply, msg[i].res);
			break;
		}
	}
	return n;
}

static void call_start(unsigned int to, mn_fiber_fn fn, void *arg, struct mn_future *done)
{
	struct mn_msg call = { .kind = MSG_CALL, .fn = fn, .arg = arg, .reply = done };

	mn_future_init(done);
	while (mesh_send(mn_self, to, &call) == -EAGAIN)
		mn_yield();
}

int shard_call(unsigned int to, mn_fiber_fn fn, void *arg)
{
	struct mn_future done;

	call_start(to, fn, arg, &done);
	return (int)fiber_wait(&done);
}

int shard_call_all(mn_fiber_fn fn, void *arg)
{
	unsigned int n = mn_self->world->nr_shards;
	struct mn_future *done = mem_alloc(n * sizeof(*done));
	int first = 0;

	if (!done)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		call_start(i, fn, arg, &done[i]);
	for (unsigned int i = 0; i < n; i++) {
		int err = (int)fiber_wait(&done[i]);

		if (err && !first)
			first = err;
	}
	mem_free(done);
	return first;
}

int shard_post(unsigned int to, int (*fn)(void *arg), void *arg)
{
	struct mn_msg post = { .kind = MSG_POST, .fn = fn, .arg = arg };

	return mesh_send(mn_self, to, &post);
}
