// SPDX-License-Identifier: MIT
/* Faults of Unix sockets: peers that vanish, files that do, servers that stand still. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/faults.h"
#include "tests/spawn.h"

static struct program p, second;
static char path[64];

static void serve(struct program *program, const char *backend)
{
	char listen[100], with[40];

	snprintf(path, sizeof(path), "/tmp/mn-faults-%d", (int)getpid());
	snprintf(listen, sizeof(listen), "--listen=unix:%s", path);
	snprintf(with, sizeof(with), "--backend=%s", backend);
	program_start(program, NULL, ARGS("mn-echo", with, listen, "--net.backlog=8"));
	ck_assert(program_wait_err(program, "listening on unix:"));
}

/* Without waiting: a descriptor, or -errno. */
static int try_connect(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	ck_assert_int_ge(fd, 0);
	strcpy(un.sun_path, path);
	if (!connect(fd, (const struct sockaddr *)&un, sizeof(un)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int connect_soon(void)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;
	int fd;

	while ((fd = try_connect()) == -EAGAIN && test_now_ms() < until_ms)
		test_pause_ms(1);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(-fd));
	return fd;
}

START_TEST(unix_peers_that_vanish_leave_others_alone)
{
	int other, nr_fds;

	need_backend(serving[_i]);
	serve(&p, serving[_i]);
	other = connect_soon();
	client_echo(other, 100);
	nr_fds = program_nr_fds(&p);
	for (int i = 0; i < 300; i++) {
		int fd = connect_soon();

		/* What it has not read resets the connection. */
		client_push(fd, (size_t)(i % 10) * 100000);
		if (i % 3 == 0)
			test_pause_ms(1);
		close(fd);
		if (i % 10 == 0)
			client_echo(other, 2000);
	}
	client_echo(other, 100000);
	ck_assert_msg(program_wait_fds(&p, nr_fds), "%d descriptors were open, now %d", nr_fds,
		      program_nr_fds(&p));
	close(other);
	program_stop(&p);
}
END_TEST

START_TEST(a_socket_file_that_is_removed_takes_nothing_with_it)
{
	int fd;

	need_backend(serving[_i]);
	need_memlock();
	serve(&p, serving[_i]);
	fd = connect_soon();
	client_echo(fd, 1000);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(try_connect(), -ENOENT);
	client_echo(fd, 1000);
	serve(&second, serving[_i]);	/* the name is free */
	close(fd);
	program_stop(&p);
	fd = connect_soon();	/* and is still that of the second */
	client_echo(fd, 1000);
	close(fd);
	program_stop(&second);
	ck_assert_int_eq(try_connect(), -ENOENT);
}
END_TEST

START_TEST(a_unix_server_that_stands_still_lets_others_wait)
{
	int fd[64], nr = 0, last;

	need_backend(serving[_i]);
	serve(&p, serving[_i]);
	client_echo(last = connect_soon(), 100);
	close(last);
	kill(p.pid, SIGSTOP);
	while ((last = try_connect()) >= 0) {
		fd[nr++] = last;
		ck_assert_int_lt(nr, (int)ARRAY_SIZE(fd));
	}
	ck_assert_int_eq(last, -EAGAIN);
	kill(p.pid, SIGCONT);
	last = connect_soon();
	for (int i = 0; i < nr; i++) {
		client_echo(fd[i], 1000);
		close(fd[i]);
	}
	client_echo(last, 1000);
	close(last);
	program_stop(&p);
}
END_TEST

TCase *tcase_faults_socket(void)
{
	TCase *tc = tcase_create("faults-socket");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, unix_peers_that_vanish_leave_others_alone, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_socket_file_that_is_removed_takes_nothing_with_it, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_unix_server_that_stands_still_lets_others_wait, 0, NR_SERVING);
	return tc;
}
