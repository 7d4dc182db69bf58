// SPDX-License-Identifier: MIT
/*
 * Calls to all shards at once: a batch of shards at a time, as what their
 * calls need is on the fiber's stack.
 */
#include <errno.h>

#include "core/future.h"
#include "smp/call.h"

#define BATCH	32u	/* shards */

struct callers {
	struct mn_call call[BATCH];
	struct caller waits;		/* for a credit for one of them */
	struct mn_fiber *fiber;
	unsigned int n;			/* started */
};

static void callers_stop(void *obj)
{
	struct callers *all = obj;

	for (unsigned int i = 0; i < all->n; i++)
		call_cancel(&all->call[i], all->fiber->stop);
	if (all->n < BATCH && all->waits.call == &all->call[all->n])
		caller_stop(&all->waits);
}

/* Start the calls of a batch of shards: 0, or why one could not be. */
static int batch_start(struct callers *all, unsigned int first, mn_fiber_fn fn, void *arg,
		       bool stoppable)
{
	unsigned int last = min(first + BATCH, mn_self->world->nr_shards);
	int err;

	for (unsigned int shard = first; shard < last; shard++) {
		struct mn_call *call = &all->call[all->n];

		call_init(call, shard, false);
		all->waits = (struct caller){ .call = call };
		err = credit_wait(&all->waits, stoppable ? callers_stop : NULL, all);
		if (err) {
			all->waits.call = NULL;	/* nobody waits: there is nothing to stop */
			return err;
		}
		request_send(call, MSG_CALL, fn, arg);
		all->n++;
	}
	return 0;
}

static int batch_wait(struct callers *all, bool stoppable)
{
	int first = 0;

	for (unsigned int i = 0; i < all->n; i++) {
		struct caller caller = { .fiber = mn_self->fiber, .call = &all->call[i] };
		int res;

		/* Cancelled while it was about to run: nobody told the calls. */
		if (stoppable && caller.fiber->stop)
			callers_stop(all);
		res = reply_wait(&caller, stoppable ? callers_stop : NULL, all);
		if (res && !first)
			first = res;
	}
	return first;
}

/* The calls of one batch, from @first on: the first failure, or 0. */
static int batch_run(unsigned int first, mn_fiber_fn fn, void *arg, bool stoppable)
{
	struct callers all = { .n = 0, .fiber = mn_self->fiber };
	int err, res;

	if (stoppable && mn_self->fiber->stop)
		return mn_self->fiber->stop;
	err = batch_start(&all, first, fn, arg, stoppable);
	res = batch_wait(&all, stoppable);
	return res ? res : err;
}

static int call_batches(mn_fiber_fn fn, void *arg, bool stoppable)
{
	int first_err = 0;

	for (unsigned int first = 0; first < mn_self->world->nr_shards; first += BATCH) {
		int err = batch_run(first, fn, arg, stoppable);

		if (!first_err)
			first_err = err;
	}
	return first_err;
}

int mn_call_all(mn_fiber_fn fn, void *arg)
{
	return call_batches(fn, arg, true);
}

int shard_call_all(mn_fiber_fn fn, void *arg)
{
	return call_batches(fn, arg, false);
}

/* Each shard writes its own value, and no other is written meanwhile by this one. */
struct map_batch {
	int (*map)(void *arg, int64_t *value);
	void *arg;
	unsigned int first;
	int64_t value[BATCH];
};

static int map_here(void *arg)
{
	struct map_batch *batch = arg;
	int64_t value = 0;
	int err = batch->map(batch->arg, &value);

	batch->value[mn_self->id - batch->first] = value;
	return err;
}

int mn_map_reduce(int (*map)(void *arg, int64_t *value), void (*reduce)(void *arg, int64_t value),
		  void *arg)
{
	struct map_batch batch = { .map = map, .arg = arg };
	unsigned int n = mn_self->world->nr_shards;

	for (; batch.first < n; batch.first += BATCH) {
		int err = batch_run(batch.first, map_here, &batch, true);

		if (err)
			return err;
		for (unsigned int i = 0; i < min(BATCH, n - batch.first); i++)
			reduce(arg, batch.value[i]);
	}
	return 0;
}
