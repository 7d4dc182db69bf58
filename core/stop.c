// SPDX-License-Identifier: MIT
/*
 * Being asked to stop: by SIGTERM or SIGINT, or by the program itself. The
 * signals are only caught once something waits for the request: until then
 * they end the process, as they do in any program.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <miniss/log.h>
#include <miniss/run.h>

#include "core/boot.h"
#include "smp/call.h"
#include "smp/watch.h"

struct stop_waiter {
	struct list entry;
	struct mn_fiber *fiber;
};

void stop_request(struct mn_world *world)
{
	struct list *pos, *tmp;

	watch_begin(world);
	world->stop.requested = true;
	list_for_each_safe(pos, tmp, &world->stop.waiters) {
		list_del(pos);
		task_schedule(mn_self, &container_of(pos, struct stop_waiter, entry)->fiber->task);
	}
}

static void stop_signaled(struct mn_world *world, int number, bool last)
{
	mn_info("signal %d: stopping%s", number, last ? "; a second one ends the process" : "");
	stop_request(world);
}

void stop_listen(struct mn_world *world)
{
	int err;

	if (world->stop.listening)
		return;
	world->stop.listening = true;
	err = hub_once(world, MN_SIGNAL(SIGTERM) | MN_SIGNAL(SIGINT), stop_signaled);
	if (err)
		mn_warn("cannot wait for signals: %s", strerror(-err));
}

void stop_close(struct mn_world *world)
{
	hub_forget(world);
	world->stop.listening = false;
}

static int stop_here(void *arg)
{
	stop_request(arg);
	return 0;
}

static int stop_there(void *arg)
{
	return shard_call(0, stop_here, arg);
}

void mn_stop(void)
{
	watch_begin(mn_self->world);	/* shard 0 may be the one that is stuck */
	/* Without a credit a fiber waits for one; spawning fails only without memory. */
	if (shard_post(0, stop_here, mn_self->world))
		fiber_spawn(mn_self, stop_there, mn_self->world, 0, NULL);
}

static void stop_wait_cancel(void *obj)
{
	struct stop_waiter *waiter = obj;

	list_del(&waiter->entry);
	task_schedule(mn_self, &waiter->fiber->task);
}

int mn_stop_wait(void)
{
	struct mn_world *world = mn_self->world;
	struct stop_waiter waiter = { .fiber = mn_self->fiber };

	if (mn_self->id)
		return -EXDEV;
	stop_listen(world);
	if (!world->stop.requested && !waiter.fiber->stop) {
		list_add_tail(&world->stop.waiters, &waiter.entry);
		fiber_park(stop_wait_cancel, &waiter);
	}
	return world->stop.requested ? 0 : waiter.fiber->stop;
}
