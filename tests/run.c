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
	if (!world_opens(&world, nr_shards))
		return RUN_SKIPPED;
	ret = world_run(&world);
	world_close(&world);
	return ret;
}

/* The @i-th way to wake a shard: its backend, and its name or NULL. */
static const struct backend_ops *waker_find(int i, const char **waker)
{
	for (int b = 0; b < nr_backends(); b++) {
		const struct backend_ops *ops =
			container_of(backend_kind.start[b], struct backend_ops, drv);
		int n = 0;

		while (ops->wakers && ops->wakers[n])
			n++;
		if (i < max(n, 1)) {
			*waker = ops->wakers ? ops->wakers[i] : NULL;
			return ops;
		}
		i -= max(n, 1);
	}
	return NULL;
}

int nr_wakers(void)
{
	const char *waker;
	int n = 0;

	while (waker_find(n, &waker))
		n++;
	return n;
}

const char *waker_backend(int i)
{
	static char name[64];
	const char *waker;
	const struct backend_ops *ops = waker_find(i, &waker);

	snprintf(name, sizeof(name), "%s%s%s", ops->drv.name, waker ? ":" : "", waker ? waker : "");
	return name;
}

bool waker_virtual_time(int i)
{
	const char *waker;

	return waker_find(i, &waker)->virtual_time;
}

int run_waker(int i, unsigned int nr_shards, mn_fiber_fn fn, void *arg)
{
	return run_main(waker_backend(i), nr_shards, fn, arg);
}

int run_backend(int i, unsigned int nr_shards, mn_fiber_fn fn, void *arg)
{
	return run_main(backend_kind.start[i]->name, nr_shards, fn, arg);
}
