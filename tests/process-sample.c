// SPDX-License-Identifier: MIT
/* mn-run, the sample of child processes and signals, over each backend that serves. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/process.h"
#include "tests/spawn.h"

static struct program sample;

static const char *backend_option(int i)
{
	static char option[64];

	snprintf(option, sizeof(option), "--backend=%s", serving[i / 2]);
	return option;
}

#define MN_RUN(i, ...) \
	ARGS("mn-run", backend_option(i), (i) % 2 ? "--cpus=2" : "--cpus=1", __VA_ARGS__)

START_TEST(mn_run_passes_output_and_the_exit_code_on)
{
	need_backend(serving[_i / 2]);
	ck_assert_int_eq(
		program_run(&sample, NULL,
			    MN_RUN(_i, "--", "sh", "-c", "echo out; echo err --help >&2; exit 7")),
			 7);
	ck_assert_str_eq(program_out(&sample), "out\n");
	ck_assert_msg(strstr(program_err(&sample), "err --help\n"), "%s", program_err(&sample));
	/* More than what is between them holds: all of it, in order. */
	ck_assert_int_eq(program_run(&sample, NULL, MN_RUN(_i, "--", "seq", "1", "10000")), 0);
	ck_assert_uint_eq(strlen(program_out(&sample)), 48894);
	ck_assert_ptr_nonnull(strstr(program_out(&sample), "\n9999\n10000\n"));
}
END_TEST

START_TEST(mn_run_passes_signals_on_and_ends_as_the_program)
{
	static const char *const scripts[] = {
		"trap 'exit 3' USR1 TERM HUP; echo ready >&2; while :; do sleep 0.01; done",
		"echo ready >&2; exec sleep 100",
	};
	static const int signals[] = { SIGUSR1, SIGTERM, SIGHUP };

	need_backend(serving[_i / 2]);
	for (size_t s = 0; s < ARRAY_SIZE(signals); s++)
		for (int by_signal = 0; by_signal < 2; by_signal++) {
			program_start(&sample, NULL,
				      MN_RUN(_i, "--", "sh", "-c", scripts[by_signal]));
			ck_assert(program_wait_err(&sample, "ready\n"));
			kill(sample.pid, signals[s]);
			ck_assert_int_eq(program_exit(&sample), by_signal ? 128 + signals[s] : 3);
		}
}
END_TEST

/* The program does not care, and neither does what it started, which has its output. */
START_TEST(mn_run_ends_what_is_late_with_all_that_it_started)
{
	int64_t from_ms = test_now_ms();

	need_backend(serving[_i / 2]);
	ck_assert_int_eq(program_run(&sample, NULL,
				     MN_RUN(_i, "--timeout=1", "--grace=0", "--", "sh", "-c",
					    "trap '' TERM; sleep 100 & sleep 100; sleep 100")),
			 124);
	ck_assert_int_ge(test_now_ms() - from_ms, 1000);
	ck_assert_int_lt(test_now_ms() - from_ms, 60000);
	ck_assert_int_eq(program_run(&sample, NULL,
				     MN_RUN(_i, "--timeout=50", "--", "sh", "-c", "exit 5")),
			 5);
}
END_TEST

START_TEST(mn_run_says_what_it_cannot_run)
{
	need_backend(serving[_i / 2]);
	ck_assert_int_eq(program_run(&sample, NULL, MN_RUN(_i, "--", "/nowhere")), 127);
	ck_assert_ptr_nonnull(strstr(program_err(&sample), "mn-run: /nowhere: "));
	ck_assert_int_eq(program_run(&sample, NULL, MN_RUN(_i, "--", "/")), 126);
	ck_assert_int_eq(program_run(&sample, NULL, ARGS("mn-run")), 2);
	ck_assert_int_eq(program_run(&sample, NULL, ARGS("mn-run", "--no-such")), 2);
}
END_TEST

TCase *tcase_process_sample(void)
{
	TCase *tc = tcase_create("sample");
	int n = 2 * NR_SERVING;

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, mn_run_passes_output_and_the_exit_code_on, 0, n);
	tcase_add_loop_test(tc, mn_run_passes_signals_on_and_ends_as_the_program, 0, n);
	tcase_add_loop_test(tc, mn_run_ends_what_is_late_with_all_that_it_started, 0, n);
	tcase_add_loop_test(tc, mn_run_says_what_it_cannot_run, 0, n);
	return tc;
}
