// SPDX-License-Identifier: MIT
/*
 * For kernels without pidfd: a fiber of shard 0 hears SIGCHLD, which does not
 * say whose, and has every shard look at those of its processes that nothing
 * else watches. It begins with the first of them.
 */
#include <errno.h>
#include <signal.h>

#include <miniss/signal.h>
#include <miniss/smp.h>

#include "core/shard.h"
#include "lib/process/process.h"

/* On each shard. */
static int look_at_all(void *unused)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &mn_self->processes) {
		struct mn_process *p = container_of(pos, struct mn_process, entry);

		if (p->pidfd < 0)
			process_look(p);
	}
	return 0;
}

static int listen_fiber(void *arg)
{
	struct mn_signals signals;
	struct mn_signal signal;
	struct mn_future *listening = arg;
	int err;

	mn_fiber_name("children");
	err = mn_signals_open(&signals, MN_SIGNAL(SIGCHLD));
	mn_self->world->hears_children = !err;
	mn_future_resolve(listening, err);
	if (err)
		return 0;
	while (!mn_signals_next(&signals, &signal))
		mn_call_all(look_at_all, NULL);
	mn_self->world->hears_children = false;
	mn_signals_close(&signals);
	return 0;
}

static int listen_here(void *unused)
{
	struct mn_future listening;
	int err;

	if (mn_self->world->hears_children)
		return 0;
	mn_future_init(&listening);
	err = mn_spawn(listen_fiber, &listening, NULL);
	return err ? err : (int)fiber_wait(&listening);
}

int children_watch(void)
{
	return mn_call(0, listen_here, NULL);
}
