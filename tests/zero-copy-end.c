// SPDX-License-Identifier: MIT
/*
 * Streams that end or move, and worlds that stop, while the kernel holds what
 * they have sent without a copy.
 */
#include <check.h>
#include <errno.h>
#include <sys/socket.h>

#include <miniss/miniss.h>

#include "tests/sharded.h"
#include "tests/silent.h"
#include "tests/site.h"
#include "tests/world.h"

static int close_fiber(void *arg)
{
	struct mn_stream *stream;
	struct peer peer;

	zc_eager(true);
	peer_listen(&peer);
	stream = hold(&peer);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	if (ck_pins())
		ck_assert_uint_gt(mn_self->zc.nr_pinned, 0);
	peer_read(&peer, PARCEL);
	let_go();
	peer_close(&peer);
	return 0;
}

START_TEST(a_closed_stream_leaves_what_is_held_and_it_arrives)
{
	run_real(_i, close_fiber);
}
END_TEST

/* Sends more than the socket takes, and is aborted. */
static int endless(void *arg)
{
	int err = 0;

	while (!err) {
		struct mn_buf out;

		ck_assert_int_eq(mn_buf_alloc(&out), 0);
		pattern_fill(out.data, 0, out.len);
		err = mn_stream_write(arg, &out);
	}
	return err;
}

static int abort_fiber(void *arg)
{
	struct mn_stream *stream;
	struct mn_fiber *writer;
	struct peer peer;

	zc_eager(true);
	peer_listen(&peer);
	stream = hold(&peer);
	ck_assert_int_eq(mn_spawn(endless, stream, &writer), 0);
	while (!stream->sending || !stream->writer)
		mn_yield();
	ck_assert_int_eq(mn_sleep(5 * MN_MSEC), 0);
	mn_stream_abort(stream);
	ck_assert_int_eq(mn_join(writer), -ECANCELED);
	ck_assert_int_eq(mn_stream_close(stream), -ECANCELED);
	/* The socket goes on with what it has. */
	while (peer_take(&peer))
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_uint_ge(peer.got, PARCEL);
	let_go();
	peer_close(&peer);
	return 0;
}

START_TEST(a_send_that_is_aborted_gives_back_all_that_it_had)
{
	run_real(_i, abort_fiber);
}
END_TEST

static int reset_fiber(void *arg)
{
	struct mn_stream *stream;
	struct mn_fiber *writer;
	struct mn_buf in;
	struct peer peer;
	uint64_t uncopied = mn_self->stats[STAT_BYTES_ZC];
	int err;

	zc_eager(true);
	peer_listen(&peer);
	stream = hold(&peer);
	ck_assert_int_eq(mn_spawn(endless, stream, &writer), 0);
	while (!stream->sending || !stream->writer)
		mn_yield();
	peer_close(&peer);	/* with unread bytes: that resets */
	err = mn_join(writer);
	ck_assert(err == -ECONNRESET || err == -EPIPE);
	ck_assert(mn_stream_read(stream, &in) <= 0);	/* the write may have taken the error */
	let_go();
	ck_assert_uint_eq(stream->nr_pinned, 0);
	/* What never left was not copied, and is let go of before what did. */
	if (ck_pins()) {
		ck_assert_int_ne(stream->zc, ZC_NEVER);
		ck_assert_uint_le(mn_self->zc.skip, 1);
		ck_stat_grew(STAT_BYTES_ZC, uncopied);
	}
	ck_assert(mn_stream_close(stream) < 0);
	return 0;
}

START_TEST(a_reset_lets_go_of_everything)
{
	run_real(_i, reset_fiber);
}
END_TEST

/* --- moving --- */

static int moved_on(struct mn_stream *stream, void *arg)
{
	send_pattern(stream, 3 * PARCEL, PARCEL);
	return mn_stream_shutdown(stream);
}

static int reading(void *arg)
{
	peer_read(arg, 4 * PARCEL);
	return 0;
}

static int move_fiber(void *arg)
{
	struct mn_stream_limits limits = { .out_high = 4 * PARCEL };
	struct mn_stream *stream;
	struct mn_fiber *reader;
	struct peer peer;

	zc_eager(true);
	peer_listen(&peer);
	stream = hold(&peer);
	/* More than the socket takes: one is being sent, and others wait behind it. */
	peer_narrow(stream);
	ck_assert_int_eq(mn_stream_set_limits(stream, &limits), 0);
	send_pattern(stream, PARCEL, 2 * PARCEL);
	for (int i = 0; i < 5; i++) {
		peer_take(&peer);
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	}
	ck_assert_ptr_nonnull(stream->sending);
	ck_assert_int_eq(mn_stream_migrate(stream, mn_shards() - 1, moved_on, &peer), 0);
	ck_assert_uint_eq(stream->nr_pinned, 0);
	if (ck_pins())
		ck_assert_uint_gt(mn_self->zc.nr_pinned, 0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	ck_assert_int_eq(mn_spawn(reading, &peer, &reader), 0);
	ck_assert_int_eq(mn_join(reader), 0);
	let_go();
	peer_close(&peer);
	return 0;
}

START_TEST(a_stream_moves_without_what_is_held)
{
	run_real(_i, move_fiber);
}
END_TEST

/* --- the end of the world --- */

static struct peer last;

static int stop_fiber(void *arg)
{
	struct mn_stream *stream;

	zc_eager(true);
	stream = hold(&last);
	last.held = true;
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return 0;
}

/* Buffers are back, and their memory is not mapped any more: the peer reads them nevertheless. */
START_TEST(what_is_held_at_the_end_arrives_after_it)
{
	uint8_t bytes[16384];
	ssize_t n;

	peer_listen(&last);
	run_real(_i, stop_fiber);
	while ((n = recv(last.fd, bytes, sizeof(bytes), 0)) > 0)
		for (ssize_t i = 0; i < n; i++)
			last.wrong += bytes[i] != pattern(last.got++);
	ck_assert_uint_eq(last.got, last.held ? PARCEL : 0);
	ck_assert_uint_eq(last.wrong, 0);
	peer_close(&last);
}
END_TEST

TCase *tcase_zero_copy_end(void)
{
	TCase *tc = tcase_create("zero_copy_end");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_closed_stream_leaves_what_is_held_and_it_arrives, 0, nr_real());
	tcase_add_loop_test(tc, a_send_that_is_aborted_gives_back_all_that_it_had, 0, nr_real());
	tcase_add_loop_test(tc, a_reset_lets_go_of_everything, 0, nr_real());
	tcase_add_loop_test(tc, a_stream_moves_without_what_is_held, 0, nr_real());
	tcase_add_loop_test(tc, what_is_held_at_the_end_arrives_after_it, 0, nr_real());
	return tc;
}
