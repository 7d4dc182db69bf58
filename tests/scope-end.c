// SPDX-License-Identifier: MIT
/* How a program ends whose fibers are in scopes: by a stop, and by a bug. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/run.h"
#include "tests/scope.h"
#include "tests/spawn.h"
#include "tests/suites.h"
#include "tests/world.h"

/* --- the end of the world --- */

static int left_behind(void *arg)
{
	struct mn_scope scope;
	int err;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mn_scope_spawn(&scope, scope_for_long, NULL), 0);
	mn_sleep(3600 * MN_SEC);
	err = mn_scope_join(&scope);
	mn_scope_open(&scope, &(struct mn_scope_options){ .shield = true, .timeout_ns = MN_SEC });
	ck_assert_int_eq(mn_scope_spawn(&scope, scope_sleeper, (void *)(2 * MN_MSEC)), 0);
	ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	return err == -ECANCELED ? 0 : err;
}

static int end_fiber(void *arg)
{
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mn_spawn(left_behind, NULL, NULL), 0);
	mn_sleep(MN_MSEC);
	return 3;
}

START_TEST(a_stop_ends_scopes_and_waits_for_their_shields)
{
	int ret;

	scope_nr_ended = 0;
	ret = run_backend(_i, 1, end_fiber, NULL);
	ck_assert(ret == RUN_SKIPPED || (ret == 3 && scope_nr_ended == 110));
}
END_TEST

/* --- bugs --- */

static int end_inside(void *arg)
{
	struct mn_scope scope;

	mn_fiber_name("hasty");
	mn_scope_open(&scope, NULL);
	return mn_scope_spawn(&scope, scope_for_long, NULL);
}

static struct mn_scope *forget(void)
{
	static struct mn_scope scope;

	mn_scope_open(&scope, NULL);
	return &scope;
}

static int join_outer(void *arg)
{
	struct mn_scope outer;

	mn_fiber_name("hasty");
	mn_scope_open(&outer, NULL);
	forget();
	return mn_scope_join(&outer);
}

static int join_others(void *scope)
{
	mn_fiber_name("hasty");
	return mn_scope_join(scope);
}

static int join_for_parent(void *arg)
{
	struct mn_scope *scope = forget();

	return mn_scope_spawn(scope, join_others, scope) || mn_sleep(MN_SEC);
}

static int spawn_outside(void *arg)
{
	struct mn_scope scope;

	mn_fiber_name("hasty");
	mn_scope_open(&scope, NULL);
	mn_scope_join(&scope);
	return mn_scope_spawn(&scope, scope_for_long, NULL);
}

static const struct {
	mn_fiber_fn fn;
	const char *says;
	bool debug;		/* found by debug builds only */
} bugs[] = {
	{ end_inside, "a fiber has ended inside of the scope that it opened", false },
	{ join_outer, "a fiber leaves a scope around one that is still open", false },
	{ join_for_parent, "a fiber leaves a scope of another", false },
	{ spawn_outside, "a fiber is started in a scope from outside of it", true },
};

static int spawn_and_sleep(void *fn)
{
	mn_spawn(fn, NULL, NULL);
	return mn_sleep(MN_MSEC);
}

START_TEST(a_bug_names_the_place_that_opened_the_scope_and_the_fiber)
{
	int status, pid;
	const char *text;

	if (bugs[_i].debug && !IS_ENABLED(CONFIG_DEBUG))
		test_skip("only debug builds look");
	test_stderr_begin();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		for (int i = 0; i < nr_backends(); i++)
			if (run_backend(i, 1, spawn_and_sleep, (void *)(uintptr_t)bugs[_i].fn) !=
			    RUN_SKIPPED)
				break;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	text = test_stderr_end();
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s", text);
	ck_assert_msg(strstr(text, bugs[_i].says), "%s", text);
	ck_assert_msg(strstr(text, "tests/scope-end.c:"), "%s", text);
	ck_assert_msg(strstr(text, "in fiber hasty"), "%s", text);
}
END_TEST

/* --- the sample --- */

static struct program sample;

static void sample_runs(const char *backend, unsigned int cpus, unsigned int deadline_ms,
			unsigned int *answered, unsigned int *late)
{
	unsigned int asked, hedged;
	char option[3][32];

	snprintf(option[0], sizeof(option[0]), "--backend=%s", backend);
	snprintf(option[1], sizeof(option[1]), "--cpus=%u", cpus);
	snprintf(option[2], sizeof(option[2]), "--deadline_ms=%u", deadline_ms);
	ck_assert_msg(program_run(&sample, NULL,
				  ARGS("mn-timeout", option[0], option[1], option[2])) == 0,
		      "%s", program_err(&sample));
	ck_assert_int_eq(sscanf(program_out(&sample),
				"%u answered, %u late; asked %u times, %u of them to hedge\n",
				answered, late, &asked, &hedged),
			 4);
	ck_assert_uint_eq(*answered + *late, 100);
	ck_assert_uint_ge(asked, 100);
	ck_assert_uint_gt(hedged, 0);
}

/* How many are late is the machine's business, unless time is virtual. */
START_TEST(mn_timeout_has_an_answer_or_a_reason_for_every_request)
{
	const char *backend = backend_kind.start[_i / 2]->name;
	unsigned int answered, late;

	need_backend(backend);
	sample_runs(backend, 1 + (unsigned int)_i % 2, 60000, &answered, &late);
	ck_assert_uint_eq(late, 0);
	sample_runs(backend, 1 + (unsigned int)_i % 2, 40, &answered, &late);
	if (strcmp(backend, "mem") == 0)
		ck_assert(answered > 50 && late > 5);
	ck_assert_int_eq(program_run(&sample, NULL, ARGS("mn-timeout", "--requests=0")), 2);
}
END_TEST

TCase *tcase_scope_end(void)
{
	TCase *tc = tcase_create("end");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_stop_ends_scopes_and_waits_for_their_shields, 0, nr_backends());
	tcase_add_loop_test(tc, a_bug_names_the_place_that_opened_the_scope_and_the_fiber, 0,
			    ARRAY_SIZE(bugs));
	tcase_add_loop_test(tc, mn_timeout_has_an_answer_or_a_reason_for_every_request, 0,
			    2 * nr_backends());
	return tc;
}
