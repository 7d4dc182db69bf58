// SPDX-License-Identifier: MIT
/* mn-bench keeps a run, and the next one is told beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/program.h"
#include "tests/spawn.h"

#define FILTER	"--filter=^future\\.resolve$"

static struct program p;

/* A file of this content, or of none yet. */
static const char *file_with(const char *text)
{
	static char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/mn-bench-%d", (int)getpid());
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

static const char *option(const char *name, const char *path)
{
	static char text[96];

	snprintf(text, sizeof(text), "--%s=%s", name, path);
	return text;
}

START_TEST(a_run_that_was_saved_is_compared_with_the_next)
{
	const char *path;

	need_memlock();
	path = file_with("");
	ck_assert_int_eq(program_run(&p, NULL,
				     ARGS("mn-bench", FILTER, "--samples=9", option("save", path))),
			 0);
	/* On a busy machine it may be slower: then it says so, and fails. */
	program_run(&p, NULL, ARGS("mn-bench", FILTER, "--samples=9", option("compare", path)));
	program_said(program_out(&p), ARGS("then", "\nfuture.resolve ", "1 compared: "));
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

static const struct {
	const char *was;
	int code;
	const char *says;
} runs[] = {
	/* clang-format off */
	{ "1 1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 1.9", 1, "1 slower, 0 faster, 0 as they were" },
	{ "1e9 2e9 3e9 4e9 5e9 6e9 7e9 8e9 9e9 1e10", 0, "0 slower, 1 faster, 0 as they were" },
	{ "0.001 0.001 0.001", 0, "too few samples" },
	/* clang-format on */
};

/* No operation takes no time, and none takes seconds. */
START_TEST(what_is_slower_or_faster_is_told)
{
	char text[256];
	const char *path;

	need_memlock();
	snprintf(text, sizeof(text), "miniss-bench 1\na machine\nfuture.then %s\n", runs[_i].was);
	path = file_with(text);
	ck_assert_int_eq(program_run(&p, NULL,
				     ARGS("mn-bench", "--filter=^future\\.then$", "--samples=15",
					  option("compare", path))),
			 runs[_i].code);
	program_said(program_out(&p), ARGS(runs[_i].says));
	program_said(program_err(&p), ARGS("warning: ", "it was made on a machine; this is"));
	unlink(path);
}
END_TEST

static const struct {
	const char *text, *says;
} broken[] = {
	{ "", "there is no bench in it" },
	{ "something else\n", "line 1 is not what --save writes" },
	{ "miniss-bench 1\nhere\n", "there is no bench in it" },
	{ "miniss-bench 1\nhere\nfuture.then 1 2 x\n", "line 3 is not" },
	{ "miniss-bench 1\nhere\nfuture.then\n", "line 3 is not" },
	{ "miniss-bench 1\nhere\nfuture.then 1 2\nfuture.resolve nan\n", "line 4 is not" },
	{ "miniss-bench 1\nhere\nfuture.then 1 -2\n", "line 3 is not" },
};

START_TEST(what_was_not_saved_is_not_compared)
{
	const char *path = file_with(broken[_i].text);

	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-bench", FILTER, option("compare", path))),
			 1);
	program_said(program_err(&p), ARGS("--compare=/tmp/mn-bench-", broken[_i].says));
	unlink(path);
}
END_TEST

START_TEST(files_that_cannot_be_had_are_named)
{
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-bench", FILTER, "--compare=/nosuch/file")),
			 1);
	program_said(program_err(&p), ARGS("--compare=/nosuch/file: No such file"));
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-bench", FILTER, "--save=/nosuch/file")), 1);
	program_said(program_err(&p), ARGS("--save=/nosuch/file: No such file"));
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-bench", FILTER, "--count=10")), 1);
	program_said(program_err(&p), ARGS("--count: this is not valgrind"));
}
END_TEST

/* What is printed and drawn of it, by a shell in tools/bench of the source; $b is the build. */
static const struct {
	const char *command, *says[5];
} scripts[] = {
	{ "./ab.py --rounds=6 --samples=1 --filter='^future\\.then$' a=$b b=$b,--seed=1",
	  { "ns, medians", "more", "\nfuture.then ", "[" } },
	{ "./ab.py a=$b", { "it takes two sides" } },
	{ "./goals --rounds=1 --only=future $b", { "make and resolve a future, ns", "50 ", "3 " } },
	{ "./goals /nosuch", { "there is no /nosuch/bin/mn-bench" } },
	{ "./scale --samples=1 --only=shards --out=$f $b && cat $f",
	  { "a call to one of so many shards", "\n         128 ", "<polyline " } },
	{ "echo 2001-01-01 a.path 10 > $f; echo 2001-01-02 a.path 12 >> $f;"
	  "python3 history.py $f $f.html && cat $f.html; rm -f $f.html",
	  { "2 baselines", "<polyline ", "a.path, % of 10: 120" } },
};

START_TEST(scripts_show_what_was_measured)
{
	static char text[1 << 16];
	FILE *pipe;
	size_t len;

	if (!getenv("MN_SRC") || !getenv("MN_BUILD"))
		test_skip("no MN_SRC and MN_BUILD: run make check");
	need_memlock();
	snprintf(text, sizeof(text),
		 "exec 2>&1; cd $MN_SRC/tools/bench; b=$MN_BUILD f=%s; %s; rm -f $f", file_with(""),
		 scripts[_i].command);
	pipe = popen(text, "r");
	ck_assert_ptr_nonnull(pipe);
	len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = '\0';
	pclose(pipe);
	program_said(text, scripts[_i].says);
}
END_TEST

TCase *tcase_program_bench(void)
{
	TCase *tc = tcase_create("program-bench");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_run_that_was_saved_is_compared_with_the_next);
	tcase_add_loop_test(tc, what_is_slower_or_faster_is_told, 0, ARRAY_SIZE(runs));
	tcase_add_loop_test(tc, what_was_not_saved_is_not_compared, 0, ARRAY_SIZE(broken));
	tcase_add_test(tc, files_that_cannot_be_had_are_named);
	tcase_add_loop_test(tc, scripts_show_what_was_measured, 0, ARRAY_SIZE(scripts));
	return tc;
}
