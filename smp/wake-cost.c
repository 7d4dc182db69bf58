// SPDX-License-Identifier: MIT
/*
 * The sender does by hand, from a fiber, what the reactor does in a turn, so
 * that nothing else comes in between: so much of the turn is timed as sends,
 * once with a message for a shard that sleeps, once with none. An operation
 * is started each time, since who sends messages has other things to submit.
 */
#include <errno.h>
#include <stdlib.h>

#include <miniss/op.h>

#include "backends/backend.h"
#include "core/reactor.h"
#include "smp/call.h"
#include "smp/mesh.h"
#include "smp/wake-cost.h"

#define SAMPLES		64
#define SETTLE_NS	(20 * MN_USEC)	/* from the announcement of a sleep to the sleep */
#define PATIENCE_NS	MN_SEC		/* with a shard that does not wake */

struct trial {
	_Atomic int64_t ran_ns;
	int64_t run_ns[SAMPLES], with_ns[SAMPLES], without_ns[SAMPLES];
	struct wake_cost *cost;
};

static int stamp(void *arg)
{
	struct trial *trial = arg;

	atomic_store_explicit(&trial->ran_ns, backend_now(mn_self->be), memory_order_release);
	return 0;
}

/* Nothing else runs on this shard meanwhile. */
static bool too_late(int64_t until_ns)
{
	cpu_relax();
	return backend_now(mn_self->be) > until_ns;
}

static bool wait_asleep(struct shard *shard)
{
	int64_t until_ns = backend_now(mn_self->be) + PATIENCE_NS;

	while (!atomic_load_explicit(&shard->asleep, memory_order_relaxed))
		if (too_late(until_ns))
			return false;
	until_ns = backend_now(mn_self->be) + SETTLE_NS;
	while (!too_late(until_ns))
		;
	return true;
}

/* Acquire: what the shard did before is done. Pairs with stamp(). */
static bool wait_ran(struct trial *trial, int64_t *ran_ns)
{
	int64_t until_ns = backend_now(mn_self->be) + PATIENCE_NS;

	while (!(*ran_ns = atomic_load_explicit(&trial->ran_ns, memory_order_acquire)))
		if (too_late(until_ns))
			return false;
	return true;
}

/* What a turn does to send, with or without a message; and when it began. */
static int64_t turn_ns(struct trial *trial, bool message, int64_t *from_ns)
{
	struct shard *self = mn_self;
	int64_t took_ns;
	struct mn_op op;
	int err = 0;

	mn_nop_start(&op);
	*from_ns = backend_now(self->be);
	if (message)
		err = shard_post(1, stamp, trial);
	mesh_flush(self);
	backend_turn(self->be, 0);
	took_ns = backend_now(self->be) - *from_ns;
	mn_await(&op.done);
	return err ? err : took_ns;
}

static int sample(struct trial *trial, int i)
{
	int64_t from_ns, ran_ns;

	if (!wait_asleep(mn_self->world->shards[1]))
		return -ETIMEDOUT;
	trial->without_ns[i] = turn_ns(trial, false, &from_ns);
	atomic_store_explicit(&trial->ran_ns, 0, memory_order_relaxed);
	trial->with_ns[i] = turn_ns(trial, true, &from_ns);
	if (trial->with_ns[i] < 0)
		return (int)trial->with_ns[i];
	if (!wait_ran(trial, &ran_ns))
		return -ETIMEDOUT;
	trial->run_ns[i] = ran_ns - from_ns;
	mn_yield();
	return 0;
}

static int by_value(const void *left, const void *right)
{
	int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;

	return (l > r) - (l < r);
}

static int64_t median(int64_t *values)
{
	qsort(values, SAMPLES, sizeof(*values), by_value);
	return values[SAMPLES / 2];
}

static int trial_main(void *arg)
{
	struct trial *trial = arg;
	int err = 0;

	for (int i = 0; i < SAMPLES && !err; i++)
		while ((err = sample(trial, i)) == -EAGAIN)
			mn_yield();	/* the credits of earlier ones are on their way back */
	if (err)
		return err;
	trial->cost->run_ns = median(trial->run_ns);
	trial->cost->send_ns = max(median(trial->with_ns) - median(trial->without_ns), 0);
	return 0;
}

int wake_cost_measure(const struct mn_world *like, const struct driver_choice *backend,
		      const int *cpus, struct wake_cost *cost)
{
	struct trial trial = { .cost = cost };
	struct mn_world world = {
		.backend = *backend,
		.timer = like->timer,
		.queue = like->queue,
		.fn = trial_main,
		.arg = &trial,
	};
	int err = world_open(&world, 2, cpus);

	if (err)
		return err;
	err = world_run(&world);
	world_close(&world);
	return err;
}
