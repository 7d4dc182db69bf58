// SPDX-License-Identifier: MIT
/* What is written: gathered, held back, bounded, and in order in any case. */
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/net/stream.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/world.h"

static struct mn_stream *open_one(struct site *site)
{
	ck_assert_int_eq(site_open(site), 0);
	return site_connect(site);
}

static int close_one(struct site *site, struct mn_stream *stream)
{
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(site);
}

/* --- gathered --- */

static int devour(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t res;

	while ((res = mn_stream_read(conn, &in)) > 0)
		mn_buf_free(&in);
	return (int)res;
}

static int turn_fiber(void *arg)
{
	struct site site = { .conf.on_conn = devour };
	struct mn_stream *stream = open_one(&site);
	struct mn_buf some[3];
	uint64_t ops;

	mn_sleep(5 * MN_MSEC);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mn_buf_alloc(&some[i]), 0);
		some[i].len = 10;
		pattern_fill(some[i].data, 0, 10);
	}
	ops = mn_self->stats[STAT_OPS];
	for (int i = 0; i < 10; i++)
		send_pattern(stream, 0, 100);
	ck_assert_int_eq(mn_stream_write_all(stream, some, 3), 0);
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(mn_self->stats[STAT_OPS] - ops, 1);
	return close_one(&site, stream);
}

START_TEST(what_is_written_in_a_turn_is_one_message)
{
	sharded_run_backend(_i, turn_fiber);
}
END_TEST

static int copies_fiber(void *arg)
{
	struct site site = { .conns = 0 };
	struct mn_stream *stream = open_one(&site);
	unsigned int out = chunks_out(mn_self);
	uint8_t bytes[5000];

	pattern_fill(bytes, 0, sizeof(bytes));
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(mn_stream_write_copy(stream, bytes + i, 1), 0);
	ck_assert_uint_eq(stream->out_bytes, 1000);
	ck_assert_uint_eq(stream->filling->nr_slices, 1);
	ck_assert_uint_eq(chunks_out(mn_self), out + 1);
	/* The rest of the first buffer, and a second one. */
	ck_assert_int_eq(mn_stream_write_copy(stream, bytes + 1000, 4000), 0);
	ck_assert_uint_eq(stream->filling->nr_slices, 2);
	expect_pattern(stream, 0, 5000);
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	ck_assert_uint_eq(chunks_out(mn_self), out);
	return close_one(&site, stream);
}

START_TEST(small_copies_share_a_buffer)
{
	sharded_run_backend(_i, copies_fiber);
}
END_TEST

/* --- held back --- */

static bool silent(struct mn_stream *stream)
{
	struct mn_buf in;

	mn_sleep(3 * MN_MSEC);
	return mn_stream_try_read(stream, &in) == -EAGAIN;
}

static int cork_fiber(void *arg)
{
	struct site site = { .conns = 0 };
	struct mn_stream *stream = open_one(&site);

	mn_stream_cork(stream);
	mn_stream_cork(stream);
	send_pattern(stream, 0, 100);
	ck_assert(silent(stream));
	send_pattern(stream, 100, 50);
	ck_assert(silent(stream));
	mn_stream_uncork(stream);
	expect_pattern(stream, 0, 150);

	/* Written without, and corked before the turn is over. */
	send_pattern(stream, 0, 10);
	mn_stream_cork(stream);
	ck_assert(silent(stream));
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	expect_pattern(stream, 0, 10);

	/* And again it holds, more than one message. */
	send_pattern(stream, 0, 1);
	for (uint64_t i = 1; i < 70000; i += 1000)
		send_pattern(stream, i, 1000);
	ck_assert(silent(stream));
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	expect_pattern(stream, 0, 70001);
	expect_end(stream);
	return close_one(&site, stream);
}

START_TEST(a_cork_holds_until_it_is_pulled_or_somebody_waits)
{
	sharded_run_backend(_i, cork_fiber);
}
END_TEST

static int write_million(void *arg)
{
	struct mn_stream *stream = arg;

	send_pattern(stream, 0, 1000000);
	ck_assert_uint_gt(stream->out_bytes, 0);
	ck_assert_uint_le(stream->out_bytes, stream->limits.out_high);
	mn_stream_uncork(stream);
	return 0;
}

static int corked_fiber(void *arg)
{
	struct site site = { .conns = 0 };
	struct mn_stream *stream = open_one(&site);
	struct mn_fiber *writer;

	/* More than it may queue: that does not wait for ever. */
	mn_stream_cork(stream);
	ck_assert_int_eq(mn_spawn(write_million, stream, &writer), 0);
	expect_pattern(stream, 0, 1000000);
	ck_assert_int_eq(mn_join(writer), 0);

	mn_stream_cork(stream);
	send_pattern(stream, 0, 5000);
	mn_stream_abort(stream);
	ck_assert_int_eq(mn_stream_close(stream), -ECANCELED);

	stream = site_connect(&site);
	mn_stream_cork(stream);
	send_pattern(stream, 0, 5000);
	return close_one(&site, stream);
}

START_TEST(a_cork_is_in_the_way_of_no_end_and_no_limit)
{
	sharded_run_backend(_i, corked_fiber);
}
END_TEST

/* On the next shard. */
static int pull(struct mn_stream *conn, void *arg)
{
	ck_assert(conn->corked);
	ck_assert_uint_eq(conn->limits.in_high, 7777);
	send_pattern(conn, 3000, 1000);
	mn_sleep(3 * MN_MSEC);
	ck_assert_uint_eq(conn->out_bytes, 4000);
	mn_stream_uncork(conn);
	return 0;
}

static int corked_move(struct mn_stream *conn, void *arg)
{
	struct mn_stream_limits limits = { .in_high = 7777 };

	ck_assert_int_eq(mn_stream_set_limits(conn, &limits), 0);
	mn_stream_cork(conn);
	ck_assert_int_eq(mn_stream_write_copy(conn, "", 0), 0);
	send_pattern(conn, 0, 3000);
	return mn_stream_migrate(conn, (mn_shard() + 1) % mn_shards(), pull, NULL);
}

static int moved_fiber(void *arg)
{
	struct site site = { .conf.on_conn = corked_move };
	struct mn_stream *stream = open_one(&site);

	expect_pattern(stream, 0, 4000);
	expect_end(stream);
	return close_one(&site, stream);
}

START_TEST(a_corked_stream_moves_with_what_it_holds)
{
	sharded_run_backend(_i, moved_fiber);
}
END_TEST

/* --- bounded --- */

static int doze(struct mn_stream *conn, void *arg)
{
	return mn_sleep(3600 * MN_SEC);
}

static int write_on(void *arg)
{
	static const uint8_t zeros[1000];
	struct mn_buf out;
	int err;

	do {
		out = mn_buf_static(zeros, sizeof(zeros));
		err = mn_stream_write(arg, &out);
	} while (!err);
	return err;
}

static int limits_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = doze, .drain_timeout_ns = 1 } };
	struct mn_stream *stream = open_one(&site);
	struct mn_stream_limits limits = { .out_high = 5000, .out_low = 5001 };
	struct mn_fiber *writer;

	ck_assert_int_eq(mn_stream_set_limits(stream, &limits), -EINVAL);
	limits = (struct mn_stream_limits){ .in_high = 1, .in_low = 2 };
	ck_assert_int_eq(mn_stream_set_limits(stream, &limits), -EINVAL);
	ck_assert_uint_eq(stream->limits.out_high, 262144);
	limits = (struct mn_stream_limits){ .out_high = 5000, .out_low = 10 };
	ck_assert_int_eq(mn_stream_set_limits(stream, &limits), 0);
	ck_assert_uint_eq(stream->limits.in_high, 65536);
	ck_assert_uint_eq(stream->limits.in_low, 32768);

	/* Until the peer's buffers are full and so are ours. */
	ck_assert_int_eq(mn_spawn(write_on, stream, &writer), 0);
	mn_sleep(50 * MN_MSEC);
	ck_assert_uint_le(stream->out_bytes, 6000);
	mn_fiber_cancel(writer);
	ck_assert_int_eq(mn_join(writer), -ECANCELED);
	ck_assert_uint_gt(stream->out_bytes, 10);
	/* Another one may go on with it, and is told when it is given up. */
	ck_assert_int_eq(mn_spawn(write_on, stream, &writer), 0);
	mn_sleep(MN_MSEC);
	mn_stream_abort(stream);
	ck_assert_int_eq(mn_join(writer), -ECANCELED);
	ck_assert_int_eq(mn_stream_close(stream), -ECANCELED);
	return site_close(&site);
}

START_TEST(a_write_waits_at_the_high_mark_for_the_low_one)
{
	sharded_run_backend(_i, limits_fiber);
}
END_TEST

static int flood(struct mn_stream *conn, void *arg)
{
	send_pattern(conn, 0, 2000000);
	return 0;
}

static int in_fiber(void *arg)
{
	struct site site = { .conf.on_conn = flood };
	struct mn_stream *stream = open_one(&site);
	struct mn_stream_limits limits = { .in_high = 20000, .in_low = 100 };
	uint64_t at = 0;

	ck_assert_int_eq(mn_stream_set_limits(stream, &limits), 0);
	mn_sleep(20 * MN_MSEC);
	ck_assert(stream->in_paused);
	/* It goes on with the low mark and not before. */
	while (stream->in_bytes > 4096 + limits.in_low) {
		uint32_t n = stream->in_head->len;

		expect_pattern(stream, at, n);
		at += n;
		ck_assert(stream->in_paused || stream->in_bytes <= limits.in_low);
	}
	expect_pattern(stream, at, 2000000 - at);
	expect_end(stream);
	return close_one(&site, stream);
}

START_TEST(receiving_stops_at_the_high_mark_until_the_low_one)
{
	sharded_run_backend(_i, in_fiber);
}
END_TEST

Suite *suite_writer(void)
{
	Suite *s = suite_create("writer");
	TCase *tc = tcase_create("writer");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, what_is_written_in_a_turn_is_one_message, 0, n);
	tcase_add_loop_test(tc, small_copies_share_a_buffer, 0, n);
	tcase_add_loop_test(tc, a_cork_holds_until_it_is_pulled_or_somebody_waits, 0, n);
	tcase_add_loop_test(tc, a_cork_is_in_the_way_of_no_end_and_no_limit, 0, n);
	tcase_add_loop_test(tc, a_corked_stream_moves_with_what_it_holds, 0, n);
	tcase_add_loop_test(tc, a_write_waits_at_the_high_mark_for_the_low_one, 0, n);
	tcase_add_loop_test(tc, receiving_stops_at_the_high_mark_until_the_low_one, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
