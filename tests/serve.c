// SPDX-License-Identifier: MIT
/* Servers: starting, limits, time-outs, draining; and two shards on one thread. */
#include <dirent.h>

#include <miniss/run.h>

#include "backends/mem.h"
#include "core/op.h"
#include "lib/net/stream.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

static void run(int i, unsigned int nr_shards, mn_fiber_fn fn)
{
	int ret = run_waker(i, nr_shards, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

static int refuse_fiber(void *arg)
{
	struct site site = { .last_err = 0 }, second = { .last_err = 0 };
	struct mn_server both = { .addr = "127.0.0.1:0",
				  .on_conn = echo_conn,
				  .on_input = echo_input };

	ck_assert_int_eq(mn_serve("nonsense", echo_conn, NULL), -EINVAL);
	if (!mn_self->virtual_time)	/* the mem backend has every address */
		ck_assert_int_eq(mn_serve("192.0.2.1:0", echo_conn, NULL), -EADDRNOTAVAIL);
	ck_assert_int_eq(mn_serve("127.0.0.1:0", NULL, NULL), -EINVAL);
	ck_assert_int_eq(mn_serve_with(&both), -EINVAL);
	ck_assert_int_eq(site_open(&site), 0);
	second.conf.addr = site.addr;
	ck_assert_int_eq(site_open(&second), -EADDRINUSE);
	ck_assert_int_eq(mn_join(second.fiber), -EADDRINUSE);
	return site_close(&site);
}

START_TEST(a_server_that_cannot_start_says_so_and_leaves_nothing)
{
	run(_i, 1, refuse_fiber);
	run(_i, 2, refuse_fiber);
}
END_TEST

static int one_exchange(void *arg)
{
	struct mn_stream *stream = site_connect(arg);

	send_pattern(stream, 0, 1000);
	expect_pattern(stream, 0, 1000);
	return mn_stream_close(stream);
}

static int limit_fiber(void *arg)
{
	enum { N = 20 };
	struct site site = { .conf.conns_max = 2 };
	struct mn_fiber *fiber[N];

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(one_exchange, &site, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return site_close(&site);
}

START_TEST(connections_beyond_the_limit_are_served_in_turn)
{
	run(_i, 1, limit_fiber);
}
END_TEST

static int idle_fiber(void *arg)
{
	struct site site = { .conf.idle_timeout_ns = 300 * MN_MSEC };
	struct mn_stream *busy, *silent;

	ck_assert_int_eq(site_open(&site), 0);
	busy = site_connect(&site);
	silent = site_connect(&site);
	for (int i = 0; i < 20; i++) {
		send_pattern(busy, 0, 10);
		expect_pattern(busy, 0, 10);
		mn_sleep(30 * MN_MSEC);
	}
	expect_end(silent);
	ck_assert_int_eq(site.conns, 1);
	ck_assert_int_eq(site.last_err, -ETIMEDOUT);
	send_pattern(busy, 0, 10);
	expect_pattern(busy, 0, 10);
	ck_assert_int_eq(mn_stream_close(busy), 0);
	ck_assert_int_eq(mn_stream_close(silent), 0);
	return site_close(&site);
}

START_TEST(a_silent_connection_is_closed_and_a_busy_one_is_not)
{
	run(_i, 1, idle_fiber);
}
END_TEST

static int finish_later(void *arg)
{
	mn_sleep(30 * MN_MSEC);
	send_pattern(arg, 0, 5000);
	expect_pattern(arg, 0, 5000);
	return mn_stream_close(arg);
}

static int drain_fiber(void *arg)
{
	struct site site = { .last_err = 1 };
	struct mn_stream *stream;
	struct mn_fiber *fiber;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_spawn(finish_later, stream, &fiber), 0);
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert_int_eq(site.last_err, 0);
	return mn_join(fiber);
}

START_TEST(a_stop_lets_connections_finish)
{
	run(_i, 1, drain_fiber);
}
END_TEST

static int cancel_fiber(void *arg)
{
	struct site site = { .conf.drain_timeout_ns = 20 * MN_MSEC };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	send_pattern(stream, 0, 10);
	expect_pattern(stream, 0, 10);
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert_int_eq(site.last_err, -ECANCELED);
	mn_stream_close(stream);
	return 0;
}

static int cancel_input_fiber(void *arg)
{
	struct site site = { .conf = { .drain_timeout_ns = 20 * MN_MSEC, .on_input = echo_input } };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	send_pattern(stream, 0, 10);
	expect_pattern(stream, 0, 10);
	mn_sleep(MN_MSEC);
	/* This one, the server's, and nobody for the connection. */
	ck_assert_uint_eq(mn_self->fibers.nr_live, 2);
	ck_assert_int_eq(site_close(&site), 0);
	mn_stream_close(stream);
	return 0;
}

START_TEST(a_stop_cancels_connections_that_do_not_finish)
{
	run(_i, 1, cancel_fiber);
	run(_i, 1, cancel_input_fiber);
}
END_TEST

static int queued_fiber(void *arg)
{
	enum { N = 50 };
	struct site site = { .last_err = 0 };
	struct mn_stream *stream[N];

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < N; i++) {
		stream[i] = site_connect(&site);
		send_pattern(stream[i], 0, 100);
	}
	mn_stop();	/* some are accepted by now, some may only be queued */
	for (int i = 0; i < N; i++) {
		expect_pattern(stream[i], 0, 100);
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	}
	return mn_join(site.fiber);
}

START_TEST(what_is_queued_is_accepted_before_the_listener_closes)
{
	run(_i, 1, queued_fiber);
	run(_i, 2, queued_fiber);
}
END_TEST

/* --- two shards, one thread, no run(): where simulation enters --- */

static int nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = -2;	/* . and .. */

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

struct stepped {
	struct site site;
	struct mn_fiber *server;
	bool up, done[2];
};

static int stepped_server(void *arg)
{
	struct stepped *t = arg;

	ck_assert_int_eq(site_open(&t->site), 0);
	t->up = true;
	return mn_join(t->site.fiber);
}

static int stepped_client(void *arg)
{
	struct stepped *t = arg;

	for (int i = 0; i < 10; i++)	/* round-robin: they reach both shards */
		ck_assert_int_eq(one_exchange(&t->site), 0);
	t->done[mn_shard()] = true;
	return 0;
}

static void step_until(struct mn_world *world, const bool *done)
{
	for (int i = 0; !*done; i++) {
		ck_assert_int_lt(i, 1000000);
		shard_step(world->shards[i % 2], false);
	}
}

START_TEST(two_shards_stepped_on_one_thread_echo_to_each_other)
{
	struct stepped t = { .up = false };
	struct mn_world world;
	int threads;

	if (!world_begin(&world, "mem", 2))
		return;
	threads = nr_threads();
	mn_self = world.shards[0];
	ck_assert_int_eq(mn_spawn(stepped_server, &t, NULL), 0);
	step_until(&world, &t.up);
	for (int i = 0; i < 2; i++) {
		mn_self = world.shards[i];
		ck_assert_int_eq(mn_spawn(stepped_client, &t, NULL), 0);
	}
	step_until(&world, &t.done[0]);
	step_until(&world, &t.done[1]);
	ck_assert_int_eq(nr_threads(), threads);
	if (IS_ENABLED(CONFIG_STATS))
		for (int i = 0; i < 2; i++)
			ck_assert_uint_gt(world.shards[i]->stats[STAT_ACCEPTS], 0);
	mn_self = world.shards[0];
	mn_stop();
	for (int i = 0; i < 10000; i++)
		shard_step(world.shards[i % 2], false);
	ck_assert_uint_eq(world.shards[0]->fibers.nr_live, 0);
	ck_assert_uint_eq(world.shards[1]->fibers.nr_live, 0);
	world_end(&world);
}
END_TEST

Suite *suite_serve(void)
{
	Suite *s = suite_create("serve");
	TCase *tc = tcase_create("serve");
	int n = nr_wakers();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_server_that_cannot_start_says_so_and_leaves_nothing, 0, n);
	tcase_add_loop_test(tc, connections_beyond_the_limit_are_served_in_turn, 0, n);
	tcase_add_loop_test(tc, a_silent_connection_is_closed_and_a_busy_one_is_not, 0, n);
	tcase_add_loop_test(tc, a_stop_lets_connections_finish, 0, n);
	tcase_add_loop_test(tc, a_stop_cancels_connections_that_do_not_finish, 0, n);
	tcase_add_loop_test(tc, what_is_queued_is_accepted_before_the_listener_closes, 0, n);
	tcase_add_test(tc, two_shards_stepped_on_one_thread_echo_to_each_other);
	suite_add_tcase(s, tc);
	return s;
}
