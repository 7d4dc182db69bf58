// SPDX-License-Identifier: MIT
/*
 * A program that has nothing to do does nothing: strace attaches to it and
 * must not see a call, for 2 s or the MN_IDLE_MS of the environment.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/program.h"
#include "tests/spawn.h"

#define SETTLE_MS	500	/* until it rests again, with a sanitizer and on a busy machine, too */

static struct program p;

/* strace of all threads of the program, into a file; its process. */
static pid_t trace(int fd)
{
	char pid[16], path[32];
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", (int)p.pid);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp("strace", "strace", "-qq", "-f", "-o", path, "-p", pid, (char *)NULL);
	_exit(127);
}

static off_t traced(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_size;
}

/* What was traced from @from on. */
static const char *trace_text(int fd, off_t from)
{
	static char text[4096];
	ssize_t len = pread(fd, text, sizeof(text) - 1, from);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

static void wait_seen(int fd, off_t before)
{
	int64_t until_ms = test_now_ms() + PATIENCE_MS;

	while (traced(fd) == before) {
		ck_assert_msg(test_now_ms() < until_ms, "strace sees nothing");
		test_pause_ms(10);
	}
}

START_TEST(an_idle_server_makes_no_system_call)
{
	const char *wanted = getenv("MN_IDLE_MS");
	int fd = memfd_create("trace", 0), conn;
	pid_t tracer;
	off_t before;

	if (IS_ENABLED(CONFIG_SANITIZE_THREAD))
		test_skip("the sanitizer has a thread that never rests");
	need_strace();
	need_backend(serving[_i]);
	conn = client(serving_start(&p, serving[_i], NULL, ARGS("--cpus=2")));
	tracer = trace(fd);
	test_pause_ms(SETTLE_MS);
	if (waitpid(tracer, NULL, WNOHANG))
		test_skip("strace may not attach to a process here");
	before = traced(fd);
	client_echo(conn, 1000);
	wait_seen(fd, before);
	test_pause_ms(SETTLE_MS);
	before = traced(fd);
	test_pause_ms(wanted ? atoi(wanted) : 2000);
	ck_assert_msg(traced(fd) == before, "it is not idle: %s", trace_text(fd, before));
	kill(tracer, SIGTERM);
	waitpid(tracer, NULL, 0);
	client_echo(conn, 1000);
	close(conn);
	program_stop(&p);
}
END_TEST

TCase *tcase_program_idle(void)
{
	TCase *tc = tcase_create("program-idle");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, an_idle_server_makes_no_system_call, 0, NR_SERVING);
	return tc;
}
