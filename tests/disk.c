// SPDX-License-Identifier: MIT
/*
 * The disk scheduler with operations of sockets, which end when the test says
 * so: on every backend. And whose turn it is, with groups that are real.
 */
#include <errno.h>
#include <stdlib.h>

#include <miniss/miniss.h>

#include "lib/file/disk.h"
#include "tests/disk.h"
#include "tests/run.h"
#include "tests/sched.h"
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

/* ---- whose turn it is ---- */

static struct disk_slot *slot_new(struct disk_queue *q, unsigned int group, uint64_t len)
{
	struct disk_slot *slot = calloc(1, sizeof(*slot));

	ck_assert_ptr_nonnull(slot);
	slot->group = (uint8_t)group;
	slot->cost = disk_cost(len);
	disk_queue_push(q, mn_self->sched, slot);
	return slot;
}

/* What each group gets of @n requests while all want more; in cost. */
static void serve(struct disk_queue *q, const unsigned int *group, const uint64_t *len,
		  unsigned int nr, unsigned int n, uint64_t cost[static MN_GROUPS_MAX])
{
	for (unsigned int i = 0; i < MN_GROUPS_MAX; i++)
		cost[i] = 0;
	for (unsigned int i = 0; i < nr; i++)
		slot_new(q, group[i], len[i]);
	while (n--) {
		bool first;
		struct disk_slot *slot = disk_queue_first(q, &first);
		unsigned int i = 0;

		ck_assert_ptr_nonnull(slot);
		while (group[i] != slot->group)
			i++;
		disk_queue_pop(q, slot, first);
		cost[slot->group] += slot->cost;
		slot_new(q, group[i], len[i]);
		free(slot);
	}
	for (;;) {
		bool first;
		struct disk_slot *slot = disk_queue_first(q, &first);

		if (!slot)
			break;
		disk_queue_take_out(q, slot);
		free(slot);
	}
	ck_assert_uint_eq(q->nr_queued, 0);
	ck_assert_uint_eq(q->ready, 0);
}

static void ck_share(const uint64_t *cost, unsigned int group, int expected)
{
	uint64_t total = 0;
	int is;

	for (unsigned int i = 0; i < MN_GROUPS_MAX; i++)
		total += cost[i];
	is = (int)(cost[group] * 1000 / total);
	ck_assert_msg(abs(is - expected) <= 10, "group %u has %d, not %d of 1000", group, is,
		      expected);
}

static int shares_fiber(void *arg)
{
	unsigned int a = group_new("a", 100, 0, false), b = group_new("b", 300, 0, false);
	unsigned int in = group_new("in", 100, b, false), soon = group_new("soon", 1, 0, true);
	static struct disk_queue q;
	uint64_t cost[MN_GROUPS_MAX];

	disk_queue_init(&q);
	/* Small ones and large ones: what counts is how much they cost. */
	serve(&q, (unsigned int[]){ a, b }, (uint64_t[]){ 1 << 20, 4096 }, 2, 50000, cost);
	ck_share(cost, a, 250);
	ck_share(cost, b, 750);
	/* The default group is one like the others, and what was had before is gone. */
	serve(&q, (unsigned int[]){ a, 0 }, (uint64_t[]){ 4096, 4096 }, 2, 20000, cost);
	ck_share(cost, a, 500);
	ck_share(cost, 0, 500);
	/* A group in a group, beside what is of the outer one itself. */
	serve(&q, (unsigned int[]){ a, b, in }, (uint64_t[]){ 4096, 4096, 4096 }, 3, 20000, cost);
	ck_share(cost, a, 250);
	ck_share(cost, b, 375);
	ck_share(cost, in, 375);
	/* A latency group, with next to no shares, has half. */
	serve(&q, (unsigned int[]){ a, soon }, (uint64_t[]){ 65536, 4096 }, 2, 20000, cost);
	ck_share(cost, a, 500);
	ck_share(cost, soon, 500);
	ck_assert_int_eq(mn_group_set_shares(a, 900), 0);
	serve(&q, (unsigned int[]){ a, b }, (uint64_t[]){ 4096, 4096 }, 2, 20000, cost);
	ck_share(cost, a, 750);
	return 0;
}

START_TEST(groups_have_a_disk_in_proportion_to_their_shares)
{
	run_virtual(0, shares_fiber);
}
END_TEST

static int soon_fiber(void *arg)
{
	unsigned int a = group_new("a", 1000, 0, false), soon = group_new("soon", 1, 0, true);
	static struct disk_queue q;
	struct disk_slot *slot;
	bool first;

	disk_queue_init(&q);
	for (int i = 0; i < 100; i++)
		slot_new(&q, a, 65536);
	for (int i = 0; i < 10; i++) {
		slot = disk_queue_first(&q, &first);
		ck_assert_uint_eq(slot->group, a);
		disk_queue_pop(&q, slot, first);
		free(slot);
	}
	slot_new(&q, soon, 4096);
	slot = disk_queue_first(&q, &first);
	ck_assert_uint_eq(slot->group, soon);
	ck_assert(first);
	while ((slot = disk_queue_first(&q, &first))) {
		disk_queue_pop(&q, slot, first);
		free(slot);
	}
	return 0;
}

START_TEST(a_latency_group_passes_those_that_wait)
{
	run_virtual(0, soon_fiber);
}
END_TEST

static int random_fiber(void *arg)
{
	enum { GROUPS = 4, SLOTS = 64 };
	unsigned int group[GROUPS] = { 0 };
	struct disk_slot *waits[SLOTS] = { NULL };
	uint64_t came[SLOTS], nr_came = 0, nr_left = 0;
	static struct disk_queue q;
	uint64_t random = 88172645463325252 + (uint64_t)*(int *)arg;
	bool first;

	for (unsigned int i = 1; i < GROUPS; i++)
		group[i] = group_new((const char *[]){ "", "a", "b", "c" }[i], 10 * i,
				     i == 3 ? group[2] : 0, i == 1);
	disk_queue_init(&q);
	for (int step = 0; step < 20000; step++) {
		unsigned int i;
		struct disk_slot *slot;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		i = (unsigned int)(random >> 8) % SLOTS;
		if (!waits[i]) {
			waits[i] = slot_new(&q, group[random >> 32 & 3], (random >> 40) % 100000);
			came[i] = nr_came++;
		} else if (random & 1) {
			disk_queue_take_out(&q, waits[i]);
			free(waits[i]);
			waits[i] = NULL;
			nr_left++;
		}
		if (random & 6 || !(slot = disk_queue_first(&q, &first)))
			continue;
		for (i = 0; waits[i] != slot; i++)
			ck_assert_uint_lt(i, SLOTS - 1);
		for (unsigned int j = 0; j < SLOTS; j++)	/* in order, in its group */
			if (waits[j] && waits[j]->group == slot->group && came[j] < came[i])
				ck_abort_msg("step %d: slot %u was passed", step, j);
		disk_queue_pop(&q, slot, first);
		free(slot);
		waits[i] = NULL;
		nr_left++;
	}
	ck_assert_uint_eq(q.nr_queued, nr_came - nr_left);
	for (unsigned int i = 0; i < SLOTS; i++)
		if (waits[i]) {
			disk_queue_take_out(&q, waits[i]);
			free(waits[i]);
		}
	ck_assert_uint_eq(q.nr_queued, 0);
	ck_assert_uint_eq(q.ready, 0);
	return 0;
}

START_TEST(requests_of_a_group_have_their_turn_in_order_and_none_is_lost)
{
	int ret = run_main("mem", 1, random_fiber, &_i);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
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
	tcase_add_test(tc, groups_have_a_disk_in_proportion_to_their_shares);
	tcase_add_test(tc, a_latency_group_passes_those_that_wait);
	tcase_add_loop_test(tc, requests_of_a_group_have_their_turn_in_order_and_none_is_lost, 0,
			    10);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_disk_model());
	suite_add_tcase(s, tcase_disk_file());
	return s;
}
