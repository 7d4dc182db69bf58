// SPDX-License-Identifier: MIT
/*
 * The contract kit, descriptors and credentials over Unix streams: they come
 * with the byte that they were sent with, or before it, and what nobody takes is
 * closed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/kit-passing.h"
#include "tests/run.h"
#include "tests/script.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

const struct mn_sockopt takes = { .fds = true };
const struct mn_sockopt takes_creds = { .fds = true, .creds = true };
static const struct mn_connect_conf taking = { .opt = &takes };

int nr_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Descriptors are closed in other turns, and on other shards, than where they are looked at. */
static void expect_open(int nr)
{
	for (int i = 0; i < 10000 && nr_open() != nr; i++)
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	is(nr_open() - nr, 0);
}

/* --- somebody who gives all back --- */

static int fds_echo(struct mn_stream *conn, void *arg)
{
	int fds[MN_PASSED_MAX];
	struct mn_passed passed = { .fds = fds, .fds_max = MN_PASSED_MAX };
	struct mn_buf in;
	int64_t res;

	while ((res = mn_stream_recv_fds(conn, &in, &passed)) > 0) {
		if (passed.nr_fds) {
			res = mn_stream_send_fds(conn, in.data, in.len, fds, passed.nr_fds);
			mn_buf_free(&in);
		} else {
			res = mn_stream_write(conn, &in);
		}
		for (unsigned int i = 0; i < passed.nr_fds; i++)
			close(fds[i]);
		if (res)
			break;
	}
	return (int)res;
}

static int open_fiber(void *site)
{
	return site_open(site);
}

static int close_fiber(void *site)
{
	return site_close(site);
}

static struct mn_stream *meet(struct site *site, mn_conn_fn fn, const struct mn_sockopt *opt)
{
	struct mn_stream *stream;

	static char addr[600];

	snprintf(addr, sizeof(addr), "unix:%s", in_dir("socket"));
	*site = (struct site){ .conf = { .addr = addr,
					 .on_conn = fn,
					 .opt = opt,
					 .drain_timeout_ns = 100 * MN_MSEC } };
	ok(mn_call(0, open_fiber, site));
	ok(mn_connect_with(site->addr, &taking, &stream));
	return stream;
}

static void part(struct site *site, struct mn_stream *stream)
{
	ok(mn_stream_close(stream));
	ok(mn_call(0, close_fiber, site));
}

/* What is put into the write end of the pipe comes out of it. */
void through(const int end[2], const int *fds, unsigned int n)
{
	char byte;

	for (unsigned int i = 0; i < n; i++) {
		if (write(fds[i], "x", 1) != 1 || read(end[0], &byte, 1) != 1 ||
		    fcntl(fds[i], F_GETFD) != FD_CLOEXEC)
			ck_abort_msg("descriptor %u is not what was sent", i);
		close(fds[i]);
	}
}

static void send_some(struct mn_stream *stream, uint64_t from, size_t len, int fd, unsigned int n)
{
	uint8_t *data = malloc(len);
	int fds[MN_PASSED_MAX + 1];

	for (unsigned int i = 0; i < n; i++)
		fds[i] = fd;
	pattern_fill(data, from, len);
	ok(mn_stream_send_fds(stream, data, len, fds, n));
	free(data);
}

/* Bytes of pattern(), and where among them how many descriptors come. */
static void expect_some(struct mn_stream *stream, const int end[2], uint64_t from, size_t len,
			size_t at, unsigned int n)
{
	int fds[MN_PASSED_MAX];
	struct mn_passed passed = { .fds = fds, .fds_max = MN_PASSED_MAX };
	struct mn_buf in;

	for (size_t done = 0; done < len; mn_buf_free(&in)) {
		int64_t res = mn_stream_recv_fds(stream, &in, &passed);
		bool with = done <= at && at < done + in.len;

		ck_assert_int_gt(res, 0);
		ck_assert_uint_eq(passed.nr_fds, with ? n : 0);
		for (size_t i = 0; i < in.len; i++)
			if (in.data[i] != pattern(from + done + i))
				ck_abort_msg("byte %zu is not itself", done + i);
		through(end, fds, passed.nr_fds);
		done += in.len;
	}
	note((int64_t)len);
	note(n);
}

/* --- there and back --- */

static int numbers(void *arg)
{
	static const unsigned int nr[] = { 1, 2, 100, MN_PASSED_MAX, 1 };
	int end[2], before;
	struct site site;
	struct mn_stream *stream;

	stream = meet(&site, fds_echo, &takes);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	send_pattern(stream, 0, 1);
	expect_some(stream, end, 0, 1, 0, 0);
	before = nr_open();
	for (size_t i = 0; i < ARRAY_SIZE(nr); i++) {
		send_some(stream, i, 10, end[1], nr[i]);
		expect_some(stream, end, i, 10, 0, nr[i]);
		expect_open(before);
	}
	/* They are with their byte, whatever is before and behind it. */
	mn_stream_cork(stream);
	send_pattern(stream, 0, 5000);
	send_some(stream, 5000, 3000, end[1], 3);
	send_pattern(stream, 8000, 5000);
	mn_stream_uncork(stream);
	expect_some(stream, end, 0, 13000, 5000, 3);
	expect_open(before);
	part(&site, stream);
	close(end[0]);
	close(end[1]);
	return 0;
}

/* More than fits at once, to one who also sends: the first of it has the descriptors. */
static int large(void *arg)
{
	enum { LEN = 150000 };
	struct mn_stream *stream;
	struct site site;
	int end[2];

	stream = meet(&site, fds_echo, &takes);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++) {
		send_some(stream, 7, LEN, end[1], 5);
		expect_some(stream, end, 7, LEN, 0, 5);
	}
	part(&site, stream);
	close(end[0]);
	close(end[1]);
	return 0;
}

static int refused(void *arg)
{
	struct mn_passed passed = { .fds_max = 0 };
	struct mn_stream *stream;
	struct site site;
	int fds[MN_PASSED_MAX + 1] = { 0 }, end[2];
	struct mn_buf in;

	stream = meet(&site, fds_echo, &takes);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	is(mn_stream_send_fds(stream, "x", 1, fds, 0), -EINVAL);
	is(mn_stream_send_fds(stream, "x", 0, fds, 1), -EINVAL);
	is(mn_stream_send_fds(stream, "x", 1, fds, MN_PASSED_MAX + 1), -EINVAL);
	fds[0] = 900000;
	is(mn_stream_send_fds(stream, "x", 1, fds, 1), -EBADF);
	send_some(stream, 0, 4, end[1], 2);
	is(mn_stream_recv_fds(stream, &in, &passed), -EMSGSIZE);
	is(mn_stream_recv_fds(stream, &in, &passed), -EMSGSIZE);
	expect_some(stream, end, 0, 4, 0, 2);
	ok(mn_stream_shutdown(stream));
	is(mn_stream_send_fds(stream, "x", 1, end, 1), -EPIPE);
	is(mn_stream_recv_fds(stream, &in, &passed), 0);
	is(mn_stream_recv_fds(stream, &in, &passed), 0);
	part(&site, stream);
	close(end[0]);
	close(end[1]);
	return 0;
}

static int not_unix(void *arg)
{
	struct site site = { .conf = { .addr = "127.0.0.1:0", .opt = &takes_creds } };
	struct mn_passed passed = { .fds_max = 0 };
	struct mn_stream *stream;
	struct mn_buf in;

	ok(mn_call(0, open_fiber, &site));
	ok(mn_connect_with(site.addr, &taking, &stream));
	is(mn_stream_send_fds(stream, "x", 1, (int[]){ 0 }, 1), -EOPNOTSUPP);
	is(mn_stream_recv_fds(stream, &in, &passed), -EOPNOTSUPP);
	send_pattern(stream, 0, 100);
	expect_pattern(stream, 0, 100);
	part(&site, stream);
	return 0;
}

/* --- nobody takes them --- */

static int plain_echo(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t res;

	while ((res = mn_stream_read(conn, &in)) > 0)
		mn_stream_write(conn, &in);
	return (int)res;
}

static int does_not_take(struct mn_stream *conn, void *arg)
{
	struct mn_passed passed = { .fds_max = 0 };
	struct mn_buf in;

	ck_assert_int_eq(mn_stream_recv_fds(conn, &in, &passed), -EOPNOTSUPP);
	return plain_echo(conn, arg);
}

static int closed(mn_conn_fn fn, const struct mn_sockopt *opt)
{
	struct mn_stream *stream;
	int end[2], before;
	struct site site;
	char byte;

	stream = meet(&site, fn, opt);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	send_pattern(stream, 0, 1);
	expect_some(stream, end, 0, 1, 0, 0);
	before = nr_open();
	send_some(stream, 0, 100, end[1], 200);
	expect_some(stream, end, 0, 100, 0, 0);
	expect_open(before);
	close(end[1]);
	is(read(end[0], &byte, 1), 0);
	close(end[0]);
	part(&site, stream);
	return 0;
}

static int not_wanted(void *arg)
{
	return closed(does_not_take, NULL);
}

static int not_taken(void *arg)
{
	return closed(plain_echo, &takes);
}

static int never_reads(struct mn_stream *conn, void *arg)
{
	while (!mn_fiber_canceled() && !mn_sleep(MN_MSEC))
		;
	return 0;
}

/* However many come, few are taken before somebody reads; those left are closed at the end. */
static int left(void *arg)
{
	struct mn_stream *stream;
	int end[2], before;
	struct site site;
	char byte;

	stream = meet(&site, never_reads, &takes);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	ok(mn_sleep(MN_MSEC));
	before = nr_open();
	for (int i = 0; i < 20; i++)
		send_some(stream, 0, 1, end[1], 100);
	ok(mn_sleep(20 * MN_MSEC));
	ck_assert_int_le(nr_open(), before + 300);
	close(end[1]);
	mn_stream_abort(stream);
	mn_stream_close(stream);
	ok(mn_call(0, close_fiber, &site));
	is(read(end[0], &byte, 1), 0);
	close(end[0]);
	return 0;
}

/* --- to another shard --- */

static int moves_first(struct mn_stream *conn, void *arg)
{
	ck_assert_int_eq(mn_sleep(5 * MN_MSEC), 0);	/* some has arrived, perhaps */
	return mn_stream_migrate(conn, (mn_shard() + 1) % mn_shards(), fds_echo, NULL);
}

static int moved(void *arg)
{
	struct mn_stream *stream;
	struct site site;
	int end[2];

	stream = meet(&site, moves_first, &takes);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	send_some(stream, 0, 2000, end[1], 4);
	expect_some(stream, end, 0, 2000, 0, 4);
	send_some(stream, 2000, 20, end[1], 40);
	expect_some(stream, end, 2000, 20, 0, 40);
	part(&site, stream);
	close(end[0]);
	close(end[1]);
	return 0;
}

/* A script, and what it does where there are Unix sockets. */
struct real_script {
	struct script script;
	mn_fiber_fn fn;
};

static int in_reality(void *arg)
{
	const struct real_script *s = container_of(arg, struct real_script, script);

	return mn_self->virtual_time ? RUN_SKIPPED : s->fn(arg);
}

#define REAL(fn)                        \
	{                               \
		{ #fn, in_reality }, fn \
	}

/* clang-format off */
static const struct real_script scripts[] = {
	REAL(numbers), REAL(large), REAL(refused), REAL(not_unix), REAL(not_wanted), REAL(not_taken),
	REAL(left), REAL(kit_passing_lost), REAL(kit_passing_creds), REAL(kit_passing_no_room), REAL(kit_passing_no_peer), REAL(moved),
};
/* clang-format on */

START_TEST(descriptors_over_streams_are_the_same_on_every_backend)
{
	script_run(&scripts[_i / 2].script, 1 + (unsigned int)_i % 2);
}
END_TEST

Suite *suite_kit_passing(void)
{
	Suite *s = suite_create("kit_passing");
	TCase *tc = tcase_create("kit_passing");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, descriptors_over_streams_are_the_same_on_every_backend, scripts);
	suite_add_tcase(s, tc);
	return s;
}
