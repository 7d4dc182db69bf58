// SPDX-License-Identifier: MIT
/*
 * A message of 64 bytes to a server and back, both on one shard: over
 * whatever the program runs on, so that on the mem backend it is what miniss
 * itself does for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <miniss/serve.h>

#include "lib/mem/mem.h"
#include "tools/bench/bench.h"

#define MESSAGE_BYTES	64

struct echo {
	struct mn_fiber *server, *client;
	struct mn_stream *conn;
	uint64_t left;
	bool done;
	char addr[64];
};

static int echo_conn(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t err;

	while ((err = mn_stream_read(conn, &in)) > 0)
		if ((err = mn_stream_write(conn, &in)))
			break;
	return (int)err;
}

static void listening(const char *addr, void *arg)
{
	struct echo *echo = arg;

	snprintf(echo->addr, sizeof(echo->addr), "%s", addr);
}

static int serve_fiber(void *arg)
{
	const struct mn_server server = {
		.addr = "127.0.0.1:0",
		.on_conn = echo_conn,
		.on_listening = listening,
		.arg = arg,
	};
	struct echo *echo = arg;
	int err = mn_serve_with(&server);

	echo->done = true;
	return err;
}

static int connect_fiber(void *arg)
{
	struct echo *echo = arg;
	int err = mn_connect(echo->addr, MN_NEVER, &echo->conn);

	echo->done = true;
	return err;
}

static int message_fiber(void *arg)
{
	static const char zeros[MESSAGE_BYTES];
	struct echo *echo = arg;

	for (; echo->left; echo->left--) {
		struct mn_buf buf = mn_buf_static(zeros, sizeof(zeros));

		if (mn_stream_write(echo->conn, &buf) ||
		    mn_stream_read(echo->conn, &buf) != MESSAGE_BYTES)
			abort();
		mn_buf_free(&buf);
	}
	echo->done = true;
	return 0;
}

static void step_until_done(struct bench_case *c, struct echo *echo)
{
	while (!echo->done)
		case_step(c);
	echo->done = false;
}

static int echo_open(struct bench_case *c)
{
	struct echo *echo = mem_alloc(sizeof(*echo));
	int err;

	if (!echo)
		return -ENOMEM;
	c->state = echo;
	err = mn_spawn(serve_fiber, echo, &echo->server);
	while (!err && !*echo->addr && !echo->done)
		case_step(c);
	if (err || echo->done)
		return err ? err : -EADDRNOTAVAIL;
	err = mn_spawn(connect_fiber, echo, NULL);
	if (!err)
		step_until_done(c, echo);
	return err ? err : echo->conn ? 0 : -ECONNREFUSED;
}

static void echo_run(struct bench_case *c, uint64_t n)
{
	struct echo *echo = c->state;

	echo->left = n;
	mn_spawn(message_fiber, echo, NULL);
	step_until_done(c, echo);
}

static int close_fiber(void *arg)
{
	struct echo *echo = arg;

	mn_stream_close(echo->conn);
	mn_fiber_cancel(echo->server);
	return mn_join(echo->server);
}

static void echo_close(struct bench_case *c)
{
	mn_spawn(close_fiber, c->state, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
	mem_free(c->state);
}

static const struct bench stream_echo = {
	.name = "stream.echo",
	.open = echo_open,
	.run = echo_run,
	.close = echo_close,
};
bench_register(stream_echo);

/* ---- its buffer ---- */

static void buf_run(struct bench_case *c, uint64_t n)
{
	struct mn_buf buf;

	for (; n; n--) {
		if (mn_buf_alloc(&buf))
			abort();
		bench_keep(buf.data);
		mn_buf_free(&buf);
	}
}

static const struct bench buf_alloc = {
	.name = "buf.alloc",
	.run = buf_run,
};
bench_register(buf_alloc);
