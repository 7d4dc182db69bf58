// SPDX-License-Identifier: MIT
/*
 * Tasks that keep a shard for too long, and the report of where all fibers
 * are: programs of their own, whose standard error says it. Over each backend
 * that serves, with one shard and with two.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/compiler.h"
#include "tests/spawn.h"

#define NR_PROGRAMS	(2 * NR_SERVING)	/* loop tests: over backends, then shards */

/* ---- a program ---- */

struct outcome {
	int code;		/* or minus the signal */
	char said[65536];
};

static struct outcome outcome;

static int program_main(int i, const char *option, mn_fiber_fn fn)
{
	char backend[64], cpus[32];
	char *argv[] = { "stall", backend, cpus, (char *)(uintptr_t)option, NULL };
	struct rlimit none = { 0, 0 };

	snprintf(backend, sizeof(backend), "--backend=%s", serving[i / 2]);
	snprintf(cpus, sizeof(cpus), "--cpus=%d", i % 2 + 1);
	setrlimit(RLIMIT_CORE, &none);
	return mn_run(4, argv, fn, NULL);
}

static void run(int i, const char *option, mn_fiber_fn fn)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC), status;
	ssize_t len;
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fd, STDERR_FILENO);
		_exit(program_main(i, option, fn));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	len = pread(fd, outcome.said, sizeof(outcome.said) - 1, 0);
	outcome.said[len < 0 ? 0 : len] = '\0';
	close(fd);
}

static void ck_said(const char *text)
{
	ck_assert_msg(strstr(outcome.said, text), "\"%s\" is not in \"%.3000s\"", text,
		      outcome.said);
}

static int nr_said(const char *text)
{
	const char *at = outcome.said;
	int n = 0;

	for (; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* Of this function, as the report names code. */
static void ck_said_address(const char *before, void *code)
{
	char text[64];

	for (const char *at = outcome.said; (at = strstr(at, before)); at++) {
		const char *end = strchr(at, '\n');
		const char *found;

		snprintf(text, sizeof(text), "[%#lx]\n", (unsigned long)(uintptr_t)code);
		found = strstr(at, text);
		if (found && found < end)
			return;
	}
	ck_abort_msg("no \"%s\" with %p in \"%.3000s\"", before, code, outcome.said);
}

/* Is there a line with a frame of this function, which is @size bytes long at most? */
static bool said_frame(const void *function, size_t size)
{
	const char *line = outcome.said;

	for (; (line = strstr(line, "\n    ")); line++) {
		const char *at = strchr(line + 1, '[');
		unsigned long address;

		if (strncmp(line, "\n    spawned", 12) && at &&
		    sscanf(at, "[%lx]", &address) == 1 && address - (uintptr_t)function < size)
			return true;
	}
	return false;
}

/* By code of this function; and in debug builds, at a line of this file. */
static void ck_said_spawned_in(const void *function, size_t size)
{
	const char *line = strstr(outcome.said, "\n    spawned by ");
	const char *at = line ? strchr(line + 1, '[') : NULL;
	unsigned long address;

	ck_assert_msg(at && sscanf(at, "[%lx]", &address) == 1 &&
			      address - (uintptr_t)function < size,
		      "not spawned in %p: \"%.3000s\"", function, outcome.said);
	if (IS_ENABLED(CONFIG_DEBUG))
		ck_said("\n    spawned at tests/stall.c:");
}

/* ---- stalls ---- */

static _Thread_local volatile uint64_t work;

/*
 * Computes for a time of the CPU. It is a system call now and then, or memset(),
 * which has the sanitizer for threads deliver the signals that it has held back.
 */
static __noinline void compute(int ms)
{
	struct timespec from, now;
	char page[256];

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	do {
		for (int i = 0; i < 100000; i++)
			work++;
		memset(page, (int)work, sizeof(page));
		work += (uint64_t)page[work % sizeof(page)];
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
}

static int stalls(void *arg)
{
	mn_fiber_name("hog");
	compute(200);
	return 0;
}

static int stall_fiber(void *arg)
{
	unsigned int group;
	struct mn_fiber *fiber;

	ck_assert_int_eq(mn_group_create("hogs", 100, &group), 0);
	ck_assert_int_eq(mn_spawn_in(group, stalls, NULL, &fiber), 0);
	mn_join(fiber);
	return 0;
}

START_TEST(a_fiber_that_does_not_give_way_is_named_with_its_group_and_frames)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=20", stall_fiber);
	ck_assert_int_eq(outcome.code, 0);
	ck_assert_int_eq(nr_said("stall: it has computed for 20 ms and not given way: "
				 "fiber hog, group hogs\n"),
			 1);
	ck_said_address("spawned as ", stalls);
	ck_said_spawned_in(stall_fiber, 512);
	if (IS_ENABLED(CONFIG_FRAME_POINTER) && IS_ENABLED(CONFIG_SANITIZE_NONE))
		ck_assert_msg(said_frame(stalls, 256), "not in \"%.3000s\"", outcome.said);
}
END_TEST

static void task_stalls(struct mn_task *task)
{
	compute(200);
	work++;		/* so that the call above is not a jump */
}

static int stall_elsewhere(void *arg)
{
	static struct mn_task task;

	mn_task_init(&task, task_stalls);
	mn_task_schedule(&task);
	mn_yield();
	return 0;
}

static int stall_task_fiber(void *arg)
{
	return mn_call(mn_shards() - 1, stall_elsewhere, NULL);
}

START_TEST(a_task_that_is_no_fiber_is_found_on_its_shard)
{
	char text[64];

	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=20", stall_task_fiber);
	ck_assert_int_eq(outcome.code, 0);
	snprintf(text, sizeof(text), "stall[%d]: warning: stall: ", _i % 2);
	ck_said(text);
	ck_said("no fiber, group default\n");
	if (IS_ENABLED(CONFIG_FRAME_POINTER) && IS_ENABLED(CONFIG_SANITIZE_NONE))
		ck_assert_msg(said_frame(task_stalls, 256), "not in \"%.3000s\"", outcome.said);
}
END_TEST

/* Gives way often enough, asleep, busy and idle. */
static int behaves(void *arg)
{
	int64_t until_ms = test_now_ms() + 300;

	while (test_now_ms() < until_ms) {
		for (int i = 0; i < 50; i++) {
			compute(1);
			mn_yield();
		}
		mn_sleep(MN_MSEC);
	}
	return 0;
}

static int behaves_fiber(void *arg)
{
	struct mn_fiber *fiber[20];

	for (size_t i = 0; i < ARRAY_SIZE(fiber); i++)
		ck_assert_int_eq(mn_spawn(behaves, NULL, &fiber[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fiber); i++)
		mn_join(fiber[i]);
	return mn_call_all(behaves, NULL);
}

START_TEST(who_gives_way_stalls_nobody_however_much_there_is_to_do)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=100", behaves_fiber);
	ck_assert_int_eq(outcome.code, 0);
	ck_assert_msg(!nr_said("warning: stall: "), "%.3000s", outcome.said);
}
END_TEST

static int burst_fiber(void *arg)
{
	for (int i = 0; i < 12; i++) {
		compute(40);
		mn_yield();
	}
	return 0;
}

START_TEST(a_burst_of_stalls_is_reported_once)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=10", burst_fiber);
	ck_assert_int_eq(outcome.code, 0);
	ck_assert_int_ge(nr_said("warning: stall: "), 1);
	ck_assert_int_le(nr_said("warning: stall: "),
			 4); /* after 1 s, after 3 s and after 7 s another one */
}
END_TEST

START_TEST(without_a_limit_there_are_no_stalls)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=0", stall_fiber);
	ck_assert_int_eq(outcome.code, 0);
	ck_assert_msg(!nr_said("warning: stall: "), "%.3000s", outcome.said);
}
END_TEST

static int for_ever_fiber(void *arg)
{
	mn_fiber_name("endless");
	for (;;)
		compute(100);
	return 0;
}

START_TEST(a_stall_that_lasts_aborts_if_asked_to)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_abort_s=1", for_ever_fiber);
	ck_assert_int_eq(outcome.code, -SIGABRT);
	ck_said("fiber endless, group default\n");
	ck_said("bug: a task ran for --stall_abort_s");
}
END_TEST

/* ---- where all fibers are ---- */

static int await_for_ever(void *arg)
{
	mn_fiber_name("waits-for-a-future");
	return (int)mn_await(arg);
}

static int sleep_long(void *arg)
{
	mn_fiber_name("sleeps");
	mn_sleep(3600 * MN_SEC);
	return 0;
}

static int spawn_sleeper(void *arg)
{
	return mn_spawn(sleep_long, NULL, NULL);
}

static int quit_fiber(void *arg)
{
	struct mn_fiber *fiber[40];
	struct mn_future future;

	mn_fiber_name("quits");
	mn_future_init(&future);
	ck_assert_int_eq(mn_call_all(spawn_sleeper, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fiber); i++)
		ck_assert_int_eq(mn_spawn(sleep_long, NULL, &fiber[i]), 0);
	ck_assert_int_eq(mn_spawn(await_for_ever, &future, NULL), 0);
	mn_sleep(20 * MN_MSEC);
	kill(getpid(), SIGQUIT);
	mn_sleep(500 * MN_MSEC);
	mn_future_resolve(&future, 0);
	for (size_t i = 0; i < ARRAY_SIZE(fiber); i++) {
		mn_fiber_cancel(fiber[i]);
		mn_join(fiber[i]);
	}
	return 3;
}

START_TEST(sigquit_prints_every_fiber_of_every_shard_and_the_program_goes_on)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=0", quit_fiber);
	ck_assert_int_eq(outcome.code, 3);
	ck_said("stall[0]: fiber quits, group default, waits in mn_sleep for ");
	ck_said("stall[0]: fiber waits-for-a-future, group default, waits in await_ready for ");
	ck_assert_int_eq(nr_said("stall[0]: fiber sleeps, group default, waits in mn_sleep for "),
			 41);
	ck_assert_int_eq(nr_said("stall[1]: fiber sleeps, group default, waits in mn_sleep for "),
			 _i % 2);
	ck_said("SIGQUIT: that was all\n");
	ck_said_address("spawned as ", await_for_ever);
	if (IS_ENABLED(CONFIG_FRAME_POINTER) && IS_ENABLED(CONFIG_SANITIZE_NONE))
		ck_assert_msg(said_frame(await_for_ever, 256), "not in \"%.3000s\"", outcome.said);
}
END_TEST

/* In a system call that ends with the program's own pipe, not with a signal. */
static int blocks(void *arg)
{
	char byte;

	mn_fiber_name("blocked");
	while (read(*(int *)arg, &byte, 1) < 0)
		;
	return 0;
}

/* Another process asks, and lets the fiber go on when it has been told. */
static int stuck_fiber(void *arg)
{
	pid_t pid = getpid();
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	if (!fork()) {
		test_pause_ms(100);
		kill(pid, SIGQUIT);
		test_pause_ms(3000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	return mn_call(mn_shards() - 1, blocks, &fds[0]);
}

START_TEST(sigquit_names_a_shard_that_is_stuck_and_what_it_runs)
{
	char text[64];

	need_backend(serving[_i / 2]);
	if (IS_ENABLED(CONFIG_SANITIZE_THREAD))
		test_skip("the sanitizer holds signals back");
	run(_i, "--stall_ms=25", stuck_fiber);
	ck_assert_int_eq(outcome.code, 0);
	snprintf(text, sizeof(text), "stall[%d]: is stuck: ", _i % 2);
	ck_said(text);
	ck_said("fiber blocked, group default\n");
	ck_said("SIGQUIT: that was all\n");
}
END_TEST

START_TEST(sigquit_ends_a_program_that_wants_it_so)
{
	need_backend(serving[_i / 2]);
	run(_i, "--quit_report=off", quit_fiber);
	ck_assert_int_eq(outcome.code, -SIGQUIT);
}
END_TEST

static volatile sig_atomic_t own_handler;

static void on_own(int sig)
{
	own_handler++;
}

static int own_fiber(void *arg)
{
	signal(SIGQUIT, on_own);
	kill(getpid(), SIGQUIT);
	mn_sleep(50 * MN_MSEC);
	return own_handler == 1 ? 0 : 1;
}

START_TEST(a_handler_of_the_programs_own_stays)
{
	need_backend(serving[_i / 2]);
	run(_i, "--stall_ms=25", own_fiber);
	ck_assert_int_eq(outcome.code, 0);
	ck_assert_int_eq(nr_said("SIGQUIT"), 0);
}
END_TEST

Suite *suite_stall(void)
{
	Suite *s = suite_create("stall");
	TCase *tc = tcase_create("stall");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_fiber_that_does_not_give_way_is_named_with_its_group_and_frames,
			    0, NR_PROGRAMS);
	tcase_add_loop_test(tc, a_task_that_is_no_fiber_is_found_on_its_shard, 0, NR_PROGRAMS);
	tcase_add_loop_test(tc, who_gives_way_stalls_nobody_however_much_there_is_to_do, 0,
			    NR_PROGRAMS);
	tcase_add_loop_test(tc, a_burst_of_stalls_is_reported_once, 0, NR_PROGRAMS);
	tcase_add_loop_test(tc, without_a_limit_there_are_no_stalls, 0, NR_PROGRAMS);
	tcase_add_loop_test(tc, a_stall_that_lasts_aborts_if_asked_to, 0, NR_PROGRAMS);
	tcase_add_loop_test(tc, sigquit_prints_every_fiber_of_every_shard_and_the_program_goes_on,
			    0, NR_PROGRAMS);
	tcase_add_loop_test(tc, sigquit_names_a_shard_that_is_stuck_and_what_it_runs, 0,
			    NR_PROGRAMS);
	tcase_add_loop_test(tc, sigquit_ends_a_program_that_wants_it_so, 0, NR_PROGRAMS);
	tcase_add_loop_test(tc, a_handler_of_the_programs_own_stays, 0, NR_PROGRAMS);
	suite_add_tcase(s, tc);
	return s;
}
