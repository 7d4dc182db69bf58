// SPDX-License-Identifier: MIT
/*
 * The contract kit, streams: over TCP, version 4 and 6, and over Unix sockets.
 * On every backend a stream has the same bytes, ends at the same place, and
 * with the same error.
 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/script.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

/* A script that is tried at several kinds of address, which it gets. */
struct stream_script {
	struct script script;
	mn_fiber_fn fn;
	const char *addr;
};

/* A virtual world has TCP, version 4. */
static int at_addr(void *arg)
{
	const struct stream_script *s = container_of(arg, struct stream_script, script);

	if (mn_self->virtual_time && !strchr(s->addr, '.'))
		return RUN_SKIPPED;
	return s->fn((void *)(uintptr_t)(strchr(s->addr, '@') ? own_name(s->addr) : s->addr));
}

/* What the other end has to say, wherever it ran. */
static atomic_int heard;
static atomic_bool over;

static void there_begin(void)
{
	atomic_store(&heard, 0);
	atomic_store(&over, false);
}

static int there_ends(int64_t res)
{
	atomic_store(&heard, (int)res);
	atomic_store(&over, true);
	return 0;
}

static int64_t there(void)
{
	while (!atomic_load(&over))
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	return atomic_load(&heard);
}

static int open_fiber(void *site)
{
	return site_open(site);
}

static int close_fiber(void *site)
{
	return site_close(site);
}

/* Serving is begun on shard 0, wherever the script runs. */
static void serve(struct site *site)
{
	there_begin();
	ok(mn_call(0, open_fiber, site));
}

static struct mn_stream *meet(struct site *site, const char *addr, mn_conn_fn fn)
{
	*site = (struct site){ .conf = { .addr = addr, .on_conn = fn } };
	serve(site);
	return site_connect(site);
}

static int part(struct site *site, struct mn_stream *stream)
{
	ok(mn_stream_close(stream));
	ok(mn_call(0, close_fiber, site));
	return 0;
}

/* Read to the end: how many bytes of pattern() there were, and how it ended. */
static int64_t drain(struct mn_stream *stream, uint64_t *len)
{
	struct mn_buf in;
	int64_t res;

	for (*len = 0; (res = mn_stream_read(stream, &in)) > 0; mn_buf_free(&in)) {
		uint8_t *want = malloc(in.len);

		pattern_fill(want, *len, in.len);
		ck_assert(!memcmp(in.data, want, in.len));
		free(want);
		*len += in.len;
	}
	return res;
}

/* --- bytes --- */

static int echoes(void *arg)
{
	static const size_t sizes[] = { 1, 2, 100, 4096, 70000, 1 << 20 };
	struct site site;
	struct mn_stream *stream = meet(&site, arg, echo_conn);
	uint64_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); at += sizes[i++]) {
		size_t done = 0;

		/* No more than the sockets hold: nobody reads meanwhile. */
		for (size_t n; done < sizes[i]; done += n) {
			n = min(sizes[i] - done, 50000);
			send_pattern(stream, at + done, n);
			expect_pattern(stream, at + done, n);
		}
		note((int64_t)done);
	}
	ok(mn_stream_shutdown(stream));
	expect_end(stream);
	return part(&site, stream);
}

static int says_a_lot(struct mn_stream *conn, void *arg)
{
	uint64_t len;
	int64_t res = drain(conn, &len);

	send_pattern(conn, 0, 3000000);
	return there_ends(res ? res : (int64_t)len);
}

/* The side that has ended still hears the other, however much it has to say. */
static int half_close(void *arg)
{
	struct site site;
	struct mn_stream *stream = meet(&site, arg, says_a_lot);
	struct mn_buf out;
	uint64_t len;

	send_pattern(stream, 0, 1234);
	ok(mn_stream_shutdown(stream));
	ok(mn_buf_alloc(&out));
	is(mn_stream_write(stream, &out), -EPIPE);
	is(drain(stream, &len), 0);
	is((int64_t)len, 3000000);
	is(there(), 1234);
	ok(mn_stream_shutdown(stream));
	return part(&site, stream);
}

/* A byte a segment, as far as the kernel lets us have it so. */
static int bytewise(void *arg)
{
	struct site site;
	struct mn_stream *stream = meet(&site, arg, says_a_lot);
	uint64_t len;

	for (uint64_t i = 0; i < 300; i++) {
		send_pattern(stream, i, 1);
		ok(mn_stream_flush(stream));
	}
	ok(mn_stream_shutdown(stream));
	is(drain(stream, &len), 0);
	is(there(), 300);
	return part(&site, stream);
}

/* --- ends --- */

static int leaves(struct mn_stream *conn, void *arg)
{
	return there_ends(1);
}

static int the_other_ends_at_once(void *arg)
{
	struct site site;
	struct mn_stream *stream = meet(&site, arg, leaves);
	struct mn_buf in;

	expect_end(stream);
	is(mn_stream_try_read(stream, &in), 0);
	return part(&site, stream);
}

static int hears_all(struct mn_stream *conn, void *arg)
{
	uint64_t len;
	int64_t res = drain(conn, &len);

	return there_ends(res < 0 ? res : (int64_t)len);
}

/* What was written is sent, also when nobody waits for it. */
static int closing_sends(void *arg)
{
	struct site site;
	struct mn_stream *stream = meet(&site, arg, hears_all);

	send_pattern(stream, 0, 200000);
	ok(mn_stream_close(stream));
	is(there(), 200000);
	ok(mn_call(0, close_fiber, &site));
	return 0;
}

static int aborted(void *arg)
{
	struct site site;
	struct mn_stream *stream = meet(&site, arg, hears_all);
	struct mn_buf buf;

	mn_stream_abort(stream);
	is(mn_stream_read(stream, &buf), -ECANCELED);
	is(mn_stream_try_read(stream, &buf), -ECANCELED);
	ok(mn_buf_alloc(&buf));
	is(mn_stream_write(stream, &buf), -ECANCELED);
	is(mn_stream_flush(stream), -ECANCELED);
	is(mn_stream_close(stream), -ECANCELED);
	is(there(), 0);
	ok(mn_call(0, close_fiber, &site));
	return 0;
}

/* A reset comes behind what was sent before it. */
static int reset(void *arg)
{
	struct linger now = { .l_onoff = 1 };
	struct site site = { .conf = { .addr = arg, .on_conn = hears_all } };
	struct mn_addr to;
	int fd;

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	serve(&site);
	ok(mn_addr_parse(site.addr, &to));
	fd = socket(to.sa.sa_family, SOCK_STREAM, 0);
	ok(connect(fd, &to.sa, to.len));
	is(write(fd, "", 1), 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	is(there(), -ECONNRESET);
	ok(mn_call(0, close_fiber, &site));
	return 0;
}

/* --- time --- */

static int says_it_later(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;

	ck_assert_int_eq(mn_stream_read(conn, &in), 1);	/* when it is asked to */
	mn_buf_free(&in);
	send_pattern(conn, 0, 10);
	return there_ends(10);
}

/* Who stops waiting loses nothing. */
static int waited_in_vain(void *arg)
{
	struct site site;
	struct mn_stream *stream = meet(&site, arg, says_it_later);
	struct mn_scope scope;
	struct mn_buf in;

	is(mn_stream_try_read(stream, &in), -EAGAIN);
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + 2 * MN_MSEC });
	is(mn_stream_read(stream, &in), -ETIMEDOUT);
	ok(mn_scope_join(&scope));
	send_pattern(stream, 0, 1);
	expect_pattern(stream, 0, 10);
	expect_end(stream);
	is(there(), 10);
	return part(&site, stream);
}

static int idle_for_too_long(void *arg)
{
	struct site site = {
		.conf = { .addr = arg, .on_conn = hears_all, .idle_timeout_ns = 20 * MN_MSEC }
	};
	struct mn_stream *stream;

	serve(&site);
	stream = site_connect(&site);
	expect_end(stream);
	is(there(), -ETIMEDOUT);
	return part(&site, stream);
}

/* --- nobody there --- */

static int nobody(void *arg)
{
	struct site site = { .conf = { .addr = arg } };
	struct mn_stream *stream;

	serve(&site);
	ok(mn_call(0, close_fiber, &site));
	/* Nobody else has the port yet: it was ours a moment ago. */
	is(mn_connect(site.addr, MN_SEC, &stream), strchr(arg, '/') ? -ENOENT : -ECONNREFUSED);
	is(mn_connect("nonsense", MN_SEC, &stream), -EINVAL);
	is(mn_connect("127.0.0.1:70000", MN_SEC, &stream), -EINVAL);
	return 0;
}

/* --- many --- */

static int one_of_many(void *arg)
{
	struct mn_stream *stream = site_connect(arg);

	send_pattern(stream, 0, 5000);
	expect_pattern(stream, 0, 5000);
	return mn_stream_close(stream);
}

static int many(void *arg)
{
	struct site site = { .conf = { .addr = arg } };
	struct mn_scope scope;

	serve(&site);
	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 60; i++)
		ok(mn_scope_spawn(&scope, one_of_many, &site));
	ok(mn_scope_join(&scope));
	ok(mn_call(0, close_fiber, &site));
	return 0;
}

/* clang-format off */
#define OVER(fn, how, where)	{ { #fn " over " how, at_addr }, fn, where }
#define OVER_TCP(fn)							\
	OVER(fn, "TCP", "127.0.0.1:0"),					\
	OVER(fn, "TCP, version 6", "[::1]:0")
#define OVER_ALL(fn)							\
	OVER_TCP(fn),							\
	OVER(fn, "a Unix socket", "unix:@mn-test-kit")
/* clang-format on */

static const struct stream_script scripts[] = {
	OVER_ALL(echoes),	    OVER_ALL(half_close),
	OVER_ALL(bytewise),	    OVER_ALL(the_other_ends_at_once),
	OVER_ALL(closing_sends),    OVER_ALL(aborted),
	OVER_ALL(waited_in_vain),   OVER_ALL(idle_for_too_long),
	OVER_ALL(nobody),	    OVER_ALL(many),
	OVER_TCP(reset),
};

START_TEST(streams_are_the_same_on_every_backend)
{
	script_run(&scripts[_i / 2].script, 1 + (unsigned int)_i % 2);
}
END_TEST

Suite *suite_kit_stream(void)
{
	Suite *s = suite_create("kit_stream");
	TCase *tc = tcase_create("kit_stream");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, streams_are_the_same_on_every_backend, scripts);
	suite_add_tcase(s, tc);
	return s;
}
