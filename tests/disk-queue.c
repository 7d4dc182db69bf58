// SPDX-License-Identifier: MIT
/* Whose turn it is with a disk: with groups that are real, and without a disk. */
#include <stdlib.h>

#include <miniss/miniss.h>

#include "lib/file/disk.h"
#include "tests/disk.h"
#include "tests/run.h"
#include "tests/sched.h"
#include "tests/suites.h"
#include "tests/world.h"

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

TCase *tcase_disk_queue(void)
{
	TCase *tc = tcase_create("disk_queue");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, groups_have_a_disk_in_proportion_to_their_shares);
	tcase_add_test(tc, a_latency_group_passes_those_that_wait);
	tcase_add_loop_test(tc, requests_of_a_group_have_their_turn_in_order_and_none_is_lost, 0,
			    10);
	return tc;
}
