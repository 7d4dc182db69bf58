// SPDX-License-Identifier: MIT
/*
 * Sends without a copy: the bytes are right, and what the kernel holds is let
 * go of once, whatever becomes of the stream meanwhile. To this machine the
 * kernel copies, but only when the peer has room: until then it holds the
 * memory, so that a peer that does not read is all that is needed. A backend
 * that always copies must show the same.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "backends/io_uring/features.h"
#include "tests/sharded.h"
#include "tests/silent.h"
#include "tests/site.h"
#include "tests/world.h"

/* --- the bytes --- */

static int flood(void *arg)
{
	send_pattern(arg, 0, 1 << 20);
	return mn_stream_shutdown(arg);
}

/* Reads in fits and starts. */
static int slow_client(void *arg)
{
	struct mn_stream *stream = site_connect(arg);
	struct mn_fiber *writer;
	uint64_t at = 0, wrong = 0, pause = 0;
	struct mn_buf in;
	int64_t res;

	ck_assert_int_eq(mn_spawn(flood, stream, &writer), 0);
	while ((res = mn_stream_read(stream, &in)) > 0) {
		for (size_t i = 0; i < in.len; i++)
			wrong += in.data[i] != pattern(at++);
		mn_buf_free(&in);
		if (at >= pause) {
			pause += 1 << 18;
			ck_assert_int_eq(mn_sleep(3 * MN_MSEC), 0);
		}
	}
	ck_assert_int_eq(res, 0);
	ck_assert_uint_eq(at, 1 << 20);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_eq(mn_join(writer), 0);
	return mn_stream_close(stream);
}

static void slow_clients(struct site *site)
{
	enum { N = 4 };
	struct mn_fiber *fiber[N];

	ck_assert_int_eq(site_open(site), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(slow_client, site, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(site_close(site), 0);
}

static int slow_fiber(void *arg)
{
	uint64_t copied = mn_self->stats[STAT_BYTES_ZC_COPIED];

	zc_eager(true);
	slow_clients(&(struct site){ .conf.on_conn = echo_conn });
	ck_stat_grew(STAT_BYTES_ZC_COPIED, copied);
	return 0;
}

START_TEST(what_is_not_copied_arrives_as_what_is)
{
	sharded_run_backend(_i, slow_fiber);
}
END_TEST

static int masked_fiber(void *arg)
{
	ck_assert(!mn_self->be->zero_copy);
	ck_assert_uint_eq(mn_self->zc.min, SIZE_MAX);
	slow_clients(&(struct site){ .conf.on_conn = echo_conn });
	ck_assert_uint_eq(mn_self->stats[STAT_BYTES_ZC_COPIED], 0);
	return 0;
}

START_TEST(masked_everything_is_copied)
{
	if (IS_ENABLED(CONFIG_BACKEND_IO_URING)) {
		uring_mask_set("send_zc");
		run_main("io_uring", 1, masked_fiber, NULL);
		uring_mask_set(NULL);
	}
}
END_TEST

/* --- what is learned --- */

static int learn_fiber(void *arg)
{
	struct site site = { .conns = 0 };
	struct mn_stream *stream;
	uint64_t tried;

	zc_eager(false);
	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	for (uint64_t at = 0; at < 8 * PARCEL; at += PARCEL / 2) {
		send_pattern(stream, at, PARCEL / 2);
		expect_pattern(stream, at, PARCEL / 2);
	}
	tried = mn_self->stats[STAT_BYTES_ZC_COPIED];
	if (ck_pins()) {
		ck_assert_int_eq(stream->zc, ZC_NEVER);
		ck_assert_uint_ge(mn_self->zc.skip, 3);
		ck_stat_grew(STAT_BYTES_ZC_COPIED, 0);
	}
	/* Two trials each, if there are occasions enough. */
	ck_assert_uint_le(tried, 4 * BATCH_SLICES * mn_self->pool.chunk_size);
	ck_assert_int_eq(mn_stream_close(stream), 0);

	/* The next connection does not begin again. */
	mn_self->zc.skip = 1000;
	mn_self->zc.skipped = 0;
	stream = site_connect(&site);
	send_pattern(stream, 0, PARCEL);
	expect_pattern(stream, 0, PARCEL);
	ck_assert_uint_eq(mn_self->stats[STAT_BYTES_ZC_COPIED], tried);
	ck_assert_int_eq(stream->zc, ZC_UNKNOWN);
	ck_assert_uint_eq(mn_self->zc.skipped > 0, mn_self->be->zero_copy);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(copied_twice_is_the_end_of_it)
{
	sharded_run_shards(backend_kind.start[_i]->name, 1, learn_fiber);
}
END_TEST

/* With a cap that is soon reached: beyond that it is copied. */
static int cap_fiber(void *arg)
{
	enum { N = 6 };
	struct mn_stream *stream[N];
	struct peer peer[N];
	uint32_t chunks_max = mn_self->pool.chunks_max;

	zc_eager(true);
	mn_self->pool.chunks_max = 1024;
	for (int i = 0; i < N; i++) {
		peer_listen(&peer[i]);
		stream[i] = peer_connect(&peer[i]);
		send_pattern(stream[i], 0, PARCEL);
		ck_assert_int_eq(mn_stream_flush(stream[i]), 0);
		ck_assert_uint_le(mn_self->zc.nr_pinned, 256);
	}
	if (ck_pins())
		ck_assert_uint_gt(mn_self->zc.nr_pinned, 256 - BATCH_SLICES);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
		peer_read(&peer[i], PARCEL);
		peer_close(&peer[i]);
	}
	let_go();
	mn_self->pool.chunks_max = chunks_max;
	return 0;
}

START_TEST(only_some_of_the_buffers_are_ever_held)
{
	run_real(_i, cap_fiber);
}
END_TEST

/* Memory that is not counted may be written to when it was flushed. */
static int static_fiber(void *arg)
{
	static uint8_t bytes[PARCEL];
	struct mn_stream *stream;
	struct mn_buf out;
	struct peer peer;

	zc_eager(true);
	peer_listen(&peer);
	stream = peer_connect(&peer);
	pattern_fill(bytes, 0, PARCEL);
	out = mn_buf_static(bytes, PARCEL);
	ck_assert_int_eq(mn_stream_write(stream, &out), 0);
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	ck_assert_uint_eq(stream->nr_pinned, 0);
	memset(bytes, 0, PARCEL);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	peer_read(&peer, PARCEL);
	peer_close(&peer);
	return 0;
}

START_TEST(memory_of_the_applications_is_copied)
{
	run_real(_i, static_fiber);
}
END_TEST

static int unix_fiber(void *arg)
{
	char name[64];
	struct site site = { .conf.addr = name };
	struct mn_stream *stream;

	if (mn_self->virtual_time)
		return 0;
	snprintf(name, sizeof(name), "unix:@miniss-zero-copy-%d", (int)getpid());
	zc_eager(false);
	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	for (uint64_t at = 0; at < 4 * PARCEL; at += PARCEL / 2) {
		send_pattern(stream, at, PARCEL / 2);
		expect_pattern(stream, at, PARCEL / 2);
	}
	if (ck_pins())	/* else it may be too much to be locked, first */
		ck_assert_int_eq(stream->zc, ZC_NEVER);
	ck_assert_uint_eq(mn_self->stats[STAT_BYTES_ZC], 0);
	ck_assert_uint_eq(mn_self->stats[STAT_BYTES_ZC_COPIED], 0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(a_socket_that_cannot_do_it_is_asked_once)
{
	sharded_run_shards(backend_kind.start[_i]->name, 1, unix_fiber);
}
END_TEST

Suite *suite_zero_copy(void)
{
	Suite *s = suite_create("zero_copy");
	TCase *tc = tcase_create("zero_copy");
	int n = nr_backends(), real = nr_real();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, what_is_not_copied_arrives_as_what_is, 0, sharded_backends());
	tcase_add_test(tc, masked_everything_is_copied);
	tcase_add_loop_test(tc, copied_twice_is_the_end_of_it, 0, n);
	tcase_add_loop_test(tc, only_some_of_the_buffers_are_ever_held, 0, real);
	tcase_add_loop_test(tc, memory_of_the_applications_is_copied, 0, real);
	tcase_add_loop_test(tc, a_socket_that_cannot_do_it_is_asked_once, 0, n);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_zero_copy_end());
	return s;
}
