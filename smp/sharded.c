// SPDX-License-Identifier: MIT
/*
 * Services. Each shard finds its part by the address of the mn_sharded, in a
 * table of its own (smp/local.h); so a call that comes too late finds
 * nothing, rather than memory that is gone.
 *
 * Calls are counted where they come from. A stop first closes every shard:
 * nothing begins there any more, and what began has its reply. When all are
 * closed there is no call anywhere, and the objects can go.
 */
#include <errno.h>

#include <miniss/run.h>
#include <miniss/sharded.h>

#include "core/shard.h"
#include "lib/mem/mem.h"
#include "smp/call.h"

struct part {
	const struct mn_service *service;
	unsigned int nr_calls;		/* from here, to any shard */
	bool up;			/* started, may be called */
	bool closing;
	struct mn_fiber *closer;	/* waits for the last of the calls */
	uint8_t self[] __cacheline_aligned;
};

static struct part *part_find(const struct mn_sharded *s)
{
	return local_find(mn_self, s);
}

void *mn_sharded_local(const struct mn_sharded *s)
{
	struct part *part = part_find(s);

	return part ? part->self : NULL;
}

/* ---- start and stop ---- */

struct start {
	struct mn_sharded *s;
	void *arg;
};

static int part_start(void *arg)
{
	const struct start *start = arg;
	const struct mn_service *service = start->s->service;
	struct part *part = mem_alloc(sizeof(*part) + service->size);
	int err;

	if (!part)
		return -ENOMEM;
	part->service = service;
	err = local_add(mn_self, start->s, part);
	if (err) {
		mem_free(part);
		return err;
	}
	if (service->start)
		err = service->start(part->self, start->arg);
	part->up = !err;
	return err;
}

static int part_close(void *s)
{
	struct part *part = part_find(s);

	if (!part)
		return 0;
	part->closing = true;
	while (part->nr_calls) {
		part->closer = mn_self->fiber;
		fiber_park(NULL, NULL);
	}
	return 0;
}

static int part_stop(void *s)
{
	struct part *part = part_find(s);

	if (!part)
		return 0;
	if (part->up && part->service->stop)
		part->service->stop(part->self);
	local_remove(mn_self, s);
	mem_free(part);
	return 0;
}

/* It must be done: if there is no memory for a fiber, wait until there is. */
static void call_surely(unsigned int shard, mn_fiber_fn fn, void *arg)
{
	while (shard_call(shard, fn, arg))
		mn_yield();
}

static void parts_stop(struct mn_sharded *s, unsigned int n)
{
	for (unsigned int i = n; i-- > 0;)
		call_surely(i, part_close, s);
	for (unsigned int i = n; i-- > 0;)
		call_surely(i, part_stop, s);
}

int mn_sharded_start(struct mn_sharded *s, const struct mn_service *service, void *arg)
{
	struct start start = { .s = s, .arg = arg };
	unsigned int n = 0;
	int err = 0;

	BUG_ON(!mn_self->fiber);
	if (part_find(s))
		return -EALREADY;
	s->service = service;
	while (!err && n < mn_shards())
		err = mn_call(n++, part_start, &start);
	if (err)
		parts_stop(s, n);
	return err;
}

void mn_sharded_stop(struct mn_sharded *s)
{
	BUG_ON(!mn_self->fiber);
	parts_stop(s, mn_shards());
}

/* ---- calls ---- */

/* On the caller's stack, constant while the call is under way. */
struct sharded_call {
	const struct mn_sharded *s;
	mn_sharded_fn fn;
	int (*map)(void *self, void *arg, int64_t *value);
	void (*reduce)(void *arg, int64_t value);
	void *arg;
};

static struct part *call_begin(const struct mn_sharded *s)
{
	struct part *part = part_find(s);

	if (!part || part->closing)
		return NULL;
	part->nr_calls++;
	return part;
}

static int call_end(struct part *part, int res)
{
	if (--part->nr_calls == 0 && part->closer)
		task_schedule(mn_self, &part->closer->task);
	return res;
}

static int call_here(void *arg)
{
	const struct sharded_call *call = arg;
	struct part *part = part_find(call->s);

	return part && part->up ? call->fn(part->self, call->arg) : -ESHUTDOWN;
}

int mn_sharded_call(const struct mn_sharded *s, unsigned int shard, mn_sharded_fn fn, void *arg)
{
	struct sharded_call call = { .s = s, .fn = fn, .arg = arg };
	struct part *part = call_begin(s);

	return part ? call_end(part, mn_call(shard, call_here, &call)) : -ESHUTDOWN;
}

int mn_sharded_call_all(const struct mn_sharded *s, mn_sharded_fn fn, void *arg)
{
	struct sharded_call call = { .s = s, .fn = fn, .arg = arg };
	struct part *part = call_begin(s);

	return part ? call_end(part, mn_call_all(call_here, &call)) : -ESHUTDOWN;
}

static int map_here(void *arg, int64_t *value)
{
	const struct sharded_call *call = arg;
	struct part *part = part_find(call->s);

	return part && part->up ? call->map(part->self, call->arg, value) : -ESHUTDOWN;
}

static void reduce_here(void *arg, int64_t value)
{
	const struct sharded_call *call = arg;

	call->reduce(call->arg, value);
}

int mn_sharded_map_reduce(const struct mn_sharded *s,
			  int (*map)(void *self, void *arg, int64_t *value),
			  void (*reduce)(void *arg, int64_t value), void *arg)
{
	struct sharded_call call = { .s = s, .map = map, .reduce = reduce, .arg = arg };
	struct part *part = call_begin(s);

	return part ? call_end(part, mn_map_reduce(map_here, reduce_here, &call)) : -ESHUTDOWN;
}
