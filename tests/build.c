// SPDX-License-Identifier: MIT
/*
 * What the build promises, tried on a copy of the tree with a driver added
 * from outside. `make check` says where the tree (MN_SRC) and the build
 * (MN_BUILD) are. The copy builds with the defaults, so one run is enough:
 * in other configurations all is skipped, unless MN_TEST_BUILD=1.
 */
#include <check.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/suites.h"

#define BUILD_TIMEOUT_S	300	/* for one test, on a busy machine */

static char top[64];		/* tree/, the copy; out/ and others, its builds */
static bool skipped;		/* begin() has said why */
static char text[1 << 16];	/* what the last command printed */

/* First, forget the make that called: this one is to start as a user does. */
#define PREPARE                                                                             \
	"cd %s/tree 2>/dev/null; exec 2>&1 </dev/null; unset V O CC CFLAGS LDFLAGS RUN "     \
	"DESTDIR PREFIX CROSS_COMPILE KCONFIG_SEED srctree MAKEFLAGS MFLAGS MAKELEVEL; "

/* Run a shell command in the copy; its exit code. */
__attribute__((format(printf, 1, 2))) static int sh(const char *format, ...)
{
	char line[4096];
	int len = snprintf(line, sizeof(line), PREPARE, top);
	size_t size;
	va_list args;
	FILE *pipe;

	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
	va_end(args);
	pipe = popen(line, "r");
	ck_assert_ptr_nonnull(pipe);
	size = fread(text, 1, sizeof(text) - 1, pipe);
	text[size] = '\0';
	while (getc(pipe) != EOF)
		;
	return WEXITSTATUS(pclose(pipe));
}

#define sh_ok(...) ck_assert_msg(sh(__VA_ARGS__) == 0, "%s", text_end())
#define ck_has(what) ck_assert_msg(strstr(text, what), "no \"%s\" in: %s", what, text_end())
#define ck_has_not(what) ck_assert_msg(!strstr(text, what), "\"%s\" in: %s", what, text_end())
#define ck_silent() ck_assert_msg(!text[0], "%s", text_end())

static const char *text_end(void)
{
	size_t len = strlen(text);

	return len > 2000 ? text + len - 2000 : text;
}

/* Has this build the default configuration? The copy's will. */
static bool is_default(const char *src, const char *build)
{
	return !sh("make -C %s O=%s/config defconfig include/config/auto.conf && "
		   "cmp %s/config/include/config/auto.conf %s/include/config/auto.conf",
		   src, top, top, build);
}

/* The three places of Documentation/drivers.md. */
static void add_driver(void)
{
	sh_ok("cp tests/build-list.c timers/list.c");
	sh_ok("sed -i '/^include/i driver-$(CONFIG_TIMER_LIST) += list.o' timers/Makefile");
	sh_ok("cat >> timers/Kconfig <<-'EOF'\n"
	      "config TIMER_LIST\n"
	      "	bool \"Sorted list\"\n"
	      "	help\n"
	      "	  O(n) to arm. Pick it for nothing but tests.\n"
	      "EOF");
}

static void skip(const char *why)
{
	printf("skipped: build: %s\n", why);
	skipped = true;
}

static void begin(void)
{
	const char *src = getenv("MN_SRC"), *build = getenv("MN_BUILD");

	if (!src || !build) {
		skip("no MN_SRC and MN_BUILD: run make check");
		return;
	}
	strcpy(top, "/tmp/mn-build-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	if (!getenv("MN_TEST_BUILD") && !is_default(src, build)) {
		skip("not the default configuration (MN_TEST_BUILD=1 runs it)");
		return;
	}
	sh_ok("mkdir %s/tree && cd %s && { git ls-files -coz --exclude-standard 2>/dev/null || "
	      "find . -type f ! -path './build/*' -print0; } | "
	      "tar -c --null --ignore-failed-read -T - | tar -x -C %s/tree",
	      top, src, top);
	sh_ok("find . -type f -exec cksum {} + | sort -k 3 > ../before");
	add_driver();
	sh_ok("find . -type f -exec cksum {} + | sort -k 3 > ../after");
}

static void end(void)
{
	if (top[0])
		sh_ok("rm -rf %s", top);
}

/* The build that the tests share. The first of them pays for it. */
static void need_all(void)
{
	sh_ok("mkdir -p ../out && echo CONFIG_TIMER_LIST=y > ../out/.config");
	sh_ok("make -j2 O=../out olddefconfig all");
}

START_TEST(a_driver_from_outside_takes_three_places_and_is_used)
{
	if (skipped)
		return;
	sh_ok("diff ../before ../after | sed -n 's/^>.* //p' | tr '\\n' ' '");
	ck_assert_str_eq(text, "./timers/Kconfig ./timers/Makefile ./timers/list.c ");
	need_all();
	sh_ok("../out/bin/mn-hello --list-drivers");
	ck_has("list");
	sh_ok("../out/bin/mn-hello --timer=list --cpus=1 --doctor");
	ck_has("list");
	sh_ok("../out/bin/mn-hello --timer=list --cpus=1");
	ck_has("hello world");
}
END_TEST

START_TEST(a_driver_from_outside_runs_the_contract_suite)
{
	if (skipped)
		return;
	need_all();
	sh_ok("make -j2 O=../out bin/mn-test");
	sh_ok("CK_FORK=no CK_VERBOSITY=verbose ../out/bin/mn-test '^timer_queue$'");
	ck_has("100%");
}
END_TEST

START_TEST(a_second_make_builds_nothing)
{
	if (skipped)
		return;
	need_all();
	sh_ok("make O=../out all");
	ck_silent();
	sh_ok("make -j2 O=../out");
	ck_silent();
}
END_TEST

START_TEST(a_changed_option_or_flag_rebuilds)
{
	if (skipped)
		return;
	sh_ok("make O=../one defconfig core/task.o");
	ck_has("  CC      core/task.o\n");
	sh_ok("make O=../one core/task.o");
	ck_silent();
	sh_ok("sed -i 's/^CONFIG_FRAME_POINTER=y/# CONFIG_FRAME_POINTER is not set/' ../one/.config");
	sh_ok("make O=../one core/task.o");
	ck_has("  CC      core/task.o\n");
	sh_ok("make O=../one CFLAGS=-DANOTHER core/task.o");
	ck_has("  CC      core/task.o\n");
	sh_ok("make O=../one CFLAGS=-DANOTHER core/task.o");
	ck_silent();
	sh_ok("make O=../one V=1 core/task.o");
	ck_has(" -c -o core/task.o ");
	ck_has_not("ANOTHER");
	sh_ok("sleep 0.1; touch core/task.h; make O=../one core/task.o");
	ck_has("  CC      core/task.o\n");
}
END_TEST

/*
 * The entry points of a kind: what dispatch.o defines, or the only driver. The
 * three kinds as the copy has them: several backends and timers.
 */
#define ENTRIES_OF_TABLES "$(nm -g --defined-only ../out/*/dispatch.o | awk 'NF == 3 { print $3 }')"
#define ENTRIES_OF_QUEUE \
	"$(nm -g --defined-only ../sole/smp/*.o | awk '$3 ~ /^queue_[a-z_]*$/ && $2 == \"T\" " \
	"{ print $3 }')"

START_TEST(a_sole_driver_is_called_directly_and_several_through_the_table)
{
	if (skipped)
		return;
	need_all();
	sh_ok("make -j2 O=../sole io_uring_defconfig miniss-internal.o");
	sh_ok("set -- " ENTRIES_OF_TABLES "; echo $#: $*; [ $# -ge 10 ] && "
	      "scripts/check-dispatch --expect-table ../out/miniss-internal.o \"$@\" && "
	      "scripts/check-dispatch ../sole/miniss-internal.o \"$@\" " ENTRIES_OF_QUEUE);
	/* and each check can fail */
	ck_assert_int_ne(sh("scripts/check-dispatch ../out/miniss-internal.o timer_queue_arm"), 0);
	ck_has("timer_queue_arm: jumps through a table");
	ck_assert_int_ne(sh("scripts/check-dispatch --expect-table ../sole/miniss-internal.o "
			    "timer_queue_arm"),
			 0);
	ck_has("timer_queue_arm: no jump through a table");
}
END_TEST

START_TEST(the_libraries_export_only_mn_names)
{
	if (skipped)
		return;
	need_all();
	sh_ok("nm -g --defined-only ../out/lib/libminiss.a | awk 'NF == 3 { print $3 }' > ../names.a");
	sh_ok("nm -D --defined-only ../out/lib/libminiss.so | awk 'NF == 3 { print $3 }' > ../names.so");
	sh_ok("cat ../names.a ../names.so | grep -v ^mn_ || :");
	ck_silent();
	sh_ok("sort ../names.a > ../a; sort ../names.so | diff - ../a && grep mn_run_app ../a");
}
END_TEST

/* An application somewhere else: config.h and pkg-config are all it knows. */
#define INSTALLED "../installed/usr/local"
#define PKG_CONFIG \
	"PKG_CONFIG_SYSROOT_DIR=$PWD/../installed " \
	"PKG_CONFIG_PATH=$PWD/" INSTALLED "/lib/pkgconfig pkg-config"

START_TEST(a_program_links_with_what_was_installed)
{
	if (skipped)
		return;
	need_all();
	sh_ok("make O=../out install DESTDIR=$PWD/../installed");
	sh_ok("cp samples/hello.c .. && cc -o ../shared ../hello.c $(" PKG_CONFIG
	      " --cflags --libs miniss)");
	sh_ok("LD_LIBRARY_PATH=" INSTALLED "/lib ../shared --cpus=1");
	ck_has("hello world");
	sh_ok("readelf -d ../shared");
	ck_has("libminiss.so.0");
	sh_ok("cc -static -o ../static ../hello.c $(" PKG_CONFIG
	      " --static --cflags --libs miniss)");
	sh_ok("../static --cpus=1");
	ck_has("hello world");
	sh_ok("../static --list-drivers");
	ck_has("list");
}
END_TEST

/* It needs no more than this: what only debug builds have would not link with another. */
START_TEST(a_program_of_another_configuration_is_refused)
{
	if (skipped)
		return;
	need_all();
	sh_ok("mkdir -p ../other && cp -r include/miniss ../other && "
	      "sed 's/.*CONFIG_DEBUG .*//; $a #define CONFIG_DEBUG 1' "
	      "../out/include/miniss/config.h > ../other/miniss/config.h");
	sh_ok("{ echo '#include <stdio.h>'; echo '#include <miniss/run.h>';"
	      "  echo 'static int app(void *arg) { return puts(\"hello\") < 0; }';"
	      "  echo 'int main(int argc, char **argv)';"
	      "  echo '{ return mn_run(argc, argv, app, NULL); }'; } > ../other/main.c");
	sh_ok("cc -D_GNU_SOURCE -I../other -o ../refused ../other/main.c ../out/miniss.o -pthread "
	      "$(sed -n 's/^Libs.private: //p' " INSTALLED "/lib/pkgconfig/miniss.pc)");
	ck_assert_int_eq(sh("../refused --cpus=1"), 1);
	ck_has("compiled for another configuration");
	ck_has_not("hello");
}
END_TEST

/*
 * A compiler that lacks libraries, as "-luring -lev", then what @goals print.
 * The exit code.
 */
static int make_without(const char *libs, const char *goals)
{
	sh_ok("{ echo '#!/bin/sh'; echo 'for arg; do for lib in %s; do'; "
	      "echo '[ \"$arg\" != $lib ] || exit 1; done; done; exec gcc \"$@\"'; } > ../gcc && "
	      "chmod +x ../gcc",
	      libs);
	return sh("rm -rf ../less && make O=../less CC=$PWD/../gcc %s", goals);
}

/* The comments of the menu that the last one shows. */
static void show_comments(void)
{
	sh_ok("cd ../less && srctree=$PWD/../tree CC=$PWD/../gcc CC_VERSION_TEXT= "
	      "${PYTHON3:-/usr/bin/python3} -c 'import kconfiglib\n"
	      "for node in kconfiglib.Kconfig(\"Kconfig\").node_iter():\n"
	      "    if node.item == kconfiglib.COMMENT and kconfiglib.expr_value(node.dep):\n"
	      "        print(node.prompt[0])'");
}

START_TEST(a_driver_without_its_library_cannot_be_selected)
{
	if (skipped)
		return;
	ck_assert_int_eq(make_without("-luring", "io_uring_defconfig include/config/auto.conf"), 0);
	sh_ok("grep BACKEND_ ../less/.config");
	ck_has_not("CONFIG_BACKEND_IO_URING=y");
	ck_has("CONFIG_BACKEND_LIBEV=y");
	show_comments();
	ck_has("install liburing-dev");
	ck_has_not("install libev-dev");

	ck_assert_int_eq(make_without("-lev", "libev_defconfig include/config/auto.conf"), 0);
	sh_ok("grep BACKEND_ ../less/.config");
	ck_has_not("CONFIG_BACKEND_LIBEV=y");
	ck_has("CONFIG_BACKEND_IO_URING=y");
	show_comments();
	ck_has("install libev-dev");
	ck_has_not("install liburing-dev");
}
END_TEST

START_TEST(without_both_libraries_configuration_says_what_to_install)
{
	static const char *const goals[] = { "defconfig", "libev_defconfig", "allnoconfig", "all" };

	if (skipped)
		return;
	for (size_t i = 0; i < sizeof(goals) / sizeof(goals[0]); i++) {
		ck_assert_msg(make_without("-luring -lev", goals[i]), "%s passed", goals[i]);
		ck_has("No I/O backend can be built");
		ck_has("liburing-dev");
		ck_has("libev-dev");
		ck_has_not("  CC ");
	}
}
END_TEST

START_TEST(menuconfig_without_a_terminal_says_what_else_there_is)
{
	if (skipped)
		return;
	ck_assert_int_ne(sh("make O=../menu menuconfig"), 0);
	ck_has("menuconfig needs a terminal");
	ck_has("_defconfig");
	ck_has_not("Traceback");
}
END_TEST

START_TEST(a_look_at_the_clock_in_the_core_is_found)
{
	if (skipped)
		return;
	sh_ok("cp -p core/task.c ../task.c && cat >> core/task.c <<-'EOF'\n"
	      "#include <time.h>\n"
	      "static unsigned int hidden;\n"
	      "unsigned int hidden_world(void);\n"
	      "unsigned int hidden_world(void) { return ++hidden + (unsigned int)time(0); }\n"
	      "EOF");
	ck_assert_int_ne(sh("mkdir ../lint && cd ../lint && srctree=$PWD/../tree "
			    "../tree/scripts/hidden-world"),
			 0);
	ck_assert_str_eq(text, "core/task.o: calls time\ncore/task.o: has the static hidden\n");
	sh_ok("mv ../task.c core/task.c");
}
END_TEST

START_TEST(the_contract_suite_notices_a_driver_that_breaks_it)
{
	if (skipped)
		return;
	need_all();
	sh_ok("cp -p timers/list.c .. && sed -i 's/<= due_ns(timer)/> due_ns(timer)/' timers/list.c");
	sh_ok("make -j2 O=../out bin/mn-test");
	ck_assert_int_eq(sh("../out/bin/mn-test '^timer_queue$'"), 1);
	ck_has("list: ");
	sh_ok("mv ../list.c timers/list.c && touch timers/list.c");
}
END_TEST

/* Those whose libraries are here; cargo would take longer than all the rest. */
START_TEST(peers_are_measured_beside_miniss)
{
	if (skipped)
		return;
	if (sh("python3 -V && test $(nproc) -gt 1")) {
		printf("skipped: build: bench-peers needs python3 and two CPUs\n");
		return;
	}
	need_all();
	/* 1: behind somebody, as on a busy machine anybody may be. */
	ck_assert_msg(sh("tools/peers/bench-peers --build=../out --rounds=1 --seconds=0.1 "
			 "--peers='^(lib|system|threads|spinning)' "
			 "--filter='^(yield, 1|roundtrip|echo, 2 CPUs, 64)' > ../peers 2>&1") <= 1,
		      "%s", text_end());
	sh_ok("! grep 'left out' ../peers | grep -v 'No such file\\|cannot find'");
	sh_ok("cat ../peers");
	ck_has("\nyield, 1 CPU: ");
	ck_has("\nroundtrip, 2 CPUs: ");
	ck_has("\necho, 2 CPUs, 64 connections: throughput");
	ck_has("\n  system calls ");
	sh_ok("tools/peers/bench-peers --build=../out --from=../out/peers/peers.json --markdown");
	ck_has("| yield, 1 CPU: ");
	sh_ok("grep -q '</svg>' ../out/peers/peers.html && grep -q '^\"yield' ../out/peers/peers.csv");
	ck_assert_int_eq(sh("tools/peers/bench-peers --build=/nosuch"), 2);
	ck_has("/nosuch/bin/mn-tasks: not built");
}
END_TEST

START_TEST(builds_leave_the_source_tree_as_it_was)
{
	if (skipped)
		return;
	sh_ok("find . -type f -exec cksum {} + | sort -k 3 | diff ../after -");
}
END_TEST

Suite *suite_build(void)
{
	const TTest *const tests[] = {
		a_driver_from_outside_takes_three_places_and_is_used,
		a_driver_from_outside_runs_the_contract_suite,
		a_second_make_builds_nothing,
		a_changed_option_or_flag_rebuilds,
		a_sole_driver_is_called_directly_and_several_through_the_table,
		the_libraries_export_only_mn_names,
		a_program_links_with_what_was_installed,
		a_program_of_another_configuration_is_refused,
		a_driver_without_its_library_cannot_be_selected,
		without_both_libraries_configuration_says_what_to_install,
		menuconfig_without_a_terminal_says_what_else_there_is,
		a_look_at_the_clock_in_the_core_is_found,
		the_contract_suite_notices_a_driver_that_breaks_it,
		peers_are_measured_beside_miniss,
		builds_leave_the_source_tree_as_it_was,
	};
	Suite *suite = suite_create("build");
	TCase *tcase = tcase_create("build");

	tcase_set_timeout(tcase, BUILD_TIMEOUT_S);
	tcase_add_unchecked_fixture(tcase, begin, end);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return suite;
}
