// SPDX-License-Identifier: MIT
/*
 * What hiredis asks of an event loop. A context may end while it is told that
 * its socket is ready; the adapter then lasts until that call has returned.
 * Time-outs are left to the fibers that wait: hiredis has its own since 1.0 only.
 */
#include <stdlib.h>

#include "adapter.h"

struct adapter {
	struct mn_watch watch;	/* first: a watch is an adapter */
	struct mn_task removed;
	struct mn_future *gone;
	redisAsyncContext *context;
	uint32_t events;
	bool ended;
};

static void adapter_ready(struct mn_watch *watch, int ready)
{
	struct adapter *a = (struct adapter *)watch;

	/* What failed is found out by reading. */
	if (ready < 0 || ready & (POLLIN | POLLERR | POLLHUP))
		redisAsyncHandleRead(a->context);
	if (!a->ended && ready > 0 && ready & POLLOUT)
		redisAsyncHandleWrite(a->context);
}

static void interest(struct adapter *a, uint32_t add, uint32_t del)
{
	a->events = (a->events | add) & ~del;
	if (!a->ended)
		mn_watch_set(&a->watch, a->events);
}

static void add_read(void *data)
{
	interest(data, POLLIN, 0);
}

static void del_read(void *data)
{
	interest(data, 0, POLLIN);
}

static void add_write(void *data)
{
	interest(data, POLLOUT, 0);
}

static void del_write(void *data)
{
	interest(data, 0, POLLOUT);
}

static void adapter_removed(struct mn_task *task)
{
	struct adapter *a = (struct adapter *)((char *)task - offsetof(struct adapter, removed));
	struct mn_future *gone = a->gone;

	free(a);
	mn_future_resolve(gone, 0);
}

static void cleanup(void *data)
{
	struct adapter *a = data;

	a->ended = true;
	mn_watch_remove_start(&a->watch);
	mn_future_then(&a->watch.removed, &a->removed, adapter_removed);
}

int redis_attach(redisAsyncContext *context, struct mn_future *gone)
{
	struct adapter *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->context = context;
	a->gone = gone;
	mn_future_init(gone);
	mn_watch_init(&a->watch, context->c.fd, adapter_ready);
	context->ev.data = a;
	context->ev.addRead = add_read;
	context->ev.delRead = del_read;
	context->ev.addWrite = add_write;
	context->ev.delWrite = del_write;
	context->ev.cleanup = cleanup;
	return 0;
}
