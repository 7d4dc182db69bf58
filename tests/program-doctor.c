// SPDX-License-Identifier: MIT
/* What --doctor says of machines that are well, and of some that are not. */
#include <stdio.h>
#include <string.h>

#include "tests/program.h"
#include "tests/spawn.h"

static struct program p;

/* Its exit code and its last line say the same. */
static void doctor(const struct spawn *how, const char *const *argv, int code)
{
	int got = program_run(&p, how, argv);

	ck_assert_msg(got == code, "%d: %s%s", got, program_out(&p), program_err(&p));
	program_said(program_out(&p), ARGS("kernel: Linux ", "\nlimits:\n", " memlock ", " nofile ",
					   " nproc ", " cpu.max ", " timer slack ", "\nchosen:\n"));
	program_said(program_out(&p), ARGS(code ? "\nto mend: " : "\nto mend: nothing\n"));
	ck_assert((strstr(program_out(&p), "\n! ") != NULL) == code);
}

#define HELLO	"mn-hello", "--cpus=1", "--doctor"

START_TEST(a_machine_that_is_well_has_nothing_to_mend)
{
	const struct spawn how = { .nofile = 4096 };

	need_backend("io_uring");
	need_memlock();
	doctor(&how, ARGS(HELLO), 0);
	program_said(program_out(&p), ARGS("\n  submit_all ", "\n  buf_ring ", "\n  msg_ring "));
}
END_TEST

START_TEST(a_world_in_memory_has_nothing_to_mend)
{
	const struct spawn how = { .nofile = 4096 };

	need_backend("mem");
	doctor(&how, ARGS(HELLO, "--backend=mem"), io_uring_is_denied());
}
END_TEST

START_TEST(masked_features_are_shown_with_what_is_lost)
{
	need_backend("io_uring");
	need_memlock();
	doctor(NULL, ARGS(HELLO, "--backend=io_uring", "--io_uring.mask=buf_ring,multishot_recv"),
	       0);
	program_said(program_out(&p),
		     ARGS("\n  buf_ring         masked     streams wait for readiness",
			  "\n  multishot_recv   masked ", "; without buf_ring, multishot_recv",
			  "\n  submit_all "));
	doctor(NULL, ARGS(HELLO, "--backend=io_uring", "--io_uring.mask=all"), 0);
	program_said(program_out(&p),
		     ARGS("plain; ", "\n  defer_taskrun    masked ", ", msg_ring"));
}
END_TEST

START_TEST(a_low_limit_is_to_be_mended)
{
	const struct spawn how = { .nofile = 64 };

	doctor(&how, ARGS(HELLO), 1);
	program_said(program_out(&p), ARGS("\n! nofile           64 "));
}
END_TEST

/* Where io_uring is denied: the kernel says no, or a filter. */
START_TEST(where_io_uring_is_denied_that_is_said)
{
	const struct spawn how = { .inject = "io_uring_setup:error=EPERM" };

	need_strace();
	need_backend("io_uring");
	need_backend("libev");
	doctor(&how, ARGS(HELLO), 1);
	program_said(program_out(&p),
		     ARGS("\n! io_uring         refused    Operation not permitted",
			  "kernel.io_uring_disabled", "\n  backend      libev "));
}
END_TEST

/* It may lock 64 KiB or 8 MiB, and what that is enough for depends on the kernel. */
START_TEST(nobody_with_little_memory_hears_what_becomes_of_it)
{
	static const rlim_t bytes[] = { 64 << 10, 8 << 20 };
	const struct spawn how = { .nobody = true, .memlock = bytes[_i] };
	int code;

	need_root();
	need_backend("io_uring");
	code = program_run(&p, &how, ARGS(HELLO));
	ck_assert_msg(code == 0 || code == 1, "%d: %s", code, program_err(&p));
	program_said(program_out(&p), ARGS(_i ? " 8388608 " : " 65536 ", "\nto mend: "));
	ck_assert((strstr(program_out(&p), "\n! ") != NULL) == code);
	/* What was warned about is marked. */
	if (strstr(program_err(&p), "RLIMIT_MEMLOCK"))
		ck_assert_int_eq(code, 1);
	if (code)
		ck_assert(strstr(program_out(&p), "\n! rings ") ||
			  strstr(program_out(&p), "\n! io_uring "));
	printf("%llu bytes of memlock: %s", (unsigned long long)bytes[_i],
	       strstr(program_out(&p), "to mend: "));
}
END_TEST

TCase *tcase_program_doctor(void)
{
	TCase *tc = tcase_create("program-doctor");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_machine_that_is_well_has_nothing_to_mend);
	tcase_add_test(tc, a_world_in_memory_has_nothing_to_mend);
	tcase_add_test(tc, masked_features_are_shown_with_what_is_lost);
	tcase_add_test(tc, a_low_limit_is_to_be_mended);
	tcase_add_test(tc, where_io_uring_is_denied_that_is_said);
	tcase_add_loop_test(tc, nobody_with_little_memory_hears_what_becomes_of_it, 0, 2);
	return tc;
}
