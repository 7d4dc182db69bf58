// SPDX-License-Identifier: MIT
/*
 * Who gets a new connection, when it is the shard with the fewest. Every case
 * on every backend with 1, 2 and 8 shards; no descriptor and no buffer may be
 * left.
 */
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include <miniss/miniss.h>

#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

static atomic_uint open_conns[8];

static int counted_echo(struct mn_stream *conn, void *arg)
{
	int err;

	atomic_fetch_add(&open_conns[mn_shard()], 1);
	err = echo_conn(conn, arg);
	atomic_fetch_sub(&open_conns[mn_shard()], 1);
	return err;
}

static void counts_clear(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(open_conns); i++)
		atomic_store(&open_conns[i], 0);
}

static void ck_even(void)
{
	unsigned int least = UINT_MAX, most = 0;

	for (unsigned int i = 0; i < mn_shards(); i++) {
		unsigned int n = atomic_load(&open_conns[i]);

		least = min(least, n);
		most = max(most, n);
	}
	ck_assert_msg(most - least <= 1, "%u on one shard, %u on another", least, most);
}

static void talk(struct mn_stream *stream)
{
	send_pattern(stream, 0, 5000);
	expect_pattern(stream, 0, 5000);
}

/* --- evenly --- */

#define EACH	5	/* connections of each shard's client */

struct even {
	struct site site;
	struct mn_stream *stream[8][EACH];
};

static int even_open(void *arg)
{
	struct even *t = arg;

	for (int i = 0; i < EACH; i++) {
		t->stream[mn_shard()][i] = site_connect(&t->site);
		talk(t->stream[mn_shard()][i]);
	}
	return 0;
}

static int even_close(void *arg)
{
	struct even *t = arg;

	for (int i = 0; i < EACH; i++) {
		talk(t->stream[mn_shard()][i]);
		ck_assert_int_eq(mn_stream_close(t->stream[mn_shard()][i]), 0);
	}
	return 0;
}

static int even_fiber(void *arg)
{
	struct even t = { .site.conf = { .accept = MN_ACCEPT_LEAST, .on_conn = counted_echo } };

	counts_clear();
	ck_assert_int_eq(site_open(&t.site), 0);
	ck_assert_int_eq(mn_call_all(even_open, &t), 0);
	ck_even();
	ck_assert_int_eq(mn_call_all(even_close, &t), 0);
	ck_assert_int_eq(site_close(&t.site), 0);
	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert_uint_eq(atomic_load(&open_conns[i]), 0);
	return 0;
}

START_TEST(no_shard_has_two_connections_more_than_another)
{
	sharded_run_backend(_i, even_fiber);
}
END_TEST

/* --- as many as there is room for --- */

static int late(void *arg)
{
	struct mn_stream *stream = arg;

	talk(stream);
	return mn_stream_close(stream);
}

static int limit_fiber(void *arg)
{
	enum { MAX = 2, N = 8 * MAX };
	struct site site = { .conf = { .accept = MN_ACCEPT_LEAST, .conns_max = MAX } };
	struct mn_stream *stream[N];
	struct mn_fiber *fiber[MAX];
	unsigned int n = mn_shards() * MAX;

	/* Whatever the kernel chose, all of these are served at once ... */
	ck_assert_int_eq(site_open(&site), 0);
	for (unsigned int i = 0; i < n; i++) {
		stream[i] = site_connect(&site);
		talk(stream[i]);
	}
	for (unsigned int i = 0; i < n; i++)
		talk(stream[i]);
	/* ... and these wait, wherever they are, for a place anywhere. */
	for (unsigned int i = 0; i < MAX; i++)
		ck_assert_int_eq(mn_spawn(late, site_connect(&site), &fiber[i]), 0);
	mn_sleep(5 * MN_MSEC);
	for (unsigned int i = 0; i < n; i++)
		talk(stream[i]);
	ck_assert_int_eq(mn_stream_close(stream[0]), 0);
	for (unsigned int i = 0; i < MAX; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	for (unsigned int i = 1; i < n; i++)
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	return site_close(&site);
}

START_TEST(a_connection_waits_only_while_every_shard_is_full)
{
	sharded_run_backend(_i, limit_fiber);
}
END_TEST

/* --- stops --- */

static int stop_fiber(void *arg)
{
	enum { N = 60 };
	struct site site = { .conf.accept = MN_ACCEPT_LEAST };
	struct mn_stream *stream[N];

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < N; i++) {
		stream[i] = site_connect(&site);
		send_pattern(stream[i], 0, 100);
	}
	mn_stop();	/* some are on their way from shard to shard */
	for (int i = 0; i < N; i++) {
		expect_pattern(stream[i], 0, 100);
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	}
	return mn_join(site.fiber);
}

START_TEST(what_is_on_its_way_when_the_server_stops_is_served)
{
	sharded_run_backend(_i, stop_fiber);
}
END_TEST

static int cut_fiber(void *arg)
{
	enum { N = 60 };
	struct site site = { .conf = { .accept = MN_ACCEPT_LEAST, .drain_timeout_ns = 1 } };
	struct mn_stream *stream[N];

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < N; i++)
		stream[i] = site_connect(&site);
	ck_assert_int_eq(site_close(&site), 0);
	for (int i = 0; i < N; i++)
		mn_stream_close(stream[i]);
	return 0;
}

START_TEST(what_is_on_its_way_when_the_server_gives_up_is_closed)
{
	sharded_run_backend(_i, cut_fiber);
}
END_TEST

/* --- without credits --- */

static int doze(void *arg)
{
	mn_sleep(3600 * MN_SEC);
	return 0;
}

static int credits_fiber(void *arg)
{
	enum { N = 256, CONNS = 40 };
	static struct mn_call call[N];
	struct site site = { .conf.accept = MN_ACCEPT_LEAST };
	struct mn_stream *stream[CONNS];
	int n = 0;

	ck_assert_int_eq(site_open(&site), 0);
	while (mn_shards() > 1 && !mn_call_start(&call[n], 1, doze, NULL))
		ck_assert_int_lt(++n, N);
	for (int i = 0; i < CONNS; i++) {
		stream[i] = site_connect(&site);
		talk(stream[i]);
	}
	for (int i = 0; i < CONNS; i++)
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	while (n--) {
		mn_call_cancel(&call[n]);
		ck_assert_int_eq(mn_await(&call[n].done), 0);
	}
	return site_close(&site);
}

START_TEST(what_cannot_be_handed_over_is_served_where_it_is)
{
	sharded_run_backend(_i, credits_fiber);
}
END_TEST

Suite *suite_accept(void)
{
	Suite *s = suite_create("accept");
	TCase *tc = tcase_create("accept");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, no_shard_has_two_connections_more_than_another, 0, n);
	tcase_add_loop_test(tc, a_connection_waits_only_while_every_shard_is_full, 0, n);
	tcase_add_loop_test(tc, what_is_on_its_way_when_the_server_stops_is_served, 0, n);
	tcase_add_loop_test(tc, what_is_on_its_way_when_the_server_gives_up_is_closed, 0, n);
	tcase_add_loop_test(tc, what_cannot_be_handed_over_is_served_where_it_is, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
