// SPDX-License-Identifier: MIT
/*
 * Faults: what peers do. They reset, vanish, end one side, send byte by byte.
 * Others must not notice, and nothing may be left behind.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/faults.h"
#include "tests/spawn.h"

#define MEBIBYTE	(1024 * 1024)

static struct program p;

/* Both ways to serve, on both backends. */
static const char *const modes[] = { "--mode=fiber", "--mode=input" };

#define NR_CASES	(NR_SERVING * (int)ARRAY_SIZE(modes))
#define BACKEND_OF(i)	serving[(i) % NR_SERVING]
#define MODE_OF(i)	modes[(i) / NR_SERVING]

START_TEST(reset_mid_send_leaves_others_alone)
{
	int others[4], nr_fds;
	unsigned int port;

	need_backend(BACKEND_OF(_i));
	port = serving_start(&p, BACKEND_OF(_i), NULL, ARGS(MODE_OF(_i)));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		others[i] = client(port);
		client_echo(others[i], 100);
	}
	nr_fds = program_nr_fds(&p);
	for (int i = 0; i < 300; i++) {
		int fd = i % 2 ? client_small(port) : client(port);

		/* From nothing sent to both directions full. */
		client_push(fd, (size_t)(i % 10) * MEBIBYTE / 4);
		if (i % 3 == 0)
			test_pause_ms(1);
		client_reset(fd);
		if (i % 10 == 0)
			client_echo(others[i / 10 % ARRAY_SIZE(others)], 2000);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		client_echo(others[i], 100000);
	ck_assert_msg(program_wait_fds(&p, nr_fds), "%d descriptors were open, now %d", nr_fds,
		      program_nr_fds(&p));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		close(others[i]);
	program_stop(&p);
}
END_TEST

START_TEST(half_close_gets_all_that_was_sent)
{
	static char out[MEBIBYTE], in[MEBIBYTE];
	unsigned int port;

	need_backend(BACKEND_OF(_i));
	port = serving_start(&p, BACKEND_OF(_i), NULL, ARGS(MODE_OF(_i)));
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 17 + (i >> 9));
	for (size_t len = 1; len <= 100000; len *= 10) {
		int fd = client(port);

		client_send(fd, out, len);
		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
		ck_assert_msg(client_recv(fd, in, len), "%zu bytes did not all come back", len);
		ck_assert_mem_eq(in, out, len);
		ck_assert(client_ended(fd));
		close(fd);
	}
	program_stop(&p);
}
END_TEST

START_TEST(half_close_at_once_ends_the_connection)
{
	unsigned int port;
	int nr_fds;

	need_backend(BACKEND_OF(_i));
	port = serving_start(&p, BACKEND_OF(_i), NULL, ARGS(MODE_OF(_i)));
	nr_fds = program_idle_fds(&p);
	for (int i = 0; i < 100; i++) {
		int fd = client(port);

		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
		ck_assert(client_ended(fd));
		close(fd);
	}
	ck_assert(program_wait_fds(&p, nr_fds));
	program_stop(&p);
}
END_TEST

START_TEST(one_byte_segments_come_back_in_order)
{
	char out[3000], in[sizeof(out)];
	unsigned int port;
	int fd;

	need_backend(BACKEND_OF(_i));
	port = serving_start(&p, BACKEND_OF(_i), NULL, ARGS(MODE_OF(_i)));
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 13);
	/* All sent before any is read, then one by one. */
	fd = client(port);
	for (size_t i = 0; i < sizeof(out); i++)
		client_send(fd, out + i, 1);
	ck_assert(client_recv(fd, in, sizeof(in)));
	ck_assert_mem_eq(in, out, sizeof(in));
	for (size_t i = 0; i < 500; i++) {
		client_send(fd, out + i, 1);
		ck_assert(client_recv(fd, in, 1));
		ck_assert_int_eq(in[0], out[i]);
	}
	close(fd);
	program_stop(&p);
}
END_TEST

/* ---- killed clients ---- */

#define KILLED_CONNS	8

/* Never returns: echoes of its own over several connections, until killed. */
static void traffic(unsigned int port)
{
	int fd[KILLED_CONNS];
	char data[32768];

	for (int i = 0; i < KILLED_CONNS; i++)
		fd[i] = client_open(port);
	for (;;)
		for (int i = 0; i < KILLED_CONNS; i++) {
			client_push(fd[i], i % 2 ? MEBIBYTE : 1000);
			if (i % 4)
				recv(fd[i], data, sizeof(data), MSG_DONTWAIT);
		}
}

START_TEST(killed_clients_leave_nothing_behind)
{
	unsigned int port;
	int other, nr_fds;

	need_backend(BACKEND_OF(_i));
	port = serving_start(&p, BACKEND_OF(_i), NULL, ARGS(MODE_OF(_i)));
	other = client(port);
	client_echo(other, 100);
	nr_fds = program_nr_fds(&p);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (!pid)
			traffic(port);
		client_echo(other, 50000);
		test_pause_ms(5);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	client_echo(other, 50000);
	ck_assert_msg(program_wait_fds(&p, nr_fds), "%d descriptors were open, now %d", nr_fds,
		      program_nr_fds(&p));
	close(other);
	program_stop(&p);
}
END_TEST

/* Open and gone before the server looks. */
START_TEST(connections_that_are_reset_while_queued_do_no_harm)
{
	unsigned int port;
	int nr_fds;

	need_backend(BACKEND_OF(_i));
	port = serving_start(&p, BACKEND_OF(_i), NULL, ARGS(MODE_OF(_i)));
	nr_fds = program_idle_fds(&p);
	for (int round = 0; round < 5; round++) {
		int fd;

		kill(p.pid, SIGSTOP);
		for (int i = 0; i < 50; i++) {
			fd = client(port);
			if (i % 2)
				client_push(fd, 100);
			client_reset(fd);
		}
		kill(p.pid, SIGCONT);
		fd = client(port);
		client_echo(fd, 1000);
		close(fd);
	}
	ck_assert(program_wait_fds(&p, nr_fds));
	program_stop(&p);
}
END_TEST

TCase *tcase_faults_peer(void)
{
	TCase *tc = tcase_create("faults-peer");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, reset_mid_send_leaves_others_alone, 0, NR_CASES);
	tcase_add_loop_test(tc, half_close_gets_all_that_was_sent, 0, NR_CASES);
	tcase_add_loop_test(tc, half_close_at_once_ends_the_connection, 0, NR_CASES);
	tcase_add_loop_test(tc, one_byte_segments_come_back_in_order, 0, NR_CASES);
	tcase_add_loop_test(tc, killed_clients_leave_nothing_behind, 0, NR_CASES);
	tcase_add_loop_test(tc, connections_that_are_reset_while_queued_do_no_harm, 0, NR_CASES);
	return tc;
}
