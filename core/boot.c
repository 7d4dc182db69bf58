// SPDX-License-Identifier: MIT
/*
 * How a world starts and stops. All of it is messages: shards report to
 * shard 0 that they are up; its first fiber, boot(), runs the main function
 * when all are, and takes the shards down when it has returned.
 *
 * Down goes in two steps, since shards call each other to the end: first
 * every shard ends its fibers, while all still serve messages; then all stop.
 */
#include <errno.h>
#include <string.h>

#include <miniss/log.h>

#include "backends/backend.h"
#include "core/boot.h"
#include "core/future.h"
#include "core/reactor.h"
#include "lib/dns/dns.h"
#include "lib/mem/static.h"
#include "lib/net/zerocopy.h"
#include "lib/process/process.h"
#include "smp/alien.h"
#include "smp/call.h"
#include "smp/homing.h"
#include "smp/watch.h"

#define DRAIN_ROUNDS	1000		/* destructors that free others', and so on */

/* On shard 0's boot fiber while the world starts and runs. */
struct boot {
	struct mn_future up;
	unsigned int nr_waiting;
	int err;
};

static void boot_report(struct boot *boot, int err)
{
	if (err && !boot->err)
		boot->err = err;
	if (--boot->nr_waiting == 0)
		mn_future_resolve(&boot->up, 0);
}

static int boot_heard(void *arg)
{
	const struct shard *shard = arg;

	boot_report(shard->world->boot, shard->start_err);
	return 0;
}

static int boot(void *arg);

/* @arg: NULL, or there are fibers that may never end */
static int stop_shard(void *arg)
{
	mn_self->stopping = true;
	mn_self->leaving = arg;
	return 0;
}

void shard_started(struct shard *shard)
{
	struct mn_world *world = shard->world;

	static_seal(shard);
	if (shard->id == 0 && !shard->start_err)
		shard->start_err = mn_spawn(boot, world, NULL);
	if (shard->start_err)
		mn_err("shard %u: backend %s cannot start: %s", shard->id,
		       world->backend.driver->name, strerror(-shard->start_err));
	if (shard->id)
		shard_post(0, boot_heard, shard);
	else if (shard->start_err)	/* nobody will be there to stop the others */
		for (unsigned int i = 1; i < world->nr_up; i++)
			shard_post(i, stop_shard, NULL);
}

/* On each shard, in a fiber of boot's: tell the others to end. */
static int cancel_fibers(void *arg)
{
	mn_self->ending = true;
	fiber_cancel_all(mn_self);
	fiber_revive(mn_self->fiber);	/* but this one goes on */
	return 0;
}

static int limit_ms(void)
{
	return (int)(watch_limit_ns() / MN_MSEC);
}

/*
 * Likewise: wait until they have, and those that other shards started
 * meanwhile. 0 if none was started since the last time and nothing that was
 * sent from here is under way, else 1.
 */
static int quiesce(void *until_ns)
{
	struct shard *self = mn_self;
	unsigned int boots = self->id == 0;	/* its fiber, and its call of this */
	int64_t pause_ns = MN_MSEC / 8;

	while (self->fibers.nr_live > boots + 1) {
		if (shard_now(self) > *(int64_t *)until_ns) {
			mn_err("%u fibers did not end within %d ms of being cancelled",
			       self->fibers.nr_live - boots - 1, limit_ms());
			fiber_report(self);
			return -ETIMEDOUT;
		}
		cancel_fibers(NULL);
		mn_sleep(pause_ns);
		pause_ns = min(2 * pause_ns, 16 * MN_MSEC);
	}
	if (calls_under_way(self) > boots)
		mn_sleep(MN_MSEC / 8);	/* to be back in the next round, perhaps */
	return calls_begun(self) > 1 || calls_under_way(self) > boots;
}

/* On every shard: the first failure, or else whether any returned 1. */
static int each_shard(struct mn_world *world, mn_fiber_fn fn, void *arg)
{
	int err = 0, any = 0;

	for (unsigned int i = world->nr_up; i-- > 0;) {
		int ret = world->shards[i]->start_err ? 0 : shard_call(i, fn, arg);

		if (ret < 0 && !err)
			err = ret;
		any |= ret > 0;
	}
	return err ? err : any;
}

/*
 * End all fibers. When all shards have said 0 in one round, nothing was under
 * way from any; when they have in the next one, too, then in between there was
 * a moment without a fiber anywhere, and nothing comes of nothing.
 */
static int world_quiesce(struct mn_world *world)
{
	int64_t until_ns;
	int ret;

	/* The main fiber may have run for long since somebody asked for the time. */
	shard_clock_read(mn_self);
	until_ns = mn_self->now_ns + watch_limit_ns();
	ret = each_shard(world, cancel_fibers, NULL);
	for (int quiet = 0; ret >= 0 && quiet < 2; quiet = ret ? 0 : quiet + 1) {
		if (shard_now(mn_self) > until_ns) {
			mn_err("fibers went on to start others for %d ms after being cancelled",
			       limit_ms());
			return -ETIMEDOUT;
		}
		ret = each_shard(world, quiesce, &until_ns);
	}
	return ret;
}

/* What was freed away from home gets there, and what that frees, too. */
static int world_drain(struct mn_world *world)
{
	for (int round = 0; round < DRAIN_ROUNDS; round++) {
		int ret = each_shard(world, homing_drain, NULL);

		if (ret <= 0)
			return ret;
	}
	return -ETIMEDOUT;
}

/* What was sent and not acknowledged yet. */
static void sends_end(struct mn_world *world)
{
	int64_t until_ns = shard_now(mn_self) + ZC_DRAIN_NS;

	if (each_shard(world, zc_drain, &until_ns) <= 0)
		return;
	each_shard(world, zc_seal, NULL);
	each_shard(world, zc_abandon, NULL);
}

static void shards_stop(struct mn_world *world)
{
	void *fibers_left = world_quiesce(world) ? world : NULL;
	bool late = fibers_left;

	if (!world->boot->err && each_shard(world, processes_end, fibers_left))
		late = true;
	if (IS_ENABLED(CONFIG_DNS) && !world->boot->err)
		each_shard(world, resolver_end, NULL);
	hub_close(world);
	if (!world->boot->err && !fibers_left)
		sends_end(world);
	if (!world->boot->err && world_drain(world))
		late = true;
	if (late && !world->result)
		world->result = -ETIMEDOUT;
	for (unsigned int i = world->nr_up; i-- > 0;)
		while (!world->shards[i]->start_err &&
		       shard_post(i, stop_shard, fibers_left) == -EAGAIN)
			mn_yield();
}

static int boot(void *arg)
{
	struct mn_world *world = arg;
	struct boot up = { .nr_waiting = world->nr_up - 1 };

	mn_fiber_name("boot");
	mn_future_init(&up.up);
	world->boot = &up;
	if (up.nr_waiting)
		fiber_wait(&up.up);
	if (world->nr_up < world->nr_shards && !up.err)
		up.err = -EAGAIN;
	world->result = up.err ? up.err : world->fn(world->arg);
	watch_begin(world);
	stop_close(world);
	alien_stop(world);
	shards_stop(world);
	return 0;
}

int world_run(struct mn_world *world)
{
	const struct backend_ops *ops =
		container_of(world->backend.driver, struct backend_ops, drv);
	int err;

	world->nr_up = world->nr_shards;
	err = ops->run ? ops->run(world) : shards_run_threads(world);
	if (!err)
		err = world->shards[0]->start_err;
	return err ? err : world->result;
}
