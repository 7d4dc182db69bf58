// SPDX-License-Identifier: MIT
/*
 * Foreign libraries on miniss, as the samples have them, against servers that
 * are not ours: Python's for HTTP, Redis itself. Over both real backends.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/program.h"
#include "tests/spawn.h"

#define FILES	8

static struct program p;
static char dir[64];
static pid_t server;

/* ---- servers ---- */

static bool have(const char *command)
{
	char text[128];

	snprintf(text, sizeof(text), "command -v %s >/dev/null 2>&1", command);
	return system(text) == 0;
}

/* Its standard output and error, to read from. */
static FILE *server_start(const char *const *argv)
{
	int fd[2];

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	server = fork();
	ck_assert_int_ge(server, 0);
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd[1], STDOUT_FILENO);
		dup2(fd[1], STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fd[1]);
	return fdopen(fd[0], "r");
}

static void server_stop(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static void dir_make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/mn-test-foreign-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void dir_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- libcurl ---- */

/* A file of this many bytes, and the line that mn-fetch prints of it. */
static void file_make(int i, unsigned int port, char *url, char *expected, size_t size)
{
	size_t len = i ? (size_t)1 << (2 * i + 6) : 0;
	uint32_t sum = 2166136261u;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d", dir, i);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	for (size_t at = 0; at < len; at++) {
		uint8_t byte = (uint8_t)(at * 31 + (at >> 8) * 7 + (size_t)i);

		fputc(byte, f);
		sum = (sum ^ byte) * 16777619u;
	}
	fclose(f);
	snprintf(url, size, "http://127.0.0.1:%u/%d", port, i);
	snprintf(expected, size, "200 %zu %08x %s\n", len, sum, url);
}

/* "Serving HTTP on 127.0.0.1 port 12345 ..." */
static unsigned int http_start(void)
{
	FILE *said = server_start(ARGS("python3", "-u", "-m", "http.server", "0", "--bind",
				       "127.0.0.1", "--directory", dir));
	unsigned int port = 0;
	char text[256];

	while (!port && fgets(text, sizeof(text), said))
		sscanf(text, "Serving HTTP on 127.0.0.1 port %u", &port);
	ck_assert_uint_ne(port, 0);
	return port;	/* the pipe stays open: it writes a line for each request */
}

static int listener_silent(unsigned int *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(!bind(fd, (struct sockaddr *)&sa, len) && !listen(fd, 16));
	ck_assert(!getsockname(fd, (struct sockaddr *)&sa, &len));
	*port = ntohs(sa.sin_port);
	return fd;
}

#define NEED_CURL()							\
	do {								\
		if (!IS_ENABLED(CONFIG_SAMPLE_CURL))			\
			test_skip("mn-fetch is not built: no libcurl");	\
		if (!have("python3"))					\
			test_skip("there is no python3");		\
		need_backend(serving[_i]);				\
	} while (0)

START_TEST(libcurl_fetches_many_at_once)
{
	char url[FILES][128], expected[FILES][128], backend[64];
	const char *argv[3 * FILES + 4] = { "mn-fetch", backend, "--cpus=1" };
	unsigned int port;

	NEED_CURL();
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i]);
	port = http_start();
	for (int i = 0; i < FILES; i++)
		file_make(i, port, url[i], expected[i], sizeof(url[i]));
	for (int i = 0; i < 3 * FILES; i++)
		argv[i + 3] = url[i % FILES];
	ck_assert_msg(program_run(&p, NULL, argv) == 0, "%s", program_err(&p));
	ck_assert_int_eq(nr_lines(program_out(&p)), 3 * FILES);
	for (int i = 0; i < FILES; i++)
		program_said(program_out(&p), ARGS(expected[i]));
	ck_assert_int_eq(program_nr_lines(&p), 0);
	server_stop();
}
END_TEST

START_TEST(libcurl_fails_by_itself_or_by_a_deadline)
{
	char none[64], silent[64], refused[64], backend[64];
	unsigned int port;
	int fd;

	NEED_CURL();
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i]);
	snprintf(none, sizeof(none), "http://127.0.0.1:%u/none", http_start());
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-fetch", backend, none)), 1);
	program_said(program_out(&p), ARGS("404 ", "/none\n"));
	server_stop();
	fd = listener_silent(&port);
	snprintf(silent, sizeof(silent), "http://127.0.0.1:%u/", port);
	close(listener_silent(&port));
	snprintf(refused, sizeof(refused), "http://127.0.0.1:%u/", port);
	ck_assert_int_eq(
		program_run(&p, NULL,
			    ARGS("mn-fetch", backend, "--timeout_ms=100", silent, refused)),
		1);
	program_said(program_err(&p), ARGS(silent, "timed out", refused, "connect"));
	ck_assert_int_eq(program_nr_lines(&p), 2);
	/* A stop ends what is under way. */
	program_start(&p, NULL, ARGS("mn-fetch", backend, silent));
	test_pause_ms(200);
	kill(p.pid, SIGTERM);
	ck_assert_int_ne(program_exit(&p), 0);
	close(fd);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-fetch")), 2);
}
END_TEST

/* ---- hiredis ---- */

#define NEED_REDIS()							\
	do {								\
		if (!IS_ENABLED(CONFIG_SAMPLE_HIREDIS))			\
			test_skip("mn-redis is not built: no hiredis");	\
		if (!have("redis-server"))				\
			test_skip("there is no redis-server");		\
		need_backend(serving[_i]);				\
	} while (0)

/* At a socket in the directory of the test; the option for it. */
static const char *redis_start(void)
{
	static char path[96], option[160];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int64_t until_ms = test_now_ms() + PATIENCE_MS;
	int fd;

	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	snprintf(option, sizeof(option), "--connect=unix:%s", path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	server_start(ARGS("redis-server", "--port", "0", "--unixsocket", path, "--save", "",
			  "--appendonly", "no", "--dir", dir));
	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
			break;
		close(fd);
		ck_assert_msg(test_now_ms() < until_ms, "redis-server does not start");
		test_pause_ms(10);
	}
	close(fd);
	return option;
}

START_TEST(fibers_share_a_connection_of_hiredis)
{
	const char *where;
	char backend[64];

	NEED_REDIS();
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i]);
	where = redis_start();
	ck_assert_msg(
		program_run(&p, NULL,
				  ARGS("mn-redis", backend, where, "--fibers=40", "--requests=25")) == 0,
		      "%s", program_err(&p));
	program_said(program_out(&p), ARGS("40 fibers, counter 1000\n"));
	ck_assert_int_eq(program_nr_lines(&p), 0);
	server_stop();
}
END_TEST

START_TEST(hiredis_hears_when_the_server_is_not_there_or_goes)
{
	const char *where;
	char backend[64];

	NEED_REDIS();
	snprintf(backend, sizeof(backend), "--backend=%s", serving[_i]);
	ck_assert_int_eq(
		program_run(&p, NULL, ARGS("mn-redis", backend, "--connect=unix:/nonexistent")), 1);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-redis", backend, "--connect=127.0.0.1:1")),
			 1);
	program_said(program_err(&p), ARGS("Connection refused"));
	where = redis_start();
	program_start(&p, NULL, ARGS("mn-redis", backend, where, "--requests=1000000"));
	test_pause_ms(200);
	ck_assert(program_alive(&p));
	server_stop();
	ck_assert_int_eq(program_exit(&p), 1);
	program_said(program_err(&p), ARGS("redis: "));
	/* A stop ends it, whatever is under way. */
	where = redis_start();
	program_start(&p, NULL, ARGS("mn-redis", backend, where, "--requests=1000000"));
	test_pause_ms(200);
	kill(p.pid, SIGTERM);
	ck_assert_int_ne(program_exit(&p), 0);
	server_stop();
}
END_TEST

Suite *suite_integration(void)
{
	Suite *suite = suite_create("integration");
	TCase *tc = tcase_create("libraries");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, dir_make, dir_remove);
	tcase_add_loop_test(tc, libcurl_fetches_many_at_once, 0, NR_SERVING);
	tcase_add_loop_test(tc, libcurl_fails_by_itself_or_by_a_deadline, 0, NR_SERVING);
	tcase_add_loop_test(tc, fibers_share_a_connection_of_hiredis, 0, NR_SERVING);
	tcase_add_loop_test(tc, hiredis_hears_when_the_server_is_not_there_or_goes, 0, NR_SERVING);
	suite_add_tcase(suite, tc);
	return suite;
}
