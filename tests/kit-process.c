// SPDX-License-Identifier: MIT
/* The contract kit, child processes and signals: how they end, and what is told of it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/process.h"
#include "tests/script.h"
#include "tests/suites.h"

/* --- how it ends --- */

static void ends(struct mn_process *p, int code, int signal)
{
	struct mn_process_status status = { -1, -1 };

	ok(mn_process_wait(p, &status, 0));
	is(status.code, code);
	is(status.signal, signal);
	ok(mn_process_wait(p, NULL, 0));	/* as often as one likes */
	is(mn_process_kill(p, SIGTERM), -ESRCH);
	mn_process_close(p);
}

static int codes(void *arg)
{
	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	ends(shell_start("exit 0", false, false), 0, 0);
	ends(shell_start("exit 1", false, false), 1, 0);
	ends(shell_start("exit 255", false, false), 255, 0);
	ends(shell_start("exit 300", false, false), 44, 0);
	ends(shell_start("kill -TERM $$", false, false), 0, SIGTERM);
	ends(shell_start("kill -KILL $$", false, false), 0, SIGKILL);
	ends(shell_start("kill -USR1 $$", false, false), 0, SIGUSR1);
	return 0;
}

static int killed(void *arg)
{
	static const int signals[] = { SIGTERM, SIGKILL, SIGHUP, SIGUSR2 };

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct mn_process *p = shell_start("exec sleep 1000", false, false);

		ok(mn_process_kill(p, 0));
		is(mn_process_kill(p, 1000), -EINVAL);
		ok(mn_process_kill(p, signals[i]));
		ends(p, 0, signals[i]);
	}
	return 0;
}

/* --- what it reads and writes --- */

static int talks(void *arg)
{
	static char text[65536];
	struct mn_process *p;
	struct shell shell;
	struct mn_buf out;

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	p = shell_start("cat; echo end", true, true);
	for (int i = 0; i < 5; i++) {
		ok(mn_buf_alloc(&out));
		memset(out.data, 'a' + i, out.len = 1000);
		ok(mn_stream_write(mn_process_stdin(p), &out));
	}
	ok(mn_stream_shutdown(mn_process_stdin(p)));
	output_of(p, text, sizeof(text));
	note_bytes(text, strlen(text));
	is((int64_t)strlen(text), 5004);
	shell_for(&shell, "pwd; echo out; echo err >&2; echo $A");
	shell.options.out = MN_STDIO_PIPE;
	shell.options.err = MN_STDIO_OUT;
	shell.options.cwd = "/";
	shell.options.env = (const char *const[]){ "A=b", NULL };
	ok(mn_process_spawn(&p, &shell.options));
	note(!mn_process_stdin(p) && !mn_process_stderr(p));
	output_of(p, text, sizeof(text));
	note_bytes(text, strlen(text));
	return 0;
}

/* The child leaves its input, or never reads it. */
static int does_not_read(void *arg)
{
	struct mn_process *p;
	struct mn_buf out;
	int64_t res = 0;

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	p = shell_start("exec <&-; sleep 1000", true, false);
	while (!res) {
		ck_assert_int_eq(mn_buf_alloc(&out), 0);
		res = mn_stream_write(mn_process_stdin(p), &out);
		res = res ? res : mn_stream_flush(mn_process_stdin(p));
	}
	note(res == -EPIPE || res == -ECONNRESET);	/* it had something there that it did not read */
	ok(mn_process_kill(p, SIGKILL));
	ends(p, 0, SIGKILL);
	return 0;
}

static int says_a_lot(void *arg)
{
	struct mn_process *p;
	struct mn_buf in;
	int64_t sum = 0, n;

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	p = shell_start("head -c 3000000 /dev/zero", false, true);
	for (; (n = mn_stream_read(mn_process_stdout(p), &in)) > 0; mn_buf_free(&in))
		sum += n;
	is(n, 0);
	is(sum, 3000000);
	ends(p, 0, 0);
	return 0;
}

/* --- what cannot be started --- */

static int64_t start(const char *program, const char *cwd)
{
	const char *const argv[] = { program, NULL };
	struct mn_process *p;
	int err = mn_process_spawn(&p, &(struct mn_process_options){ .argv = argv, .cwd = cwd });

	if (!err)
		mn_process_close(p);
	return err;
}

static int refusals(void *arg)
{
	static const char *const none[] = { NULL };
	struct mn_scope scope;
	struct mn_process *p;
	int fd;

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	fd = open(in_dir("text"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(write(fd, "text\n", 5), 5);
	is(start("/none/such", NULL), -ENOENT);
	/* The path may have directories that this user may not look into. */
	ck_assert_int_lt(start("mn-none-such", NULL), 0);
	is(start(in_dir("text"), NULL), -EACCES);
	is(start(in_dir("."), NULL), -EACCES);
	is(start("true", "/none/such"), -ENOENT);
	is(start("true", in_dir("text")), -ENOTDIR);
	ck_assert_int_eq(fchmod(fd, 0755), 0);
	close(fd);
	is(start(in_dir("text"), NULL), -ENOEXEC);
	is(mn_process_spawn(&p, &(struct mn_process_options){ .argv = none }), -EINVAL);
	is(mn_process_spawn(&p, &(struct mn_process_options){ .argv = NULL }), -EINVAL);
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + 1 });
	is(mn_sleep(MN_SEC), -ETIMEDOUT);
	is(start("true", NULL), -ETIMEDOUT);
	ok(mn_scope_join(&scope));
	ok(start("true", NULL));
	return 0;
}

/* --- who waits for it stops --- */

struct waiter {
	struct mn_process *p;
	struct mn_process_status status;
	int64_t grace_ns;
};

static int wait_fiber(void *arg)
{
	struct waiter *w = arg;

	return mn_process_wait(w->p, &w->status, w->grace_ns);
}

static void cancel(const char *script, int64_t grace_ns, int code, int signal)
{
	struct waiter w = { .p = shell_start(script, false, true), .grace_ns = grace_ns };
	struct mn_fiber *fiber;
	struct mn_buf in;

	/* It has begun: what it does about signals is settled. */
	ck_assert_int_gt(mn_stream_read(mn_process_stdout(w.p), &in), 0);
	mn_buf_free(&in);
	ok(mn_spawn(wait_fiber, &w, &fiber));
	mn_yield();
	mn_fiber_cancel(fiber);
	is(mn_join(fiber), -ECANCELED);
	is(w.status.code, code);
	is(w.status.signal, signal);
	mn_process_close(w.p);
}

static int canceled(void *arg)
{
	struct mn_process_status status;
	struct mn_process *p;

	if (mn_self->virtual_time)
		return RUN_SKIPPED;
	cancel("echo; exec sleep 1000", 0, 0, SIGKILL);
	cancel("echo; exec sleep 1000", 60 * MN_SEC, 0, SIGTERM);
	cancel("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done", 60 * MN_SEC, 7, 0);
	cancel("trap '' TERM; echo; while :; do sleep 0.01; done", 10 * MN_MSEC, 0, SIGKILL);
	p = shell_start("exec sleep 1000", false, false);
	is(mn_process_wait_timeout(p, &status, 0, MN_PROCESS_LEAVE), -ETIMEDOUT);
	is(mn_process_wait_timeout(p, &status, MN_MSEC, MN_PROCESS_LEAVE), -ETIMEDOUT);
	is(mn_process_wait_timeout(p, &status, MN_MSEC, 0), -ETIMEDOUT);
	ends(p, 0, SIGKILL);
	p = shell_start("exec sleep 1000", false, false);
	mn_process_close(p);	/* kills it */
	return 0;
}

/* --- signals --- */

static void send_signal(int number)
{
	if (IS_ENABLED(CONFIG_BACKEND_MEM) && world_is(mn_self->world, "mem"))
		mem_raise(mn_self->world, number);
	else
		kill(getpid(), number);
}

static int one_signal(void *arg)
{
	return mn_signal_wait((uint64_t)(uintptr_t)arg);
}

static int on_shard_0(void *arg)
{
	const uint64_t set = MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGHUP);
	struct mn_fiber *fiber;

	is(mn_signal_wait_timeout(set, 0), -ETIMEDOUT);
	is(mn_signal_wait_timeout(set, MN_MSEC), -ETIMEDOUT);
	for (int i = 0; i < 3; i++) {
		ok(mn_spawn(one_signal, (void *)(uintptr_t)set, &fiber));
		mn_yield();
		send_signal(i % 2 ? SIGUSR1 : SIGHUP);
		is(mn_join(fiber), i % 2 ? SIGUSR1 : SIGHUP);
	}
	ok(mn_spawn(one_signal, (void *)(uintptr_t)set, &fiber));
	mn_yield();
	mn_fiber_cancel(fiber);
	is(mn_join(fiber), -ECANCELED);
	is(mn_signal_wait(0), -EINVAL);
	is(mn_signal_wait(MN_SIGNAL(SIGKILL)), -EINVAL);
	is(mn_signal_wait(MN_SIGNAL(SIGSEGV)), -EINVAL);
	return 0;
}

static int signals(void *arg)
{
	note(mn_signal_wait_timeout(MN_SIGNAL(SIGUSR1), 0));	/* -EXDEV elsewhere */
	return mn_call(0, on_shard_0, NULL);
}

static int stream_on_shard_0(void *arg)
{
	struct mn_signals both, one;
	struct mn_signal got;

	ok(mn_signals_open(&both, MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGHUP)));
	ok(mn_signals_open(&one, MN_SIGNAL(SIGHUP)));
	is(mn_signals_next_timeout(&both, &got, 0), -ETIMEDOUT);
	for (uint32_t n = 1; n < 10; n++) {
		for (uint32_t i = 0; i < n; i++) {
			send_signal(SIGUSR1);
			send_signal(SIGHUP);
		}
		while (both.count[SIGUSR1 - 1] < n || both.count[SIGHUP - 1] < n)
			ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
		ok(mn_signals_next(&both, &got));
		is(got.number, SIGHUP);
		is(got.count, n);
		ok(mn_signals_next(&both, &got));
		is(got.number, SIGUSR1);
		is(got.count, n);
		is(mn_signals_next_timeout(&both, &got, 0), -ETIMEDOUT);
		ok(mn_signals_next(&one, &got));
		is(got.count, n);
	}
	mn_signals_close(&one);
	mn_signals_close(&both);
	return 0;
}

static int signal_stream(void *arg)
{
	return mn_call(0, stream_on_shard_0, NULL);
}

/* clang-format off */
static const struct script scripts[] = {
	{ "codes", codes }, { "killed", killed }, { "talks", talks },
	{ "does not read", does_not_read }, { "says a lot", says_a_lot },
	{ "refusals", refusals }, { "canceled", canceled },
	{ "signals", signals }, { "signal stream", signal_stream },
};
/* clang-format on */

SCRIPT_TEST(processes_are_the_same_on_every_backend, scripts)

Suite *suite_kit_process(void)
{
	Suite *s = suite_create("kit_process");
	TCase *tc = tcase_create("kit_process");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, processes_are_the_same_on_every_backend, scripts);
	suite_add_tcase(s, tc);
	return s;
}
