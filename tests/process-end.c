// SPDX-License-Identifier: MIT
/* How child processes end: by themselves, by force, with the program. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniss/smp.h>

#include "tests/process.h"
#include "tests/suites.h"

/* --- waiting --- */

static int status_fiber(void *arg)
{
	static const struct {
		const char *script;
		int code, signal;
	} ends[] = {
		{ ":", 0, 0 },
		{ "exit 7", 7, 0 },
		{ "exit 255", 255, 0 },
		{ "kill -9 $$", 0, SIGKILL },
		{ "kill -USR1 $$", 0, SIGUSR1 },
	};
	struct mn_process_status status;
	struct mn_process *p;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		p = shell_start(ends[i].script, false, false);
		ck_assert_int_gt(mn_process_pid(p), 0);
		ck_assert_int_eq(mn_process_wait(p, &status, 0), 0);
		ck_assert_int_eq(status.code, ends[i].code);
		ck_assert_int_eq(status.signal, ends[i].signal);
		ck_assert(is_gone(mn_process_pid(p)));
		/* Again, and killing what has ended. */
		ck_assert_int_eq(mn_process_wait_timeout(p, NULL, 0, 0), 0);
		ck_assert_int_eq(mn_process_kill(p, SIGKILL), -ESRCH);
		mn_process_close(p);
	}
	return 0;
}

START_TEST(a_wait_says_how_it_ended)
{
	process_run(_i, status_fiber);
}
END_TEST

struct wait {
	struct mn_process *p;
	struct mn_process_status status;
	int64_t timeout_ns, grace_ns;
	struct mn_fiber *fiber;
};

static int wait_fiber(void *arg)
{
	struct wait *w = arg;

	return mn_process_wait_timeout(w->p, &w->status, w->timeout_ns, w->grace_ns);
}

static void start_wait(struct wait *w, struct mn_process *p, int64_t timeout_ns, int64_t grace_ns)
{
	*w = (struct wait){ .p = p, .timeout_ns = timeout_ns, .grace_ns = grace_ns };
	ck_assert_int_eq(mn_spawn(wait_fiber, w, &w->fiber), 0);
	mn_yield();
}

/* A script that has come so far that it says so. */
static struct mn_process *start_ready(const char *script)
{
	struct mn_process *p = shell_start(script, false, true);
	struct mn_buf in;

	ck_assert(mn_stream_read(mn_process_stdout(p), &in) > 0);
	mn_buf_free(&in);
	return p;
}

static int many_wait_fiber(void *arg)
{
	struct mn_process *p = shell_start("read line; exit $line", true, false);
	struct wait w[3];

	for (int i = 0; i < 3; i++)
		start_wait(&w[i], p, MN_NEVER, 0);
	ck_assert_int_eq(mn_stream_write_copy(mn_process_stdin(p), "42\n", 3), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mn_join(w[i].fiber), 0);
		ck_assert_int_eq(w[i].status.code, 42);
	}
	mn_process_close(p);
	return 0;
}

START_TEST(all_who_wait_are_told)
{
	process_run(_i, many_wait_fiber);
}
END_TEST

#define DEAF "trap '' TERM; echo ready; while :; do sleep 1000; done"

#define STOPPED "echo ready; kill -STOP $$; exit 1"

/* It was told to stop just before or after it said that it is ready. */
static void wait_stopped(int pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'T') {
		FILE *f = fopen(path, "r");

		ck_assert_ptr_nonnull(f);
		ck_assert_int_eq(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
		fclose(f);
		mn_sleep(MN_MSEC / 10);
	}
}

static int cancel_fiber(void *arg)
{
	static const struct {
		const char *script;
		int64_t grace_ns;
		int signal;
	} cases[] = {
		{ "echo ready; exec sleep 1000", 3600 * MN_SEC, SIGTERM },
		{ "echo ready; exec sleep 1000", 0, SIGKILL },
		{ DEAF, 20 * MN_MSEC, SIGKILL },
		{ STOPPED, 20 * MN_MSEC, SIGKILL },
	};
	struct mn_process *p;
	struct wait w;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int how = 0; how < 4; how++) {
			int why = how % 2 ? -ETIMEDOUT : -ECANCELED;

			p = start_ready(cases[i].script);
			if (!strcmp(cases[i].script, STOPPED))
				wait_stopped(mn_process_pid(p));
			start_wait(&w, p, how == 3 ? MN_MSEC : MN_NEVER, cases[i].grace_ns);
			if (how < 3)
				fiber_cancel(w.fiber,
					     why); /* how a scope's deadline does it, too */
			ck_assert_int_eq(mn_join(w.fiber), why);
			ck_assert_int_eq(w.status.signal, cases[i].signal);
			ck_assert(is_gone(mn_process_pid(p)));
			mn_process_close(p);
		}
	return 0;
}

START_TEST(a_wait_that_is_cancelled_ends_the_process)
{
	process_run(_i, cancel_fiber);
}
END_TEST

static int leave_fiber(void *arg)
{
	struct mn_process *p = start_ready("echo ready; exec sleep 1000");
	struct wait w;
	int pid = mn_process_pid(p);

	ck_assert_int_eq(mn_process_wait_timeout(p, NULL, 0, MN_PROCESS_LEAVE), -ETIMEDOUT);
	ck_assert_int_eq(mn_process_wait_timeout(p, NULL, MN_MSEC, MN_PROCESS_LEAVE), -ETIMEDOUT);
	start_wait(&w, p, MN_NEVER, MN_PROCESS_LEAVE);
	mn_fiber_cancel(w.fiber);
	ck_assert_int_eq(mn_join(w.fiber), -ECANCELED);
	ck_assert(!is_gone(pid));
	start_wait(&w, p, MN_NEVER, MN_PROCESS_LEAVE);
	ck_assert_int_eq(mn_process_kill(p, 0), 0);
	ck_assert_int_eq(mn_process_kill(p, 12345), -EINVAL);
	ck_assert_int_eq(mn_process_kill(p, SIGINT), 0);
	ck_assert_int_eq(mn_join(w.fiber), 0);
	ck_assert_int_eq(w.status.signal, SIGINT);
	mn_process_close(p);
	return 0;
}

START_TEST(a_wait_may_leave_it_alone)
{
	process_run(_i, leave_fiber);
}
END_TEST

/* The pipe's other end is the grandchild's as well: its end shows that all have ended. */
static int group_fiber(void *arg)
{
	struct mn_process *p;
	struct mn_buf in;
	struct shell shell;

	shell_for(&shell, "sleep 1000 & echo ready; wait");
	shell.options.new_group = true;
	shell.options.out = MN_STDIO_PIPE;
	ck_assert_int_eq(mn_process_spawn(&p, &shell.options), 0);
	ck_assert(mn_stream_read(mn_process_stdout(p), &in) == 6);
	mn_buf_free(&in);
	ck_assert_int_eq(mn_process_kill(p, SIGTERM), 0);
	ck_assert_int_eq(mn_process_wait(p, NULL, 0), 0);
	ck_assert(mn_stream_read(mn_process_stdout(p), &in) == 0);
	mn_process_close(p);
	return 0;
}

START_TEST(killing_is_for_the_group)
{
	process_run(_i, group_fiber);
}
END_TEST

/* --- the handle --- */

static int close_fiber(void *arg)
{
	struct mn_process *p = shell_start("cat", true, true);
	int pid = mn_process_pid(p);

	ck_assert_int_eq(mn_stream_write_copy(mn_process_stdin(p), "x", 1), 0);
	mn_process_close(p);
	ck_assert(is_gone(pid));
	return 0;
}

START_TEST(closing_kills_and_reaps)
{
	process_run(_i, close_fiber);
}
END_TEST

static int detach_fiber(void *arg)
{
	struct mn_process *p = shell_start("read line; exit 3", true, true);
	int pid = mn_process_pid(p);

	ck_assert_int_eq(mn_stream_write_copy(mn_process_stdin(p), "x\n", 2), 0);
	mn_process_detach(p);
	while (!is_gone(pid))
		mn_sleep(MN_MSEC);
	ck_assert(list_empty(&mn_self->processes));
	p = shell_start(":", false, false);
	ck_assert_int_eq(mn_process_wait(p, NULL, 0), 0);
	mn_process_detach(p); /* it has ended */
	ck_assert(list_empty(&mn_self->processes));
	return 0;
}

START_TEST(what_is_detached_is_reaped)
{
	process_run(_i, detach_fiber);
}
END_TEST

/* --- cancelled at each step --- */

static int spawn_fiber(void *arg)
{
	struct mn_process_status status;
	struct mn_process *p;
	struct shell shell;
	int err;

	shell_for(&shell, "exec sleep 1000");
	shell.options.in = shell.options.out = MN_STDIO_PIPE;
	err = mn_process_spawn(&p, &shell.options);
	if (err)
		return err;
	err = mn_process_wait(p, &status, 0);
	mn_process_close(p);
	return err;
}

static int steps_fiber(void *arg)
{
	for (int steps = 0; steps < 40; steps++) {
		struct mn_fiber *fiber;

		ck_assert_int_eq(mn_spawn(spawn_fiber, NULL, &fiber), 0);
		for (int i = 0; i < steps; i++)
			i < 20 ? mn_yield() : (void)mn_sleep(MN_MSEC / 4);
		mn_fiber_cancel(fiber);
		ck_assert_int_eq(mn_join(fiber), -ECANCELED);
		ck_assert(list_empty(&mn_self->processes));
	}
	return 0;
}

START_TEST(spawning_can_be_cancelled_at_any_step)
{
	process_run(_i, steps_fiber);
}
END_TEST

static int crowd_one(void *arg)
{
	struct mn_process_status status;
	struct mn_process *p;
	char text[16], script[32];

	snprintf(script, sizeof(script), "echo %d", (int)(intptr_t)arg);
	p = shell_start(script, true, true);
	ck_assert_int_eq(atoi(output_of(p, text, sizeof(text))), (int)(intptr_t)arg);
	p = shell_start("exit 9", false, false);
	ck_assert_int_eq(mn_process_wait(p, &status, 0), 0);
	ck_assert_int_eq(status.code, 9);
	mn_process_close(p);
	return 0;
}

static int crowd(void *arg)
{
	enum { N = 20 };
	struct mn_fiber *fiber[N];

	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(crowd_one, (void *)(intptr_t)i, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return 0;
}

static int crowds_fiber(void *arg)
{
	return mn_call_all(crowd, NULL);
}

/*
 * Several shards open and close descriptors, and libev tells the kernel late of
 * one that is another's by then: see tests/main.c. Of a pidfd TSan does not know
 * who opened it, and ends the program before it looks whether that is suppressed.
 */
START_TEST(many_at_once_on_every_shard)
{
	if (IS_ENABLED(CONFIG_SANITIZE_THREAD) && _i % 2 == 0)
		test_skip("TSan cannot tell of pidfds");
	process_run(_i, crowds_fiber);
}
END_TEST

/* --- with the program --- */

static int dropped[3];

static int wait_long(void *arg)
{
	struct mn_process *p = start_ready("echo ready; exec sleep 1000");

	dropped[2] = mn_process_pid(p);
	ck_assert_int_eq(mn_process_wait(p, NULL, 3600 * MN_SEC), -ECANCELED);
	mn_process_close(p);
	return 0;
}

static int drop_fiber(void *arg)
{
	dropped[0] = mn_process_pid(shell_start("exec sleep 1000", true, true));
	dropped[1] = mn_process_pid(shell_start(":", true, true)); /* becomes a zombie */
	mn_process_detach(start_ready("echo ready; sleep 0.01"));
	ck_assert_int_eq(mn_spawn(wait_long, NULL, NULL), 0);
	while (!dropped[2])
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(what_is_left_at_the_end_is_ended_and_named)
{
	const char *text;

	dropped[2] = 0;
	test_stderr_begin();
	process_run_left(_i, drop_fiber);
	text = test_stderr_end();
	for (int i = 0; i < 3 && dropped[2]; i++)
		ck_assert(is_gone(dropped[i]));
	ck_assert(!dropped[2] ||
		  strstr(text, "(sh) was neither closed nor detached: it is killed"));
}
END_TEST

static int ignored_fiber(void *arg)
{
	struct mn_process *p = shell_start("exit 5", false, false);

	ck_assert_int_eq(mn_process_wait(p, NULL, 0), -ECHILD);
	mn_process_close(p);
	return 0;
}

START_TEST(who_ignores_sigchld_is_told_that_the_status_is_lost)
{
	signal(SIGCHLD, SIG_IGN);
	if (_i % 2 == 0) /* without pidfd SIGCHLD is caught, and so not ignored */
		process_run(_i, ignored_fiber);
}
END_TEST

TCase *tcase_process_end(void)
{
	TCase *tc = tcase_create("end");
	int n = process_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_wait_says_how_it_ended, 0, n);
	tcase_add_loop_test(tc, all_who_wait_are_told, 0, n);
	tcase_add_loop_test(tc, a_wait_that_is_cancelled_ends_the_process, 0, n);
	tcase_add_loop_test(tc, a_wait_may_leave_it_alone, 0, n);
	tcase_add_loop_test(tc, killing_is_for_the_group, 0, n);
	tcase_add_loop_test(tc, closing_kills_and_reaps, 0, n);
	tcase_add_loop_test(tc, what_is_detached_is_reaped, 0, n);
	tcase_add_loop_test(tc, spawning_can_be_cancelled_at_any_step, 0, n);
	tcase_add_loop_test(tc, many_at_once_on_every_shard, 0, n);
	tcase_add_loop_test(tc, what_is_left_at_the_end_is_ended_and_named, 0, n);
	tcase_add_loop_test(tc, who_ignores_sigchld_is_told_that_the_status_is_lost, 0, n);
	return tc;
}
