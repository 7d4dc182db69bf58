// SPDX-License-Identifier: MIT
#include <check.h>
#include <stdio.h>

#include <miniss/run.h>

#include "tests/site.h"
#include "tests/world.h"

static void listening(const char *addr, void *arg)
{
	struct site *site = arg;

	snprintf(site->addr, sizeof(site->addr), "%s", addr);
	mn_future_resolve(&site->up, 0);
}

static int serve(void *arg)
{
	struct site *site = arg;
	int err = mn_serve_with(&site->conf);

	if (!mn_future_ready(&site->up))
		mn_future_resolve(&site->up, err);
	return err;
}

int site_open(struct site *site)
{
	if (!site->conf.addr)
		site->conf.addr = "127.0.0.1:0";
	if (!site->conf.on_conn && !site->conf.on_input)
		site->conf.on_conn = echo_conn;
	site->conf.arg = site;
	site->conf.on_listening = listening;
	mn_future_init(&site->up);
	ck_assert_int_eq(mn_spawn(serve, site, &site->fiber), 0);
	return (int)mn_await(&site->up);
}

int site_close(struct site *site)
{
	mn_stop();
	return mn_join(site->fiber);
}

struct mn_stream *site_connect(struct site *site)
{
	struct mn_stream *stream;

	ck_assert_int_eq(mn_connect(site->addr, 10 * MN_SEC, &stream), 0);
	return stream;
}

void send_pattern(struct mn_stream *stream, uint64_t from, size_t len)
{
	while (len) {
		struct mn_buf out;

		ck_assert_int_eq(mn_buf_alloc(&out), 0);
		out.len = min(out.len, len);
		pattern_fill(out.data, from, out.len);
		from += out.len;
		len -= out.len;
		ck_assert_int_eq(mn_stream_write(stream, &out), 0);
	}
}

void expect_pattern(struct mn_stream *stream, uint64_t from, size_t len)
{
	while (len) {
		struct mn_buf in;
		int64_t res = mn_stream_read(stream, &in), right = 0;

		ck_assert_msg(res > 0, "read: %lld, %zu bytes are missing", (long long)res, len);
		ck_assert((size_t)res <= len && in.len == (size_t)res);
		/* Check writes a line for every assertion: one a byte would take for ever. */
		while (right < res && in.data[right] == pattern(from + (uint64_t)right))
			right++;
		ck_assert_int_eq(right, res);
		from += (uint64_t)res;
		len -= (size_t)res;
		mn_buf_free(&in);
	}
}

void expect_end(struct mn_stream *stream)
{
	struct mn_buf in;

	ck_assert(mn_stream_read(stream, &in) == 0);
	ck_assert(mn_stream_read(stream, &in) == 0);	/* and again */
}

int echo_conn(struct mn_stream *conn, void *arg)
{
	struct site *site = arg;
	struct mn_buf in;
	int64_t err;

	while ((err = mn_stream_read(conn, &in)) > 0)
		if ((err = mn_stream_write(conn, &in)) < 0)
			break;
	if (mn_shard() == 0) {
		site->conns++;
		site->last_err = (int)err;
	}
	return (int)err;
}

int echo_input(struct mn_stream *conn, struct mn_buf *in, void *arg)
{
	return mn_stream_write(conn, in);
}
