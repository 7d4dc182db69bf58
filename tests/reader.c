// SPDX-License-Identifier: MIT
/* Readers over connections, with a peer that stops, ends and resets. */
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "tests/reader.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/world.h"

/* --- a server that reads lines and bodies --- */

#define LINES	400

/* "LENGTH\r\n", and so many bytes of the pattern. */
static size_t line_len(int i)
{
	return i % 50 == 49 ? 20000 : (size_t)(i * 37 % 500);
}

static int send_lines(void *arg)
{
	struct mn_stream *stream = arg;
	char line[16];

	for (int i = 0; i < LINES; i++) {
		size_t head = (size_t)snprintf(line, sizeof(line), "%zu\r\n", line_len(i));
		size_t half = i % 3 ? head : head - 1;

		ck_assert_int_eq(mn_stream_write_copy(stream, line, half), 0);
		if (half < head) {	/* between CR and LF */
			ck_assert_int_eq(mn_stream_flush(stream), 0);
			ck_assert_int_eq(mn_stream_write_copy(stream, line + half, 1), 0);
		}
		send_pattern(stream, 0, line_len(i));
	}
	return mn_stream_shutdown(stream);
}

static size_t number(const uint8_t *text, int64_t len)
{
	size_t n = 0;

	ck_assert(len > 2 && !memcmp(text + len - 2, "\r\n", 2));
	for (int64_t i = 0; i < len - 2; i++)
		n = 10 * n + (size_t)(text[i] - '0');
	return n;
}

static int read_lines(struct mn_stream *conn, void *arg)
{
	struct mn_reader reader;
	uint8_t copy[20000];
	const uint8_t *data;
	int64_t len;
	int i;

	mn_reader_init(&reader, conn, 32);
	for (i = 0; (len = mn_reader_read_until(&reader, "\r\n", 2, 16, &data)) > 0; i++) {
		size_t body = number(data, len);

		ck_assert_uint_eq(body, line_len(i));
		if (i % 2)
			ck_assert_int_eq(mn_reader_copy(&reader, copy, body), body);
		else
			ck_assert_int_eq(mn_reader_skip(&reader, body), body);
		ck_assert(!(i % 2) || pattern_is(copy, 0, body));
	}
	ck_assert_int_eq(len, 0);
	ck_assert_int_eq(i, LINES);
	ck_assert_int_eq(mn_reader_copy(&reader, copy, 1), 0);
	ck_assert_int_eq(mn_reader_skip(&reader, 1), 0);
	mn_reader_end(&reader);
	return mn_stream_write_copy(conn, "ok", 2);
}

/* The same a slice at a time. */
struct progress {
	struct mn_reader reader;
	size_t body;
	int i;
};

static int lines_go_on(struct progress *p)
{
	const uint8_t *data;
	int64_t res;

	for (;;) {
		if (p->body) {
			res = mn_reader_try_skip(&p->reader, p->body);
			p->body -= (size_t)max(res, 0);
		} else {
			res = mn_reader_try_read_until(&p->reader, "\r\n", 2, 16, &data);
			if (res > 0) {
				p->body = number(data, res);
				ck_assert_uint_eq(p->body, line_len(p->i));
				p->i++;
			}
		}
		if (res <= 0)
			return (int)res;
	}
}

static int input_lines(struct mn_stream *conn, struct mn_buf *in, void *arg)
{
	struct progress *p = mn_stream_user(conn);
	bool end = !in->len;
	int res;

	if (!p) {
		p = mem_alloc(sizeof(*p));
		ck_assert_ptr_nonnull(p);
		mn_reader_init(&p->reader, conn, 32);
		mn_stream_set_user(conn, p);
	}
	ck_assert_int_eq(mn_reader_feed(&p->reader, in), 0);
	res = lines_go_on(p);
	/* The end may have come, and is handed over later. */
	ck_assert(res == 0 || (!end && res == -EAGAIN));
	if (!end)
		return 0;
	ck_assert_int_eq(p->i, LINES);
	mn_reader_end(&p->reader);
	mem_free(p);
	return mn_stream_write_copy(conn, "ok", 2);
}

static void lines(struct site *site)
{
	struct mn_stream *stream;
	struct mn_fiber *writer;
	struct mn_reader reader;
	char ok[3] = "";

	ck_assert_int_eq(site_open(site), 0);
	for (unsigned int i = 0; i < 2 * mn_shards(); i++) {
		stream = site_connect(site);
		ck_assert_int_eq(mn_spawn(send_lines, stream, &writer), 0);
		mn_reader_init(&reader, stream, 0);
		ck_assert_int_eq(mn_reader_copy(&reader, ok, 3), 2);
		ck_assert_str_eq(ok, "ok");
		mn_reader_end(&reader);
		ck_assert_int_eq(mn_join(writer), 0);
		ck_assert_int_eq(mn_stream_close(stream), 0);
	}
	ck_assert_int_eq(site_close(site), 0);
}

static int lines_fiber(void *arg)
{
	lines(&(struct site){ .conf.on_conn = read_lines });
	return 0;
}

static int input_fiber(void *arg)
{
	lines(&(struct site){ .conf.on_input = input_lines });
	return 0;
}

START_TEST(lines_and_bodies_are_read_by_a_fiber)
{
	sharded_run_backend(_i, lines_fiber);
}
END_TEST

START_TEST(lines_and_bodies_are_read_by_an_input_handler)
{
	sharded_run_backend(_i, input_fiber);
}
END_TEST

/* --- ends --- */

static int hold(struct mn_stream *conn, void *arg)
{
	send_pattern(conn, 0, 10);
	return mn_sleep(3600 * MN_SEC);
}

enum { EXACTLY, PEEK, UNTIL, COPY, SKIP, READ, WAYS };

struct wait {
	struct mn_reader *reader;
	int way;
};

static int wait_for(void *arg)
{
	static uint8_t copy[100];
	const struct wait *w = arg;
	const uint8_t *data;
	struct mn_buf buf;

	switch (w->way) {
	case EXACTLY:
		return (int)mn_reader_read_exactly(w->reader, 11, &data);
	case PEEK:
		return (int)mn_reader_peek(w->reader, 11, &data);
	case UNTIL:	/* no such bytes are in the pattern's beginning */
		return (int)mn_reader_read_until(w->reader, "\xff\xff\xff", 3, 100, &data);
	case COPY:
		return (int)mn_reader_copy(w->reader, copy, 11);
	case SKIP:
		return (int)mn_reader_skip(w->reader, 11);
	default:
		return (int)mn_reader_read(w->reader, 1, &buf);
	}
}

/* Cancelled in each of its waits, then aborted. All is still there, but for what it took. */
static void cancel_one(struct site *site, int way)
{
	struct mn_stream *stream = site_connect(site);
	struct mn_reader reader;
	struct wait w = { &reader, way };
	struct mn_fiber *fiber;
	const uint8_t *data;
	bool takes = way == COPY || way == SKIP || way == READ;

	mn_reader_init(&reader, stream, 0);
	if (way == READ)
		ck_assert_int_eq(mn_reader_skip(&reader, 10), 10);
	ck_assert_int_eq(mn_spawn(wait_for, &w, &fiber), 0);
	mn_sleep(3 * MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	if (takes) {
		ck_assert_int_eq(mn_reader_try_peek(&reader, 1, &data), -EAGAIN);
	} else {
		ck_assert_int_eq(mn_reader_read_exactly(&reader, 10, &data), 10);
		ck_assert(pattern_is(data, 0, 10));
	}
	ck_assert_int_eq(mn_spawn(wait_for, &w, &fiber), 0);
	mn_sleep(MN_MSEC);
	mn_stream_abort(stream);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	mn_reader_end(&reader);
	mn_stream_close(stream);
}

static int cancel_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = hold, .drain_timeout_ns = 1 } };

	ck_assert_int_eq(site_open(&site), 0);
	for (int way = 0; way < WAYS; way++)
		cancel_one(&site, way);
	return site_close(&site);
}

START_TEST(a_cancelled_wait_leaves_what_it_did_not_take)
{
	sharded_run_backend(_i, cancel_fiber);
}
END_TEST

static int ten_bytes(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;

	send_pattern(conn, 0, 10);
	ck_assert_int_eq(mn_stream_shutdown(conn), 0);
	while (mn_stream_read(conn, &in) > 0)
		mn_buf_free(&in);
	return 0;
}

static int end_fiber(void *arg)
{
	struct site site = { .conf.on_conn = ten_bytes };
	struct mn_reader reader;
	struct mn_stream *stream;
	const uint8_t *data;
	struct mn_buf buf;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	mn_reader_init(&reader, stream, 4096);
	ck_assert_int_eq(mn_reader_read_until(&reader, "\xff\xff\xff", 3, 100, &data), -ENODATA);
	ck_assert_int_eq(mn_reader_read_until(&reader, "\xff\xff\xff", 3, 5, &data), -EMSGSIZE);
	ck_assert_int_eq(mn_reader_read_until(&reader, "x", 1, 5000, &data), -EMSGSIZE);
	ck_assert_int_eq(mn_reader_read_exactly(&reader, 11, &data), -ENODATA);
	ck_assert_int_eq(mn_reader_read_exactly(&reader, 4097, &data), -EMSGSIZE);
	ck_assert_int_eq(mn_reader_peek(&reader, 11, &data), 10);
	ck_assert(pattern_is(data, 0, 10));
	ck_assert_int_eq(mn_reader_read(&reader, 100, &buf), 10);
	ck_assert(pattern_is(buf.data, 0, 10));
	mn_buf_free(&buf);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mn_reader_read(&reader, 100, &buf), 0);
		ck_assert_int_eq(mn_reader_read_exactly(&reader, 1, &data), 0);
		ck_assert_int_eq(mn_reader_peek(&reader, 1, &data), 0);
		ck_assert_int_eq(mn_reader_read_until(&reader, "x", 1, 10, &data), 0);
	}
	mn_reader_end(&reader);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(an_end_within_a_record_is_told_and_the_rest_can_be_read)
{
	sharded_run_backend(_i, end_fiber);
}
END_TEST

/* Bytes, and a reset right behind them. */
static int reset_after_ten(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;

	if (mn_stream_read(conn, &in) > 0)
		mn_buf_free(&in);
	send_pattern(conn, 0, 10);
	mn_stream_flush(conn);
	return -EIO;
}

static int reset_fiber(void *arg)
{
	static const uint8_t zeros[1000];
	struct site site = { .conf.on_conn = reset_after_ten };
	struct mn_reader reader;
	struct mn_stream *stream;
	const uint8_t *data;
	int64_t res;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	/* Which is not read: closing resets, perhaps while this is being sent. */
	for (int i = 0; i < 100 && !mn_stream_write_copy(stream, zeros, sizeof(zeros)); i++)
		;
	mn_reader_init(&reader, stream, 0);
	while ((res = mn_reader_read_exactly(&reader, 4, &data)) > 0)
		;
	ck_assert(res < 0);
	ck_assert_int_eq(mn_reader_read_exactly(&reader, 4, &data), res);
	mn_reader_end(&reader);
	mn_stream_close(stream);
	return site_close(&site);
}

START_TEST(a_reset_is_reported_by_every_call)
{
	sharded_run_backend(_i, reset_fiber);
}
END_TEST

/* --- copies --- */

static int pass_on(struct mn_stream *conn, void *arg)
{
	struct mn_reader reader;
	int64_t res;

	mn_reader_init(&reader, conn, 0);
	ck_assert_int_eq(mn_copy(conn, &reader, 0), 0);
	for (uint64_t len = 1; len < 100000; len *= 3)
		ck_assert_int_eq(mn_copy(conn, &reader, len), len);
	res = mn_copy(conn, &reader, UINT64_MAX);
	mn_reader_end(&reader);
	return res < 0 ? (int)res : 0;
}

static int send_million(void *arg)
{
	send_pattern(arg, 0, 1000000);
	return mn_stream_shutdown(arg);
}

static int copy_fiber(void *arg)
{
	struct site site = { .conf.on_conn = pass_on };
	struct mn_stream *stream;
	struct mn_fiber *writer;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_spawn(send_million, stream, &writer), 0);
	expect_pattern(stream, 0, 1000000);
	expect_end(stream);
	ck_assert_int_eq(mn_join(writer), 0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(a_copy_passes_on_exactly_as_much_as_asked)
{
	sharded_run_backend(_i, copy_fiber);
}
END_TEST

Suite *suite_reader(void)
{
	Suite *s = suite_create("reader");
	TCase *tc = tcase_create("reader");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, lines_and_bodies_are_read_by_a_fiber, 0, n);
	tcase_add_loop_test(tc, lines_and_bodies_are_read_by_an_input_handler, 0, n);
	tcase_add_loop_test(tc, a_cancelled_wait_leaves_what_it_did_not_take, 0, n);
	tcase_add_loop_test(tc, an_end_within_a_record_is_told_and_the_rest_can_be_read, 0, n);
	tcase_add_loop_test(tc, a_reset_is_reported_by_every_call, 0, n);
	tcase_add_loop_test(tc, a_copy_passes_on_exactly_as_much_as_asked, 0, n);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_reader_model());
	return s;
}
