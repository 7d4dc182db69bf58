// SPDX-License-Identifier: MIT
/*
 * The programs as a user meets them: what they refuse, with which words and
 * which exit code, and what they print when asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/client.h"
#include "tests/program.h"
#include "tests/spawn.h"

#define SAYS_MAX	4

static struct program p, other;

void program_said(const char *text, const char *const *says)
{
	for (; *says; says++)
		ck_assert_msg(strstr(text, *says), "\"%s\" is not in \"%s\"", *says, text);
}

/* ---- what is refused ---- */

struct refusal {
	const char *argv[4];
	const char *env;
	int code;
	const char *says[SAYS_MAX + 1]; /* the thing, its value, the reason */
};

static const struct refusal refusals[] = {
	{ { "mn-echo", "--backend=nosuch" }, NULL, 2, { "--backend=nosuch", "known: " } },
	{ { "mn-hello", "--timer=nosuch" }, NULL, 2, { "--timer=nosuch", "known: " } },
	{ { "mn-hello", "--queue=nosuch" }, NULL, 2, { "--queue=nosuch", "known: " } },
	{ { "mn-echo" }, "MINISS_BACKEND=nosuch", 2, { "MINISS_BACKEND=nosuch", "known: " } },
	{ { "mn-hello" }, "MINISS_NOSUCH=1", 2, { "MINISS_NOSUCH", "no such parameter" } },
	{ { "mn-hello" }, "MINISS_BACKENT=x", 2, { "MINISS_BACKENT", "MINISS_BACKEND?" } },
	{ { "mn-hello" }, "MINISS_CPUS=many", 2, { "MINISS_CPUS=many", "number from 1" } },
	{ { "mn-echo", "--cpus=0" }, NULL, 2, { "--cpus=0", "from 1 to" } },
	{ { "mn-echo", "--cpus=abc" }, NULL, 2, { "--cpus=abc", "number" } },
	{ { "mn-echo", "--cpus=" }, NULL, 2, { "--cpus=", "number" } },
	{ { "mn-echo", "--cpus" }, NULL, 2, { "--cpus", "needs a value" } },
	{ { "mn-echo", "--cpus=99999999999999999999" }, NULL, 2, { "--cpus=9999", "number" } },
	{ { "mn-echo", "--net.backlog=0" }, NULL, 2, { "--net.backlog=0", "1 to 65535" } },
	{ { "mn-echo", "--net.accept=x" }, NULL, 2, { "--net.accept=x", "reuseport or least" } },
	{ { "mn-echo", "--net.backlogs=9" }, NULL, 2, { "--net.backlogs", "--net.backlog?" } },
	{ { "mn-echo", "--mem.chunk_size=1" }, NULL, 2, { "--mem.chunk_size=1", "512" } },
	{ { "mn-hello", "--log-level=9" }, NULL, 2, { "--log-level=9", "0 to 3" } },
	{ { "mn-hello", "--spin=soon" }, NULL, 2, { "--spin=soon", "auto, off" } },
	{ { "mn-hello", "--help=maybe" }, NULL, 2, { "--help=maybe", "on or off" } },
	{ { "mn-hello", "--cpuset=x" }, NULL, 2, { "--cpuset=x", "not a list" } },
	{ { "mn-hello", "--cpuset=1000" }, NULL, 2, { "--cpuset=1000", "CPU 1000" } },
	{ { "mn-echo", "--nosuch=1" }, NULL, 2, { "--nosuch", "unknown option" } },
	{ { "mn-echo", "--liste=x" }, NULL, 2, { "--liste", "unknown option" } },
	{ { "mn-echo", "stray" }, NULL, 2, { "stray", "unexpected argument" } },
	{ { "mn-echo", "--", "--cpus=1" }, NULL, 2, { "--cpus", "unknown option" } },
	{ { "mn-echo", "--mode=both" }, NULL, 2, { "--mode=both", "fiber" } },
	{ { "mn-load" }, NULL, 2, { "ADDR" } },
	{ { "mn-load", "127.0.0.1:1", "stray" }, NULL, 2, { "stray", "unexpected argument" } },
	{ { "mn-load", "nowhere" }, NULL, 2, { "nowhere" } },
	{ { "mn-load", "127.0.0.1:1", "--size=0" }, NULL, 2, { "--size=0", "from 1" } },
	{ { "mn-load", "127.0.0.1:1", "--nosuch" }, NULL, 2, { "--nosuch", "unknown option" } },
	{ { "mn-echo", "--listen=foo" }, NULL, 2, { "foo", "not an address" } },
	{ { "mn-echo", "--listen=" }, NULL, 2, { "--listen=" } },
	{ { "mn-echo", "--listen=1.2.3.4" }, NULL, 2, { "1.2.3.4", "not an address" } },
	{ { "mn-echo", "--listen=1.2.3:80" }, NULL, 2, { "1.2.3:80", "not an address" } },
	{ { "mn-echo", "--listen=127.0.0.1:" }, NULL, 2, { "127.0.0.1:", "not an address" } },
	{ { "mn-echo", "--listen=127.0.0.1:99999" }, NULL, 2, { ":99999", "not an address" } },
	{ { "mn-echo", "--listen=127.0.0.1:-1" }, NULL, 2, { ":-1", "not an address" } },
	{ { "mn-echo", "--listen=[::1:80" }, NULL, 2, { "[::1:80", "not an address" } },
	/* clang-format off */
	{ { "mn-echo", "--listen=203.0.113.1:7" }, NULL, 1,
	  { "203.0.113.1:7", "Cannot assign requested address" } },
	/* clang-format on */
};

/* clang-format off */
static const struct refusal uring_refusals[] = {
	{ { "mn-echo", "--io_uring.sq_entries=1" }, NULL, 2,
	  { "--io_uring.sq_entries=1", "16 to 32768" } },
	{ { "mn-echo", "--io_uring.sq_entries=abc" }, NULL, 2,
	  { "--io_uring.sq_entries=abc", "number" } },
	{ { "mn-echo", "--io_uring.nosuch=1" }, NULL, 2,
	  { "--io_uring.nosuch", "no such parameter" } },
	{ { "mn-echo" }, "MINISS_IO_URING_SQ_ENTRIES=0x10000", 2,
	  { "MINISS_IO_URING_SQ_ENTRIES=0x10000", "16 to 32768" } },
	{ { "mn-echo", "--io_uring.mask=buf_ring,nosuch,msg_ring" }, NULL, 2,
	  { "no feature nosuch", "known: all, submit_all", "buf_ring", "no_iowait" } },
	{ { "mn-echo", "--backend=mem" }, "MINISS_IO_URING_MASK=buf_rin", 2,	/* whoever it is for */
	  { "MINISS_IO_URING_MASK", "no feature buf_rin" } },
};
/* clang-format on */

static void is_refused(const struct refusal *r)
{
	const struct spawn how = { .env = (const char *const[]){ r->env, NULL } };
	const char *what = r->env ? r->env : r->argv[1] ? r->argv[1] : r->argv[0];
	int code = program_run(&p, &how, r->argv);

	ck_assert_msg(code == r->code, "%s: exit code %d, it said: %s", what, code,
		      program_err(&p));
	program_said(program_err(&p), r->says);
	ck_assert_msg(program_nr_lines(&p) == 1, "%s: more than one line: %s", what,
		      program_err(&p));
	ck_assert_str_eq(program_out(&p), "");
}

START_TEST(bad_usage_is_refused_in_one_line)
{
	is_refused(&refusals[_i]);
}
END_TEST

START_TEST(bad_io_uring_parameters_are_refused)
{
	if (!IS_ENABLED(CONFIG_BACKEND_IO_URING))
		test_skip("io_uring is not built");
	is_refused(&uring_refusals[_i]);
}
END_TEST

START_TEST(an_unknown_waker_is_refused)
{
	/* clang-format off */
	static const struct refusal unknown = {
		{ "mn-hello", "--backend=io_uring", "--io_uring.waker=nosuch" }, NULL, 2,
		{ "--io_uring.waker=nosuch", "auto, eventfd or msg_ring" } };
	/* clang-format on */

	need_backend("io_uring");
	is_refused(&unknown);
}
END_TEST

/* ---- ports ---- */

static const char *listen_on(unsigned int port)
{
	static char option[64];

	snprintf(option, sizeof(option), "--listen=127.0.0.1:%u", port);
	return option;
}

static void port_is_in_use(const char *option)
{
	ck_assert_int_eq(program_run(&other, NULL, ARGS("mn-echo", option)), 1);
	program_said(program_err(&other), ARGS(strchr(option, '=') + 1, "Address already in use"));
	ck_assert_int_eq(program_nr_lines(&other), 1);
	ck_assert_str_eq(program_out(&other), "");
}

START_TEST(a_port_that_another_mn_echo_has_is_refused)
{
	unsigned int port;
	int fd;

	need_memlock();
	need_backend(serving[_i]);
	port = serving_start(&p, serving[_i], NULL, ARGS("--cpus=2"));
	port_is_in_use(listen_on(port));
	fd = client(port);
	client_echo(fd, 1000);
	close(fd);
	program_stop(&p);
}
END_TEST

START_TEST(a_port_that_another_program_has_is_refused)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(sa);

	/* Also one that would share it. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	port_is_in_use(listen_on(ntohs(sa.sin_port)));
	close(fd);
	ck_assert_int_eq(client_open(ntohs(sa.sin_port)), -ECONNREFUSED);
}
END_TEST

START_TEST(a_privileged_port_is_refused_to_nobody)
{
	const struct spawn how = { .nobody = true };
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
	unsigned int first = 1024;

	need_root();
	if (f) {
		ck_assert_int_eq(fscanf(f, "%u", &first), 1);
		fclose(f);
	}
	if (first <= 80)
		test_skip("port 80 is not privileged here");
	ck_assert_int_eq(program_run(&p, &how, ARGS("mn-echo", "--listen=127.0.0.1:80")), 1);
	program_said(program_err(&p), ARGS("127.0.0.1:80", "Permission denied"));
	ck_assert_ptr_null(strstr(program_out(&p), "listening"));
}
END_TEST

/* ---- what is printed on request ---- */

static const struct {
	const char *argv[5];
	const char *says[SAYS_MAX + 1];
} requests[] = {
	{ { "mn-hello", "--help" }, { "--backend=", "--cpus=N", "MINISS_" } },
	{ { "mn-echo", "--help" }, { "--listen=", "--mode=", "--backend=", "--net.backlog=N" } },
	{ { "mn-load", "--help" }, { "--connections=", "--seconds=", "--rate=", "--json" } },
	{ { "mn-echo", "--version" }, { "miniss " } },
	{ { "mn-echo", "--list-drivers" }, { "backend", "timer queue", "queue", "works" } },
	{ { "mn-hello", "--cpus=1", "--doctor" },
	  { "chosen:", "backend", "shards       1", "spin" } },
	{ { "mn-hello", "--cpus=1", "--doctor", "--placement=core" },
	  { "machine ", "placement    core", "shards' CPUs ", "one a core" } },
	{ { "mn-hello", "--cpus=1", "--sysfs_root=/nonexistent", "--doctor" },
	  { "machine      unknown", "placement    spread" } },
	{ { "mn-hello", "--cpus=1" }, { "hello world, from shard 0 of 1\n" } },
	/* Whoever asks for help gets it, also among other options. */
	{ { "mn-echo", "--listen=foo", "--help" }, { "--listen=" } },
};

/* Where io_uring is denied there is something to mend. */
static int doctor_code(const char *const *argv)
{
	bool doctor = false;

	for (; *argv; argv++)
		doctor |= !strcmp(*argv, "--doctor");
	return doctor && io_uring_is_denied();
}

START_TEST(what_was_asked_for_is_printed)
{
	int code;

	need_memlock();
	code = program_run(&p, NULL, requests[_i].argv);
	ck_assert_msg(code == doctor_code(requests[_i].argv), "%d: %s", code, program_err(&p));
	program_said(program_out(&p), requests[_i].says);
	ck_assert_int_eq(program_nr_lines(&p), 0);
}
END_TEST

START_TEST(the_doctor_measures_each_waker)
{
	const char *const doctor[] = { "mn-hello", "--cpus=2", "--doctor", NULL };
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	if (CPU_COUNT(&cpus) < 2)
		test_skip("there is one CPU");
	need_backend(serving[_i]);
	need_memlock();
	ck_assert_int_eq(program_run(&p, NULL, doctor), doctor_code(doctor));
	ck_assert_int_eq(program_nr_lines(&p), 0);
	if (!strstr(program_out(&p), "\nwaking a shard that sleeps:\n"))
		test_skip("less than two whole CPUs");
	if (!strcmp(serving[_i], "io_uring"))
		program_said(program_out(&p),
			     ARGS("\n  io_uring:eventfd  ", "\n  io_uring:msg_ring "));
	else
		program_said(strstr(program_out(&p), "\nwaking "), ARGS("\n  libev  "));
	program_said(program_out(&p), ARGS(" us until it runs; the sender's turn is "));
}
END_TEST

START_TEST(options_win_over_the_environment)
{
	const struct spawn how = { .env = ARGS("MINISS_CPUS=2", "MINISS_LOG_LEVEL=0") };

	ck_assert_int_eq(program_run(&p, &how, ARGS("mn-hello", "--cpus=1")), 0);
	program_said(program_out(&p), ARGS("from shard 0 of 1"));
}
END_TEST

START_TEST(more_shards_than_cpus_is_one_warning)
{
	char option[32];
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	snprintf(option, sizeof(option), "--cpus=%d", 4 * CPU_COUNT(&cpus));
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-hello", option)), 0);
	program_said(program_out(&p), ARGS("hello world, from shard 0"));
	program_said(program_err(&p), ARGS("warning: ", "share"));
	ck_assert_int_eq(program_nr_lines(&p), 1);
}
END_TEST

/* ---- compiled for another configuration ---- */

/* The public headers with the other value of the option that changes sizes. */
static const char compile[] =
	"set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir $d/miniss;"
	"if grep -q 'CONFIG_DEBUG 1' $MN_BUILD/include/miniss/config.h; then"
	"  grep -v 'CONFIG_DEBUG 1' $MN_BUILD/include/miniss/config.h > $d/miniss/config.h;"
	"else"
	"  { cat $MN_BUILD/include/miniss/config.h; echo '#define CONFIG_DEBUG 1'; }"
	"    > $d/miniss/config.h; "
	"fi;"
	/* No more than this: what only debug builds have would not link with another. */
	"{ echo '#include <miniss/run.h>';"
	"  echo 'static int app(void *arg) { return 0; }';"
	"  echo 'int main(int argc, char **argv) { return mn_run(argc, argv, app, NULL); }';"
	"} > $d/stranger.c;"
	"cc -D_GNU_SOURCE -I$d -I$MN_SRC/include -o $MN_BUILD/bin/mn-stranger $d/stranger.c"
	"  -L$MN_BUILD/lib -lminiss -Wl,-rpath,$MN_BUILD/lib -pthread 2>&1";

START_TEST(a_program_for_another_configuration_is_refused)
{
	if (IS_ENABLED(CONFIG_SANITIZE_ADDRESS) || IS_ENABLED(CONFIG_SANITIZE_THREAD))
		test_skip("the shared library needs a sanitizer's runtime");
	if (system("cc --version >/dev/null 2>&1"))
		test_skip("there is no cc");
	snprintf(p.text[0], sizeof(p.text[0]), "%s/bin", getenv("MN_BUILD"));
	if (access(p.text[0], W_OK))
		test_skip("%s may not be written to", p.text[0]);
	ck_assert_int_eq(system(compile), 0);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-stranger")), 1);
	program_said(program_err(&p), ARGS("another configuration"));
	ck_assert_str_eq(program_out(&p), "");
	snprintf(p.text[0], sizeof(p.text[0]), "%s/bin/mn-stranger", getenv("MN_BUILD"));
	unlink(p.text[0]);
}
END_TEST

Suite *suite_program(void)
{
	Suite *suite = suite_create("program");
	TCase *tc = tcase_create("program");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, bad_usage_is_refused_in_one_line, 0, ARRAY_SIZE(refusals));
	tcase_add_loop_test(tc, bad_io_uring_parameters_are_refused, 0, ARRAY_SIZE(uring_refusals));
	tcase_add_test(tc, an_unknown_waker_is_refused);
	tcase_add_loop_test(tc, a_port_that_another_mn_echo_has_is_refused, 0, NR_SERVING);
	tcase_add_test(tc, a_port_that_another_program_has_is_refused);
	tcase_add_test(tc, a_privileged_port_is_refused_to_nobody);
	tcase_add_loop_test(tc, what_was_asked_for_is_printed, 0, ARRAY_SIZE(requests));
	tcase_add_loop_test(tc, the_doctor_measures_each_waker, 0, NR_SERVING);
	tcase_add_test(tc, options_win_over_the_environment);
	tcase_add_test(tc, more_shards_than_cpus_is_one_warning);
	tcase_add_test(tc, a_program_for_another_configuration_is_refused);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, tcase_program_stop());
	suite_add_tcase(suite, tcase_program_load());
	suite_add_tcase(suite, tcase_program_idle());
	suite_add_tcase(suite, tcase_program_bench());
	suite_add_tcase(suite, tcase_program_doctor());
	return suite;
}
