// SPDX-License-Identifier: MIT
/* Connections: what goes in comes out, whatever the other side does. */
#include <miniss/run.h>

#include "core/op.h"
#include "lib/net/stream.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

static void run(int i, unsigned int nr_shards, mn_fiber_fn fn)
{
	int ret = run_backend(i, nr_shards, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

static int client(void *arg)
{
	static const size_t sizes[] = { 1, 64, 4096, 4097, 100000, 3 };
	struct mn_stream *stream = site_connect(arg);
	uint64_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		send_pattern(stream, at, sizes[i]);
		expect_pattern(stream, at, sizes[i]);
		at += sizes[i];
	}
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	expect_end(stream);
	return mn_stream_close(stream);
}

static void clients(struct site *site)
{
	enum { N = 30 };
	struct mn_fiber *fiber[N];

	ck_assert_int_eq(site_open(site), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(client, site, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(site_close(site), 0);
}

static int echo_fiber(void *arg)
{
	clients(&(struct site){ .last_err = 0 });
	return 0;
}

static int echo_input_fiber(void *arg)
{
	clients(&(struct site){ .conf.on_input = echo_input });
	return 0;
}

START_TEST(many_connections_are_echoed_exactly)
{
	run(_i, 1, echo_fiber);
	run(_i, 2, echo_fiber);
}
END_TEST

START_TEST(many_connections_are_echoed_exactly_with_borrowed_fibers)
{
	run(_i, 1, echo_input_fiber);
	run(_i, 2, echo_input_fiber);
}
END_TEST

/* Sends without reading, then reads: both directions fill up meanwhile. */
#define FLOOD	(3 * 1024 * 1024)

static int flood(void *arg)
{
	send_pattern(arg, 0, FLOOD);
	return mn_stream_shutdown(arg);
}

static int slow_fiber(void *arg)
{
	struct site site = { .last_err = 1 };
	struct mn_stream *stream;
	struct mn_fiber *writer;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_spawn(flood, stream, &writer), 0);
	mn_sleep(50 * MN_MSEC);
	/* Bounded on the way: nobody queued more than its limit. */
	ck_assert_uint_le(stream->in_bytes, 65536 + 512 * 4096);
	ck_assert_uint_le(stream->out_bytes, 262144 + 4096);
	expect_pattern(stream, 0, FLOOD);
	expect_end(stream);
	ck_assert_int_eq(mn_join(writer), 0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert_int_eq(site.last_err, 0);
	return 0;
}

START_TEST(a_reader_that_pauses_slows_the_writer_and_loses_nothing)
{
	run(_i, 1, slow_fiber);
}
END_TEST

static int talk(struct mn_stream *conn, void *arg)
{
	send_pattern(conn, 0, 500000);	/* and returns at once */
	return 0;
}

static int close_fiber(void *arg)
{
	struct site site = { .conf.on_conn = talk };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	mn_sleep(5 * MN_MSEC);
	expect_pattern(stream, 0, 500000);
	expect_end(stream);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(closing_sends_what_is_queued_first)
{
	run(_i, 1, close_fiber);
}
END_TEST

static int read_one(void *arg)
{
	struct mn_buf in;

	return (int)mn_stream_read(arg, &in);
}

static int write_much(void *arg)
{
	static const char zeros[65536];

	for (;;) {
		struct mn_buf out = mn_buf_static(zeros, sizeof(zeros));
		int err = mn_stream_write(arg, &out);

		if (err)
			return err;
	}
}

static int silent(struct mn_stream *conn, void *arg)
{
	return mn_sleep(3600 * MN_SEC);
}

static int abort_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = silent, .drain_timeout_ns = 1 } };
	struct mn_fiber *reader, *writer;
	struct mn_stream *stream;
	struct mn_buf in;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_spawn(read_one, stream, &reader), 0);
	ck_assert_int_eq(mn_spawn(write_much, stream, &writer), 0);
	mn_sleep(20 * MN_MSEC);
	ck_assert(mn_stream_try_read(stream, &in) == -EAGAIN);
	mn_stream_abort(stream);
	mn_stream_abort(stream);
	ck_assert_int_eq(mn_join(reader), -ECANCELED);
	ck_assert_int_eq(mn_join(writer), -ECANCELED);
	ck_assert(mn_stream_read(stream, &in) == -ECANCELED);
	ck_assert_int_eq(mn_stream_close(stream), -ECANCELED);
	return site_close(&site);
}

START_TEST(aborting_ends_the_waits_of_both_directions)
{
	run(_i, 1, abort_fiber);
}
END_TEST

static int cancel_fiber(void *arg)
{
	struct site site = { .conf.on_conn = echo_conn };
	struct mn_stream *stream;
	struct mn_fiber *reader;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_spawn(read_one, stream, &reader), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(reader);
	ck_assert_int_eq(mn_join(reader), -ECANCELED);
	/* Only the wait was cancelled: the stream goes on. */
	send_pattern(stream, 0, 100);
	expect_pattern(stream, 0, 100);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(cancelling_a_reader_leaves_the_stream_alone)
{
	run(_i, 1, cancel_fiber);
}
END_TEST

static int reset_fiber(void *arg)
{
	struct site site = { .last_err = 0 };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < 20; i++) {
		stream = site_connect(&site);
		send_pattern(stream, 0, 200000);
		mn_stream_abort(stream);
		mn_stream_close(stream);	/* unread data: the peer is reset */
	}
	stream = site_connect(&site);	/* and another one is served */
	send_pattern(stream, 0, 1000);
	expect_pattern(stream, 0, 1000);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(peers_that_vanish_do_not_disturb_others)
{
	run(_i, 1, reset_fiber);
}
END_TEST

static int connect_fiber(void *arg)
{
	/* clang-format off */
	static const char *const bad[] = { "", ":1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
					   "local host:1", "1.2.3:4", "[::1:5", "127.0.0.1:1x" };
	/* clang-format on */
	struct mn_stream *stream;
	struct site site = { .last_err = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(mn_connect(bad[i], MN_SEC, &stream), -EINVAL);
	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert_int_eq(mn_connect(site.addr, MN_SEC, &stream), -ECONNREFUSED);
	return 0;
}

START_TEST(connecting_reports_bad_addresses_and_refusal)
{
	run(_i, 1, connect_fiber);
}
END_TEST

static int gather_fiber(void *arg)
{
	struct site site = { .last_err = 0 };
	struct mn_stream *stream;
	uint64_t at = 0;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	for (size_t len = 1; len <= 300; len++) {	/* far more than a batch holds */
		send_pattern(stream, at, len);
		at += len;
	}
	expect_pattern(stream, 0, at);
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	ck_assert_uint_eq(stream->out_bytes, 0);
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	ck_assert_int_eq(mn_stream_write_copy(stream, "x", 1), -EPIPE);
	expect_end(stream);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(small_writes_are_gathered_in_order)
{
	run(_i, 1, gather_fiber);
}
END_TEST

static int split_fiber(void *arg)
{
	struct site site = { .last_err = 0 };
	struct mn_stream *stream;
	struct mn_buf buf, front;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	for (int i = 0; i < 1000; i++) {	/* a leaked chunk each would be noticed */
		ck_assert_int_eq(mn_buf_alloc(&buf), 0);
		buf.len = 100;
		pattern_fill(buf.data, 0, buf.len);
		mn_buf_split(&buf, 30, &front);
		ck_assert_int_eq(mn_stream_write(stream, &front), 0);
		ck_assert_int_eq(mn_stream_write(stream, &buf), 0);
		expect_pattern(stream, 0, 100);
	}
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	ck_assert_int_eq(site_close(&site), 0);
	if (!IS_ENABLED(CONFIG_STATIC_POOLS))
		ck_assert_uint_le(mn_self->pool.nr_chunks, 2 * POOL_CHUNKS_PER_SLAB);
	return 0;
}

START_TEST(slices_of_one_buffer_are_sent_and_freed_each)
{
	run(_i, 1, split_fiber);
}
END_TEST

/* --- what is not read --- */

#define DRIPS	300

/* Some bytes at a time, each in a segment of its own, to one who looks on. */
static int dripping(void *arg)
{
	struct mn_stream *stream = site_connect(arg);

	for (uint64_t at = 0; at < DRIPS; at++) {
		send_pattern(stream, at, 1);
		mn_sleep(100 * MN_USEC);
	}
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	expect_end(stream);
	return mn_stream_close(stream);
}

static int looks_on(struct mn_stream *conn, void *arg)
{
	struct mn_buf first;
	unsigned int nr = 0;

	ck_assert_int_gt(mn_stream_read(conn, &first), 0);
	while (conn->in_bytes + first.len < DRIPS)
		mn_sleep(MN_MSEC);
	for (struct mn_chunk *chunk = conn->in_head; chunk; chunk = chunk->next)
		nr++;
	ck_assert_uint_eq(nr, 1);
	expect_pattern(conn, first.len, DRIPS - first.len);
	mn_buf_free(&first);
	expect_end(conn);
	return 0;
}

static int drips_fiber(void *arg)
{
	struct site site = { .conf.on_conn = looks_on };
	struct mn_fiber *fiber;

	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(mn_spawn(dripping, &site, &fiber), 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	return site_close(&site);
}

START_TEST(bytes_that_arrive_alone_share_a_buffer)
{
	run(_i, 1, drips_fiber);
	run(_i, 2, drips_fiber);
}
END_TEST

Suite *suite_stream(void)
{
	Suite *s = suite_create("stream");
	TCase *tc = tcase_create("stream");
	int n = nr_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, many_connections_are_echoed_exactly, 0, n);
	tcase_add_loop_test(tc, many_connections_are_echoed_exactly_with_borrowed_fibers, 0, n);
	tcase_add_loop_test(tc, a_reader_that_pauses_slows_the_writer_and_loses_nothing, 0, n);
	tcase_add_loop_test(tc, closing_sends_what_is_queued_first, 0, n);
	tcase_add_loop_test(tc, aborting_ends_the_waits_of_both_directions, 0, n);
	tcase_add_loop_test(tc, cancelling_a_reader_leaves_the_stream_alone, 0, n);
	tcase_add_loop_test(tc, peers_that_vanish_do_not_disturb_others, 0, n);
	tcase_add_loop_test(tc, connecting_reports_bad_addresses_and_refusal, 0, n);
	tcase_add_loop_test(tc, small_writes_are_gathered_in_order, 0, n);
	tcase_add_loop_test(tc, slices_of_one_buffer_are_sent_and_freed_each, 0, n);
	tcase_add_loop_test(tc, bytes_that_arrive_alone_share_a_buffer, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
