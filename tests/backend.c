// SPDX-License-Identifier: MIT
/*
 * The contract of backends, on every one that is built and works here: the
 * same results of the same operations. tests/backend-stream.c has the bytes;
 * here are the rest: readiness, connections, cancelling, waiting.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/mem.h"
#include "tests/backend.h"
#include "tests/suites.h"

BACKEND_TEST(a_nop_completes)
{
	struct track t[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
		track_start(&t[i], MN_OP_NOP, -1);
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_int_eq(track_finish(&t[i]), 0);
	settle();
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_uint_eq(t[i].ends, 1);
}

static void start_poll(struct track *t, int fd, uint32_t events)
{
	track_init(t, MN_OP_POLL, fd);
	t->op.poll.events = events;
	op_start(&t->op);
}

BACKEND_TEST(poll_reports_what_is_ready)
{
	struct pair pair = connected(0);
	struct track in, out;
	char byte;

	start_poll(&in, pair.server, POLLIN);
	start_poll(&out, pair.server, POLLOUT);
	ck_assert_int_eq(track_finish(&out), POLLOUT);
	settle();
	ck_assert_uint_eq(in.ends, 0);
	ck_assert_int_eq(do_send(pair.client, "x", 1), 1);
	ck_assert_int_eq(track_finish(&in), POLLIN);
	ck_assert_int_eq(do_recv(pair.server, &byte, 1), 1);
	close_pair(&pair);
}

BACKEND_TEST(bad_descriptors_are_refused)
{
	struct track t;
	char byte;

	ck_assert_int_eq(do_recv(-1, &byte, 1), -EBADF);
	ck_assert_int_eq(do_send(-1, "x", 1), -EBADF);
	ck_assert_int_eq(do_call(MN_OP_CLOSE, -1, 0), -EBADF);
	track_start(&t, MN_OP_RECV_STREAM, -1);
	ck_assert_int_eq(track_finish(&t), -EBADF);
	track_start(&t, MN_OP_ACCEPT_STREAM, -1);
	ck_assert_int_eq(track_finish(&t), -EBADF);
	start_poll(&t, -1, POLLIN);
	ck_assert_int_eq(track_finish(&t), -EBADF);
}

BACKEND_TEST(echo_through_an_accepted_connection)
{
	struct sockaddr_in sa;
	int fd = listener(&sa, 16), client = do_socket(), conn = -1;
	struct track accept;
	char in[5] = "";

	track_init(&accept, MN_OP_ACCEPT_STREAM, fd);
	accept.fds = &conn;
	accept.fds_max = 1;
	op_start(&accept.op);
	ck_assert_int_eq(do_connect(client, &sa), 0);
	while (!accept.items)
		shard_step(mn_self, true);
	ck_assert_int_eq(do_send(client, "ping", 5), 5);
	ck_assert_int_eq(do_recv(conn, in, 5), 5);
	ck_assert_str_eq(in, "ping");
	ck_assert_int_eq(do_send(conn, "pong", 5), 5);
	ck_assert_int_eq(do_recv(client, in, 5), 5);
	ck_assert_str_eq(in, "pong");
	ck_assert_uint_eq(accept.ends, 0);
	mn_op_cancel(&accept.op);
	ck_assert_int_eq(track_finish(&accept), -ECANCELED);
	do_call(MN_OP_CLOSE, fd, 0);
	do_call(MN_OP_CLOSE, client, 0);
	ck_assert_int_eq(do_recv(conn, in, 5), 0);
	do_call(MN_OP_CLOSE, conn, 0);
}

BACKEND_TEST(names_of_both_ends_agree)
{
	struct pair pair = connected(0);
	struct sockaddr_in a, b;

	ck_assert_int_eq(do_name(MN_OP_GETPEERNAME, pair.client, &a), sizeof(a));
	ck_assert_int_eq(do_name(MN_OP_GETSOCKNAME, pair.server, &b), sizeof(b));
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ck_assert_int_eq(do_name(MN_OP_GETSOCKNAME, pair.client, &a), sizeof(a));
	ck_assert_int_eq(do_name(MN_OP_GETPEERNAME, pair.server, &b), sizeof(b));
	ck_assert_mem_eq(&a, &b, sizeof(a));
	close_pair(&pair);
}

BACKEND_TEST(a_connection_nobody_listens_for_is_refused)
{
	struct sockaddr_in sa;
	int fd = listener(&sa, 1);

	do_call(MN_OP_CLOSE, fd, 0);
	fd = do_socket();
	ck_assert_int_eq(do_connect(fd, &sa), -ECONNREFUSED);
	do_call(MN_OP_CLOSE, fd, 0);
}

BACKEND_TEST(a_port_in_use_is_refused)
{
	struct sockaddr_in sa;
	int fd = listener(&sa, 1), second = do_socket();

	ck_assert_int_eq(do_bind(second, &sa), -EADDRINUSE);
	do_setsockopt(second, SOL_SOCKET, SO_REUSEADDR, 1);
	ck_assert_int_eq(do_bind(second, &sa), -EADDRINUSE);
	do_call(MN_OP_CLOSE, fd, 0);
	ck_assert_int_eq(do_bind(second, &sa), 0);
	do_call(MN_OP_CLOSE, second, 0);
}

BACKEND_TEST(listeners_may_share_a_port_if_all_agree)
{
	struct sockaddr_in sa;
	int a = do_socket(), b = do_socket();

	sa = loopback();
	do_setsockopt(a, SOL_SOCKET, SO_REUSEPORT, 1);
	do_setsockopt(b, SOL_SOCKET, SO_REUSEPORT, 1);
	ck_assert_int_eq(do_bind(a, &sa), 0);
	do_name(MN_OP_GETSOCKNAME, a, &sa);
	ck_assert_int_eq(do_bind(b, &sa), 0);
	ck_assert_int_eq(do_call(MN_OP_LISTEN, a, 1), 0);
	ck_assert_int_eq(do_call(MN_OP_LISTEN, b, 1), 0);
	ck_assert_int_eq(do_call(MN_OP_ACCEPT, a, 0), -EAGAIN);
	do_call(MN_OP_CLOSE, a, 0);
	do_call(MN_OP_CLOSE, b, 0);
}

#define FDS_MAX 4096

/* Let no more than @n descriptors be open, in the process or in the mem world. */
static void limit_fds(struct mn_world *world, unsigned int n)
{
	struct rlimit rlim;

	if (IS_ENABLED(CONFIG_BACKEND_MEM) && world_is(world, "mem")) {
		mem_fd_limit(world, n);
		return;
	}
	getrlimit(RLIMIT_NOFILE, &rlim);
	rlim.rlim_cur = n;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rlim), 0);
}

BACKEND_TEST(accepting_ends_with_emfile_and_can_go_on)
{
	static int filler[FDS_MAX];
	struct sockaddr_in sa;
	int fd = listener(&sa, 16), client = do_socket(), conn = -1;
	unsigned int n = 0;
	struct track accept;

	ck_assert_int_eq(do_connect(client, &sa), 0);
	limit_fds(world, 256);
	while (n < FDS_MAX && (filler[n] = do_socket()) >= 0)
		n++;
	ck_assert_int_eq(filler[n], -EMFILE);
	track_start(&accept, MN_OP_ACCEPT_STREAM, fd);
	ck_assert_int_eq(track_finish(&accept), -EMFILE);
	do_call(MN_OP_CLOSE, filler[--n], 0);
	track_init(&accept, MN_OP_ACCEPT_STREAM, fd);
	accept.fds = &conn;
	accept.fds_max = 1;
	op_start(&accept.op);
	while (!accept.items)
		shard_step(mn_self, true);
	ck_assert_int_ge(conn, 0);
	mn_op_cancel(&accept.op);
	track_finish(&accept);
	do_call(MN_OP_CLOSE, conn, 0);
	do_call(MN_OP_CLOSE, client, 0);
	do_call(MN_OP_CLOSE, fd, 0);
	while (n--)
		do_call(MN_OP_CLOSE, filler[n], 0);
}

/* ---- cancelling ---- */

BACKEND_TEST(what_waits_is_cancelled_once)
{
	static uint8_t big[8 << 20];
	struct pair pair = connected(65536);
	struct sockaddr_in sa;
	int fd = listener(&sa, 1);
	struct track t[6];
	char byte;

	track_init(&t[0], MN_OP_RECV, pair.server);
	t[0].op.buf.base = &byte;
	t[0].op.buf.len = 1;
	op_start(&t[0].op);
	track_start(&t[1], MN_OP_RECV_STREAM, pair.client);
	track_start(&t[2], MN_OP_ACCEPT_STREAM, fd);
	start_poll(&t[3], pair.client, POLLIN);
	track_init(&t[4], MN_OP_SEND, pair.client);
	t[4].op.buf.base = big;
	t[4].op.buf.len = sizeof(big);
	op_start(&t[4].op);
	ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR1), 0), 0);
	track_init(&t[5], MN_OP_SIGNAL, -1);
	t[5].op.signal.counts = (uint32_t[MN_SIGNALS]){ 0 };
	op_start(&t[5].op);
	/* The first must not get bytes of the fifth: they are of one connection. */
	mn_op_cancel(&t[0].op);
	track_finish(&t[0]);
	settle();
	for (unsigned int i = 1; i < ARRAY_SIZE(t); i++) {
		ck_assert_uint_eq(t[i].ends, 0);
		mn_op_cancel(&t[i].op);
		mn_op_cancel(&t[i].op);
	}
	for (unsigned int i = 1; i < ARRAY_SIZE(t); i++)
		ck_assert_int_eq(track_finish(&t[i]), -ECANCELED);
	settle();
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_uint_eq(t[i].ends, 1);
	do_call(MN_OP_CLOSE, fd, 0);
	close_pair(&pair);
}

BACKEND_TEST(connecting_is_cancelled_once)
{
	struct sockaddr_in sa;
	int fd = listener(&sa, 0), client[8];
	struct track t[ARRAY_SIZE(client)];
	unsigned int waiting = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(client); i++) {
		client[i] = do_socket();
		track_init(&t[i], MN_OP_CONNECT, client[i]);
		t[i].op.addr.sa = (const struct sockaddr *)&sa;
		t[i].op.addr.len = sizeof(sa);
		op_start(&t[i].op);
	}
	settle();
	for (unsigned int i = 0; i < ARRAY_SIZE(client); i++) {
		bool waits = !t[i].ends;

		waiting += waits;
		mn_op_cancel(&t[i].op);
		ck_assert_int_eq(track_finish(&t[i]), waits ? -ECANCELED : 0);
	}
	ck_assert_uint_ge(waiting, 1); /* else the backlog was too long for this test */
	settle();
	for (unsigned int i = 0; i < ARRAY_SIZE(client); i++) {
		ck_assert_uint_eq(t[i].ends, 1);
		do_call(MN_OP_CLOSE, client[i], 0);
	}
	do_call(MN_OP_CLOSE, fd, 0);
}

BACKEND_TEST(cancelling_races_with_completion)
{
	struct pair pair = connected(0);
	unsigned int sent = 0, got = 0;

	for (int round = 0; round < 100; round++) {
		struct track t;
		char byte;

		ck_assert_int_eq(do_send(pair.client, "x", 1), 1);
		sent++;
		track_init(&t, MN_OP_RECV, pair.server);
		t.op.buf.base = &byte;
		t.op.buf.len = 1;
		op_start(&t.op);
		for (int steps = round % 3; steps > 0; steps--)
			shard_step(mn_self, false);
		mn_op_cancel(&t.op);
		track_finish(&t);
		settle();
		ck_assert_uint_eq(t.ends, 1);
		ck_assert(t.res == 1 || t.res == -ECANCELED);
		got += t.res == 1;
	}
	/* What was cancelled took nothing. */
	for (char byte; got < sent; got++)
		ck_assert_int_eq(do_recv(pair.server, &byte, 1), 1);
	close_pair(&pair);
}

BACKEND_TEST(an_item_may_cancel_its_own_operation)
{
	struct sockaddr_in sa;
	int fd = listener(&sa, 16), client[8], conn[8];
	struct track accept, stream;
	struct pair pair = connected(0);
	uint8_t byte = pattern(0);
	unsigned int n;

	for (unsigned int i = 0; i < ARRAY_SIZE(client); i++) {
		client[i] = do_socket();
		ck_assert_int_eq(do_connect(client[i], &sa), 0);
	}
	track_init(&accept, MN_OP_ACCEPT_STREAM, fd);
	accept.fds = conn;
	accept.fds_max = ARRAY_SIZE(conn);
	accept.cancel_at_item = true;
	op_start(&accept.op);
	ck_assert_int_eq(track_finish(&accept), -ECANCELED);
	n = accept.items;
	ck_assert_uint_ge(n, 1);
	while (n < ARRAY_SIZE(conn)) {
		conn[n] = do_call(MN_OP_ACCEPT, fd, 0);
		ck_assert_int_ge(conn[n++], 0);
	}
	ck_assert_int_eq(do_call(MN_OP_ACCEPT, fd, 0), -EAGAIN);

	track_init(&stream, MN_OP_RECV_STREAM, pair.server);
	stream.cancel_at_item = true;
	op_start(&stream.op);
	ck_assert_int_eq(do_send(pair.client, &byte, 1), 1);
	ck_assert_int_eq(track_finish(&stream), -ECANCELED);
	ck_assert_uint_eq(stream.len, 1);
	settle();
	ck_assert_uint_eq(accept.ends, 1);
	ck_assert_uint_eq(stream.ends, 1);
	close_pair(&pair);
	for (unsigned int i = 0; i < ARRAY_SIZE(client); i++) {
		do_call(MN_OP_CLOSE, client[i], 0);
		do_call(MN_OP_CLOSE, conn[i], 0);
	}
	do_call(MN_OP_CLOSE, fd, 0);
}

BACKEND_TEST(the_peer_sees_the_end_when_closed_after_a_cancel)
{
	struct pair pair = connected(0);
	struct track t;
	char byte;

	track_start(&t, MN_OP_RECV_STREAM, pair.server);
	settle();
	mn_op_cancel(&t.op);
	ck_assert_int_eq(track_finish(&t), -ECANCELED);
	ck_assert_int_eq(do_call(MN_OP_CLOSE, pair.server, 0), 0);
	ck_assert_int_eq(do_recv(pair.client, &byte, 1), 0);
	do_call(MN_OP_CLOSE, pair.client, 0);
}

/* ---- waiting ---- */

BACKEND_TEST(a_wake_before_the_wait_is_not_lost)
{
	for (int i = 0; i < 3; i++) {
		backend_wake(mn_self->be);
		backend_wake(mn_self->be);
		backend_turn(mn_self->be, MN_NEVER);
	}
}

static void *wake_later(void *arg)
{
	usleep(20000);
	backend_wake(arg);
	return NULL;
}

BACKEND_TEST(a_wake_ends_the_wait)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, mn_self->be), 0);
	backend_turn(mn_self->be, MN_NEVER);
	pthread_join(thread, NULL);
}

BACKEND_TEST(a_turn_waits_until_its_deadline)
{
	static const int64_t wait_ns[] = { 3 * MN_MSEC, 1, 50 * MN_USEC, 2500 * MN_USEC, MN_MSEC };
	struct backend *be = mn_self->be;

	backend_turn(be, 0);
	backend_turn(be, 1);
	backend_turn(be, backend_now(be) - MN_MSEC);
	for (unsigned int i = 0; i < ARRAY_SIZE(wait_ns); i++) {
		int64_t until_ns = backend_now(be) + wait_ns[i];

		ck_assert_uint_eq(backend_turn(be, until_ns), 0);
		if (!be->ops->virtual_time)
			ck_assert_int_ge(backend_now(be), until_ns);
	}
}

/* A deadline that moved back or was dropped must not bring a wait to an end too soon for long. */
BACKEND_TEST(a_deadline_may_move)
{
	struct backend *be = mn_self->be;
	int64_t from_ns = backend_now(be), until_ns = from_ns + 30 * MN_MSEC;
	pthread_t thread;
	unsigned int turns = 0;

	if (be->ops->virtual_time)
		return;
	backend_wake(be);
	backend_turn(be, from_ns + 5 * MN_MSEC);
	while (backend_now(be) < until_ns) {
		backend_turn(be, until_ns);
		turns++;
	}
	ck_assert_uint_le(turns, 3);
	ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, be), 0);
	for (turns = 0; backend_now(be) < until_ns + 10 * MN_MSEC; turns++)
		backend_turn(be, MN_NEVER);
	ck_assert_uint_le(turns, 3);
	pthread_join(thread, NULL);
}

Suite *suite_backend_contract(void)
{
	Suite *suite = suite_create("backend contract");
	TCase *tc = tcase_create("operations");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	backend_test(tc, a_nop_completes);
	backend_test(tc, poll_reports_what_is_ready);
	backend_test(tc, bad_descriptors_are_refused);
	backend_test(tc, echo_through_an_accepted_connection);
	backend_test(tc, names_of_both_ends_agree);
	backend_test(tc, a_connection_nobody_listens_for_is_refused);
	backend_test(tc, a_port_in_use_is_refused);
	backend_test(tc, listeners_may_share_a_port_if_all_agree);
	backend_test(tc, accepting_ends_with_emfile_and_can_go_on);
	backend_test(tc, what_waits_is_cancelled_once);
	backend_test(tc, connecting_is_cancelled_once);
	backend_test(tc, cancelling_races_with_completion);
	backend_test(tc, an_item_may_cancel_its_own_operation);
	backend_test(tc, the_peer_sees_the_end_when_closed_after_a_cancel);
	backend_test(tc, a_wake_before_the_wait_is_not_lost);
	backend_test(tc, a_wake_ends_the_wait);
	backend_test(tc, a_turn_waits_until_its_deadline);
	backend_test(tc, a_deadline_may_move);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, tcase_backend_stream());
	suite_add_tcase(suite, tcase_backend_signal());
	if (tcase_backend_mem)
		suite_add_tcase(suite, tcase_backend_mem());
	return suite;
}
