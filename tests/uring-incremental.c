// SPDX-License-Identifier: MIT
/*
 * Buffers that take several receives, of any connection. Who has what of
 * them is looked at here; that all the rest is as it always is, by the suites
 * that know of variants.
 */
#include <string.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "backends/io_uring/uring.h"
#include "lib/net/stream.h"
#include "tests/run.h"
#include "tests/site.h"
#include "tests/spawn.h"
#include "tests/world.h"

#define CONNS	64
#define BYTES	32

static struct mn_world world;
static struct pair pair[CONNS];
static struct track in[CONNS];

/* With that feature, or without. */
static bool begin(bool on)
{
	uring_incremental_set(true);
	uring_mask_set(on ? NULL : "buf_ring_inc");
	if (!world_begin(&world, "io_uring", 1))
		return false;
	if (to_uring(mn_self->be)->incremental == on)
		return true;
	printf("skipped: this kernel has no incremental buffers\n");
	world_end(&world);
	return false;
}

static void connect_some(int n)
{
	for (int i = 0; i < n; i++) {
		pair[i] = connected(0);
		track_init(&in[i], MN_OP_RECV_STREAM, pair[i].server);
		in[i].hold = true;
		op_start(&in[i].op);
	}
}

static void send_to(int i, uint64_t from, size_t len)
{
	uint8_t bytes[4096];

	pattern_fill(bytes, from, len);
	ck_assert_int_eq(write(pair[i].client, bytes, len), (ssize_t)len);
	while (in[i].len < from + len)
		shard_step(mn_self, true);
	ck_assert_uint_eq(in[i].wrong, 0);
}

/* What is not free is the ring's. */
static void end(int n)
{
	const struct pool *pool = &mn_self->pool;

	for (int i = 0; i < n; i++) {
		mn_op_cancel(&in[i].op);
		ck_assert_int_eq(track_finish(&in[i]), -ECANCELED);
		track_release(&in[i]);
		do_call(MN_OP_CLOSE, pair[i].client, 0);
		do_call(MN_OP_CLOSE, pair[i].server, 0);
	}
	ck_assert_uint_eq(pool->nr_chunks - pool->nr_free, uring_buffers(mn_self->be));
	world_end(&world);
}

static const struct mn_chunk *chunk_of(const struct track *t)
{
	return t->held->whole ? t->held->whole : t->held;
}

static int nr_chunks(void)
{
	int n = 0;

	for (int i = 0; i < CONNS; i++) {
		bool again = false;

		for (int k = 0; k < i; k++)
			again |= chunk_of(&in[k]) == chunk_of(&in[i]);
		n += !again;
	}
	return n;
}

/* What all of them sent fits into one, which may have been used before, or two. */
START_TEST(little_of_many_connections_is_in_one_buffer)
{
	need_backend("io_uring");
	for (int on = 1; on >= 0; on--) {
		if (!begin(on))
			continue;
		connect_some(CONNS);
		for (int i = 0; i < CONNS; i++)
			send_to(i, 0, BYTES);
		if (on)
			ck_assert_int_le(nr_chunks(), 2);
		else
			ck_assert_int_eq(nr_chunks(), CONNS);
		end(CONNS);
	}
}
END_TEST

/* Pieces that do not fit evenly; who got which is given back in another order. */
START_TEST(what_is_cut_at_the_end_of_a_buffer_goes_on_in_the_next)
{
	uint64_t at = 0;

	need_backend("io_uring");
	if (!begin(true))
		return;
	connect_some(3);
	for (int i = 0; i < 300; i++, at += 97)
		for (int k = 0; k < 3; k++)
			send_to(k, at, 97);
	for (int i = 0; i < 20; i++, at += 4001)
		for (int k = 0; k < 3; k++)
			send_to(k, at, 4001);
	end(3);
}
END_TEST

/* A chunk is free when the kernel is done with it and all parts are back, not sooner. */
START_TEST(a_buffer_goes_back_with_its_last_part)
{
	const struct pool *pool;
	uint32_t used;

	need_backend("io_uring");
	if (!begin(true))
		return;
	pool = &mn_self->pool;
	used = pool->nr_chunks - pool->nr_free;
	connect_some(2);
	send_to(0, 0, 1);
	in[1].hold = false;
	for (uint64_t at = 0; at < 20 * pool->chunk_size; at += 512)
		send_to(1, at, 512);
	/* One is held by a byte, and the ring is full again. */
	ck_assert_uint_eq(pool->nr_chunks - pool->nr_free, used + 1);
	ck_assert_uint_eq(in[0].held->data[0], pattern(0));
	end(2);
}
END_TEST

/* ---- who is slow ---- */

#define DRIPS	300

/* Not what the slow one sends first. */
static uint8_t other_byte(void)
{
	return (uint8_t)(pattern(0) + 1);
}

static int dripping(void *arg)
{
	struct mn_stream *slow = site_connect(arg), *other = site_connect(arg);
	uint8_t bytes[100];

	memset(bytes, other_byte(), sizeof(bytes));
	for (uint64_t at = 0; at < DRIPS; at++) {
		uint8_t byte = pattern(at);

		ck_assert_int_eq(mn_stream_write_copy(slow, &byte, 1), 0);
		ck_assert_int_eq(mn_stream_write_copy(other, bytes, sizeof(bytes)), 0);
		mn_sleep(100 * MN_USEC);
	}
	mn_stream_close(other);
	return mn_stream_close(slow);
}

static int looks_on(struct mn_stream *conn, struct mn_buf *first)
{
	unsigned int nr = 0;

	while (conn->in_bytes + first->len < DRIPS)
		mn_sleep(MN_MSEC);
	for (struct mn_chunk *chunk = conn->in_head; chunk; chunk = chunk->next)
		nr++;
	/* The first of them, and one of its own for the others. */
	ck_assert_uint_le(nr, 2);
	mn_buf_free(first);
	for (uint64_t at = DRIPS - conn->in_bytes; at < DRIPS;) {
		ck_assert_int_gt(mn_stream_read(conn, first), 0);
		for (size_t i = 0; i < first->len; i++, at++)
			ck_assert(first->data[i] == pattern(at));
		mn_buf_free(first);
	}
	return 0;
}

static int on_conn(struct mn_stream *conn, void *arg)
{
	struct mn_buf buf;

	ck_assert_int_gt(mn_stream_read(conn, &buf), 0);
	if (buf.data[0] != other_byte())
		return looks_on(conn, &buf);
	do
		mn_buf_free(&buf);
	while (mn_stream_read(conn, &buf) > 0);
	return 0;
}

static int drips_fiber(void *arg)
{
	struct site site = { .conf.on_conn = on_conn };
	struct mn_fiber *fiber;

	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(mn_spawn(dripping, &site, &fiber), 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	return site_close(&site);
}

START_TEST(who_is_slow_has_part_of_one_shared_buffer)
{
	uring_incremental_set(true);
	for (unsigned int shards = 1; shards <= 2; shards++) {
		int ret = run_main("io_uring", shards, drips_fiber, NULL);

		ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%d", ret);
	}
}
END_TEST

Suite *suite_uring_incremental(void)
{
	Suite *s = suite_create("uring_incremental");
	TCase *tc = tcase_create("uring_incremental");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, little_of_many_connections_is_in_one_buffer);
	tcase_add_test(tc, what_is_cut_at_the_end_of_a_buffer_goes_on_in_the_next);
	tcase_add_test(tc, a_buffer_goes_back_with_its_last_part);
	tcase_add_test(tc, who_is_slow_has_part_of_one_shared_buffer);
	suite_add_tcase(s, tc);
	return s;
}
