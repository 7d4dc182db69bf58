// SPDX-License-Identifier: MIT
/* Of which scheduling group a server's handlers are. */
#include <stdio.h>

#include "core/sched.h"
#include "tests/run.h"
#include "tests/sched.h"
#include "tests/suites.h"
#include "tests/world.h"

#define CONNS	20

static struct mn_future up;
static char addr[64];
static unsigned int group;

static void listening(const char *text, void *arg)
{
	snprintf(addr, sizeof(addr), "%s", text);
	mn_future_resolve(&up, 0);
}

static int child(void *arg)
{
	return mn_group_self() == group ? 0 : -EPROTO;
}

/* It answers with its group, or 0 if what it starts is of another one. */
static int tell_group(struct mn_stream *conn)
{
	struct mn_fiber *fiber;
	uint8_t is = (uint8_t)mn_group_self();

	ck_assert_int_eq(mn_spawn(child, NULL, &fiber), 0);
	if (mn_join(fiber) || mn_call(mn_shards() - 1, child, NULL))
		is = 0;
	return mn_stream_write_copy(conn, &is, 1);
}

static int on_conn(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t res = mn_stream_read(conn, &in);

	if (res <= 0)
		return (int)res;
	mn_buf_free(&in);
	return tell_group(conn);
}

static int on_input(struct mn_stream *conn, struct mn_buf *in, void *arg)
{
	bool end = !in->len;

	mn_buf_free(in);
	return end ? -ECONNRESET : tell_group(conn);
}

/* All four: a fiber for each connection, or for its input; where it came, or handed over. */
static const struct mn_server servers[] = {
	{ .on_conn = on_conn, .accept = MN_ACCEPT_REUSEPORT },
	{ .on_conn = on_conn, .accept = MN_ACCEPT_LEAST },
	{ .on_input = on_input, .accept = MN_ACCEPT_REUSEPORT },
	{ .on_input = on_input, .accept = MN_ACCEPT_LEAST },
};

static int serve(void *arg)
{
	struct mn_server server = *(const struct mn_server *)arg;

	server.addr = "127.0.0.1:0";
	server.on_listening = listening;
	return mn_serve_with(&server);
}

static void ask(void)
{
	struct mn_stream *stream;
	struct mn_buf in;
	uint8_t is;

	ck_assert_int_eq(mn_connect(addr, 10 * MN_SEC, &stream), 0);
	ck_assert_int_eq(mn_stream_write_copy(stream, "x", 1), 0);
	ck_assert_int_eq(mn_stream_read(stream, &in), 1);
	is = *(const uint8_t *)in.data;
	mn_buf_free(&in);
	mn_stream_close(stream);
	ck_assert_uint_eq(is, group);
}

static int serve_fiber(void *arg)
{
	group = group_new("server", 100, 0, false);
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		struct mn_fiber *fiber;

		mn_future_init(&up);
		ck_assert_int_eq(mn_spawn_in(group, serve, (void *)(uintptr_t)&servers[i], &fiber),
				 0);
		ck_assert_int_eq(mn_await(&up), 0);
		ck_assert_int_eq(mn_group_destroy(group), -EBUSY);
		for (int n = 0; n < CONNS; n++)
			ask();
		mn_fiber_cancel(fiber);
		mn_join(fiber);
	}
	ck_assert_uint_eq(mn_group_self(), MN_GROUP_DEFAULT);
	ck_assert_int_eq(mn_group_destroy(group), 0);
	return 0;
}

START_TEST(handlers_are_of_the_group_of_who_serves)
{
	int ret = run_waker(_i / NR_SHARDS, 1 + (unsigned int)_i % NR_SHARDS, serve_fiber, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

TCase *tcase_sched_serve(void)
{
	TCase *tc = tcase_create("sched-serve");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, handlers_are_of_the_group_of_who_serves, 0,
			    NR_SHARDS * nr_wakers());
	return tc;
}
