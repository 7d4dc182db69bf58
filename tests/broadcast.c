// SPDX-License-Identifier: MIT
/* Broadcasts and pipes: what each promises, on every backend. */
#include <string.h>

#include "core/shard.h"
#include "tests/stress.h"
#include "tests/suites.h"
#include "tests/sync.h"
#include "tests/world.h"

/* --- broadcast --- */

struct listener {
	struct mn_broadcast *broadcast;
	struct mn_broadcast_reader reader;
	uint64_t random, got, wrong, last;
	bool slow;
};

static int listens(void *arg)
{
	struct listener *l = arg;
	uint64_t item, lost = 0;
	int res;

	l->last = l->broadcast->nr_sent;
	mn_broadcast_join(l->broadcast, &l->reader);
	while ((res = mn_broadcast_recv(&l->reader, &item)) > 0) {
		l->wrong += item != l->last + 1 + (l->reader.nr_lost - lost);
		lost = l->reader.nr_lost;
		l->last = item;
		l->got++;
		for (uint64_t n = stress_random(&l->random, l->slow ? 8 : 2); n; n--)
			mn_yield();
	}
	mn_broadcast_leave(&l->reader);
	return res;
}

enum { ITEMS = 2000, LISTENERS = 4 };

static void broadcast_some(enum mn_broadcast_policy policy)
{
	struct mn_broadcast broadcast;
	struct listener l[LISTENERS];
	struct mn_fiber *fiber[LISTENERS];
	uint64_t ring[5];

	mn_broadcast_init(&broadcast, ring, policy);
	for (int i = 0; i < LISTENERS; i++)
		l[i] = (struct listener){ &broadcast, .random = (uint64_t)i, .slow = i == 0 };
	for (int i = 0; i < LISTENERS - 1; i++)
		fiber[i] = sync_spawn(listens, &l[i]);
	for (uint64_t item = 1; item <= ITEMS; item++) {
		if (item == ITEMS / 2)	/* one that comes late */
			fiber[LISTENERS - 1] = sync_spawn(listens, &l[LISTENERS - 1]);
		ck_assert_int_eq(mn_broadcast_send(&broadcast, &item), 0);
		if (policy == MN_BROADCAST_LOSE && item % 3 == 0)
			mn_yield();
	}
	mn_broadcast_close(&broadcast);
	for (int i = 0; i < LISTENERS; i++) {
		uint64_t from = i < LISTENERS - 1 ? 0 : ITEMS / 2 - 1;

		ck_assert_int_eq(mn_join(fiber[i]), 0);
		ck_assert_uint_eq(l[i].wrong, 0);
		ck_assert_uint_eq(l[i].last, ITEMS);
		ck_assert_uint_eq(l[i].got + l[i].reader.nr_lost, ITEMS - from);
	}
	if (policy == MN_BROADCAST_WAIT)
		ck_assert_uint_eq(l[0].reader.nr_lost, 0);
	else
		ck_assert_uint_gt(l[0].reader.nr_lost, 0);
	mn_broadcast_destroy(&broadcast);
}

static int broadcast_fiber(void *arg)
{
	broadcast_some(MN_BROADCAST_WAIT);
	broadcast_some(MN_BROADCAST_LOSE);
	return 0;
}

START_TEST(every_reader_gets_every_item_or_is_told_how_many_it_lost)
{
	sync_run(_i, broadcast_fiber);
}
END_TEST

static int broadcasts(void *arg)
{
	uint64_t item = 7;

	return mn_broadcast_send(arg, &item);
}

static int hears_one(void *arg)
{
	uint64_t item = 0;
	int res = mn_broadcast_recv((struct mn_broadcast_reader *)arg, &item);

	return res > 0 ? (int)item : res;
}

static int broadcast_wait_fiber(void *arg)
{
	struct mn_broadcast broadcast;
	struct mn_broadcast_reader slow, gone;
	struct mn_fiber *fiber[2];
	uint64_t ring[1], item = 1;

	mn_broadcast_init(&broadcast, ring, MN_BROADCAST_WAIT);
	ck_assert_int_eq(mn_broadcast_send(&broadcast, &item), 0);	/* to nobody */
	mn_broadcast_join(&broadcast, &slow);
	mn_broadcast_join(&broadcast, &gone);
	ck_assert_int_eq(mn_broadcast_send(&broadcast, &item), 0);
	ck_assert_int_eq(mn_broadcast_send_timeout(&broadcast, &item, MN_MSEC), -ETIMEDOUT);
	fiber[0] = sync_spawn(broadcasts, &broadcast);
	fiber[1] = sync_spawn(broadcasts, &broadcast);
	ck_assert_int_eq(mn_broadcast_recv(&slow, &item), 1);
	mn_fiber_cancel(fiber[0]);
	ck_assert_int_eq(mn_join(fiber[0]), -ECANCELED);
	ck_assert_uint_eq(broadcast.nr_sent, 2);
	mn_broadcast_leave(&gone);	/* it was the last that had not read */
	ck_assert_int_eq(mn_join(fiber[1]), 0);
	ck_assert_int_eq(mn_broadcast_recv(&slow, &item), 1);
	ck_assert_uint_eq(item, 7);
	/* Two fibers with one reader: an item is for one of them. */
	fiber[0] = sync_spawn(hears_one, &slow);
	fiber[1] = sync_spawn(hears_one, &slow);
	item = 8;
	ck_assert_int_eq(mn_broadcast_send(&broadcast, &item), 0);
	item = 9;
	ck_assert_int_eq(mn_broadcast_send(&broadcast, &item), 0);
	ck_assert_int_eq(mn_join(fiber[0]), 8);
	ck_assert_int_eq(mn_join(fiber[1]), 9);
	mn_broadcast_close(&broadcast);
	ck_assert_int_eq(mn_broadcast_send(&broadcast, &item), -EPIPE);
	mn_broadcast_leave(&slow);
	mn_broadcast_destroy(&broadcast);
	return 0;
}

START_TEST(the_writer_of_a_broadcast_waits_for_the_slowest_reader)
{
	sync_run(_i, broadcast_wait_fiber);
}
END_TEST

/* --- pipe --- */

struct hose {
	struct mn_pipe pipe;
	char ring[37];
	uint64_t random, written;
	uint8_t text[100];
};

enum { HOSE_BYTES = 20000 };

static int pours(void *arg)
{
	struct hose *hose = arg;

	while (hose->written < HOSE_BYTES) {
		size_t len = stress_random(&hose->random, sizeof(hose->text));
		int64_t n;

		pattern_fill(hose->text, hose->written, len);
		n = stress_random(&hose->random, 3) ?
			    mn_pipe_write(&hose->pipe, hose->text, len) :
			    mn_pipe_write_timeout(&hose->pipe, hose->text, len, 1);
		if (n < 0 && n != -ETIMEDOUT)
			return (int)n;
		hose->written += n > 0 ? (uint64_t)n : 0;	/* some of it, perhaps */
	}
	mn_pipe_close(&hose->pipe);
	return 0;
}

static int pipe_fiber(void *arg)
{
	struct hose hose = { .random = 1 };
	struct mn_fiber *fiber;
	uint64_t random = 2, wrong = 0, at = 0;
	uint8_t text[80];
	int64_t n;

	mn_pipe_init(&hose.pipe, hose.ring, sizeof(hose.ring));
	ck_assert_int_eq(mn_pipe_read(&hose.pipe, text, 0), 0);
	ck_assert_int_eq(mn_pipe_read_timeout(&hose.pipe, text, 1, MN_MSEC), -ETIMEDOUT);
	fiber = sync_spawn(pours, &hose);
	while ((n = mn_pipe_read(&hose.pipe, text, 1 + stress_random(&random, sizeof(text)))) > 0) {
		for (int64_t i = 0; i < n; i++)
			wrong += text[i] != pattern(at + (uint64_t)i);
		at += (uint64_t)n;
		if (!stress_random(&random, 20))
			mn_sleep(1);
	}
	ck_assert(n == 0);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	ck_assert_uint_eq(at, hose.written);
	ck_assert_int_eq(mn_pipe_write(&hose.pipe, text, 1), -EPIPE);
	mn_pipe_destroy(&hose.pipe);
	return 0;
}

START_TEST(bytes_of_a_pipe_arrive_as_they_were_written)
{
	sync_run(_i, pipe_fiber);
}
END_TEST

struct line {
	struct mn_pipe *pipe;
	char c;
};

static int writes_line(void *arg)
{
	struct line *line = arg;
	char text[10];

	memset(text, line->c, sizeof(text));
	return (int)mn_pipe_write(line->pipe, text, sizeof(text));
}

static int pipe_writers_fiber(void *arg)
{
	struct mn_pipe pipe;
	struct line line[3] = { { &pipe, 'a' }, { &pipe, 'b' }, { &pipe, 'c' } };
	struct mn_fiber *fiber[3];
	char ring[4], text[32] = "";
	size_t len = 0;

	mn_pipe_init(&pipe, ring, sizeof(ring));
	for (int i = 0; i < 3; i++)
		fiber[i] = sync_spawn(writes_line, &line[i]);
	len += (size_t)mn_pipe_read(&pipe, text, 3);
	mn_fiber_cancel(fiber[0]);	/* seven of its ten are in, or were */
	ck_assert_int_eq(mn_join(fiber[0]), 7);
	mn_fiber_cancel(fiber[1]);	/* none of its are */
	ck_assert_int_eq(mn_join(fiber[1]), -ECANCELED);
	while (len < 17)
		len += (size_t)mn_pipe_read(&pipe, text + len, 5);
	ck_assert_str_eq(text, "aaaaaaacccccccccc");
	ck_assert_int_eq(mn_join(fiber[2]), 10);
	mn_pipe_destroy(&pipe);
	return 0;
}

START_TEST(what_is_written_to_a_pipe_does_not_mix_and_an_end_says_how_much)
{
	sync_run(_i, pipe_writers_fiber);
}
END_TEST

TCase *tcase_broadcast(void)
{
	const TTest *const tests[] = {
		every_reader_gets_every_item_or_is_told_how_many_it_lost,
		the_writer_of_a_broadcast_waits_for_the_slowest_reader,
		bytes_of_a_pipe_arrive_as_they_were_written,
		what_is_written_to_a_pipe_does_not_mix_and_an_end_says_how_much,
	};
	TCase *tc = tcase_create("broadcast");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, nr_backends());
	return tc;
}
