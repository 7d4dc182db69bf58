// SPDX-License-Identifier: MIT
/*
 * Connections that move, and how they end: peers that vanish, limits, and
 * stops. Every case on every backend with 1, 2 and 8 shards.
 */
#include <stdatomic.h>

#include <miniss/miniss.h>

#include "tests/migrate.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/world.h"

/* --- while they move --- */

static int reset_fiber(void *arg)
{
	struct site site = { .conf.on_conn = roaming };

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < 40; i++) {
		struct mn_stream *stream = site_connect(&site);

		send_pattern(stream, 0, 200000);
		if (i % 2)	/* with the first answers unread */
			mn_sleep(i * 50 * MN_USEC);
		mn_stream_abort(stream);
		mn_stream_close(stream);
	}
	roamer(&site);
	return site_close(&site);
}

START_TEST(peers_that_vanish_meanwhile_do_not_disturb_others)
{
	sharded_run_backend(_i, reset_fiber);
}
END_TEST

static atomic_int idle_err;

static int idle_second(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;

	atomic_store(&idle_err, (int)mn_stream_read(conn, &in));
	return 0;
}

static int idle_first(struct mn_stream *conn, void *arg)
{
	return mn_stream_migrate(conn, after(mn_shard()), idle_second, NULL);
}

static int idle_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = idle_first, .idle_timeout_ns = 50 * MN_MSEC } };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	expect_end(stream);
	ck_assert_int_eq(atomic_load(&idle_err), -ETIMEDOUT);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(the_idle_limit_goes_along)
{
	sharded_run_backend(_i, idle_fiber);
}
END_TEST

/* --- stops --- */

static int talk_on(void *arg)
{
	struct mn_stream *stream = arg;
	struct mn_buf in;
	int err = 0;

	while (!err) {
		err = mn_stream_write_copy(stream, "0123456789", 10);
		if (!err && mn_stream_read(stream, &in) <= 0)
			break;
		if (!err)
			mn_buf_free(&in);
		mn_sleep(20 * MN_USEC);	/* where time is virtual it passes only so */
	}
	mn_stream_close(stream);
	return 0;
}

static int finish(void *arg)
{
	struct mn_stream *stream = arg;

	for (int i = 0; i < 100; i++) {
		send_pattern(stream, 0, 1000);
		expect_pattern(stream, 0, 1000);
	}
	return mn_stream_close(stream);
}

static int stop_fiber(void *arg)
{
	enum { N = 20 };
	struct site site = { .conf.on_conn = roaming };
	struct mn_fiber *fiber[N];

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(finish, site_connect(&site), &fiber[i]), 0);
	mn_sleep(MN_MSEC);
	ck_assert_int_eq(site_close(&site), 0);	/* drains them */
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return 0;
}

START_TEST(a_stop_lets_connections_finish_that_move)
{
	sharded_run_backend(_i, stop_fiber);
}
END_TEST

static int cut(struct site *site)
{
	enum { N = 20 };
	struct mn_fiber *fiber[N];

	ck_assert_int_eq(site_open(site), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(talk_on, site_connect(site), &fiber[i]), 0);
	mn_sleep(5 * MN_MSEC);
	mn_stop();
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return mn_join(site->fiber);
}

static int cut_fiber(void *arg)
{
	return cut(&(struct site){ .conf = { .on_conn = roaming, .drain_timeout_ns = 1 } });
}

static int cut_input_fiber(void *arg)
{
	return cut(&(struct site){ .conf = { .on_input = roaming_input, .drain_timeout_ns = 1 } });
}

START_TEST(a_stop_cancels_connections_that_move)
{
	sharded_run_backend(_i, cut_fiber);
	sharded_run_backend(_i, cut_input_fiber);
}
END_TEST

TCase *tcase_migrate_end(void)
{
	TCase *tc = tcase_create("migrate_end");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, peers_that_vanish_meanwhile_do_not_disturb_others, 0, n);
	tcase_add_loop_test(tc, the_idle_limit_goes_along, 0, n);
	tcase_add_loop_test(tc, a_stop_lets_connections_finish_that_move, 0, n);
	tcase_add_loop_test(tc, a_stop_cancels_connections_that_move, 0, n);
	return tc;
}
