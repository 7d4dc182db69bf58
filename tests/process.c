// SPDX-License-Identifier: MIT
/* Starting child processes: what they get, and what is refused. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <miniss/blocking.h>
#include <miniss/run.h>
#include <miniss/signal.h>
#include <miniss/smp.h>

#include "core/param.h"
#include "tests/process.h"
#include "tests/spawn.h"
#include "tests/suites.h"

#define NR_SHARDS 2 /* at most */

int process_worlds(void)
{
	return nr_backends() * NR_SHARDS * 2;
}

static void use_pidfd(bool on)
{
	static const struct mn_app none;
	char *argv[] = { "test", on ? "--process.pidfd=on" : "--process.pidfd=off", NULL };
	char *env[] = { NULL };
	int argc = 2;

	ck_assert_int_eq(params_parse(&none, &argc, argv, env), 0);
}

static int run_last(void *fn)
{
	return mn_call(mn_shards() - 1, (mn_fiber_fn)(uintptr_t)fn, NULL);
}

void process_run_left(int i, mn_fiber_fn fn)
{
	const struct driver *drv = backend_kind.start[i / 2 / NR_SHARDS];
	unsigned int n = (unsigned int)(i / 2 % NR_SHARDS) + 1;
	int ret;

	if (container_of(drv, struct backend_ops, drv)->virtual_time)
		return;
	/*
	 * TSan puts a signal off until the thread calls something that it
	 * knows, and waiting in a ring is not that: SIGCHLD can come too late.
	 */
	if (IS_ENABLED(CONFIG_SANITIZE_THREAD) && i % 2 && !strcmp(drv->name, "io_uring"))
		return;
	use_pidfd(i % 2 == 0);
	ret = run_backend(i / 2 / NR_SHARDS, n, run_last, (void *)(uintptr_t)fn);
	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%d", ret);
}

void process_run(int i, mn_fiber_fn fn)
{
	pid_t left;

	process_run_left(i, fn);
	left = waitpid(-1, NULL, WNOHANG);
	/* To see whether a report is suppressed, TSan starts a symbolizer, which stays. */
	if (IS_ENABLED(CONFIG_SANITIZE_THREAD) && !left)
		return;
	ck_assert_msg(left == -1 && errno == ECHILD, "a child is left");
}

struct shell *shell_for(struct shell *shell, const char *script)
{
	*shell = (struct shell){ .argv = { "sh", "-c", script, NULL } };
	shell->options.argv = shell->argv;
	return shell;
}

struct mn_process *shell_start(const char *script, bool in, bool out)
{
	struct mn_process *p;
	struct shell shell;

	shell_for(&shell, script);
	shell.options.in = in ? MN_STDIO_PIPE : MN_STDIO_NULL;
	shell.options.out = out ? MN_STDIO_PIPE : MN_STDIO_NULL;
	ck_assert_int_eq(mn_process_spawn(&p, &shell.options), 0);
	return p;
}

/* Text of a stream up to its end. */
static const char *read_all(struct mn_stream *stream, char *text, size_t size)
{
	size_t len = 0;
	struct mn_buf in;
	int64_t n;

	while ((n = mn_stream_read(stream, &in)) > 0) {
		ck_assert_uint_lt(len + (size_t)n, size);
		memcpy(text + len, in.data, (size_t)n);
		len += (size_t)n;
		mn_buf_free(&in);
	}
	ck_assert_int_eq((int)n, 0);
	text[len] = '\0';
	return text;
}

const char *output_of(struct mn_process *p, char *text, size_t size)
{
	struct mn_process_status status = { .code = -1 };

	read_all(mn_process_stdout(p), text, size);
	ck_assert_int_eq(mn_process_wait(p, &status, 0), 0);
	ck_assert_msg(!status.code && !status.signal, "code %d, signal %d", status.code,
		      status.signal);
	mn_process_close(p);
	return text;
}

static const char *output(const struct mn_process_options *options)
{
	static char text[65536];
	struct mn_process *p;
	int err = mn_process_spawn(&p, options);

	ck_assert_msg(!err, "%s", strerror(-err));
	return output_of(p, text, sizeof(text));
}

bool is_gone(int pid)
{
	return kill(pid, 0) && errno == ESRCH;
}

/* --- what it is given --- */

static int given_fiber(void *arg)
{
	static const char *const env[] = { "GREETING=hello", "EMPTY=", NULL };
	struct shell shell;

	shell_for(&shell, "pwd; echo \"$GREETING-$EMPTY-$HOME\"; echo to-err >&2");
	shell.options.env = env;
	shell.options.cwd = "/";
	shell.options.out = MN_STDIO_PIPE;
	shell.options.err = MN_STDIO_OUT;
	ck_assert_str_eq(output(&shell.options), "/\nhello--\nto-err\n");
	setenv("GREETING", "ours", 1);
	shell_for(&shell, "echo $GREETING; cat; readlink /proc/self/fd/0 /proc/self/fd/2");
	shell.options.in = MN_STDIO_NULL;
	shell.options.err = MN_STDIO_NULL;
	shell.options.out = MN_STDIO_PIPE;
	ck_assert_str_eq(output(&shell.options), "ours\n/dev/null\n/dev/null\n");
	return 0;
}

START_TEST(a_child_gets_its_arguments_environment_and_folder)
{
	process_run(_i, given_fiber);
}
END_TEST

static int state_fiber(void *arg)
{
	const char *script = "while read name value; do case $name in SigBlk:|SigIgn:) "
			     "echo $value;; esac; done </proc/self/status; "
			     "cat /proc/self/timerslack_ns";
	const uint64_t libc = MN_SIGNAL(32) | MN_SIGNAL(33); /* glibc has these ignored */
	unsigned long long blocked, ignored;
	struct shell shell;
	int slack_ns;

	shell_for(&shell, script);
	shell.options.out = MN_STDIO_PIPE;
	ck_assert_int_eq(
		sscanf(output(&shell.options), "%llx %llx %d", &blocked, &ignored, &slack_ns), 3);
	ck_assert_msg(!blocked && !(ignored & ~libc), "%llx %llx", blocked, ignored);
	ck_assert_int_eq(slack_ns, 50000);
	return 0;
}

START_TEST(a_childs_signals_and_timers_are_as_usual)
{
	sigset_t usr1;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	process_run(_i, state_fiber);
}
END_TEST

static int group_fiber(void *arg)
{
	const char *script = "set -- $(cut -d' ' -f5,6 /proc/$$/stat); "
			     "[ $1 = $$ ] && echo group; [ $2 = $$ ] && echo session; :";
	struct shell shell;

	shell_for(&shell, script);
	shell.options.out = MN_STDIO_PIPE;
	ck_assert_str_eq(output(&shell.options), "");
	shell.options.new_group = true;
	ck_assert_str_eq(output(&shell.options), "group\n");
	shell.options.new_session = true;
	ck_assert_str_eq(output(&shell.options), "group\nsession\n");
	return 0;
}

START_TEST(a_child_may_have_a_group_or_a_session)
{
	process_run(_i, group_fiber);
}
END_TEST

/* What Check and the tests have open is not ours to close in the child. */
static void hide_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		if (atoi(e->d_name) > 2)
			fcntl(atoi(e->d_name), F_SETFD, FD_CLOEXEC);
	closedir(dir);
}

static int sleepy(void *arg)
{
	return mn_sleep(3600 * MN_SEC);
}

static int nap(void *arg)
{
	usleep(1000);
	return 0;
}

static int descriptors_fiber(void *arg)
{
	struct mn_process *other = shell_start("cat", true, true);
	struct mn_fiber *fiber;
	struct shell shell;

	/* As much as there can be: a stream, threads, something that waits. */
	ck_assert_int_eq(mn_spawn(sleepy, NULL, &fiber), 0);
	ck_assert_int_eq(mn_blocking(nap, NULL), 0);
	shell_for(&shell, "ls /proc/self/fd; :");
	shell.options.out = MN_STDIO_PIPE;
	shell.options.in = MN_STDIO_PIPE;
	ck_assert_str_eq(output(&shell.options), "0\n1\n2\n3\n"); /* 3 is the folder */
	mn_fiber_cancel(fiber);
	mn_join(fiber);
	mn_process_close(other);
	return 0;
}

START_TEST(no_descriptor_of_the_runtime_gets_into_a_child)
{
	hide_descriptors();
	process_run(_i, descriptors_fiber);
}
END_TEST

/* --- pipes --- */

#define BULK (1 << 20)

static int bulk_write(void *arg)
{
	static uint8_t block[65536];
	struct mn_stream *stream = arg;

	for (uint64_t at = 0; at < BULK; at += sizeof(block)) {
		int err;

		pattern_fill(block, at, sizeof(block));
		err = mn_stream_write_copy(stream, block, sizeof(block));
		if (err)
			return err;
	}
	return mn_stream_shutdown(stream);
}

static int pipes_fiber(void *arg)
{
	struct mn_process *p = shell_start("cat", true, true);
	struct mn_process_status status;
	struct mn_fiber *writer;
	uint64_t len = 0, wrong = 0;
	struct mn_buf in;
	int64_t n;

	ck_assert_ptr_null(mn_process_stderr(p));
	ck_assert_int_eq(mn_spawn(bulk_write, mn_process_stdin(p), &writer), 0);
	while ((n = mn_stream_read(mn_process_stdout(p), &in)) > 0) {
		const uint8_t *data = in.data;

		for (int64_t i = 0; i < n; i++)
			wrong += data[i] != pattern(len + (uint64_t)i);
		len += (uint64_t)n;
		mn_buf_free(&in);
	}
	ck_assert_int_eq((int)n, 0);
	ck_assert_uint_eq(len, BULK);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_eq(mn_join(writer), 0);
	ck_assert_int_eq(mn_process_wait(p, &status, 0), 0);
	ck_assert_int_eq(status.code, 0);
	ck_assert_int_eq(mn_stream_write_copy(mn_process_stdin(p), "x", 1), -EPIPE);
	mn_process_close(p);
	return 0;
}

START_TEST(a_megabyte_goes_through_a_child_and_back)
{
	process_run(_i, pipes_fiber);
}
END_TEST

static int one_way_fiber(void *arg)
{
	struct mn_process *p;
	struct mn_buf in;
	struct shell shell;
	char text[256];

	/* As with pipes: nothing can be read from its output, nor written to its input. */
	p = shell_start("cat <&1; (echo x >&0) 2>/dev/null || echo refused", true, true);
	ck_assert_str_eq(output_of(p, text, sizeof(text)), "refused\n");
	/* It reads no more: the next write, or the one after it, says so. */
	p = shell_start("exec <&-; echo; exec sleep 100", true, true);
	ck_assert(mn_stream_read(mn_process_stdout(p), &in) == 1);
	mn_buf_free(&in);
	ck_assert(mn_stream_read(mn_process_stdin(p), &in) == 0);
	mn_stream_write_copy(mn_process_stdin(p), "x", 1);
	ck_assert_int_eq(mn_stream_flush(mn_process_stdin(p)), -EPIPE);
	mn_process_close(p);
	/* Both outputs, apart. */
	shell_for(&shell, "echo out; echo err >&2");
	shell.options.out = shell.options.err = MN_STDIO_PIPE;
	ck_assert_int_eq(mn_process_spawn(&p, &shell.options), 0);
	ck_assert_str_eq(read_all(mn_process_stderr(p), text, sizeof(text)), "err\n");
	ck_assert_str_eq(output_of(p, text, sizeof(text)), "out\n");
	return 0;
}

START_TEST(pipes_go_one_way_and_have_ends)
{
	process_run(_i, one_way_fiber);
}
END_TEST

START_TEST(pipes_work_where_standard_descriptors_are_closed)
{
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	process_run(_i, pipes_fiber);
}
END_TEST

/* --- what cannot be --- */

static int spawn_error(const char *program, const char *cwd)
{
	const char *const argv[] = { program, NULL };
	const struct mn_process_options options = { .argv = argv, .cwd = cwd, .in = MN_STDIO_PIPE };
	struct mn_process *p = NULL;
	int err = mn_process_spawn(&p, &options);

	ck_assert_ptr_null(p);
	return err;
}

static int refused_fiber(void *arg)
{
	static const char *const bad_env[] = { "A=1", "NOT A VARIABLE", NULL };
	static const char *const none[] = { NULL };
	const struct {
		struct mn_process_options options;
		const char *says;
	} bad[] = {
		{ { .argv = NULL }, "argv names no program" },
		{ { .argv = none }, "argv names no program" },
		{ { .argv = ARGS("sh"), .cwd = "" }, "cwd is empty" },
		{ { .argv = ARGS("sh"), .env = bad_env }, "a variable of env has no =" },
		{ { .argv = ARGS("sh"), .in = MN_STDIO_OUT }, "in is none of" },
		{ { .argv = ARGS("sh"), .out = MN_STDIO_OUT }, "out is none of" },
		{ { .argv = ARGS("sh"), .err = (enum mn_stdio)4 }, "err is none of" },
	};
	struct mn_process *p;

	ck_assert_int_eq(spawn_error("/nosuch/program", NULL), -ENOENT);
	ck_assert_int_eq(spawn_error("no-such-program-anywhere", NULL), -ENOENT);
	ck_assert_int_eq(spawn_error("/etc/passwd", NULL), -EACCES);
	ck_assert_int_eq(spawn_error("/", NULL), -EACCES);
	ck_assert_int_eq(spawn_error("sh", "/nosuch"), -ENOENT);
	ck_assert_int_eq(spawn_error("sh", "/etc/passwd"), -ENOTDIR);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		test_stderr_begin();
		ck_assert_int_eq(mn_process_spawn(&p, &bad[i].options), -EINVAL);
		mn_sleep(5 * MN_MSEC);	/* the log goes out when the shard is idle */
		ck_assert_ptr_nonnull(strstr(test_stderr_end(), bad[i].says));
	}
	ck_assert(list_empty(&mn_self->processes));
	return 0;
}

START_TEST(what_cannot_be_started_says_why)
{
	/* Not a folder that this user may not look into: that would be another reason. */
	setenv("PATH", "/usr/bin:/bin", 1);
	process_run(_i, refused_fiber);
}
END_TEST

static int virtual_fiber(void *arg)
{
	ck_assert_int_eq(spawn_error("sh", NULL), -EOPNOTSUPP);
	return 0;
}

START_TEST(a_virtual_world_has_no_processes)
{
	int ret;

	if (!IS_ENABLED(CONFIG_BACKEND_MEM))
		test_skip("mem is not built");
	ret = run_main("mem", 1, virtual_fiber, NULL);
	ck_assert_int_eq(ret, 0);
}
END_TEST

Suite *suite_process(void)
{
	Suite *suite = suite_create("process");
	TCase *tc = tcase_create("process");
	int n = process_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_child_gets_its_arguments_environment_and_folder, 0, n);
	tcase_add_loop_test(tc, a_childs_signals_and_timers_are_as_usual, 0, n);
	tcase_add_loop_test(tc, a_child_may_have_a_group_or_a_session, 0, n);
	tcase_add_loop_test(tc, no_descriptor_of_the_runtime_gets_into_a_child, 0, n);
	tcase_add_loop_test(tc, a_megabyte_goes_through_a_child_and_back, 0, n);
	tcase_add_loop_test(tc, pipes_go_one_way_and_have_ends, 0, n);
	tcase_add_loop_test(tc, pipes_work_where_standard_descriptors_are_closed, 0, n);
	tcase_add_loop_test(tc, what_cannot_be_started_says_why, 0, n);
	tcase_add_test(tc, a_virtual_world_has_no_processes);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, tcase_process_end());
	suite_add_tcase(suite, tcase_process_sample());
	return suite;
}
