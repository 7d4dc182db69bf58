// SPDX-License-Identifier: MIT
/* What only the mem backend has: many shards on one thread, and its clock. */
#include <errno.h>

#include <miniss/timer.h>

#include "backends/mem.h"
#include "smp/call.h"
#include "tests/backend.h"

/* world_run() starts the shards: only make them. */
static int run(struct mn_world *world, unsigned int nr_shards, mn_fiber_fn fn, void *arg)
{
	int res;

	ck_assert(world_make(world, "mem", nr_shards));
	world->fn = fn;
	world->arg = arg;
	res = world_run(world);
	world_end(world);
	return res;
}

static int sleep_an_hour(void *arg)
{
	int64_t from_ns = mn_now();
	int err = mn_sleep(3600 * MN_SEC);

	*(int64_t *)arg = mn_now() - from_ns;
	return err;
}

START_TEST(an_hour_passes_at_once)
{
	struct mn_world world;
	int64_t slept_ns = 0;

	ck_assert_int_eq(run(&world, 2, sleep_an_hour, &slept_ns), 0);
	ck_assert_int_ge(slept_ns, 3600 * MN_SEC);
	ck_assert_int_le(slept_ns, 3601 * MN_SEC);
}
END_TEST

static int wait_for_nothing(void *arg)
{
	struct mn_future never;

	mn_future_init(&never);
	return (int)mn_await(&never);
}

START_TEST(a_world_in_which_nothing_can_happen_ends)
{
	struct mn_world world;

	ck_assert_int_eq(run(&world, 2, wait_for_nothing, NULL), -EDEADLK);
}
END_TEST

struct echo {
	struct sockaddr_in sa;
	int fd;
	char got[6];
};

static int64_t transfer(enum mn_opcode code, int fd, void *base, size_t len)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.buf.base = base;
	op.buf.len = len;
	op_start(&op);
	return mn_op_await(&op, MN_NEVER);
}

/* On shard 1. */
static int echo_client(void *arg)
{
	struct echo *echo = arg;
	struct mn_op op;
	int fd = do_socket();
	int64_t res;

	op_init(&op, MN_OP_CONNECT, fd);
	op.addr.sa = (const struct sockaddr *)&echo->sa;
	op.addr.len = sizeof(echo->sa);
	op_start(&op);
	res = mn_op_await(&op, MN_NEVER);
	if (!res)
		res = transfer(MN_OP_SEND, fd, "hello", 6);
	if (res == 6)
		res = transfer(MN_OP_RECV, fd, echo->got, 6);
	do_call(MN_OP_CLOSE, fd, 0);
	return (int)res;
}

/* On shard 0, beside the call. */
static int echo_server(void *arg)
{
	struct echo *echo = arg;
	char byte[6];
	int64_t n;
	int fd;

	while ((fd = do_call(MN_OP_ACCEPT, echo->fd, 0)) == -EAGAIN)
		mn_sleep(MN_MSEC);
	while ((n = transfer(MN_OP_RECV, fd, byte, sizeof(byte))) > 0)
		transfer(MN_OP_SEND, fd, byte, (size_t)n);
	do_call(MN_OP_CLOSE, fd, 0);
	return (int)n;
}

static int echo_app(void *arg)
{
	struct echo *echo = arg;
	struct mn_fiber *server;
	int res, err;

	echo->fd = listener(&echo->sa, 4);
	err = mn_spawn(echo_server, echo, &server);
	if (err)
		return err;
	res = shard_call(1, echo_client, echo);
	err = mn_join(server);
	do_call(MN_OP_CLOSE, echo->fd, 0);
	return res == 6 ? err : -EIO;
}

START_TEST(two_shards_on_one_thread_echo_to_each_other)
{
	struct mn_world world;
	struct echo echo = { .got = "" };

	ck_assert_int_eq(run(&world, 2, echo_app, &echo), 0);
	ck_assert_str_eq(echo.got, "hello");
}
END_TEST

START_TEST(the_clock_moves_when_told_and_never_back)
{
	struct mn_world world;
	int64_t from_ns;

	ck_assert(world_begin(&world, "mem", 1));
	from_ns = mem_clock_now(&world);
	ck_assert_int_eq(backend_now(mn_self->be), from_ns);
	mem_clock_advance(&world, MN_SEC);
	ck_assert_int_eq(backend_now(mn_self->be), from_ns + MN_SEC);
	mem_clock_set(&world, from_ns);
	ck_assert_int_eq(backend_now(mn_self->be), from_ns + MN_SEC);
	world_end(&world);
}
END_TEST

/* Connections to a shared port go to its listeners in turn. */
START_TEST(listeners_of_a_port_get_connections_in_turn)
{
	struct mn_world world;
	struct sockaddr_in sa = loopback();
	int a, b;

	ck_assert(world_begin(&world, "mem", 1));
	a = do_socket();
	b = do_socket();
	do_setsockopt(a, SOL_SOCKET, SO_REUSEPORT, 1);
	do_setsockopt(b, SOL_SOCKET, SO_REUSEPORT, 1);
	ck_assert_int_eq(do_bind(a, &sa), 0);
	do_name(MN_OP_GETSOCKNAME, a, &sa);
	ck_assert_int_eq(do_bind(b, &sa), 0);
	do_call(MN_OP_LISTEN, a, 8);
	do_call(MN_OP_LISTEN, b, 8);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(do_connect(do_socket(), &sa), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_ge(do_call(MN_OP_ACCEPT, a, 0), 0);
		ck_assert_int_ge(do_call(MN_OP_ACCEPT, b, 0), 0);
	}
	ck_assert_int_eq(do_call(MN_OP_ACCEPT, a, 0), -EAGAIN);
	ck_assert_int_eq(do_call(MN_OP_ACCEPT, b, 0), -EAGAIN);
	world_end(&world);
}
END_TEST

/* Who connects has a port that nobody else has. */
START_TEST(every_client_has_a_port_of_its_own)
{
	struct mn_world world;
	struct sockaddr_in sa, name;
	in_port_t seen[8];

	ck_assert(world_begin(&world, "mem", 1));
	listener(&sa, 8);
	for (int i = 0; i < 8; i++) {
		int fd = do_socket();

		ck_assert_int_eq(do_connect(fd, &sa), 0);
		ck_assert_int_gt(do_name(MN_OP_GETSOCKNAME, fd, &name), 0);
		seen[i] = name.sin_port;
		ck_assert(seen[i] && seen[i] != sa.sin_port);
		for (int j = 0; j < i; j++)
			ck_assert_int_ne(seen[i], seen[j]);
	}
	world_end(&world);
}
END_TEST

TCase *tcase_backend_mem(void)
{
	TCase *tc = tcase_create("mem");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, an_hour_passes_at_once);
	tcase_add_test(tc, a_world_in_which_nothing_can_happen_ends);
	tcase_add_test(tc, two_shards_on_one_thread_echo_to_each_other);
	tcase_add_test(tc, the_clock_moves_when_told_and_never_back);
	tcase_add_test(tc, every_client_has_a_port_of_its_own);
	tcase_add_test(tc, listeners_of_a_port_get_connections_in_turn);
	return tc;
}
