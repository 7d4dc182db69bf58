// SPDX-License-Identifier: MIT
/*
 * Files into streams, streams into files and into each other: every byte, in
 * order, whatever way it takes; and who is cancelled, or loses its peer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "tests/reader.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/world.h"

#define FILE_LEN	2000001

static int file_new(size_t len)
{
	char name[] = "/tmp/mn-splice-XXXXXX";
	uint8_t *data = malloc(len + 1);
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_nonnull(data);
	unlink(name);
	pattern_fill(data, 0, len);
	ck_assert_int_eq(pwrite(fd, data, len, 0), (ssize_t)len);
	free(data);
	return fd;
}

static bool file_is(int fd, uint64_t off, size_t len)
{
	uint8_t *data = malloc(len + 1);
	bool is = pread(fd, data, len, (off_t)off) == (ssize_t)len && pattern_is(data, 0, len);

	free(data);
	return is;
}

/* Read @len bytes of the pattern; fewer if the stream ends or fails: how many. */
static uint64_t take_pattern(struct mn_stream *stream, uint64_t from, uint64_t len)
{
	uint64_t at = 0;

	while (at < len) {
		struct mn_buf in;
		int64_t res = mn_stream_read(stream, &in);
		bool right;

		if (res <= 0)
			break;
		right = pattern_is(in.data, from + at, in.len);
		mn_buf_free(&in);
		ck_assert_msg(right, "wrong bytes after %llu", (unsigned long long)(from + at));
		at += (uint64_t)res;
	}
	return at;
}

/* --- files into streams --- */

struct parts {
	struct site site;
	int fd;
};

static int send_parts(struct mn_stream *conn, void *arg)
{
	int fd = container_of((struct site *)arg, struct parts, site)->fd;
	uint64_t at = 3;

	send_pattern(conn, 0, 3);
	for (uint64_t len = 1; at + len < FILE_LEN; len = len * 7 / 2 + 1) {
		ck_assert_int_eq(mn_sendfile(conn, fd, at, len), len);
		at += len;
		send_pattern(conn, at, 10);
		at += 10;
	}
	ck_assert_int_eq(mn_sendfile(conn, fd, at, UINT64_MAX), FILE_LEN - at);
	ck_assert_int_eq(mn_sendfile(conn, fd, FILE_LEN, UINT64_MAX), 0);
	ck_assert_int_eq(mn_sendfile(conn, fd, FILE_LEN + 5, 10), 0);
	ck_assert_int_eq(mn_sendfile(conn, fd, 0, 0), 0);
	ck_assert_int_eq(mn_sendfile(conn, -1, 0, 10), -EBADF);
	ck_assert_int_eq(mn_sendfile(conn, -1, 0, 1000000), -EBADF);
	ck_assert_int_eq(mn_sendfile(conn, fd, UINT64_MAX, 1), -EINVAL);
	ck_assert_int_eq(mn_stream_shutdown(conn), 0);
	ck_assert_int_eq(mn_sendfile(conn, fd, 0, 10), -EPIPE);
	ck_assert_int_eq(mn_sendfile(conn, fd, 0, 1000000), -EPIPE);
	return 0;
}

static int parts_fiber(void *arg)
{
	struct parts parts = { .site.conf.on_conn = send_parts, .fd = file_new(FILE_LEN) };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&parts.site), 0);
	stream = site_connect(&parts.site);
	ck_assert_uint_eq(take_pattern(stream, 0, UINT64_MAX), FILE_LEN);
	expect_end(stream);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	close(parts.fd);
	return site_close(&parts.site);
}

START_TEST(parts_of_a_file_are_sent_among_what_is_written)
{
	sharded_run_backend(_i, parts_fiber);
}
END_TEST

/* --- cancelled after so many turns, and reset --- */

struct job {
	struct mn_stream *stream, *other;
	int fd;
	int64_t res;
};

static int send_all(void *arg)
{
	struct job *job = arg;

	job->res = mn_sendfile(job->stream, job->fd, 0, UINT64_MAX);
	return 0;
}

static _Atomic(uint64_t) seen;	/* of several connections, perhaps on several shards, the last */

static int count_pattern(struct mn_stream *conn, void *arg)
{
	seen = take_pattern(conn, 0, UINT64_MAX);
	return 0;
}

static int cancel_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = count_pattern, .accept = MN_ACCEPT_LEAST } };
	struct job job = { .fd = file_new(FILE_LEN) };
	struct mn_fiber *fiber;

	if (mn_shards() > 1) {	/* what was seen is another shard's */
		close(job.fd);
		return 0;
	}
	ck_assert_int_eq(site_open(&site), 0);
	for (int turns = 0; turns < 40; turns++) {
		job.stream = site_connect(&site);
		ck_assert_int_eq(mn_spawn(send_all, &job, &fiber), 0);
		for (int i = 0; i < turns; i++)
			mn_yield();
		mn_fiber_cancel(fiber);
		ck_assert_int_eq(mn_join(fiber), 0);
		ck_assert(job.res == -ECANCELED || job.res > 0);
		seen = UINT64_MAX;
		/* What it said was sent, or queued, arrives, and the stream goes on. */
		ck_assert_int_eq(mn_stream_close(job.stream), 0);
		while (seen == UINT64_MAX)
			mn_sleep(MN_MSEC);
		ck_assert_uint_ge(seen, (uint64_t)max(job.res, 0));
		ck_assert_uint_le(seen, FILE_LEN);
	}
	close(job.fd);
	return site_close(&site);
}

START_TEST(a_cancelled_sendfile_says_what_was_sent)
{
	sharded_run_backend(_i, cancel_fiber);
}
END_TEST

static int doze(struct mn_stream *conn, void *arg)
{
	return mn_sleep(20 * MN_MSEC) ? 0 : -EIO;	/* unread data: a reset */
}

static int lost_fiber(void *arg)
{
	struct site site = { .conf.on_conn = doze };
	struct job job = { .fd = file_new(FILE_LEN) };
	struct mn_fiber *fiber;
	int err;

	/* More than all buffers on the way hold. */
	ck_assert_int_eq(ftruncate(job.fd, 64 << 20), 0);
	ck_assert_int_eq(site_open(&site), 0);
	for (int abort = 0; abort < 2; abort++) {
		job.stream = site_connect(&site);
		ck_assert_int_eq(mn_spawn(send_all, &job, &fiber), 0);
		if (abort) {
			mn_sleep(5 * MN_MSEC);
			mn_stream_abort(job.stream);
		}
		ck_assert_int_eq(mn_join(fiber), 0);
		ck_assert(job.res < 64 << 20);
		job.res = mn_sendfile(job.stream, job.fd, 0, 100000);
		ck_assert(abort ? job.res == -ECANCELED :
				  job.res == -EPIPE || job.res == -ECONNRESET);
		err = mn_stream_close(job.stream);
		ck_assert_int_eq(err, job.res);
	}
	close(job.fd);
	return site_close(&site);
}

START_TEST(a_sendfile_ends_with_its_connection)
{
	sharded_run_backend(_i, lost_fiber);
}
END_TEST

/* --- streams into files --- */

/* As long as the peer is there. */
static int send_file_len(void *arg)
{
	uint8_t some[4001];
	int err = 0;

	for (uint64_t at = 0; at < FILE_LEN && !err; at += sizeof(some)) {
		size_t len = min(sizeof(some), FILE_LEN - at);

		pattern_fill(some, at, len);
		err = mn_stream_write_copy(arg, some, len);
	}
	return err ? err : mn_stream_shutdown(arg);
}

static int talk(struct mn_stream *conn, void *arg)
{
	return send_file_len(conn);
}

static int receive_fiber(void *arg)
{
	struct site site = { .conf.on_conn = talk };
	int fd = file_new(10), full = open("/dev/full", O_WRONLY);
	struct mn_stream *stream;
	uint64_t at = 0;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	for (uint64_t len = 1; len < 300000; len = len * 9 / 2 + 1) {
		ck_assert_int_eq(mn_recvfile(fd, at, stream, len), len);
		at += len;
	}
	/* And a bit by hand. */
	while (at < 500000) {
		struct mn_buf in;
		int64_t n = mn_stream_read(stream, &in);

		ck_assert(n > 0 && pattern_is(in.data, at, in.len));
		ck_assert_int_eq(pwrite(fd, in.data, in.len, (off_t)at), n);
		mn_buf_free(&in);
		at += (uint64_t)n;
	}
	ck_assert_int_eq(mn_recvfile(fd, at, stream, UINT64_MAX), FILE_LEN - at);
	ck_assert_int_eq(mn_recvfile(fd, at, stream, UINT64_MAX), 0);
	expect_end(stream);
	ck_assert(file_is(fd, 0, FILE_LEN));
	ck_assert_int_eq(mn_stream_close(stream), 0);

	stream = site_connect(&site);
	ck_assert_int_eq(mn_recvfile(full, 0, stream, 1000), -ENOSPC);
	ck_assert_int_eq(mn_recvfile(full, 0, stream, 1000000), -ENOSPC);
	ck_assert_int_eq(mn_recvfile(fd, UINT64_MAX, stream, 1), -EINVAL);
	mn_stream_abort(stream);
	ck_assert_int_eq(mn_recvfile(fd, 0, stream, 1000000), -ECANCELED);
	mn_stream_close(stream);
	close(fd);
	close(full);
	return site_close(&site);
}

START_TEST(a_stream_is_received_into_a_file)
{
	sharded_run_backend(_i, receive_fiber);
}
END_TEST

/* --- streams into each other --- */

static int forward(void *arg)
{
	struct job *job = arg;

	job->res = mn_splice(job->other, job->stream, UINT64_MAX);
	return job->res < 0 ? (int)job->res : mn_stream_shutdown(job->other);
}

struct relay {
	struct site site;
	char to[64];
};

/* Between a client and the server behind it. */
static int relay(struct mn_stream *conn, void *arg)
{
	struct relay *r = container_of((struct site *)arg, struct relay, site);
	struct mn_stream *behind;
	struct job there, back;
	struct mn_fiber *fiber;
	int err;

	ck_assert_int_eq(mn_connect(r->to, 10 * MN_SEC, &behind), 0);
	ck_assert_int_eq(mn_splice(conn, conn, 1), -EINVAL);
	/* First a part, exactly. */
	ck_assert_int_eq(mn_splice(behind, conn, 100001), 100001);
	ck_assert_int_eq(mn_splice(behind, conn, 1001), 1001);
	there = (struct job){ .stream = conn, .other = behind };
	back = (struct job){ .stream = behind, .other = conn };
	ck_assert_int_eq(mn_spawn(forward, &there, &fiber), 0);
	err = forward(&back);
	if (err)
		mn_fiber_cancel(fiber);
	mn_join(fiber);
	mn_stream_close(behind);
	return err;
}

static int relay_fiber(void *arg)
{
	struct site behind = { .conf.on_conn = echo_conn };
	struct relay r = { .site.conf.on_conn = relay };
	struct mn_stream *stream;
	struct mn_fiber *writer;

	ck_assert_int_eq(site_open(&behind), 0);
	strcpy(r.to, behind.addr);
	ck_assert_int_eq(site_open(&r.site), 0);
	for (int i = 0; i < 3; i++) {
		stream = site_connect(&r.site);
		ck_assert_int_eq(mn_spawn(send_file_len, stream, &writer), 0);
		ck_assert_uint_eq(take_pattern(stream, 0, UINT64_MAX), FILE_LEN);
		expect_end(stream);
		ck_assert_int_eq(mn_join(writer), 0);
		ck_assert_int_eq(mn_stream_close(stream), 0);
	}
	mn_stop();
	mn_join(behind.fiber);
	return mn_join(r.site.fiber);
}

START_TEST(a_relay_passes_on_both_directions_exactly)
{
	sharded_run_backend(_i, relay_fiber);
}
END_TEST

/* Cancelled after so many turns, with a client that goes on sending. */
static int cut_fiber(void *arg)
{
	struct site from = { .conf = { .on_conn = talk } };
	struct site to = { .conf = { .on_conn = count_pattern } };
	struct job job;
	struct mn_fiber *fiber;

	ck_assert_int_eq(site_open(&from), 0);
	ck_assert_int_eq(site_open(&to), 0);
	for (int turns = 0; turns < 40; turns++) {
		job = (struct job){ .stream = site_connect(&from), .other = site_connect(&to) };
		ck_assert_int_eq(mn_spawn(forward, &job, &fiber), 0);
		for (int i = 0; i < turns; i++)
			mn_yield();
		if (turns % 3)
			mn_fiber_cancel(fiber);
		else
			mn_stream_abort(turns % 2 ? job.stream : job.other);
		mn_join(fiber);
		ck_assert(job.res <= FILE_LEN);
		ck_assert(!job.stream->held && !job.other->lent);
		mn_stream_close(job.stream);
		mn_stream_close(job.other);
	}
	mn_stop();
	mn_join(from.fiber);
	return mn_join(to.fiber);
}

START_TEST(a_relay_that_is_cut_off_leaves_nothing)
{
	sharded_run_backend(_i, cut_fiber);
}
END_TEST

Suite *suite_splice(void)
{
	Suite *s = suite_create("splice");
	TCase *tc = tcase_create("splice");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, parts_of_a_file_are_sent_among_what_is_written, 0, n);
	tcase_add_loop_test(tc, a_cancelled_sendfile_says_what_was_sent, 0, n);
	tcase_add_loop_test(tc, a_sendfile_ends_with_its_connection, 0, n);
	tcase_add_loop_test(tc, a_stream_is_received_into_a_file, 0, n);
	tcase_add_loop_test(tc, a_relay_passes_on_both_directions_exactly, 0, n);
	tcase_add_loop_test(tc, a_relay_that_is_cut_off_leaves_nothing, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
