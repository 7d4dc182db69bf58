// SPDX-License-Identifier: MIT
#include <errno.h>

#include "core/future.h"
#include "core/op.h"
#include "core/shard.h"
#include "lib/signal/hub.h"

BUILD_BUG_ON(sizeof(((struct signal_hub *)0)->counts) != 64 * sizeof(uint32_t));

static uint64_t streams_set(const struct signal_hub *hub)
{
	uint64_t set = 0;

	for (const struct mn_signals *s = hub->streams; s; s = s->next)
		set |= s->set;
	return set;
}

static void arrived(struct mn_op *op, int64_t res);

/* Catch what is wanted, and listen as long as something is. */
static int hub_update(struct signal_hub *hub)
{
	uint64_t set = streams_set(hub);
	struct mn_op op;
	int err;

	op_init(&op, MN_OP_SIGNAL_CATCH, -1);
	op.caught.set = set | hub->once;
	op.caught.once = hub->once & ~set;
	err = (int)op_call(&op);
	if (err)
		return err;
	if (!op.caught.set) {
		mn_op_cancel(&hub->op);
	} else if (!mn_op_in_flight(&hub->op)) {
		op_init(&hub->op, MN_OP_SIGNAL, -1);
		hub->op.signal.counts = hub->counts;
		hub->op.complete = arrived;
		op_start(&hub->op);
	}
	return 0;
}

static void stream_hand(struct mn_signals *s, const uint32_t *counts)
{
	for (int i = 0; i < MN_SIGNALS; i++) {
		if (!counts[i] || !(s->set >> i & 1))
			continue;
		s->came |= UINT64_C(1) << i;
		s->count[i] += counts[i];
	}
	if (s->came && s->waiter)
		task_schedule(mn_self, s->waiter);
}

/* The lowest of the set that came; 0: none did. */
static int first_of(uint64_t set, const uint32_t *counts)
{
	for (int i = 0; i < MN_SIGNALS; i++)
		if (counts[i] && set >> i & 1)
			return i + 1;
	return 0;
}

static void hand_out(struct mn_world *world)
{
	struct signal_hub *hub = &world->signals;
	int number = first_of(hub->once, hub->counts);

	for (struct mn_signals *s = hub->streams; s; s = s->next)
		stream_hand(s, hub->counts);
	for (int i = 0; i < MN_SIGNALS; i++)
		hub->counts[i] = 0;
	if (!number)
		return;
	hub->once = 0;
	hub->on_once(world, number, !(streams_set(hub) & MN_SIGNAL(number)));
}

static void arrived(struct mn_op *op, int64_t res)
{
	struct mn_world *world = container_of(op, struct mn_world, signals.op);

	if (res > 0)
		hand_out(world);
	mn_future_resolve(&op->done, 0);
	/* Wanted again since it was cancelled, or still. After a failure it would fail again. */
	if (!world->signals.closed && (res > 0 || res == -ECANCELED))
		hub_update(&world->signals);
}

int hub_once(struct mn_world *world, uint64_t set,
	     void (*on_once)(struct mn_world *world, int number, bool last))
{
	world->signals.once = set;
	world->signals.on_once = on_once;
	return hub_update(&world->signals);
}

void hub_forget(struct mn_world *world)
{
	if (!world->signals.once)
		return;
	world->signals.once = 0;
	hub_update(&world->signals);
}

void hub_close(struct mn_world *world)
{
	struct signal_hub *hub = &world->signals;

	hub->closed = true;
	hub->once = 0;
	while (hub->streams)
		mn_signals_close(hub->streams);
	hub_update(hub);
	if (mn_op_in_flight(&hub->op))
		fiber_wait(&hub->op.done);
}

int mn_signals_open(struct mn_signals *s, uint64_t set)
{
	struct signal_hub *hub = &mn_self->world->signals;
	int err;

	if (mn_self->id)
		return -EXDEV;
	if (!set)
		return -EINVAL;
	if (hub->closed)
		return -ESHUTDOWN;
	*s = (struct mn_signals){ .set = set, .next = hub->streams, .pprev = &hub->streams };
	if (s->next)
		s->next->pprev = &s->next;
	hub->streams = s;
	err = hub_update(hub);
	if (err)
		mn_signals_close(s);
	return err;
}

void mn_signals_close(struct mn_signals *s)
{
	BUG_ON(mn_self->id || s->waiter);
	if (!s->pprev)		/* the program has stopped meanwhile */
		return;
	*s->pprev = s->next;
	if (s->next)
		s->next->pprev = s->pprev;
	s->pprev = NULL;
	if (!mn_self->world->signals.closed)
		hub_update(&mn_self->world->signals);
}
