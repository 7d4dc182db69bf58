// SPDX-License-Identifier: MIT
/*
 * Failures that nobody took, things that were left, and what debug builds
 * abort on: each a program of its own, over each backend that serves.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/op.h"
#include "core/shard.h"
#include "lib/net/socket.h"
#include "tests/hygiene.h"
#include "tests/spawn.h"
#include "tests/world.h"

void hygiene_run(struct outcome *outcome, int i, const char *option, mn_fiber_fn fn)
{
	char backend[64];
	char *argv[] = { "hygiene", backend, "--cpus=2", (char *)(uintptr_t)option, NULL };
	int fd = memfd_create("stderr", MFD_CLOEXEC), status;
	ssize_t len;
	pid_t pid;

	snprintf(backend, sizeof(backend), "--backend=%s", serving[i % NR_SERVING]);
	ck_assert_int_ge(fd, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		dup2(fd, STDERR_FILENO);
		_exit(mn_run(option ? 4 : 3, argv, fn, NULL));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	outcome->code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	len = pread(fd, outcome->said, sizeof(outcome->said) - 1, 0);
	outcome->said[len < 0 ? 0 : len] = '\0';
	close(fd);
}

void ck_said(const struct outcome *outcome, const char *text)
{
	ck_assert_msg(strstr(outcome->said, text), "\"%s\" is not in \"%s\"", text, outcome->said);
}

void ck_code(const struct outcome *outcome, int code)
{
	ck_assert_msg(outcome->code == code, "code %d, not %d: %s", outcome->code, code,
		      outcome->said);
}

/* ---- abandoned failures ---- */

static int ends_badly(void *arg)
{
	mn_fiber_name("loser");
	return -EIO;
}

static int abandons(void *arg)
{
	struct mn_future future;

	ck_assert_int_eq(mn_spawn(ends_badly, NULL, NULL), 0);
	ck_assert_int_eq(mn_post(1, ends_badly, NULL), 0);
	mn_sleep(20 * MN_MSEC);
	mn_future_init(&future);
	mn_future_resolve(&future, -EPIPE);
	mn_future_drop(&future);
	return 0;
}

START_TEST(abandoned_failures_fail_the_program_when_asked_to)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--fail-on-abandoned", abandons);
	ck_code(&outcome, MN_EXIT_FAILED);
	ck_said(&outcome, "3 failures were abandoned; the first: -5 of the fiber loser");
	if (IS_ENABLED(CONFIG_DEBUG)) {
		ck_said(&outcome,
			"abandoned failure -5 of the fiber loser spawned at tests/hygiene.c:");
		ck_said(&outcome, "abandoned failure -32 of the future made at tests/hygiene.c:");
	}
	hygiene_run(&outcome, _i, NULL, abandons);
	ck_code(&outcome, 0);
}
END_TEST

static int takes(void *arg)
{
	struct mn_fiber *fiber;
	struct mn_future future;

	ck_assert_int_eq(mn_spawn(ends_badly, NULL, &fiber), 0);
	mn_join(fiber);
	mn_future_init(&future);
	mn_future_resolve(&future, -EPIPE);
	mn_future_take(&future);
	mn_future_drop(&future);
	return arg ? 0 : 7;
}

START_TEST(failures_that_were_taken_do_not)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--fail-on-abandoned", takes);
	ck_code(&outcome, 7);
	ck_assert_ptr_null(strstr(outcome.said, "abandoned"));
}
END_TEST

/* ---- leaks ---- */

static void never(struct mn_task *task)
{
}

static int leaves_things(void *arg)
{
	static struct mn_timer timer;
	static struct mn_op op;
	static struct mn_buf buf;
	int fd = socket_open(AF_INET);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_timer_init(&timer, never);
	mn_timer_arm(&timer, mn_now() + 3600 * MN_SEC, 0);
	start_endless(&op);
	return 0;
}

START_TEST(what_was_left_is_reported)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--report-leaks", leaves_things);
	ck_code(&outcome, 0);
	ck_said(&outcome, "leak: shard 0: 1 buffers were not freed");
	ck_said(&outcome, "leak: 1 descriptors were not closed");
	ck_said(&outcome, "leak: shard 0: 1 operations are in flight");
	if (IS_ENABLED(CONFIG_DEBUG)) {
		ck_said(&outcome, "leak: shard 0: a timer, made at tests/hygiene.c:");
		ck_said(&outcome, "leak: shard 0: 1 timers are armed");
		ck_said(&outcome, "leak: shard 0: an operation SIGNAL, made at tests/world.c:");
	} else {
		ck_said(&outcome, "leak: shard 0: timers are armed");
	}
	ck_assert_ptr_null(strstr(outcome.said, "shard 1"));
	hygiene_run(&outcome, _i, "--report-leaks=off", leaves_things);
	ck_code(&outcome, 0);
	ck_assert_ptr_null(strstr(outcome.said, "leak:"));
}
END_TEST

static int leaves_nothing(void *arg)
{
	struct mn_timer timer;
	struct mn_buf buf;
	struct mn_op op;
	int fd = socket_open(AF_INET);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_timer_init(&timer, never);
	mn_timer_arm(&timer, mn_now() + 3600 * MN_SEC, 0);
	start_endless(&op);
	mn_op_await(&op, MN_MSEC);
	mn_timer_cancel(&timer);
	mn_buf_free(&buf);
	socket_close(fd);
	return 0;
}

START_TEST(a_clean_program_says_nothing)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--report-leaks", leaves_nothing);
	ck_code(&outcome, 0);
	ck_assert_msg(!strstr(outcome.said, "leak:"), "%s", outcome.said);
}
END_TEST

/* ---- bugs ---- */

static int resolves_twice(void *arg)
{
	struct mn_future future;

	mn_future_init(&future);
	mn_future_resolve(&future, 1);
	mn_future_resolve(&future, 2);
	return 0;
}

static struct mn_future foreign;

static int resolves_elsewhere(void *arg)
{
	mn_future_resolve(&foreign, 0);
	return 0;
}

static int is_of_another_shard(void *arg)
{
	mn_future_init(&foreign);
	return mn_call(1, resolves_elsewhere, NULL);
}

static void task_waits(struct mn_task *task)
{
	mn_await(&foreign);
}

static void task_sleeps(struct mn_task *task)
{
	mn_sleep(MN_SEC);
}

static void task_yields(struct mn_task *task)
{
	mn_yield();
}

static int in_a_task(mn_task_fn fn)
{
	static struct mn_task task;

	mn_future_init(&foreign);
	mn_task_init(&task, fn);
	mn_task_schedule(&task);
	return mn_sleep(MN_SEC);
}

static int awaits_in_a_task(void *arg)
{
	return in_a_task(task_waits);
}

static int sleeps_in_a_task(void *arg)
{
	return in_a_task(task_sleeps);
}

static int yields_in_a_task(void *arg)
{
	return in_a_task(task_yields);
}

static int waits_for_foreign(void *arg)
{
	return (int)mn_await(&foreign);
}

static int waits_twice(void *arg)
{
	mn_future_init(&foreign);
	ck_assert_int_eq(mn_spawn(waits_for_foreign, NULL, NULL), 0);
	mn_yield();
	return waits_for_foreign(NULL);
}

static int takes_too_early(void *arg)
{
	mn_future_init(&foreign);
	return (int)mn_future_take(&foreign);
}

static int starts_twice(void *arg)
{
	static struct mn_op op;

	start_endless(&op);
	op_start(&op);
	return 0;
}

static int initialises_in_flight(void *arg)
{
	static struct mn_op op;

	start_endless(&op);
	mn_nop_start(&op);
	return 0;
}

/* On its stack, where a sanitizer may not keep ordinary locals: the copy of the argument. */
static int leaves_an_op(void *arg)
{
	mn_fiber_name("leaver");
	start_endless(arg);
	return 0;
}

static int ends_with_an_op(void *arg)
{
	ck_assert_int_eq(fiber_spawn(mn_self, leaves_an_op, NULL, sizeof(struct mn_op), NULL), 0);
	return mn_sleep(MN_SEC);
}

static int leaves_a_timer(void *arg)
{
	struct mn_timer *timer = arg;

	mn_fiber_name("leaver");
	mn_timer_init(timer, never);
	mn_timer_arm(timer, mn_now() + 3600 * MN_SEC, 0);
	return 0;
}

static int ends_with_a_timer(void *arg)
{
	ck_assert_int_eq(fiber_spawn(mn_self, leaves_a_timer, NULL, sizeof(struct mn_timer), NULL),
			 0);
	return mn_sleep(MN_SEC);
}

static int initialises_armed(void *arg)
{
	static struct mn_timer timer;

	for (int i = 0; i < 2; i++) {
		mn_timer_init(&timer, never);
		mn_timer_arm(&timer, mn_now() + 3600 * MN_SEC, 0);
	}
	return 0;
}

/* As if it had been freed and used for something else. */
static int overwrites_an_op(void *arg)
{
	static struct mn_op op;

	start_endless(&op);
	op.state = OP_IDLE;
	kill(getpid(), SIGUSR2);
	return mn_sleep(MN_SEC);
}

static const struct {
	mn_fiber_fn fn;
	const char *says[2];
} bugs[] = {
	{ resolves_twice, { "a future was resolved twice; it was made at tests/hygiene.c:" } },
	{ is_of_another_shard,
	  { "a future of shard 0 was used on shard 1; it was made at tests/hygiene.c:" } },
	{ awaits_in_a_task,
	  { "a task waited for a future; waiting is for fibers; it was made at tests/hygiene.c:" } },
	{ sleeps_in_a_task, { "waiting is for fibers; a task was running" } },
	{ yields_in_a_task, { "yielding is for fibers; a task was running" } },
	{ waits_twice,
	  { "somebody waits for the future already; it was made at tests/hygiene.c:" } },
	{ takes_too_early,
	  { "a future was taken before it was resolved; it was made at tests/hygiene.c:" } },
	{ starts_twice,
	  { "an operation in flight was started again; it was made at tests/world.c:" } },
	{ initialises_in_flight,
	  { "the memory of an operation SIGNAL was initialised again while it is in flight; it was made at",
	    "tests/world.c:" } },
	{ ends_with_an_op,
	  { "a fiber ended with an operation SIGNAL of its stack in flight; it was made at tests/world.c:",
	    "in fiber leaver" } },
	{ ends_with_a_timer,
	  { "a fiber ended with a timer of its stack armed; it was made at tests/hygiene.c:",
	    "in fiber leaver" } },
	{ initialises_armed,
	  { "the memory of a timer was initialised again while it is armed; it was made at",
	    "tests/hygiene.c:" } },
	{ overwrites_an_op,
	  { "the memory of an operation SIGNAL was used for something else while it is in flight",
	    "tests/world.c:" } },
};

#define NR_BUGS	((int)ARRAY_SIZE(bugs))

START_TEST(a_debug_build_aborts_on_a_bug_and_names_the_object)
{
	struct outcome outcome;

	need_backend(serving[_i / NR_BUGS]);
	if (!IS_ENABLED(CONFIG_DEBUG))
		test_skip("other builds do not look");
	hygiene_run(&outcome, _i / NR_BUGS, NULL, bugs[_i % NR_BUGS].fn);
	ck_code(&outcome, -SIGABRT);
	ck_said(&outcome, "bug: ");
	for (int i = 0; i < 2; i++)
		if (bugs[_i % NR_BUGS].says[i])
			ck_said(&outcome, bugs[_i % NR_BUGS].says[i]);
}
END_TEST

/* Its descriptors are opened in one place and closed in another. */
static int child_fiber(void *arg)
{
	static const char *const argv[] = { "true", NULL };
	struct mn_process_options options = {
		.argv = argv, .in = MN_STDIO_PIPE, .out = MN_STDIO_PIPE, .err = MN_STDIO_PIPE
	};
	struct mn_process *process;

	ck_assert_int_ge(socket_open(AF_INET), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mn_process_spawn(&process, &options), 0);
		if (i != 1)
			ck_assert_int_eq(mn_process_wait(process, NULL, 0), 0);
		if (i == 2)
			mn_process_detach(process);
		else
			mn_process_close(process);
	}
	options.cwd = "/nowhere";
	ck_assert_int_eq(mn_process_spawn(&process, &options), -ENOENT);
	return 0;
}

START_TEST(descriptors_of_child_processes_hide_none_that_was_left)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--report-leaks", child_fiber);
	ck_code(&outcome, 0);
	ck_said(&outcome, "leak: 1 descriptors were not closed");
}
END_TEST

Suite *suite_hygiene(void)
{
	Suite *s = suite_create("hygiene");
	TCase *tc = tcase_create("hygiene");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, abandoned_failures_fail_the_program_when_asked_to, 0, NR_SERVING);
	tcase_add_loop_test(tc, failures_that_were_taken_do_not, 0, NR_SERVING);
	tcase_add_loop_test(tc, what_was_left_is_reported, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_clean_program_says_nothing, 0, NR_SERVING);
	tcase_add_loop_test(tc, descriptors_of_child_processes_hide_none_that_was_left, 0,
			    NR_SERVING);
	tcase_add_loop_test(tc, a_debug_build_aborts_on_a_bug_and_names_the_object, 0,
			    NR_BUGS * NR_SERVING);
	suite_add_tcase(s, tc);
	return s;
}
