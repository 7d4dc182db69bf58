// SPDX-License-Identifier: MIT
/*
 * Without memory. A program that serves, calls and reads a file is run again and
 * again, and each time the next one of its allocations fails, from the first
 * one on, until it ends before there is another. Each time it must end by itself
 * and in order, with nothing left.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "tests/hygiene.h"
#include "tests/spawn.h"
#include "tests/world.h"

#define NONE_FAILED	42	/* the exit code that ends it */
#define TEXT		"what goes there comes back"

static int answer(void *arg)
{
	void *ptr = mn_alloc(100);

	mn_free(ptr);
	return ptr ? 7 : -ENOMEM;
}

static int echo_conn(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t err;

	while ((err = mn_stream_read(conn, &in)) > 0)
		if ((err = mn_stream_write(conn, &in)) < 0)
			break;
	return (int)err;
}

static int calls(void)
{
	int ret = mn_call(1, answer, NULL);

	if (ret == 7)
		ret = mn_call_all(answer, NULL);
	return ret == 7 ? 0 : ret;
}

static int file(void)
{
	struct mn_file file;
	char text[64];
	int64_t ret = mn_file_open(&file, "/tmp", O_TMPFILE | O_RDWR, 0600);

	if (ret == -EOPNOTSUPP)
		return 0;
	if (ret)
		return (int)ret;
	ret = mn_write(&file, TEXT, sizeof(TEXT), 0);
	if (ret >= 0)
		ret = mn_read(&file, text, sizeof(text), 0);
	mn_file_close(&file);
	return ret < 0 ? (int)ret : ret != sizeof(TEXT) || strcmp(text, TEXT) ? -EBADMSG : 0;
}

/* Where the server had no memory, the connection ends early. */
static int echo(const char *addr)
{
	struct mn_stream *stream;
	struct mn_buf in;
	size_t got = 0;
	int64_t ret = mn_connect(addr, 5 * MN_SEC, &stream);

	if (ret)
		return (int)ret;
	ret = mn_stream_write_copy(stream, TEXT, sizeof(TEXT));
	if (ret >= 0)
		ret = mn_stream_flush(stream);
	while (ret >= 0 && got < sizeof(TEXT) && (ret = mn_stream_read(stream, &in)) > 0) {
		got += in.len;
		mn_buf_free(&in);
	}
	mn_stream_close(stream);
	return ret < 0 ? (int)ret : got < sizeof(TEXT) ? -EPIPE : 0;
}

static char address[MN_ADDR_TEXT_MAX];
static int client_err;

static int client(void *arg)
{
	client_err = calls();
	if (!client_err)
		client_err = file();
	if (!client_err)
		client_err = echo(address);
	mn_stop();
	return 0;
}

static void on_listening(const char *addr, void *arg)
{
	snprintf(address, sizeof(address), "%s", addr);
	client_err = mn_spawn(client, NULL, NULL);
	if (client_err)
		mn_stop();
}

static int everything(void *arg)
{
	const struct mn_server server = { .addr = "127.0.0.1:0",
					  .on_conn = echo_conn,
					  .on_listening = on_listening };
	int err = mn_serve_with(&server);

	return err ? err : client_err;
}

static int program(int argc, char **argv)
{
	int code;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	alarm(PATIENCE_MS / 1000);
	code = mn_run(argc, argv, everything, NULL);
	return !code && !mem_nr_failed() ? NONE_FAILED : code;
}

/* The code of its end, or minus the signal. */
static void run_failing(struct outcome *outcome, const char *serves, int n)
{
	char backend[64], nth[64];
	char *argv[] = { "fail", backend, "--cpus=2", "--report-leaks", nth, NULL };
	int fd = memfd_create("stderr", MFD_CLOEXEC), status;
	ssize_t len;
	pid_t pid;

	snprintf(backend, sizeof(backend), "--backend=%s", serves);
	snprintf(nth, sizeof(nth), "--mem.fail_nth=%d", n);
	ck_assert_int_ge(fd, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fd, STDERR_FILENO);
		exit(program((int)ARRAY_SIZE(argv) - 1, argv));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	outcome->code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	len = pread(fd, outcome->said, sizeof(outcome->said) - 1, 0);
	outcome->said[len < 0 ? 0 : len] = '\0';
	close(fd);
}

START_TEST(whichever_allocation_fails_a_program_ends_in_order)
{
	struct outcome outcome = { .code = 0 };
	int n = 0, nr_bad = 0;

	need_backend(serving[_i]);
	while (outcome.code != NONE_FAILED) {
		run_failing(&outcome, serving[_i], ++n);
		if ((outcome.code == 0 || outcome.code == 1 || outcome.code == NONE_FAILED) &&
		    !strstr(outcome.said, "leak:"))
			continue;
		printf("%s: allocation %d: code %d: %s\n", serving[_i], n, outcome.code,
		       outcome.said);
		ck_assert_msg(++nr_bad < 20, "and so on");
	}
	ck_assert_int_gt(n, 20);
	ck_assert_int_eq(nr_bad, 0);
}
END_TEST

Suite *suite_fail_alloc(void)
{
	Suite *s = suite_create("fail_alloc");
	TCase *tc = tcase_create("fail_alloc");

	tcase_set_timeout(tc, 2 * TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, whichever_allocation_fails_a_program_ends_in_order, 0, NR_SERVING);
	suite_add_tcase(s, tc);
	return s;
}
