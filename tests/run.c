// SPDX-License-Identifier: MIT
#include <check.h>
#include <stdio.h>

#include "tests/run.h"
#include "tests/world.h"

int run_main(const char *backend, unsigned int nr_shards, mn_fiber_fn fn, void *arg)
{
	return run_queue(backend, NULL, nr_shards, fn, arg);
}

int run_queue(const char *backend, const char *queue, unsigned int nr_shards, mn_fiber_fn fn,
	      void *arg)
{
	struct mn_world world = { .fn = fn, .arg = arg };
	int ret;

	if (driver_choose(&backend_kind, backend, "this test", NULL, &world.backend)) {
		printf("skipped: %s: %s\n", backend, world.backend.reason);
		return RUN_SKIPPED;
	}
	ck_assert_int_eq(driver_choose(&timer_queue_kind, NULL, NULL, NULL, &world.timer), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, queue, "this test", NULL, &world.queue), 0);
	ck_assert_int_eq(world_open(&world, nr_shards, NULL), 0);
	ret = world_run(&world);
	world_close(&world);
	return ret;
}

int run_backend(int i, unsigned int nr_shards, mn_fiber_fn fn, void *arg)
{
	return run_main(backend_kind.start[i]->name, nr_shards, fn, arg);
}
