// SPDX-License-Identifier: MIT
/*
 * Sockets that io_uring has at hand: which, since when, and until when. That
 * all the rest is as it always is, is checked by the suites that know of
 * variants.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "backends/io_uring/uring.h"
#include "lib/net/stream.h"
#include "tests/run.h"
#include "tests/site.h"
#include "tests/spawn.h"
#include "tests/world.h"

#define TABLE	4096
#define SENDS	24	/* files.c: before it pays */
#define CONNS	32

static const struct uring *ring(void)
{
	return to_uring(mn_self->be);
}

static unsigned int sends_of(const struct mn_stream *stream)
{
	ck_assert_uint_lt((unsigned int)stream->fd, ring()->files.nr);
	return ring()->files.uses[stream->fd];
}

static bool at_hand(const struct mn_stream *stream)
{
	return (unsigned int)stream->fd < ring()->files.nr && sends_of(stream) == FILE_AT_HAND;
}

static void ck_counted(unsigned int nr)
{
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(mn_self->stats[STAT_FILES_AT_HAND], nr);
}

/* There and back. */
static void ask(struct mn_stream *stream, int times)
{
	for (int i = 0; i < times; i++) {
		send_pattern(stream, (uint64_t)i, 1);
		expect_pattern(stream, (uint64_t)i, 1);
	}
}

static void run(unsigned int shards, mn_fiber_fn fn)
{
	int ret = run_main("io_uring", shards, fn, NULL);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%d", ret);
}

/* ---- who is there ---- */

/* Its descriptor is another file, and what is sent arrives: so it is not looked up. */
static void ask_without_descriptor(struct mn_stream *stream)
{
	int kept = fcntl(stream->fd, F_DUPFD_CLOEXEC, 0), other = open("/dev/null", O_CLOEXEC);

	ck_assert_int_ge(kept, 0);
	ck_assert_int_eq(dup3(other, stream->fd, O_CLOEXEC), stream->fd);
	ask(stream, 2);
	ck_assert_int_eq(dup3(kept, stream->fd, O_CLOEXEC), stream->fd);
	close(other);
	close(kept);
}

static int many_sends(void *arg)
{
	struct site site = { 0 };
	struct mn_stream *stream;
	int fd;

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 1; i <= 3; i++) {
		stream = site_connect(&site);
		fd = stream->fd;
		ask(stream, SENDS - 1);
		ck_assert_uint_eq(sends_of(stream), SENDS - 1);
		ck_counted(2 * (unsigned int)i - 2);
		ask(stream, 1);
		ck_assert(at_hand(stream));
		ck_counted(2 * (unsigned int)i);	/* the server's, too */
		ask_without_descriptor(stream);
		/* The number is free for another, which begins anew; and the peer hears of the end. */
		ck_assert_int_eq(mn_stream_shutdown(stream), 0);
		expect_end(stream);
		ck_assert_int_eq(mn_stream_close(stream), 0);
		ck_assert_uint_eq(ring()->files.uses[fd], 0);
	}
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert_int_eq(site.conns, 3);
	return 0;
}

START_TEST(who_sends_often_is_at_hand_until_closed)
{
	need_backend("io_uring");
	uring_files_set(TABLE, SENDS);
	run(1, many_sends);
}
END_TEST

static int never(void *arg)
{
	struct site site = { 0 };
	struct mn_stream *stream;

	ck_assert_uint_eq(ring()->files.nr, 0);
	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ask(stream, SENDS + 1);
	ck_counted(0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(nobody_is_if_not_asked_for_or_masked)
{
	need_backend("io_uring");
	uring_files_set(0, 1);
	run(1, never);
	uring_files_set(TABLE, 1);
	uring_mask_set("fixed_files");
	run(1, never);
}
END_TEST

/* ---- no room ---- */

/* Those who have none go on with their descriptors, beside the others. */
static int crowd(void *arg)
{
	struct site site = { 0 };
	struct mn_stream *stream[CONNS];
	unsigned int nr = 0;

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 0; i < CONNS; i++)
		stream[i] = site_connect(&site);
	for (int i = 0; i < CONNS; i++) {
		ask(stream[i], 3);
		nr += at_hand(stream[i]);
	}
	ck_assert_uint_gt(nr, 0);
	ck_assert_uint_lt(nr, CONNS);
	for (int i = 0; i < CONNS; i++)
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	return site_close(&site);
}

START_TEST(what_has_no_room_goes_on_without)
{
	int next = dup(0);

	need_backend("io_uring");
	close(next);
	uring_files_set((unsigned int)next + CONNS, 1);
	run(1, crowd);
}
END_TEST

/* The table is gone: what is refused once is not asked for again. */
static int refused(void *arg)
{
	struct site site = { 0 };
	struct mn_stream *stream;

	ck_assert_int_eq(io_uring_unregister_files(&to_uring(mn_self->be)->ring), 0);
	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ask(stream, 10);
	ck_assert_uint_eq(sends_of(stream), FILE_REFUSED);
	ck_counted(0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(what_is_refused_goes_on_without)
{
	need_backend("io_uring");
	uring_files_set(TABLE, 1);
	run(1, refused);
}
END_TEST

#define FEW	64

static int few_descriptors(void *arg)
{
	struct rlimit limit;

	ck_assert_uint_eq(ring()->files.nr, FEW);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(limit.rlim_cur, FEW);
	return 0;
}

START_TEST(the_table_is_no_larger_than_the_limit_and_leaves_that)
{
	struct rlimit limit;

	need_backend("io_uring");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = FEW;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	uring_files_set(TABLE, 1);
	run(1, few_descriptors);
}
END_TEST

/* ---- moving ---- */

/* At hand where it is, and nowhere else: or its end would not be seen. */
static int roaming(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t err;

	ck_assert_uint_eq(sends_of(conn), 0);
	while ((err = mn_stream_read(conn, &in)) > 0) {
		err = mn_stream_write(conn, &in);
		if (!err)
			err = mn_stream_flush(conn);
		if (err)
			break;
		ck_assert(at_hand(conn));
		if (!mn_stream_migrate(conn, (mn_shard() + 1) % mn_shards(), roaming, NULL))
			break;
	}
	return (int)err;
}

static int roam(void *arg)
{
	struct site site = { .conf.on_conn = roaming };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ask(stream, 100);
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	expect_end(stream);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_gt(mn_self->stats[STAT_FILES_AT_HAND], 10);
	return site_close(&site);
}

START_TEST(who_moves_is_at_hand_on_the_other_shard)
{
	need_backend("io_uring");
	uring_files_set(TABLE, 1);
	run(1, roam);
	run(2, roam);
}
END_TEST

/* ---- ending ---- */

#define QUEUED	100000	/* so that a send waits for the peer */

static bool gone;

/* Reads nothing before the other side has closed, and then finds the end. */
static int silent(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;

	while (!gone)
		mn_sleep(MN_MSEC);
	while (mn_stream_read(conn, &in) > 0)
		mn_buf_free(&in);
	((struct site *)arg)->conns++;
	return 0;
}

static int abandon(void *arg)
{
	struct site site = { .conf.on_conn = silent };
	static const uint8_t bytes[4096];
	const int little = sizeof(bytes);
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	for (int i = 1; i <= 20; i++) {
		gone = false;
		stream = site_connect(&site);
		ck_assert_int_eq(
			setsockopt(stream->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
		while (stream->out_bytes < QUEUED) {
			ck_assert_int_eq(mn_stream_write_copy(stream, bytes, sizeof(bytes)), 0);
			mn_sleep(10 * MN_USEC);
		}
		ck_assert(at_hand(stream) && mn_op_in_flight(&stream->send));
		mn_stream_abort(stream);
		mn_stream_close(stream);
		gone = true;
		while (site.conns < i)
			mn_sleep(MN_MSEC);
	}
	return site_close(&site);
}

START_TEST(who_is_closed_while_it_sends_has_an_end)
{
	need_backend("io_uring");
	uring_files_set(TABLE, 1);
	run(1, abandon);
}
END_TEST

Suite *suite_uring_files(void)
{
	Suite *s = suite_create("uring_files");
	TCase *tc = tcase_create("uring_files");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, who_sends_often_is_at_hand_until_closed);
	tcase_add_test(tc, nobody_is_if_not_asked_for_or_masked);
	tcase_add_test(tc, what_has_no_room_goes_on_without);
	tcase_add_test(tc, what_is_refused_goes_on_without);
	tcase_add_test(tc, the_table_is_no_larger_than_the_limit_and_leaves_that);
	tcase_add_test(tc, who_moves_is_at_hand_on_the_other_shard);
	tcase_add_test(tc, who_is_closed_while_it_sends_has_an_end);
	suite_add_tcase(s, tc);
	return s;
}
