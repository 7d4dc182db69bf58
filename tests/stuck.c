// SPDX-License-Identifier: MIT
/*
 * Stops that something holds up: a program of its own each, which says what
 * it was and ends. Over each backend that serves.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/spawn.h"

#define SHARDS	3

/* On a machine with much to do, a shard that is well may miss a short limit. */
#define SHORT	"--stop_timeout_ms=300"
#define LONG	"--stop_timeout_ms=2000"

/* ---- a program ---- */

struct outcome {
	int code;		/* or minus the signal */
	char said[8192];
};

static int program_main(const char *backend, const char *limit, mn_fiber_fn fn, void *arg)
{
	char option[64], cpus[32];
	char *argv[] = { "stuck", option, cpus, (char *)(uintptr_t)limit, NULL };
	struct rlimit none = { 0, 0 };

	snprintf(option, sizeof(option), "--backend=%s", backend);
	snprintf(cpus, sizeof(cpus), "--cpus=%d", SHARDS);
	setrlimit(RLIMIT_CORE, &none);
	return mn_run(4, argv, fn, arg);
}

static void run(struct outcome *outcome, const char *backend, const char *limit, mn_fiber_fn fn,
		void *arg)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC), status;
	ssize_t len;
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fd, STDERR_FILENO);
		_exit(program_main(backend, limit, fn, arg));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	outcome->code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	len = pread(fd, outcome->said, sizeof(outcome->said) - 1, 0);
	outcome->said[len < 0 ? 0 : len] = '\0';
	close(fd);
}

static void ck_said(const struct outcome *outcome, const char *text)
{
	ck_assert_msg(strstr(outcome->said, text), "\"%s\" is not in \"%s\"", text, outcome->said);
}

/* ---- what can hold up a stop ---- */

static volatile bool for_ever = true;

static int spin(void *arg)
{
	mn_fiber_name("spinner");
	while (for_ever)
		;
	return 0;
}

static int block(void *arg)
{
	int fds[2];
	char byte;

	mn_fiber_name("blocker");
	ck_assert_int_eq(pipe(fds), 0);
	while (read(fds[0], &byte, 1) < 0)
		;
	return 0;
}

/* Is well behaved until it is cancelled. */
static int turn_bad(void *arg)
{
	mn_fiber_name("sleeper");
	mn_sleep(3600 * MN_SEC);
	return spin(NULL);
}

static void task_spin(struct mn_task *task)
{
	while (for_ever)
		;
}

static int spin_in_task(void *arg)
{
	static struct mn_task task;

	mn_task_init(&task, task_spin);
	mn_task_schedule(&task);
	return 0;
}

struct trouble {
	mn_fiber_fn fn;
	unsigned int shard;
	const char *says;
};

static const struct trouble troubles[] = {
	{ spin, 1, "fiber spinner, group default\n" },
	{ block, 2, "fiber blocker, group default\n" },
	{ turn_bad, 0, "fiber spinner, group default\n" },
	{ turn_bad, 2, "fiber spinner, group default\n" },
	{ spin_in_task, 1, "no fiber, group default\n" },
};

#define NR_TROUBLES	((int)ARRAY_SIZE(troubles))

static int trouble_fiber(void *arg)
{
	const struct trouble *trouble = arg;

	ck_assert_int_eq(mn_post(trouble->shard, trouble->fn, NULL), 0);
	return mn_sleep(10 * MN_MSEC);
}

START_TEST(a_stop_names_the_shard_and_the_fiber_that_is_stuck_and_aborts)
{
	const struct trouble *trouble = &troubles[_i % NR_TROUBLES];
	const char *backend = serving[_i / NR_TROUBLES];
	struct outcome outcome;
	char text[128];

	need_backend(backend);
	run(&outcome, backend, SHORT, trouble_fiber, (void *)(uintptr_t)trouble);
	ck_assert_int_eq(outcome.code, -SIGABRT);
	snprintf(text, sizeof(text),
		 "stuck[%u]: is stuck: it has not been in its reactor for 300 ms: %s",
		 trouble->shard, trouble->says);
	ck_said(&outcome, text);
}
END_TEST

static int stop_later(void *arg)
{
	mn_sleep(20 * MN_MSEC);
	mn_stop();
	return 0;
}

static int main_spins(void *arg)
{
	ck_assert_int_eq(mn_post(1, stop_later, NULL), 0);
	mn_sleep(MN_MSEC);
	return spin(NULL);
}

START_TEST(another_shard_can_stop_when_the_main_fiber_is_stuck)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	run(&outcome, serving[_i], SHORT, main_spins, NULL);
	ck_assert_int_eq(outcome.code, -SIGABRT);
	ck_said(&outcome, "stuck[0]: is stuck");
	ck_said(&outcome, "fiber spinner, group default\n");
}
END_TEST

static int several_spin(void *arg)
{
	ck_assert_int_eq(mn_post(1, spin, NULL), 0);
	ck_assert_int_eq(mn_post(2, block, NULL), 0);
	return mn_sleep(10 * MN_MSEC);
}

START_TEST(all_that_are_stuck_are_named)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	run(&outcome, serving[_i], SHORT, several_spin, NULL);
	ck_assert_int_eq(outcome.code, -SIGABRT);
	ck_said(&outcome, "stuck[1]: is stuck");
	ck_said(&outcome, "fiber spinner, group default\n");
	ck_said(&outcome, "stuck[2]: is stuck");
	ck_said(&outcome, "fiber blocker, group default\n");
}
END_TEST

/* ---- what is not stuck ---- */

static int slow_fiber(void *arg)
{
	mn_post(1, stop_later, NULL);
	mn_stop_wait();
	mn_sleep(2500 * MN_MSEC);	/* drains what there is, say */
	return 7;
}

/* Computes for longer than the limit, and ends at once when it is done. */
static int busy_fiber(void *arg)
{
	int64_t until_ms = test_now_ms() + 2200;

	mn_now();
	while (test_now_ms() < until_ms)
		;
	return 0;
}

START_TEST(what_ran_long_before_the_stop_is_not_held_against_it)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	run(&outcome, serving[_i], LONG, busy_fiber, NULL);
	ck_assert_msg(outcome.code == 0, "code %d: %s", outcome.code, outcome.said);
}
END_TEST

START_TEST(a_stop_that_takes_its_time_is_not_stuck)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	run(&outcome, serving[_i], LONG, slow_fiber, NULL);
	ck_assert_int_eq(outcome.code, 7);
	ck_assert_ptr_null(strstr(outcome.said, "bug"));
}
END_TEST

static int ignore(void *arg)
{
	mn_fiber_name("ignorer");
	while (for_ever)
		mn_yield();
	return 0;
}

static int ignored_fiber(void *arg)
{
	ck_assert_int_eq(mn_post(1, ignore, NULL), 0);
	return 0;
}

START_TEST(fibers_that_do_not_end_are_named_and_left)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	run(&outcome, serving[_i], LONG, ignored_fiber, NULL);
	ck_assert_int_eq(outcome.code, MN_EXIT_FAILED);
	ck_said(&outcome, "1 fibers did not end within 2000 ms");
	ck_said(&outcome, "fiber ignorer has not ended");
}
END_TEST

Suite *suite_stuck(void)
{
	Suite *s = suite_create("stuck");
	TCase *tc = tcase_create("stuck");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_stop_names_the_shard_and_the_fiber_that_is_stuck_and_aborts, 0,
			    NR_TROUBLES * NR_SERVING);
	tcase_add_loop_test(tc, another_shard_can_stop_when_the_main_fiber_is_stuck, 0, NR_SERVING);
	tcase_add_loop_test(tc, all_that_are_stuck_are_named, 0, NR_SERVING);
	tcase_add_loop_test(tc, what_ran_long_before_the_stop_is_not_held_against_it, 0,
			    NR_SERVING);
	tcase_add_loop_test(tc, a_stop_that_takes_its_time_is_not_stuck, 0, NR_SERVING);
	tcase_add_loop_test(tc, fibers_that_do_not_end_are_named_and_left, 0, NR_SERVING);
	suite_add_tcase(s, tc);
	return s;
}
