// SPDX-License-Identifier: MIT
/*
 * Calls from threads that are not shards.
 *
 * Each shard has a port, with room for a number of calls. A call belongs to
 * the gate, not to the thread that makes it and not to the shard: it holds
 * the copy of the argument, and on the thread's stack there is only what it
 * waits with. So a thread can leave at any time; the call is free again when
 * the shard is done with it.
 *
 * Everything in a port is under its lock, which is held while the shard is
 * handed something and woken. So once a port has been closed under that lock,
 * nobody touches the shard any more. The shard takes it when a call comes and
 * when one ends.
 */
#include <stddef.h>
#include <string.h>

#include <miniss/param.h>

#include "core/shard.h"
#include "lib/mem/mem.h"
#include "smp/alien.h"
#include "smp/thread.h"

MN_PARAM(uint, queue, 256, 1, 65536,
	 "calls of other threads that a shard has under way or queued at most");

/* On the stack of a thread that waits for the end of its call. */
struct waiter {
	pthread_cond_t cond;
	bool ended;
	int res;
};

struct alien_call {
	struct door_item begin;
	struct door_item cancel;
	struct port *port;
	struct alien_call *next;	/* free */
	struct waiter *waiter;		/* NULL: nobody wants the result */
	mn_fiber_fn fn;
	void *arg;
	struct mn_fiber *fiber;		/* that runs it; the shard's own */
	unsigned int refs;		/* what was begun, and a cancel on its way */
	bool begun;
	bool dropped;			/* not begun, and not to be */
	_Alignas(max_align_t) uint8_t copy[MN_ALIEN_ARG_MAX];
};

struct port {
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct shard *shard;
	struct alien_call *calls;	/* all of them */
	struct alien_call *free;	/* those that were used before */
	unsigned int nr_fresh;		/* and how many of the others are not fresh any more */
	unsigned int nr_calls;
	unsigned int nr_waiting;	/* for room */
	bool closed;
} __cacheline_aligned;

struct mn_alien_gate {
	pthread_mutex_t lock;
	unsigned int refs;		/* the world's, and those handed out */
	unsigned int nr_ports;
	struct alien_call *calls;	/* of all ports; mapped when the first gate is handed out */
	size_t calls_bytes;
	struct port port[];
};

/* ---- the gate ---- */

static int calls_map(struct mn_alien_gate *gate)
{
	size_t bytes = (size_t)gate->nr_ports * param_queue * sizeof(*gate->calls);

	if (gate->calls)
		return 0;
	gate->calls = mem_map(bytes);
	if (!gate->calls)
		return -ENOMEM;
	gate->calls_bytes = bytes;
	for (unsigned int i = 0; i < gate->nr_ports; i++) {
		struct port *port = &gate->port[i];

		pthread_mutex_lock(&port->lock);
		port->calls = gate->calls + (size_t)i * param_queue;
		port->nr_calls = param_queue;
		pthread_mutex_unlock(&port->lock);
	}
	return 0;
}

int alien_open(struct mn_world *world)
{
	struct mn_alien_gate *gate =
		mem_alloc(sizeof(*gate) + world->nr_shards * sizeof(struct port));

	if (!gate)
		return -ENOMEM;
	pthread_mutex_init(&gate->lock, NULL);
	gate->refs = 1;
	gate->nr_ports = world->nr_shards;
	for (unsigned int i = 0; i < gate->nr_ports; i++) {
		pthread_mutex_init(&gate->port[i].lock, NULL);
		thread_cond_init(&gate->port[i].room);
		gate->port[i].shard = world->shards[i];
	}
	world->gate = gate;
	return IS_ENABLED(CONFIG_STATIC_POOLS) ? calls_map(gate) : 0;
}

int mn_alien_gate(struct mn_alien_gate **gate)
{
	struct mn_alien_gate *g = mn_self->world->gate;
	int err;

	if (mn_self->virtual_time)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&g->lock);
	err = calls_map(g);
	if (!err) {
		g->refs++;
		*gate = g;
	}
	pthread_mutex_unlock(&g->lock);
	return err;
}

static void gate_free(struct mn_alien_gate *gate)
{
	for (unsigned int i = 0; i < gate->nr_ports; i++) {
		pthread_cond_destroy(&gate->port[i].room);
		pthread_mutex_destroy(&gate->port[i].lock);
	}
	pthread_mutex_destroy(&gate->lock);
	if (gate->calls)
		mem_unmap(gate->calls, gate->calls_bytes);
	mem_free(gate);
}

void mn_alien_gate_put(struct mn_alien_gate *gate)
{
	bool last;

	pthread_mutex_lock(&gate->lock);
	last = --gate->refs == 0;
	pthread_mutex_unlock(&gate->lock);
	if (last)
		gate_free(gate);
}

/* ---- calls; all of this under the lock of the port ---- */

static struct alien_call *call_take(struct port *port)
{
	struct alien_call *call = port->free;

	if (call) {
		port->free = call->next;
	} else if (port->nr_fresh < port->nr_calls) {
		call = &port->calls[port->nr_fresh++];
		call->port = port;
	}
	return call;
}

static void call_put(struct alien_call *call)
{
	struct port *port = call->port;

	if (--call->refs)
		return;
	call->next = port->free;
	port->free = call;
	if (port->nr_waiting)
		pthread_cond_signal(&port->room);
}

/* True: somebody has the result. */
static bool call_tell(struct alien_call *call, int res)
{
	struct waiter *waiter = call->waiter;

	call->waiter = NULL;
	if (!waiter)
		return false;
	waiter->res = res;
	waiter->ended = true;
	pthread_cond_signal(&waiter->cond);
	return true;
}

/* ---- the shard's side ---- */

static bool call_end(struct alien_call *call, int res)
{
	struct port *port = call->port;
	bool told;

	pthread_mutex_lock(&port->lock);
	/* It was the stop that cancelled it. */
	told = call_tell(call, res == -ECANCELED && port->closed ? -ESHUTDOWN : res);
	call_put(call);
	pthread_mutex_unlock(&port->lock);
	return told;
}

static int call_fiber(void *arg)
{
	struct alien_call *call = arg;
	int res = call->fn(call->arg);

	call->fiber = NULL;
	if (call_end(call, res) || (res < 0 && res == mn_self->fiber->stop))
		return 0;
	return res;	/* a failure that nobody sees, or asked for, is counted as abandoned */
}

static void call_begin(struct shard *self, struct door_item *item)
{
	struct alien_call *call = container_of(item, struct alien_call, begin);
	struct port *port = call->port;
	int err = 0;

	pthread_mutex_lock(&port->lock);
	if (port->closed)
		err = -ESHUTDOWN;
	else if (call->dropped)
		err = -ECANCELED;
	else
		call->begun = true;	/* who would have dropped it sends a cancel from here on */
	pthread_mutex_unlock(&port->lock);
	if (!err)
		err = fiber_spawn(self, call_fiber, call, 0, &call->fiber);
	if (!err)
		call->fiber->detached = true;
	else if (!call_end(call, err) && err == -ENOMEM)
		stats_add(self, STAT_ABANDONED, 1);
}

static void call_cancel(struct shard *self, struct door_item *item)
{
	struct alien_call *call = container_of(item, struct alien_call, cancel);

	if (call->fiber)	/* it may have ended meanwhile */
		mn_fiber_cancel(call->fiber);
	pthread_mutex_lock(&call->port->lock);
	call_put(call);
	pthread_mutex_unlock(&call->port->lock);
}

/* ---- the other thread's side ---- */

static int call_check(const struct mn_alien_gate *gate, unsigned int shard, size_t arg_size)
{
	if (shard >= gate->nr_ports)
		return -EINVAL;
	return arg_size > MN_ALIEN_ARG_MAX ? -E2BIG : 0;
}

/* What to call; as the caller has it. */
struct request {
	mn_fiber_fn fn;
	const void *arg;
	size_t arg_size;
	struct waiter *waiter;
};

static void call_send(struct alien_call *call, const struct request *request)
{
	call->begin.receive = call_begin;
	call->cancel.receive = call_cancel;
	call->waiter = request->waiter;
	call->fn = request->fn;
	call->arg = (void *)(uintptr_t)request->arg;
	if (request->arg_size)
		call->arg = memcpy(call->copy, request->arg, request->arg_size);
	call->fiber = NULL;
	call->refs = 1;
	call->begun = false;
	call->dropped = false;
	door_push(call->port->shard, &call->begin);
}

int mn_alien_post(struct mn_alien_gate *gate, unsigned int shard, mn_fiber_fn fn, const void *arg,
		  size_t arg_size)
{
	struct request request = { .fn = fn, .arg = arg, .arg_size = arg_size };
	struct alien_call *call = NULL;
	struct port *port;
	int err = call_check(gate, shard, arg_size);

	if (err)
		return err;
	port = &gate->port[shard];
	pthread_mutex_lock(&port->lock);
	err = port->closed ? -ESHUTDOWN : 0;
	if (!err) {
		call = call_take(port);
		err = call ? 0 : -EAGAIN;
	}
	if (!err)
		call_send(call, &request);
	pthread_mutex_unlock(&port->lock);
	return err;
}

static int room_wait(struct port *port, int64_t deadline_ns, struct alien_call **call)
{
	bool in_time = true;

	for (;;) {
		if (port->closed)
			return -ESHUTDOWN;
		*call = call_take(port);
		if (*call)
			return 0;
		if (!in_time)
			return -ETIMEDOUT;
		port->nr_waiting++;
		in_time = thread_wait(&port->room, &port->lock, deadline_ns);
		port->nr_waiting--;
	}
}

/* Leave a call that takes too long. */
static void call_leave(struct alien_call *call)
{
	call->waiter = NULL;
	if (!call->begun) {
		call->dropped = true;
	} else if (!call->port->closed) {	/* else the stop cancels it */
		call->refs++;
		door_push(call->port->shard, &call->cancel);
	}
}

static int result_wait(struct alien_call *call, struct waiter *waiter, int64_t deadline_ns)
{
	struct port *port = call->port;
	bool in_time = true;

	while (!waiter->ended && in_time)
		in_time = thread_wait(&waiter->cond, &port->lock, deadline_ns);
	if (waiter->ended)
		return waiter->res;
	call_leave(call);
	return -ETIMEDOUT;
}

int mn_alien_call(struct mn_alien_gate *gate, unsigned int shard, mn_fiber_fn fn, const void *arg,
		  size_t arg_size, int64_t timeout_ns)
{
	struct waiter waiter = { .ended = false };
	struct request request = { .fn = fn, .arg = arg, .arg_size = arg_size, .waiter = &waiter };
	struct alien_call *call = NULL;
	int64_t deadline_ns;
	struct port *port;
	int res = call_check(gate, shard, arg_size);

	if (res)
		return res;
	if (mn_self)	/* it would wait for itself, or keep others waiting */
		return -EDEADLK;
	deadline_ns = thread_deadline(timeout_ns);
	port = &gate->port[shard];
	thread_cond_init(&waiter.cond);
	pthread_mutex_lock(&port->lock);
	res = room_wait(port, deadline_ns, &call);
	if (!res) {
		call_send(call, &request);
		res = result_wait(call, &waiter, deadline_ns);
	}
	pthread_mutex_unlock(&port->lock);
	pthread_cond_destroy(&waiter.cond);
	return res;
}

/* ---- the end ---- */

void alien_stop(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->gate->nr_ports; i++) {
		struct port *port = &world->gate->port[i];

		pthread_mutex_lock(&port->lock);
		port->closed = true;
		pthread_cond_broadcast(&port->room);
		pthread_mutex_unlock(&port->lock);
	}
}

/* What a shard did not come to: it lies in its door, or its fiber never ended. */
static void port_end(struct port *port)
{
	pthread_mutex_lock(&port->lock);
	port->shard = NULL;
	for (unsigned int i = 0; i < port->nr_fresh; i++)
		call_tell(&port->calls[i], -ESHUTDOWN);
	pthread_mutex_unlock(&port->lock);
}

void alien_close(struct mn_world *world)
{
	struct mn_alien_gate *gate = world->gate;

	if (!gate)
		return;
	alien_stop(world);
	for (unsigned int i = 0; i < gate->nr_ports; i++)
		port_end(&gate->port[i]);
	world->gate = NULL;
	mn_alien_gate_put(gate);
}
