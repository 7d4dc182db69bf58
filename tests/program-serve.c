// SPDX-License-Identifier: MIT
/* mn-echo and mn-load at work, and how they stop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/program.h"
#include "tests/spawn.h"

#define QUEUED	100

static struct program p, load;

/* ---- stopping ---- */

static const int stop_signals[] = { SIGTERM, SIGINT };

#define STOP_CASES	(NR_SERVING * (int)ARRAY_SIZE(stop_signals))

static bool refused_soon(unsigned int port)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;
	int fd;

	while ((fd = client_open(port)) >= 0) {
		close(fd);
		if (test_now_ms() > until_ms)
			return false;
		test_pause_ms(1);
	}
	return fd == -ECONNREFUSED;
}

START_TEST(a_stop_drains_what_is_open)
{
	int signal = stop_signals[_i / NR_SERVING];
	unsigned int port;
	int fd;

	need_backend(serving[_i % NR_SERVING]);
	port = serving_start(&p, serving[_i % NR_SERVING], NULL,
			     ARGS("--net.drain_timeout_ms=60000"));
	fd = client(port);
	client_echo(fd, 10);
	kill(p.pid, signal);
	ck_assert(program_wait_err(&p, "stopping"));
	ck_assert(refused_soon(port));
	client_echo(fd, 100000);
	ck_assert(program_alive(&p));
	close(fd);
	ck_assert_int_eq(program_exit(&p), 0);
}
END_TEST

START_TEST(who_says_that_it_listens_can_be_stopped)
{
	need_backend(serving[_i]);
	for (int i = 0; i < 20; i++) {
		serving_start(&p, serving[_i], NULL, NULL);
		kill(p.pid, SIGTERM);
		ck_assert_int_eq(program_exit(&p), 0);
	}
}
END_TEST

START_TEST(a_stop_waits_no_longer_than_its_limit)
{
	unsigned int port;
	int fd;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--net.drain_timeout_ms=50"));
	fd = client(port);
	client_echo(fd, 10);
	kill(p.pid, SIGTERM);
	ck_assert_int_eq(program_exit(&p), 0);
	ck_assert(client_ended(fd));
	program_said(program_err(&p), ARGS("1 connections did not end"));
	close(fd);
}
END_TEST

/* Neither of them reads: one waits for the client to read, one for input. */
START_TEST(a_stop_ends_a_connection_that_is_stuck)
{
	unsigned int port;
	int fd;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--net.drain_timeout_ms=50"));
	fd = client_small(port);
	for (int i = 0; i < 50; i++) {
		client_push(fd, 64 << 20);
		test_pause_ms(2);
	}
	kill(p.pid, SIGTERM);
	ck_assert_int_eq(program_exit(&p), 0);
	close(fd);
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
	int signal = stop_signals[_i / NR_SERVING];
	unsigned int port;
	int fd;

	need_backend(serving[_i % NR_SERVING]);
	port = serving_start(&p, serving[_i % NR_SERVING], NULL,
			     ARGS("--net.drain_timeout_ms=3600000"));
	fd = client(port);
	client_echo(fd, 10);
	kill(p.pid, SIGTERM);
	ck_assert(program_wait_err(&p, "stopping"));
	kill(p.pid, signal);
	ck_assert_int_eq(program_exit(&p), -signal);
	close(fd);
}
END_TEST

/* Connected while the server stood still, and asked to stop before it went on. */
static void queued_are_served(const char *backend, const char *option)
{
	int fd[QUEUED];
	char byte;
	unsigned int port =
		serving_start(&p, backend, NULL, ARGS("--net.drain_timeout_ms=60000", option));

	kill(p.pid, SIGSTOP);
	for (int i = 0; i < QUEUED; i++) {
		fd[i] = client(port);
		client_send(fd[i], "x", 1);
	}
	kill(p.pid, SIGTERM);
	kill(p.pid, SIGCONT);
	for (int i = 0; i < QUEUED; i++) {
		byte = 0;
		ck_assert_msg(client_recv(fd[i], &byte, 1), "connection %d got no answer", i);
		ck_assert_int_eq(byte, 'x');
		close(fd[i]);
	}
	ck_assert_int_eq(program_exit(&p), 0);
}

START_TEST(what_was_queued_before_the_stop_is_served)
{
	need_backend(serving[_i]);
	queued_are_served(serving[_i], "--cpus=2");
}
END_TEST

START_TEST(the_queue_is_also_served_at_the_limit_of_connections)
{
	unsigned int port;
	char byte = 0;
	int fd[20];

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL,
			     ARGS("--cpus=1", "--net.conns_max=3", "--net.drain_timeout_ms=60000"));
	kill(p.pid, SIGSTOP);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = client(port);
		client_send(fd[i], "x", 1);
	}
	kill(p.pid, SIGTERM);
	kill(p.pid, SIGCONT);
	/* In the order of the queue, a few at a time. */
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ck_assert_msg(client_recv(fd[i], &byte, 1), "connection %zu got no answer", i);
		close(fd[i]);
	}
	ck_assert_int_eq(program_exit(&p), 0);
}
END_TEST

TCase *tcase_program_stop(void)
{
	TCase *tc = tcase_create("program-stop");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_stop_drains_what_is_open, 0, STOP_CASES);
	tcase_add_loop_test(tc, who_says_that_it_listens_can_be_stopped, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_stop_waits_no_longer_than_its_limit, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_stop_ends_a_connection_that_is_stuck, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_second_signal_ends_at_once, 0, STOP_CASES);
	tcase_add_loop_test(tc, what_was_queued_before_the_stop_is_served, 0, NR_SERVING);
	tcase_add_loop_test(tc, the_queue_is_also_served_at_the_limit_of_connections, 0,
			    NR_SERVING);
	return tc;
}

/* ---- serving ---- */

static int nr_listeners(unsigned int port)
{
	FILE *f = fopen("/proc/net/tcp", "r");
	unsigned int local, state;
	char line[256];
	int n = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %*u: %*8x:%x %*8x:%*x %x", &local, &state) == 2)
			n += local == port && state == 0x0a;
	fclose(f);
	return n;
}

START_TEST(port_0_is_one_port_for_all_shards)
{
	int fd[64];
	unsigned int port;

	need_backend(serving[_i]);
	need_memlock();
	port = serving_start(&p, serving[_i], NULL, ARGS("--cpus=4"));
	ck_assert_int_eq(nr_lines(program_out(&p)), 1);
	ck_assert_int_eq(nr_listeners(port), 4);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client(port);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		client_echo(fd[i], 5000);
		close(fd[i]);
	}
	program_stop(&p);
}
END_TEST

/*
 * Backend, timer queue, mode and number of shards, so that any three values
 * meet: the last is odd when the others are.
 */
#define LOAD_CASES	8

static const char *const timers[] = { "--timer=wheel", "--timer=heap" };
static const char *const modes[] = { "--mode=fiber", "--mode=input" };
static const char *const cpus[] = { "--cpus=1", "--cpus=2" };

static double json_number(const char *json, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(json, key);
	ck_assert_msg(at, "no %s in %s", name, json);
	return strtod(at + strlen(key), NULL);
}

START_TEST(mn_load_finds_no_error_in_mn_echo)
{
	static const char *const names[] = { "requests_per_s", "p50_us", "p99_us", "p999_us" };
	int be = _i & 1, timer = _i >> 1 & 1, mode = _i >> 2 & 1;
	char to[64], backend[64];
	unsigned int port;
	int code;

	need_backend(serving[be]);
	need_memlock();
	if (!(timer ? IS_ENABLED(CONFIG_TIMER_HEAP) : IS_ENABLED(CONFIG_TIMER_WHEEL)))
		test_skip("%s is not built", timers[timer]);
	port = serving_start(&p, serving[be], NULL,
			     ARGS(timers[timer], modes[mode], cpus[be ^ timer ^ mode]));
	snprintf(to, sizeof(to), "127.0.0.1:%u", port);
	snprintf(backend, sizeof(backend), "--backend=%s", serving[be]);
	/* The address among the options: what mn_run() knows is taken out. */
	code = program_run(&load, NULL,
			   ARGS("mn-load", "--seconds=1", backend, "--connections=32", to,
				"--size=600", "--pipeline=4", "--json"));
	ck_assert_msg(code == 0, "%d: %s", code, program_err(&load));
	ck_assert_int_eq(nr_lines(program_out(&load)), 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_double_gt(json_number(program_out(&load), names[i]), 0);
	ck_assert_double_eq(json_number(program_out(&load), "errors"), 0);
	ck_assert_double_ge(json_number(program_out(&load), "bytes"), 600);
	program_stop(&p);
	ck_assert_int_eq(program_nr_lines(&p), 2);	/* listening, stopping */
}
END_TEST

/* Each connection goes to the other shard and back, some thousand times. */
START_TEST(mn_load_finds_no_error_while_connections_move)
{
	const char *backend = serving[_i & 1];
	unsigned int port;
	char to[64];
	int code;

	need_backend(backend);
	if (IS_ENABLED(CONFIG_SANITIZE_THREAD))
		test_skip("the programs know nothing of what tests/main.c suppresses");
	port = serving_start(&p, backend, NULL,
			     ARGS(modes[_i >> 1], "--cpus=2", "--migrate-every=3"));
	snprintf(to, sizeof(to), "127.0.0.1:%u", port);
	code = program_run(&load, NULL,
			   ARGS("mn-load", "--seconds=1", "--connections=16", to, "--size=6000",
				"--pipeline=4", "--json"));
	ck_assert_msg(code == 0, "%d: %s", code, program_err(&load));
	ck_assert_double_eq(json_number(program_out(&load), "errors"), 0);
	ck_assert_double_ge(json_number(program_out(&load), "bytes"), 6000);
	program_stop(&p);
}
END_TEST

START_TEST(mn_load_fails_where_nobody_listens)
{
	unsigned int port;
	char to[64];

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, NULL);
	program_stop(&p);
	snprintf(to, sizeof(to), "127.0.0.1:%u", port);
	ck_assert_int_eq(program_run(&load, NULL, ARGS("mn-load", to, "--seconds=1")), 1);
	program_said(program_err(&load), ARGS("Connection refused"));
}
END_TEST

/* ---- Unix sockets ---- */

static const char *unix_path(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/mn-program-%d", (int)getpid());
	return path;
}

static const char *unix_listen(void)
{
	static char listen[80];

	snprintf(listen, sizeof(listen), "--listen=unix:%s", unix_path());
	return listen;
}

START_TEST(mn_load_finds_no_error_over_a_unix_socket)
{
	char backend[64];
	int code;

	need_backend(serving[_i]);
	need_memlock();
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i]);
	program_start(&p, NULL, ARGS("mn-echo", backend, "--cpus=2", unix_listen()));
	ck_assert(program_wait_err(&p, "listening on unix:"));
	code = program_run(&load, NULL,
			   ARGS("mn-load", strchr(unix_listen(), '=') + 1, backend, "--seconds=1",
				"--connections=32", "--size=600", "--pipeline=4", "--json"));
	ck_assert_msg(code == 0, "%d: %s", code, program_err(&load));
	ck_assert_double_eq(json_number(program_out(&load), "errors"), 0);
	ck_assert_double_ge(json_number(program_out(&load), "bytes"), 600);
	program_stop(&p);
	ck_assert_int_ne(access(unix_path(), F_OK), 0);
}
END_TEST

/* A ring is taken down after its process has ended, and its listener with it. */
static void unix_refused(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	bool refused = false;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", unix_path());
	while (!refused) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		refused = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && errno == ECONNREFUSED;
		close(fd);
		test_pause_ms(1);
	}
}

static void unix_killed(void)
{
	program_start(&p, NULL, ARGS("mn-echo", unix_listen()));
	ck_assert(program_wait_err(&p, "listening on unix:"));
	kill(p.pid, SIGKILL);
	ck_assert_int_eq(program_exit(&p), -SIGKILL);
	ck_assert_int_eq(access(unix_path(), F_OK), 0);
	unix_refused();
}

/* Both may find it dead; the one must not remove what the other has made. */
START_TEST(of_two_that_start_at_a_dead_unix_socket_one_serves)
{
	for (int i = 0; i < 10; i++) {
		struct program *lost;

		unix_killed();
		program_start(&p, NULL, ARGS("mn-echo", unix_listen()));
		program_start(&load, NULL, ARGS("mn-echo", unix_listen()));
		while (program_alive(&p) && program_alive(&load))
			test_pause_ms(1);
		lost = program_alive(&p) ? &load : &p;
		ck_assert_int_eq(program_exit(lost), 1);
		program_said(program_err(lost), ARGS("Address already in use"));
		lost = lost == &p ? &load : &p;
		ck_assert(program_wait_err(lost, "listening on unix:"));
		ck_assert_int_eq(access(unix_path(), F_OK), 0);
		program_stop(lost);
	}
}
END_TEST

TCase *tcase_program_load(void)
{
	TCase *tc = tcase_create("program-load");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, port_0_is_one_port_for_all_shards, 0, NR_SERVING);
	tcase_add_loop_test(tc, mn_load_finds_no_error_in_mn_echo, 0, LOAD_CASES);
	tcase_add_loop_test(tc, mn_load_finds_no_error_while_connections_move, 0, 4);
	tcase_add_loop_test(tc, mn_load_fails_where_nobody_listens, 0, NR_SERVING);
	tcase_add_loop_test(tc, mn_load_finds_no_error_over_a_unix_socket, 0, NR_SERVING);
	tcase_add_test(tc, of_two_that_start_at_a_dead_unix_socket_one_serves);
	return tc;
}
