// SPDX-License-Identifier: MIT
/* Faults: what runs out. Descriptors, locked memory, buffers, connections, time. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/faults.h"
#include "tests/program.h"
#include "tests/spawn.h"

#define CLIENTS		100
#define IDLE_CONNS	1000

static struct program p;

/* Clients have sent a byte: close each when it has its answer; how many got one. */
static unsigned int answered(int *fd, unsigned int nr)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;
	struct pollfd pfd[CLIENTS];
	unsigned int n = 0;

	while (n < nr && test_now_ms() < until_ms) {
		for (unsigned int i = 0; i < nr; i++)
			pfd[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
		poll(pfd, nr, 100);
		for (unsigned int i = 0; i < nr; i++) {
			char byte = 0;

			if (fd[i] < 0 || !pfd[i].revents)
				continue;
			if (recv(fd[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1 || byte != 'x')
				ck_abort_msg("connection %u was lost", i);
			n++;
			close(fd[i]);
			fd[i] = -1;
		}
	}
	return n;
}

static unsigned int nr_answered(const int *fd, unsigned int nr)
{
	struct pollfd pfd[CLIENTS];
	int n;

	for (unsigned int i = 0; i < nr; i++)
		pfd[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
	n = poll(pfd, nr, 0);
	return n > 0 ? (unsigned int)n : 0;
}

static void wait_answered(const int *fd, unsigned int nr, unsigned int wanted)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;

	while (nr_answered(fd, nr) < wanted) {
		ck_assert_msg(test_now_ms() < until_ms, "%u of %u were answered",
			      nr_answered(fd, nr), wanted);
		test_pause_ms(2);
	}
}

static void connect_all(unsigned int port, int *fd, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		fd[i] = client(port);
		client_send(fd[i], "x", 1);
	}
}

START_TEST(emfile_keeps_serving_and_recovers)
{
	const struct spawn how = { .nofile = 64 };
	int fd[CLIENTS], nr_fds;
	unsigned int port;
	long cpu_us;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], &how, NULL);
	nr_fds = program_idle_fds(&p);
	connect_all(port, fd, CLIENTS);
	ck_assert(program_wait_err(&p, "Too many open files"));
	wait_answered(fd, CLIENTS, 64 - (unsigned int)nr_fds);
	cpu_us = program_cpu_us(&p);
	test_pause_ms(1000);
	cpu_us = program_cpu_us(&p) - cpu_us;
	printf("EMFILE, %s: %.2f%% CPU while stuck\n", serving[_i], (double)cpu_us / 1e4);
	ck_assert_msg(cpu_us < 100000, "it spins: %ld us of a second", cpu_us);
	ck_assert_uint_lt(nr_answered(fd, CLIENTS), CLIENTS);
	ck_assert_uint_eq(answered(fd, CLIENTS), CLIENTS);
	ck_assert(program_wait_fds(&p, nr_fds));
	connect_all(port, fd, 10);
	ck_assert_uint_eq(answered(fd, 10), 10);
	program_stop(&p);
}
END_TEST

START_TEST(the_limit_of_connections_serves_all_in_turn)
{
	unsigned int port;
	int fd[20];

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--cpus=1", "--net.conns_max=4"));
	connect_all(port, fd, 20);
	wait_answered(fd, 20, 4);
	test_pause_ms(50);
	ck_assert_uint_eq(nr_answered(fd, 20), 4);
	ck_assert_uint_eq(answered(fd, 20), 20);
	program_stop(&p);
}
END_TEST

/* ---- locked memory ---- */

#define MEMLOCK_BYTES	(64 * 1024)

START_TEST(memlock_of_64_kib_still_serves)
{
	const struct spawn how = { .nobody = true, .memlock = MEMLOCK_BYTES };
	char cpus[32];
	unsigned int port;
	int fd[40];

	need_root();
	snprintf(cpus, sizeof(cpus), "--cpus=%d", _i);
	program_start(&p, &how, ARGS("mn-echo", "--listen=127.0.0.1:0", cpus));
	port = program_port(&p);
	ck_assert_msg(port, "it does not listen: %s", program_err(&p));
	ck_assert(program_wait_err(&p, " shards, "));
	ck_assert_msg(strstr(program_err(&p), " shards, io_uring\n") ||
		      strstr(program_err(&p), " shards, libev\n"),
		      "does not say on what: %s", program_err(&p));
	printf("64 KiB of memlock, %d shards: %s\n", _i,
	       strstr(program_err(&p), " shards, io_uring\n") ? "io_uring" : "libev");
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client(port);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		client_echo(fd[i], 200000);
		close(fd[i]);
	}
	program_stop(&p);
}
END_TEST

/* ---- buffers ---- */

/* Clients that send and never read: each holds what its limits allow. */
static void stuck_open(unsigned int port, int *fd, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		fd[i] = client_small(port);
	/* Until the buffers of both kernels and of the server are full. */
	for (unsigned int quiet = 0; quiet < 20; quiet++) {
		size_t n = 0;

		for (unsigned int i = 0; i < nr; i++)
			n += client_push(fd[i], 64 << 20);
		if (n)
			quiet = 0;
		test_pause_ms(10);
	}
}

/* Of the server's ends of connections: what the kernel has and cannot send. */
static unsigned int server_unsent(unsigned int port)
{
	FILE *f = fopen("/proc/net/tcp", "r");
	unsigned int local, state, queued, sum = 0;
	char line[256];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %*u: %*8x:%x %*8x:%*x %x %x:", &local, &state, &queued) == 3)
			sum += local == port && state == 1 ? queued : 0;
	fclose(f);
	return sum;
}

/* Until the kernel takes no more from the server, which still goes on reading. */
static void push_until_unsent(unsigned int port, int fd)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;
	unsigned int unsent = 0, same = 0;

	while (same < 3 && test_now_ms() < until_ms) {
		size_t pushed = client_push(fd, 16384);
		unsigned int now;

		test_pause_ms(pushed ? 5 : 10);
		now = server_unsent(port);
		if (!now || now != unsent)
			same = 0;
		else if (pushed)
			same++;
		unsent = now;
	}
}

static void close_all(const int *fd, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		close(fd[i]);
}

static void others_are_served(unsigned int port)
{
	for (int i = 0; i < 8; i++) {
		int fd = client(port);

		client_echo(fd, 200000);
		close(fd);
	}
}

START_TEST(clients_that_never_read_cost_bounded_memory)
{
	int fd[20], nr_fds;
	unsigned int port;
	long kib;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, NULL);
	nr_fds = program_idle_fds(&p);
	others_are_served(port);
	kib = program_rss_kib(&p);
	stuck_open(port, fd, ARRAY_SIZE(fd));
	kib = program_rss_kib(&p) - kib;
	printf("20 clients that never read, %s: %ld KiB\n", serving[_i], kib);
	if (!IS_ENABLED(CONFIG_SANITIZE_ADDRESS) && !IS_ENABLED(CONFIG_SANITIZE_THREAD))
		ck_assert_int_lt(kib, 32 * 1024);
	others_are_served(port);
	close_all(fd, ARRAY_SIZE(fd));
	ck_assert(program_wait_fds(&p, nr_fds));
	program_stop(&p);
}
END_TEST

/* Of 512 buffers a quarter is kept for those who go on with what they have. */
START_TEST(a_small_pool_with_stuck_clients_still_serves_others)
{
	unsigned int port;
	int fd[100], nr_fds;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--cpus=1", "--mem.chunks_max=512"));
	nr_fds = program_idle_fds(&p);
	stuck_open(port, fd, ARRAY_SIZE(fd));
	others_are_served(port);
	close_all(fd, ARRAY_SIZE(fd));
	ck_assert(program_wait_fds(&p, nr_fds));
	others_are_served(port);
	program_stop(&p);
}
END_TEST

/* More of them than there are buffers: without giving some up, all is theirs. */
START_TEST(clients_that_never_read_are_given_up_when_buffers_run_out)
{
	static int fd[400];
	unsigned int port, ended = 0;
	int nr_fds;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL,
			     ARGS("--cpus=1", "--mem.chunks_max=256", "--net.stuck_ms=200"));
	nr_fds = program_idle_fds(&p);
	stuck_open(port, fd, ARRAY_SIZE(fd));
	others_are_served(port);
	for (unsigned int i = 0; i < ARRAY_SIZE(fd); i++) {
		struct pollfd pfd = { .fd = fd[i] };

		ended += poll(&pfd, 1, 0) == 1 && pfd.revents & (POLLHUP | POLLERR);
	}
	ck_assert_uint_gt(ended, 0);
	ck_assert_uint_lt(ended, ARRAY_SIZE(fd));	/* not more than it takes */
	close_all(fd, ARRAY_SIZE(fd));
	ck_assert(program_wait_fds(&p, nr_fds));
	others_are_served(port);
	program_stop(&p);
}
END_TEST

/* A buffer each for a byte each: what is bounded is buffers, too. */
START_TEST(single_bytes_that_are_never_read_back_do_not_take_all_buffers)
{
	unsigned int port;
	int fd;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--cpus=1", "--mem.chunks_max=512"));
	fd = client_small(port);
	push_until_unsent(port, fd);
	for (int i = 0; i < 1500; i++) {
		send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (i % 2)
			test_pause_us(100);
	}
	others_are_served(port);
	close(fd);
	program_stop(&p);
}
END_TEST

/* ---- time ---- */

#define IDLE_TIMEOUT_MS	1000

START_TEST(the_idle_timeout_closes_only_what_is_silent)
{
	int64_t start_ms, last_ms, gap_ms = 0;
	int silent, half, active;
	unsigned int port;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--net.idle_timeout_ms=1000"));
	start_ms = test_now_ms();
	silent = client(port);
	half = client(port);
	active = client(port);
	client_echo(half, 1);
	for (last_ms = start_ms; last_ms < start_ms + 2 * IDLE_TIMEOUT_MS + 500;) {
		int64_t now_ms;

		client_echo(active, 1);
		now_ms = test_now_ms();
		gap_ms = now_ms - last_ms > gap_ms ? now_ms - last_ms : gap_ms;
		/* This test was not run for so long: it shows nothing. */
		if (gap_ms >= IDLE_TIMEOUT_MS)
			test_skip("the machine stood still for %d ms", (int)gap_ms);
		last_ms = now_ms;
		test_pause_ms(20);
	}
	ck_assert(client_ended(silent));
	ck_assert(client_ended(half));
	client_echo(active, 100);
	close(silent);
	close(half);
	close(active);
	program_stop(&p);
}
END_TEST

START_TEST(idle_connections_use_no_cpu)
{
	static int fd[IDLE_CONNS];
	unsigned int port;
	long cpu_us;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, NULL);
	for (int i = 0; i < IDLE_CONNS; i++)
		fd[i] = client(port);
	for (int i = 0; i < IDLE_CONNS; i++)
		client_echo(fd[i], 10);
	test_pause_ms(100);
	cpu_us = program_cpu_us(&p);
	test_pause_ms(2000);
	cpu_us = program_cpu_us(&p) - cpu_us;
	printf("%d idle connections, %s: %.4f%% CPU\n", IDLE_CONNS, serving[_i],
	       (double)cpu_us / 2e4);
	ck_assert_msg(cpu_us < 10000, "%ld us of 2 seconds", cpu_us);
	close_all(fd, IDLE_CONNS);
	program_stop(&p);
}
END_TEST

TCase *tcase_faults_limit(void)
{
	TCase *tc = tcase_create("faults-limit");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, emfile_keeps_serving_and_recovers, 0, NR_SERVING);
	tcase_add_loop_test(tc, the_limit_of_connections_serves_all_in_turn, 0, NR_SERVING);
	tcase_add_loop_test(tc, memlock_of_64_kib_still_serves, 1, 3);
	tcase_add_loop_test(tc, clients_that_never_read_cost_bounded_memory, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_small_pool_with_stuck_clients_still_serves_others, 0, NR_SERVING);
	tcase_add_loop_test(tc, clients_that_never_read_are_given_up_when_buffers_run_out, 0,
			    NR_SERVING);
	tcase_add_loop_test(tc, single_bytes_that_are_never_read_back_do_not_take_all_buffers, 0,
			    NR_SERVING);
	tcase_add_loop_test(tc, the_idle_timeout_closes_only_what_is_silent, 0, NR_SERVING);
	tcase_add_loop_test(tc, idle_connections_use_no_cpu, 0, NR_SERVING);
	return tc;
}
