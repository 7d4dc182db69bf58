// SPDX-License-Identifier: MIT
/*
 * The disk scheduler with operations of sockets, which end when the test says
 * so: on every backend.
 */
#include <errno.h>
#include <stdlib.h>

#include <miniss/miniss.h>

#include "lib/file/disk.h"
#include "tests/disk.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

/* ---- operations ---- */

#define NR	5

struct device {
	struct mn_world world;
	struct mn_disk *disk;
	struct pair pair[NR];
	struct track track[NR];
	uint8_t byte[NR];
};

/* As many at a time as requests of 4 KiB. */
static void limit_to(struct mn_disk *disk, unsigned int n)
{
	disk->limit.limit = n * disk_cost(4096);
	disk->limit.limit_max = disk->limit.limit;
}

static bool device_begin(struct device *d, int i)
{
	if (!world_backend(&d->world, i))
		return false;
	ck_assert_int_eq(mn_disk_open(&d->disk, NULL), 0);
	for (int n = 0; n < NR; n++)
		d->pair[n] = connected(0);
	return true;
}

static void device_start(struct device *d, int n)
{
	struct track *t = &d->track[n];

	track_init(t, MN_OP_RECV, d->pair[n].server);
	t->op.buf.base = &d->byte[n];
	t->op.buf.len = 1;
	disk_start(d->disk, &t->op, 4096, false);
}

static void device_end(struct device *d)
{
	for (int n = 0; n < NR; n++) {
		ck_assert_int_eq(do_call(MN_OP_CLOSE, d->pair[n].client, 0), 0);
		ck_assert_int_eq(do_call(MN_OP_CLOSE, d->pair[n].server, 0), 0);
	}
	mn_disk_close(d->disk);
	world_end(&d->world);
}

static void ck_disk(const struct mn_disk *disk, unsigned int in_flight, unsigned int queued)
{
	struct mn_disk_stats stats;

	mn_disk_stats(disk, &stats);
	ck_assert_uint_eq(stats.in_flight, in_flight);
	ck_assert_uint_eq(stats.queued, queued);
}

static struct device dev;

START_TEST(what_waits_can_be_cancelled_at_once_and_what_ends_makes_room)
{
	struct mn_disk_group_stats stats;

	if (!device_begin(&dev, _i))
		return;
	limit_to(dev.disk, 2);
	for (int n = 0; n < NR; n++)
		device_start(&dev, n);
	ck_disk(dev.disk, 2, 3);
	for (int n = 0; n < NR; n++)
		ck_assert(mn_op_in_flight(&dev.track[n].op));

	mn_op_cancel(&dev.track[3].op);
	ck_assert_uint_eq(dev.track[3].ends, 1);
	ck_assert_int_eq(dev.track[3].res, -ECANCELED);
	mn_op_cancel(&dev.track[3].op);
	ck_disk(dev.disk, 2, 2);

	ck_assert_int_eq(do_send(dev.pair[1].client, "x", 1), 1);
	ck_assert_int_eq(track_finish(&dev.track[1]), 1);
	ck_disk(dev.disk, 2, 1);
	mn_op_cancel(&dev.track[0].op);
	ck_assert_int_eq(track_finish(&dev.track[0]), -ECANCELED);
	ck_disk(dev.disk, 2, 0);
	ck_assert_int_eq(do_send(dev.pair[2].client, "x", 1), 1);
	ck_assert_int_eq(do_send(dev.pair[4].client, "x", 1), 1);
	ck_assert_int_eq(track_finish(&dev.track[2]), 1);
	ck_assert_int_eq(track_finish(&dev.track[4]), 1);
	ck_disk(dev.disk, 0, 0);

	for (int n = 0; n < NR; n++)
		ck_assert_uint_eq(dev.track[n].ends, 1);
	mn_disk_group_stats(dev.disk, MN_GROUP_DEFAULT, &stats);
	ck_assert_uint_eq(stats.done, 4);
	ck_assert_uint_eq(stats.bytes, 3);
	ck_assert_uint_eq(stats.canceled, 1);
	ck_assert_uint_eq(stats.queued, 0);
	device_end(&dev);
}
END_TEST

START_TEST(one_request_may_always_go_however_large)
{
	if (!device_begin(&dev, _i))
		return;
	limit_to(dev.disk, 2);
	for (int n = 0; n < 3; n++) {
		track_init(&dev.track[n], MN_OP_RECV, dev.pair[n].server);
		dev.track[n].op.buf.base = &dev.byte[n];
		dev.track[n].op.buf.len = 1;
		disk_start(dev.disk, &dev.track[n].op, n == 1 ? 4096 : 1 << 30, n == 2);
	}
	ck_disk(dev.disk, 1, 2);	/* nobody passes, either */
	for (int n = 0; n < 3; n++) {
		ck_disk(dev.disk, 1, (unsigned int)(2 - n));
		ck_assert_int_eq(do_send(dev.pair[n].client, "x", 1), 1);
		ck_assert_int_eq(track_finish(&dev.track[n]), 1);
	}
	device_end(&dev);
}
END_TEST

START_TEST(more_than_there_may_be_are_refused)
{
	const struct mn_disk_options two = { .requests_max = 2 };
	struct mn_disk_stats stats;

	if (!device_begin(&dev, _i))
		return;
	mn_disk_close(dev.disk);
	ck_assert_int_eq(mn_disk_open(&dev.disk, &two), 0);
	limit_to(dev.disk, 1);
	for (int n = 0; n < 3; n++)
		device_start(&dev, n);
	ck_assert_uint_eq(dev.track[2].ends, 1);
	ck_assert_int_eq(dev.track[2].res, -EBUSY);
	ck_disk(dev.disk, 1, 1);
	mn_disk_stats(dev.disk, &stats);
	ck_assert_uint_eq(stats.refused, 1);
	for (int n = 0; n < 2; n++) {
		mn_op_cancel(&dev.track[1 - n].op);
		ck_assert_int_eq(track_finish(&dev.track[1 - n]), -ECANCELED);
	}
	device_start(&dev, 2);
	ck_disk(dev.disk, 1, 0);
	mn_op_cancel(&dev.track[2].op);
	ck_assert_int_eq(track_finish(&dev.track[2]), -ECANCELED);
	device_end(&dev);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
	struct mn_disk *disk;

	if (!world_backend(&dev.world, _i))
		return;
	ck_assert_int_eq(mn_disk_open(&disk, &(struct mn_disk_options){ .goal_ns = -1 }), -EINVAL);
	ck_assert_int_eq(mn_disk_open(&disk, &(struct mn_disk_options){ .requests_max = 65537 }),
			 -EINVAL);
	world_end(&dev.world);
}
END_TEST

/* ---- fibers ---- */

#define MANY	2000

static void nop_init(struct mn_op *op)
{
	mn_self->origin = NULL;
	op_init(op, MN_OP_NOP, -1);
}

/* Those that end as soon as they begin, perhaps from where they are begun. */
static int many_fiber(void *arg)
{
	struct mn_op *op = calloc(MANY, sizeof(*op));
	struct mn_disk_group_stats stats;
	struct mn_disk *disk;

	ck_assert_ptr_nonnull(op);
	ck_assert_int_eq(mn_disk_open(&disk, &(struct mn_disk_options){ .requests_max = MANY }), 0);
	limit_to(disk, 3);
	for (int i = 0; i < MANY; i++) {
		nop_init(&op[i]);
		disk_start(disk, &op[i], 4096, i & 1);
	}
	for (int i = 0; i < MANY; i++)
		if (mn_op_await(&op[i], MN_NEVER))
			return -EPROTO;
	ck_disk(disk, 0, 0);
	mn_disk_group_stats(disk, MN_GROUP_DEFAULT, &stats);
	ck_assert_uint_eq(stats.done, MANY);
	mn_disk_close(disk);
	free(op);
	return 0;
}

static int on_all_shards(void *fn)
{
	return mn_call_all((int (*)(void *))fn, NULL);
}

/* The loop variable counts backends, each with one shard and with two. */
static void run_all(int i, mn_fiber_fn fn)
{
	int ret = run_backend(i / 2, (unsigned int)i % 2 + 1, on_all_shards, (void *)fn);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

START_TEST(many_that_end_at_once_all_do)
{
	run_all(_i, many_fiber);
}
END_TEST

static struct mn_disk *full;

static int wait_in_queue(void *arg)
{
	struct mn_op op;

	nop_init(&op);
	disk_start(full, &op, 4096, false);
	return (int)mn_op_await(&op, *(int64_t *)arg);
}

static int queue_fiber(void *arg)
{
	int64_t soon_ns = MN_MSEC, never_ns = MN_NEVER;
	struct mn_fiber *late, *canceled, *served;

	ck_assert_int_eq(mn_disk_open(&full, NULL), 0);
	full->in_flight = 1;		/* something that never ends */
	full->in_flight_cost = full->limit.limit;
	ck_assert_int_eq(mn_spawn(wait_in_queue, &soon_ns, &late), 0);
	ck_assert_int_eq(mn_spawn(wait_in_queue, &never_ns, &canceled), 0);
	ck_assert_int_eq(mn_spawn(wait_in_queue, &never_ns, &served), 0);
	mn_yield();
	ck_disk(full, 1, 3);
	mn_fiber_cancel(canceled);
	ck_assert_int_eq(mn_join(canceled), -ECANCELED);
	ck_assert_int_eq(mn_join(late), -ETIMEDOUT);
	ck_disk(full, 1, 1);
	full->in_flight = 0;
	full->in_flight_cost = 0;
	ck_assert_int_eq(wait_in_queue(&never_ns), 0);	/* it pushes the other, too */
	ck_assert_int_eq(mn_join(served), 0);
	mn_disk_close(full);
	return 0;
}

START_TEST(a_fiber_that_waits_for_its_turn_can_be_cancelled_and_time_out)
{
	int ret = run_backend(_i, 1, queue_fiber, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

static int devices_fiber(void *arg)
{
	struct mn_disk *a = disk_of(1), *b = disk_of(2);

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_ne(a, b);
	ck_assert_ptr_eq(disk_of(1), a);
	ck_assert_ptr_eq(disk_of(2), b);
	return 0;	/* they go with the shard */
}

START_TEST(each_shard_has_a_scheduler_for_each_device)
{
	run_all(_i, devices_fiber);
}
END_TEST

Suite *suite_disk(void)
{
	Suite *s = suite_create("disk");
	TCase *tc = tcase_create("disk");
	int n = nr_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, what_waits_can_be_cancelled_at_once_and_what_ends_makes_room, 0, n);
	tcase_add_loop_test(tc, one_request_may_always_go_however_large, 0, n);
	tcase_add_loop_test(tc, more_than_there_may_be_are_refused, 0, n);
	tcase_add_loop_test(tc, options_that_cannot_be_are_refused, 0, n);
	tcase_add_loop_test(tc, many_that_end_at_once_all_do, 0, 2 * n);
	tcase_add_loop_test(tc, a_fiber_that_waits_for_its_turn_can_be_cancelled_and_time_out, 0,
			    n);
	tcase_add_loop_test(tc, each_shard_has_a_scheduler_for_each_device, 0, 2 * n);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_disk_queue());
	suite_add_tcase(s, tcase_disk_model());
	suite_add_tcase(s, tcase_disk_file());
	return s;
}
