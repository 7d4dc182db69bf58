// SPDX-License-Identifier: MIT
/* Channels and selects: what each promises, on every backend. */
#include "core/shard.h"
#include "tests/suites.h"
#include "tests/sync.h"
#include "tests/world.h"

/* --- channels --- */

struct lane {
	struct mn_chan chan;
	uint64_t slot[4];
	uint64_t from, n;	/* what to send: so many, from this one on */
	int res;
};

static int sends(void *arg)
{
	struct lane *lane = arg;
	int err = 0;

	for (uint64_t i = 0; i < lane->n && !err; i++) {
		uint64_t item = lane->from + i;

		err = mn_chan_send(&lane->chan, &item);
	}
	return err;
}

static int order_fiber(void *arg)
{
	struct lane lane = { .from = 0, .n = 1000 };
	struct mn_fiber *fiber;
	uint64_t item, wrong = 0;
	int res;

	mn_chan_init(&lane.chan, lane.slot);
	ck_assert_int_eq(mn_chan_try_recv(&lane.chan, &item), -EAGAIN);
	ck_assert_int_eq(mn_chan_recv_timeout(&lane.chan, &item, MN_MSEC), -ETIMEDOUT);
	fiber = sync_spawn(sends, &lane);
	item = 99;
	ck_assert_int_eq(mn_chan_try_send(&lane.chan, &item), -EAGAIN);
	ck_assert_int_eq(mn_chan_send_timeout(&lane.chan, &item, 0), -ETIMEDOUT);
	for (uint64_t i = 0; i < 1000; i++) {
		res = mn_chan_recv(&lane.chan, &item);
		wrong += res != 1 || item != i;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	mn_chan_destroy(&lane.chan);
	return 0;
}

START_TEST(a_channel_keeps_the_order)
{
	sync_run(_i, order_fiber);
}
END_TEST

static int close_fiber(void *arg)
{
	struct lane lane = { .from = 10, .n = 6 };
	struct mn_fiber *fiber;
	uint64_t item;

	mn_chan_init(&lane.chan, lane.slot);
	fiber = sync_spawn(sends, &lane);	/* four are in, and it waits with the fifth */
	mn_chan_close(&lane.chan);
	mn_chan_close(&lane.chan);
	ck_assert_int_eq(mn_join(fiber), -EPIPE);
	ck_assert_int_eq(mn_chan_send(&lane.chan, &lane.n), -EPIPE);
	for (uint64_t i = 0; i < 4; i++) {
		ck_assert_int_eq(mn_chan_recv(&lane.chan, &item), 1);
		ck_assert_uint_eq(item, 10 + i);
	}
	ck_assert_int_eq(mn_chan_recv(&lane.chan, &item), 0);
	ck_assert_int_eq(mn_chan_try_recv(&lane.chan, &item), 0);
	mn_chan_destroy(&lane.chan);
	return 0;
}

START_TEST(closing_a_channel_refuses_senders_and_lets_receivers_drain_it)
{
	sync_run(_i, close_fiber);
}
END_TEST

static int receives(void *arg)
{
	struct lane *lane = arg;

	return mn_chan_recv(&lane->chan, &lane->from);
}

static int handed_fiber(void *arg)
{
	struct lane lane[3];
	struct mn_fiber *fiber[3];
	uint64_t item = 5;

	/* One channel, without room: the first one's. */
	mn_chan_init_sized(&lane[0].chan, NULL, sizeof(uint64_t), 0);
	fiber[0] = sync_spawn(receives, &lane[0]);
	ck_assert_int_eq(mn_chan_try_send(&lane[0].chan, &item), 0);
	mn_fiber_cancel(fiber[0]);	/* too late: it has it */
	ck_assert_int_eq(mn_chan_try_send(&lane[0].chan, &item), -EAGAIN);
	ck_assert_int_eq(mn_join(fiber[0]), 1);
	ck_assert_uint_eq(lane[0].from, 5);
	fiber[0] = sync_spawn(receives, &lane[0]);
	mn_fiber_cancel(fiber[0]);
	ck_assert_int_eq(mn_chan_try_send(&lane[0].chan, &item), -EAGAIN);	/* nobody to have it */
	ck_assert_int_eq(mn_join(fiber[0]), -ECANCELED);
	fiber[0] = sync_spawn(receives, &lane[0]);
	mn_chan_close(&lane[0].chan);
	ck_assert_int_eq(mn_join(fiber[0]), 0);
	mn_chan_destroy(&lane[0].chan);
	return 0;
}

START_TEST(an_item_is_handed_over_or_it_is_not)
{
	sync_run(_i, handed_fiber);
}
END_TEST

/* Items that are no word, in a ring that does not end with a power of two. */
struct triple {
	uint32_t a, b, c;
};

static int triples_fiber(void *arg)
{
	struct triple ring[3], item, got;
	struct mn_chan chan;
	unsigned int wrong = 0, sent = 0, received = 0;

	mn_chan_init(&chan, ring);
	for (unsigned int i = 0; i < 500; i++) {
		for (unsigned int n = 0; n < 1 + i % 3; n++) {
			item = (struct triple){ sent, sent + 1, sent + 2 };
			sent += !mn_chan_try_send(&chan, &item);
		}
		while (received < sent && mn_chan_try_recv(&chan, &got) == 1) {
			wrong += got.a != received || got.b != received + 1 ||
				 got.c != received + 2;
			if (received++ % 2)
				break;
		}
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_gt(received, 600);
	mn_chan_destroy(&chan);
	return 0;
}

START_TEST(items_may_have_any_size)
{
	sync_run(_i, triples_fiber);
}
END_TEST

/* --- select --- */

static int fair_fiber(void *arg)
{
	struct lane lane[3];
	struct mn_select_case cases[4];
	struct mn_select select = { .cases = cases, .nr_cases = 4 };
	unsigned int n[3] = { 0 };
	uint64_t item;

	for (int i = 0; i < 3; i++) {
		mn_chan_init(&lane[i].chan, lane[i].slot);
		cases[i] = (struct mn_select_case)MN_RECV(&lane[i].chan, &item);
	}
	cases[3] = (struct mn_select_case){ .chan = NULL };
	for (int round = 0; round < 300; round++) {
		int i;

		for (i = 0; i < 3; i++)	/* all have some, always */
			mn_chan_try_send(&lane[i].chan, &item);
		i = mn_select(&select);
		ck_assert_int_eq(cases[i].res, 1);
		n[i]++;
	}
	ck_assert(n[0] == 100 && n[1] == 100 && n[2] == 100);
	select.next = 0;
	ck_assert_int_eq(mn_select_try(&select), 0);
	select.next = 0;
	ck_assert_int_eq(mn_select_try(&select), 0);
	cases[0].chan = cases[1].chan = cases[2].chan = NULL;
	ck_assert_int_eq(mn_select_try(&select), -EAGAIN);
	ck_assert_int_eq(mn_select_timeout(&select, MN_MSEC), -ETIMEDOUT);
	select.nr_cases = MN_SELECT_MAX + 1;
	ck_assert_int_eq(mn_select(&select), -EINVAL);
	for (int i = 0; i < 3; i++)
		mn_chan_destroy(&lane[i].chan);
	return 0;
}

START_TEST(a_select_takes_turns_among_what_is_ready)
{
	sync_run(_i, fair_fiber);
}
END_TEST

struct chooser {
	struct mn_select_case cases[2];
	uint64_t got;
};

static int chooses(void *arg)
{
	struct chooser *chooser = arg;
	struct mn_select select = { .cases = chooser->cases, .nr_cases = 2 };

	return mn_select(&select);
}

static int one_fiber(void *arg)
{
	struct mn_chan in, out;
	uint64_t item = 3;
	struct chooser chooser = { .cases = { MN_RECV(&in, &chooser.got), MN_SEND(&out, &item) } };
	struct mn_fiber *fiber;
	uint64_t got = 0;

	mn_chan_init_sized(&in, NULL, sizeof(uint64_t), 0);
	mn_chan_init_sized(&out, NULL, sizeof(uint64_t), 0);
	fiber = sync_spawn(chooses, &chooser);
	ck_assert_int_eq(mn_chan_try_recv(&out, &got), 1);
	ck_assert_int_eq(mn_chan_try_send(&in, &got), -EAGAIN);	/* it has done the other */
	ck_assert_int_eq(mn_join(fiber), 1);
	ck_assert_uint_eq(got, 3);
	fiber = sync_spawn(chooses, &chooser);
	mn_chan_close(&in);
	ck_assert_int_eq(mn_chan_try_recv(&out, &got), -EAGAIN);
	ck_assert_int_eq(mn_join(fiber), 0);
	ck_assert_int_eq(chooser.cases[0].res, 0);
	chooser.cases[0].chan = NULL;
	fiber = sync_spawn(chooses, &chooser);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_int_eq(mn_chan_try_recv(&out, &got), -EAGAIN);
	mn_chan_destroy(&in);
	mn_chan_destroy(&out);
	return 0;
}

START_TEST(a_select_does_one_thing_and_no_other)
{
	sync_run(_i, one_fiber);
}
END_TEST

Suite *suite_channel(void)
{
	const TTest *const tests[] = {
		a_channel_keeps_the_order,
		closing_a_channel_refuses_senders_and_lets_receivers_drain_it,
		an_item_is_handed_over_or_it_is_not,
		items_may_have_any_size,
		a_select_takes_turns_among_what_is_ready,
		a_select_does_one_thing_and_no_other,
	};
	Suite *s = suite_create("channel");
	TCase *tc = tcase_create("channel");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, nr_backends());
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_broadcast());
	suite_add_tcase(s, tcase_channel_remote());
	suite_add_tcase(s, tcase_channel_model());
	return s;
}
