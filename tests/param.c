// SPDX-License-Identifier: MIT
/* Options and MINISS_* variables. The parameters here are the test's own. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <miniss/run.h>

#include "core/log.h"
#include "core/param.h"
#include "core/section.h"
#include "tests/suites.h"

#define TEST_PARAM(list, prefix, type, var, def, lo, hi, text)                                   \
	MN__PARAM(list, prefix, MN__PARAM_CTYPE_##type, MN__PARAM_TYPE_##type, var, def, lo, hi, \
		  text)

TEST_PARAM(test_lib_params, "ring.", uint, sq_entries, 256, 16, 32768, "entries");
TEST_PARAM(test_lib_params, "ring.", str, waker, "auto", 1, 8, "how to wake");
TEST_PARAM(test_lib_params, "", uint, cpus, 0, 1, 1024, "shards");
TEST_PARAM(test_lib_params, "", bool, list_drivers, false, 0, 0, "list");
TEST_PARAM(test_app_params, "", str, listen, NULL, 0, 0, "address");
TEST_PARAM(test_app_params, "", int64, offset, -1, INT64_MIN, INT64_MAX, "bytes");
TEST_PARAM(test_app_params, "", bool, tell, true, 0, 0, "talk");
section_declare(test_lib_params, struct mn_param);
section_declare(test_app_params, struct mn_param);

#define ARGS_MAX 16

static char *args[ARGS_MAX];
static int nr_args;

static struct param_set test_set(void)
{
	return (struct param_set){
		.app = { __start_test_app_params, __stop_test_app_params },
		.library = { __start_test_lib_params, __stop_test_lib_params },
	};
}

/* Parse "prog", then the words up to NULL, and one variable or none. */
static int parse_env(char *var, char *const *words)
{
	struct param_set set = test_set();
	char *env[] = { "HOME=/", var, NULL };

	args[0] = "prog";
	for (nr_args = 1; *words; nr_args++)
		args[nr_args] = *words++;
	args[nr_args] = NULL;
	test_stderr_begin();
	return params_parse_set(&set, &nr_args, args, env);
}

#define parse(...) parse_env(NULL, (char *[]){ __VA_ARGS__, NULL })
#define parse_var(var) parse_env(var, (char *[]){ NULL })

/* Refused, with a message that has this in it. */
static void ck_refused(int ret, const char *text)
{
	const char *said = test_stderr_end();

	ck_assert_int_eq(ret, MN_EXIT_USAGE);
	ck_assert_msg(strstr(said, text), "\"%s\" is not in \"%s\"", text, said);
	ck_assert_ptr_eq(strchr(said, '\n'), strrchr(said, '\n'));
}

START_TEST(values_are_set)
{
	int ret = parse("--ring.sq_entries=512", "--cpus=0x10", "--listen=a:1", "--offset=-42",
			"--list-drivers", "--tell=off");

	ck_assert_int_eq(ret, 0);
	ck_assert_uint_eq(param_sq_entries, 512);
	ck_assert_uint_eq(param_cpus, 16);
	ck_assert_str_eq(param_listen, "a:1");
	ck_assert_int_eq(param_offset, -42);
	ck_assert(param_list_drivers && !param_tell);
	ck_assert_str_eq(param_waker, "auto");
	ck_assert_int_eq(nr_args, 1);
	ck_assert_ptr_null(args[1]);
}
END_TEST

START_TEST(bounds_are_inclusive)
{
	ck_assert_int_eq(parse("--ring.sq_entries=16"), 0);
	ck_assert_int_eq(parse("--ring.sq_entries=32768"), 0);
	ck_assert_int_eq(parse("--offset=-9223372036854775808"), 0);
	ck_assert(param_offset == INT64_MIN);
	ck_assert_int_eq(parse("--offset=0x7fffffffffffffff"), 0);
	ck_assert(param_offset == INT64_MAX);
	ck_assert_int_eq(parse("--ring.waker=eventfd8"), 0);
}
END_TEST

START_TEST(bad_numbers_are_refused)
{
	/* clang-format off */
	static const char *const bad[] = {
		"", "15", "32769", "-16", "64k", "64 ", " 64", "0x", "1e3", "0x1g", "+64", "--64",
		"18446744073709551680", "99999999999999999999999",
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char arg[64];

		snprintf(arg, sizeof(arg), "--ring.sq_entries=%s", bad[i]);
		ck_refused(parse(arg), arg);
		ck_assert(strstr(test_stderr_end(), "from 16 to 32768"));
		ck_assert_uint_eq(param_sq_entries, 256);
	}
	ck_refused(parse("--offset=9223372036854775808"), "--offset");
	ck_refused(parse("--offset=-9223372036854775809"), "--offset");
}
END_TEST

START_TEST(bad_values_of_other_types_are_refused)
{
	ck_refused(parse("--tell=maybe"), "--tell=maybe: must be on or off");
	ck_refused(parse("--tell="), "must be on or off");
	ck_refused(parse("--listen"), "--listen: needs a value");
	ck_refused(parse("--cpus", "2"), "--cpus: needs a value");
	ck_refused(parse("--ring.waker="), "1 to 8 characters");
	ck_refused(parse("--ring.waker=eventfd88"), "1 to 8 characters");
}
END_TEST

START_TEST(the_rest_stays_in_order)
{
	ck_assert_int_eq(parse("-v", "--cpus=2", "file", "--mine=1", "-", "--tell"), 0);
	ck_assert_int_eq(nr_args, 5);
	ck_assert_str_eq(args[1], "-v");
	ck_assert_str_eq(args[2], "file");
	ck_assert_str_eq(args[3], "--mine=1");
	ck_assert_str_eq(args[4], "-");
	ck_assert_ptr_null(args[5]);
}
END_TEST

START_TEST(after_two_dashes_all_is_the_applications)
{
	ck_assert_int_eq(parse("a", "--", "--cpus=2", "--", "--ring.nosuch=1"), 0);
	ck_assert_int_eq(nr_args, 5);
	ck_assert_str_eq(args[2], "--cpus=2");
	ck_assert_str_eq(args[3], "--");
	ck_assert_str_eq(args[4], "--ring.nosuch=1");
	ck_assert_ptr_null(args[5]);
	ck_assert_uint_eq(param_cpus, 0);
}
END_TEST

START_TEST(the_last_of_two_wins)
{
	ck_assert_int_eq(parse("--cpus=2", "--cpus=3"), 0);
	ck_assert_uint_eq(param_cpus, 3);
}
END_TEST

START_TEST(dashes_and_underscores_are_the_same)
{
	ck_assert_int_eq(parse("--list_drivers", "--ring.sq-entries=64"), 0);
	ck_assert(param_list_drivers);
	ck_assert_uint_eq(param_sq_entries, 64);
}
END_TEST

START_TEST(unknown_names_of_a_known_group_are_refused)
{
	ck_refused(parse("--ring.sq_entires=1"),
		   "--ring.sq_entires: no such parameter; did you mean --ring.sq_entries?");
	ck_refused(parse("--ring.zzzz"), "--ring.zzzz: no such parameter; see --help");
	ck_assert_int_eq(parse("--other.sq_entries=1"), 0);
	ck_assert_int_eq(nr_args, 2);
}
END_TEST

START_TEST(the_environment_is_read_and_the_command_line_wins)
{
	ck_assert_int_eq(parse_var("MINISS_RING_SQ_ENTRIES=128"), 0);
	ck_assert_uint_eq(param_sq_entries, 128);
	ck_assert_str_eq(param_origin_sq_entries, "MINISS_RING_SQ_ENTRIES=128");
	ck_assert_int_eq(parse_env("MINISS_CPUS=7", (char *[]){ "--cpus=8", NULL }), 0);
	ck_assert_uint_eq(param_cpus, 8);
	ck_assert_str_eq(param_origin_cpus, "--cpus=8");
	ck_assert_int_eq(parse_var("MINISS_LIST_DRIVERS=on"), 0);
	ck_assert(param_list_drivers);
	ck_assert_int_eq(parse_var("MINISSING=1"), 0);
}
END_TEST

START_TEST(bad_variables_are_refused)
{
	ck_refused(parse_var("MINISS_RING_SQ_ENTRIES=1"), "MINISS_RING_SQ_ENTRIES=1: must be");
	ck_refused(parse_var("MINISS_RING_SQ_ENTRIE=64"),
		   "MINISS_RING_SQ_ENTRIE in the environment: no such parameter; "
		   "did you mean MINISS_RING_SQ_ENTRIES?");
	ck_refused(parse_var("MINISS_NOSUCH=1"), "MINISS_NOSUCH in the environment");
	ck_refused(parse_var("MINISS_=1"), "MINISS_ in the environment");
	/* An application's parameter has no variable. */
	ck_refused(parse_var("MINISS_LISTEN=a"), "MINISS_LISTEN");
}
END_TEST

START_TEST(leftovers_are_refused_by_the_application)
{
	char *fine[] = { "prog", "a", "-", NULL }, *option[] = { "prog", "a", "--cgus=2", NULL };

	test_stderr_begin();
	ck_assert_int_eq(mn_args_end(fine, 2), 0);
	ck_refused(mn_args_end(fine, 1), "unexpected argument -");
	test_stderr_begin();
	ck_refused(mn_args_end(option, 9), "unknown option --cgus; did you mean --cpus?");
}
END_TEST

START_TEST(help_names_everything)
{
	/* clang-format off */
	static const char *const wanted[] = {
		"\nOptions:\n", "--listen=TEXT", "--tell  ", "talk [on]", "\nRuntime:\n",
		"--cpus=N  ", "shards [automatic; 1 to 1024]", "--list-drivers  ", "\nring:\n",
		"--ring.sq_entries=N  ", "entries [256; 16 to 32768]", "--ring.waker=TEXT",
	};
	/* clang-format on */
	struct param_set set = test_set();
	const char *text;

	test_stderr_begin();
	ck_assert_int_ge(dup2(2, 1), 0);
	params_help_set(&set);
	fflush(stdout);
	text = test_stderr_end();
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const char *at = strstr(text, wanted[i]);

		ck_assert_msg(at, "after \"%s\": no \"%s\"", text, wanted[i]);
		text = at; /* they come in this order */
	}
}
END_TEST

Suite *suite_param(void)
{
	Suite *suite = suite_create("param");
	TCase *tc = tcase_create("param");

	tcase_add_test(tc, values_are_set);
	tcase_add_test(tc, bounds_are_inclusive);
	tcase_add_test(tc, bad_numbers_are_refused);
	tcase_add_test(tc, bad_values_of_other_types_are_refused);
	tcase_add_test(tc, the_rest_stays_in_order);
	tcase_add_test(tc, after_two_dashes_all_is_the_applications);
	tcase_add_test(tc, the_last_of_two_wins);
	tcase_add_test(tc, dashes_and_underscores_are_the_same);
	tcase_add_test(tc, unknown_names_of_a_known_group_are_refused);
	tcase_add_test(tc, the_environment_is_read_and_the_command_line_wins);
	tcase_add_test(tc, bad_variables_are_refused);
	tcase_add_test(tc, leftovers_are_refused_by_the_application);
	tcase_add_test(tc, help_names_everything);
	suite_add_tcase(suite, tc);
	return suite;
}
