// SPDX-License-Identifier: MIT
/*
 * Faults of the machine, each a test of that name: what the kernel denies,
 * limits, interrupted calls, a process that stands still. Faults of the peer
 * are in faults-peer.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/faults.h"
#include "tests/program.h"
#include "tests/spawn.h"

static struct program p;

static void echo_works(unsigned int port)
{
	int fd = client(port);

	client_echo(fd, 100000);
	close(fd);
}

/* ---- io_uring is denied ---- */

static const struct denial {
	const char *inject, *reason;
	const char *only; /* the backend that calls it */
} denials[] = {
	{ "io_uring_setup:error=EPERM", "Operation not permitted", NULL },
	{ "io_uring_setup:error=ENOSYS", "Function not implemented", NULL },
	{ "io_uring_setup:error=ENOMEM", "Cannot allocate memory", NULL },
	{ "io_uring_register:error=EPERM", "Operation not permitted", NULL },
};

START_TEST(io_uring_denied_falls_back_to_libev)
{
	const struct spawn how = { .inject = denials[_i].inject };
	unsigned int port;

	need_strace();
	need_backend("io_uring");
	need_backend("libev");
	program_start(&p, &how, ARGS("mn-echo", "--listen=127.0.0.1:0"));
	port = program_port(&p);
	ck_assert_msg(port, "it does not listen: %s", program_err(&p));
	ck_assert(program_wait_err(&p, "shards, libev\n"));
	program_said(program_err(&p), ARGS("io_uring: ", denials[_i].reason, "trying libev"));
	ck_assert_int_eq(program_nr_lines(&p), 2);	/* the second: listening */
	echo_works(port);
	program_stop(&p);
}
END_TEST

START_TEST(io_uring_denied_and_asked_for_is_refused)
{
	const struct spawn how = { .inject = denials[_i].inject };

	need_strace();
	need_backend("io_uring");
	ck_assert_int_eq(program_run(&p, &how,
				     ARGS("mn-echo", "--listen=127.0.0.1:0", "--backend=io_uring")),
			 1);
	program_said(program_err(&p), ARGS("--backend=io_uring", denials[_i].reason));
	ck_assert_int_eq(program_nr_lines(&p), 1);
	ck_assert_str_eq(program_out(&p), "");
}
END_TEST

START_TEST(io_uring_denied_and_the_only_one_is_refused)
{
	const struct spawn how = { .inject = denials[_i].inject };

	need_strace();
	need_backend("io_uring");
	if (!lacks_backend("libev"))
		test_skip("there is another one");
	ck_assert_int_eq(program_run(&p, &how, ARGS("mn-echo", "--listen=127.0.0.1:0")), 1);
	program_said(program_err(&p), ARGS("io_uring: ", denials[_i].reason, "no other"));
	ck_assert_int_eq(program_nr_lines(&p), 1);
	ck_assert_str_eq(program_out(&p), "");
}
END_TEST

/* The probe gets its ring, the shards do not. */
START_TEST(io_uring_that_cannot_be_opened_falls_back)
{
	const struct spawn how = { .inject = "io_uring_setup:error=ENOMEM:when=2+" };
	unsigned int port;

	need_strace();
	need_backend("io_uring");
	need_backend("libev");
	program_start(&p, &how, ARGS("mn-echo", "--listen=127.0.0.1:0", "--cpus=2"));
	port = program_port(&p);
	ck_assert_msg(port, "it does not listen: %s", program_err(&p));
	ck_assert(program_wait_err(&p, "shards, libev\n"));
	program_said(program_err(&p), ARGS("io_uring", "Cannot allocate memory"));
	echo_works(port);
	program_stop(&p);
}
END_TEST

/* ---- io_uring, but not the waker that is wanted ---- */

/* The probe, the look at features and two shards get their rings; those that try messages do not. */
static const struct spawn no_messages = { .inject = "io_uring_setup:error=ENOMEM:when=5+" };

START_TEST(a_waker_that_cannot_be_tried_is_not_chosen)
{
	need_strace();
	need_backend("io_uring");
	need_memlock();
	echo_works(serving_start(&p, "io_uring", &no_messages, ARGS("--cpus=2", "--stats")));
	program_stop(&p);
	program_said(program_out(&p), ARGS("eventfd waker: msg_ring: Cannot allocate memory"));
}
END_TEST

/* Nor is another backend. */
START_TEST(a_waker_that_was_asked_for_has_no_substitute)
{
	need_strace();
	need_backend("io_uring");
	need_memlock();
	ck_assert_int_eq(program_run(&p, &no_messages,
				     ARGS("mn-echo", "--listen=127.0.0.1:0", "--cpus=2",
					  "--io_uring.waker=msg_ring")),
			 1);
	program_said(program_err(&p),
		     ARGS("--io_uring.waker=msg_ring: cannot", "Cannot allocate memory"));
	ck_assert_int_eq(program_nr_lines(&p), 1);
	ck_assert_str_eq(program_out(&p), "");
}
END_TEST

/* ---- a start that cannot be ---- */

static const struct denial start_denials[] = {
	{ "epoll_create1,epoll_create:error=EMFILE", "Too many open files", "libev" },
	{ "eventfd2:error=EMFILE", "Too many open files", "io_uring" },
	{ "io_uring_register:error=ENOMEM", "Cannot allocate memory", "io_uring" },
	{ "clone3,clone:error=EAGAIN", "Resource temporarily unavailable", NULL },
	{ "socket:error=EMFILE", "Too many open files", NULL },
	{ "socket:error=EACCES", "Permission denied", NULL },
	{ "bind:error=ENOMEM", "Cannot allocate memory", NULL },
	{ "listen:error=EADDRINUSE", "Address already in use", NULL },
	{ "getsockname:error=ENOBUFS", "No buffer space available", NULL },
};

START_TEST(a_start_that_fails_says_why_and_ends)
{
	const struct denial *d = &start_denials[_i / NR_SERVING];
	const char *backend = serving[_i % NR_SERVING];
	const struct spawn how = { .inject = d->inject };
	char option[64];
	int code;

	need_strace();
	need_backend(backend);
	if (d->only && strcmp(d->only, backend))
		return;
	snprintf(option, sizeof(option), "--backend=%s", backend);
	code = program_run(&p, &how, ARGS("mn-echo", "--listen=127.0.0.1:0", "--cpus=2", option));
	ck_assert_msg(code == 1, "%s: %d: %s", d->inject, code, program_err(&p));
	program_said(program_err(&p), ARGS(d->reason));
	ck_assert_str_eq(program_out(&p), "");
}
END_TEST

/* ---- calls that are interrupted, or fail now and then ---- */

static const struct {
	const char *backend, *inject;
} storms[] = {
	{ "io_uring", "io_uring_enter:error=EINTR:when=3+7" },
	{ "io_uring", "io_uring_enter:error=EINTR:when=3+2" },
	{ "io_uring", "io_uring_enter:error=EAGAIN:when=3+5" },
	{ "io_uring", "io_uring_enter:error=EBUSY:when=3+5" },
	{ "libev", "epoll_wait,epoll_pwait:error=EINTR:when=3+7" },
	{ "libev", "epoll_wait,epoll_pwait:error=EINTR:when=3+2" },
	{ "libev", "recvfrom,sendto,sendmsg:error=EINTR:when=2+3" },
	{ "libev", "recvfrom,sendto,sendmsg:error=EAGAIN:when=3+3" },
	{ "libev", "accept4,accept:error=EINTR:when=1+2" },
	{ "libev", "accept4,accept:error=ECONNABORTED:when=1+2" },
	{ "libev", "accept4,accept:error=ENFILE:when=1+2" },
};

START_TEST(a_storm_of_failing_calls_loses_nothing)
{
	const struct spawn how = { .inject = storms[_i].inject };
	unsigned int port;
	int fd[8];

	need_strace();
	need_backend(storms[_i].backend);
	port = serving_start(&p, storms[_i].backend, &how, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client(port);
	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
			client_echo(fd[i], round == 9 ? 300000 : 1 + (size_t)round * 100);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	program_stop(&p);
}
END_TEST

/* ---- a server that stands still for a while ---- */

START_TEST(stopped_and_continued_goes_on)
{
	unsigned int port;
	int before, after;
	char byte = 0;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, NULL);
	before = client(port);
	client_echo(before, 1000);
	for (int i = 0; i < 5; i++) {
		kill(p.pid, SIGSTOP);
		after = client(port);
		client_send(before, "x", 1);
		client_send(after, "y", 1);
		test_pause_ms(20);
		kill(p.pid, SIGCONT);
		ck_assert(client_recv(before, &byte, 1));
		ck_assert_int_eq(byte, 'x');
		ck_assert(client_recv(after, &byte, 1));
		ck_assert_int_eq(byte, 'y');
		close(after);
	}
	close(before);
	program_stop(&p);
}
END_TEST

/* What came while the server stood still came in time. */
START_TEST(stopped_beyond_the_idle_timeout_closes_no_active_connection)
{
	unsigned int port;
	char byte = 0;
	int fd;

	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--net.idle_timeout_ms=1000"));
	fd = client(port);
	client_echo(fd, 1000);
	kill(p.pid, SIGSTOP);
	client_send(fd, "x", 1);
	test_pause_ms(1300);
	kill(p.pid, SIGCONT);
	ck_assert_msg(client_recv(fd, &byte, 1), "it was closed as idle");
	close(fd);
	program_stop(&p);
}
END_TEST

/* ---- nobody reads what it logs ---- */

START_TEST(stderr_that_is_full_does_not_block)
{
	char junk[4096] = { 0 };
	int ends[2], fd[100];
	struct spawn how = { .nofile = 64 };
	unsigned int port;

	need_backend(serving[_i]);
	ck_assert_int_eq(pipe(ends), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], junk, sizeof(junk)) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	how.stderr_fd = ends[1];
	port = serving_start(&p, serving[_i], &how, ARGS("--cpus=1"));
	/* Too many of them: warnings. On one shard, who closes makes room for the next. */
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client(port);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		client_echo(fd[i], 1000);
		close(fd[i]);
	}
	program_stop(&p);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(stderr_whose_reader_is_gone_does_not_kill)
{
	int ends[2];
	struct spawn how = { 0 };

	need_backend(serving[_i]);
	need_memlock();
	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	how.stderr_fd = ends[1];
	/* It warns before it starts, while it runs and when it stops. */
	echo_works(serving_start(&p, serving[_i], &how, ARGS("--cpus=8")));
	program_stop(&p);
	close(ends[1]);
}
END_TEST

/*
 * The first descriptors that it opens have the numbers of standard output and
 * error: nothing that is printed may end up on a connection.
 */
START_TEST(without_stdio_no_peer_sees_what_is_logged)
{
	const struct spawn how = { .no_stdio = true };
	/* Below those that the system gives to clients: nobody else has it. */
	unsigned int port = 20000 + (unsigned int)getpid() % 10000;
	char listen[64], backend[64];
	int fd[8];

	need_backend(serving[_i]);
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i]);
	snprintf(listen, sizeof(listen), "--listen=127.0.0.1:%u", port);
	program_start(&p, &how, ARGS("mn-echo", listen, backend, "--net.drain_timeout_ms=100"));
	while ((fd[0] = client_open(port)) < 0 && program_alive(&p))
		test_pause_ms(2);
	ck_assert_msg(fd[0] >= 0, "it ended with %#x", p.status);
	for (size_t i = 1; i < ARRAY_SIZE(fd); i++)
		fd[i] = client(port);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		client_echo(fd[i], 5000);
	kill(p.pid, SIGTERM);
	ck_assert_int_eq(program_exit(&p), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ck_assert_msg(client_ended(fd[i]), "connection %zu got something else", i);
		close(fd[i]);
	}
}
END_TEST

static TCase *tcase_faults(void)
{
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, io_uring_denied_falls_back_to_libev, 0, ARRAY_SIZE(denials));
	tcase_add_loop_test(tc, io_uring_denied_and_asked_for_is_refused, 0, ARRAY_SIZE(denials));
	tcase_add_loop_test(tc, io_uring_denied_and_the_only_one_is_refused, 0,
			    ARRAY_SIZE(denials));
	tcase_add_test(tc, io_uring_that_cannot_be_opened_falls_back);
	tcase_add_test(tc, a_waker_that_cannot_be_tried_is_not_chosen);
	tcase_add_test(tc, a_waker_that_was_asked_for_has_no_substitute);
	tcase_add_loop_test(tc, a_start_that_fails_says_why_and_ends, 0,
			    NR_SERVING * ARRAY_SIZE(start_denials));
	tcase_add_loop_test(tc, a_storm_of_failing_calls_loses_nothing, 0, ARRAY_SIZE(storms));
	tcase_add_loop_test(tc, stopped_and_continued_goes_on, 0, NR_SERVING);
	tcase_add_loop_test(tc, stopped_beyond_the_idle_timeout_closes_no_active_connection, 0,
			    NR_SERVING);
	tcase_add_loop_test(tc, stderr_that_is_full_does_not_block, 0, NR_SERVING);
	tcase_add_loop_test(tc, stderr_whose_reader_is_gone_does_not_kill, 0, NR_SERVING);
	tcase_add_loop_test(tc, without_stdio_no_peer_sees_what_is_logged, 0, NR_SERVING);
	return tc;
}

Suite *suite_faults(void)
{
	Suite *suite = suite_create("faults");

	suite_add_tcase(suite, tcase_faults());
	suite_add_tcase(suite, tcase_faults_limit());
	suite_add_tcase(suite, tcase_faults_peer());
	suite_add_tcase(suite, tcase_faults_socket());
	return suite;
}
