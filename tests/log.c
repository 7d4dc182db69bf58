// SPDX-License-Identifier: MIT
/* Logging: the ring, its bounds, and that a reader who is stuck blocks nobody. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log-ring.h"
#include "core/shard.h"
#include "tests/suites.h"

static struct shard *shard;
static int reader; /* of what standard error was made */
static char text[65536];

static void shard_make(void)
{
	shard = calloc(1, sizeof(*shard) + 64);
	shard = (struct shard *)(((uintptr_t)shard + 63) & ~(uintptr_t)63);
	shard->id = 3;
	shard->now_ns = 5 * MN_SEC;
	ck_assert_int_eq(log_open(shard), 0);
	log_program("/usr/bin/prog");
	mn_self = shard;
}

static void stderr_pipe(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	reader = fds[0];
}

static void stderr_socket(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	reader = fds[0];
}

/* Append what can be read now to text. */
static void drain(void)
{
	size_t len = strlen(text);
	ssize_t n;

	while ((n = read(reader, text + len, sizeof(text) - len - 1)) > 0)
		len += (size_t)n;
	text[len] = '\0';
}

/* Each line from another place, as far as the rate is concerned. */
static void log_unlimited(const char *format, int i)
{
	shard->now_ns += MN_SEC;
	mn_log(MN_LOG_INFO, format, i);
}

START_TEST(other_threads_write_at_once)
{
	mn_self = NULL;
	test_stderr_begin();
	mn_err("no %s", "luck");
	mn_warn("careful");
	mn_info("%d", 42);
	ck_assert_str_eq(test_stderr_end(), "prog: error: no luck\nprog: warning: careful\n"
					    "prog: 42\n");
}
END_TEST

START_TEST(a_shards_lines_wait_for_the_flush)
{
	test_stderr_begin();
	mn_warn("one");
	mn_info("two");
	ck_assert_str_eq(test_stderr_end(), "");
	ck_assert(shard->log_pending);
	ck_assert(log_flush(shard));
	ck_assert(!shard->log_pending);
	ck_assert_str_eq(test_stderr_end(), "prog[3]: warning: one\nprog[3]: two\n");
}
END_TEST

START_TEST(debug_lines_are_off_by_default)
{
	mn_log(MN_LOG_DEBUG, "nothing");
	ck_assert(!shard->log_pending);
}
END_TEST

START_TEST(lines_cannot_be_forged)
{
	test_stderr_begin();
	mn_info("a\nprog: b\tc\x1b[0m\x7f");
	log_flush(shard);
	ck_assert_str_eq(test_stderr_end(), "prog[3]: a prog: b c?[0m?\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char much[2000];
	const char *said;

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	test_stderr_begin();
	mn_info("%s", much);
	log_flush(shard);
	said = test_stderr_end();
	ck_assert_uint_eq(strlen(said), LOG_LINE_MAX);
	ck_assert_str_eq(said + LOG_LINE_MAX - 4, "...\n");
}
END_TEST

START_TEST(a_stuck_reader_blocks_nobody_and_losses_are_counted)
{
	const int lines = 2000;
	int seen = 0, dropped = 0;
	char *line;

	if (_i)
		stderr_socket();
	else
		stderr_pipe();
	alarm(20); /* if it blocks after all */
	for (int i = 0; i < lines; i++)
		log_unlimited("line %0100d", i);
	if (!_i) {
		ck_assert(!log_flush(shard));
		ck_assert(shard->log_pending);
		ck_assert_uint_gt(shard->log->dropped, 0);
	}
	do {
		drain();
	} while (!log_flush(shard));
	drain();
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		int number;

		if (sscanf(line, "prog[3]: warning: %d log lines dropped", &number) == 1) {
			dropped += number;
			seen += number;
		} else {
			/* Whole, in order, and the gaps are what was reported. */
			ck_assert_int_eq(sscanf(line, "prog[3]: line %d", &number), 1);
			ck_assert_uint_eq(strlen(line), strlen("prog[3]: line ") + 100);
			ck_assert_int_ge(number, seen - dropped);
			seen++;
		}
	}
	ck_assert_int_eq(seen, lines);
	ck_assert_uint_eq(shard->stats[STAT_LOG_DROPPED], IS_ENABLED(CONFIG_STATS) ? dropped : 0);
}
END_TEST

START_TEST(a_reader_that_went_away_is_no_harm)
{
	stderr_pipe();
	close(reader);
	mn_info("into the void");
	ck_assert(log_flush(shard));
	close(STDERR_FILENO);
	mn_info("again");
	ck_assert(log_flush(shard));
}
END_TEST

START_TEST(a_place_that_repeats_is_limited)
{
	const char *said;
	int n = 0;

	test_stderr_begin();
	for (int i = 0; i < 1000; i++)
		mn_info("again");
	mn_info("another place");
	shard->now_ns += MN_SEC;
	mn_info("another place");
	for (int i = 0; i < 2; i++)
		mn_info("%s", "more");
	log_flush(shard);
	said = test_stderr_end();
	for (const char *at = said; (at = strstr(at, "again")); at++)
		n++;
	ck_assert_int_eq(n, 50);
	ck_assert_ptr_nonnull(strstr(said, "another place"));
}
END_TEST

START_TEST(what_was_left_out_is_summed_up)
{
	static const char *const format = "place %d";

	test_stderr_begin();
	for (int i = 0; i < 60; i++)
		mn_log(MN_LOG_INFO, format, i);
	shard->now_ns += MN_SEC;
	mn_log(MN_LOG_INFO, format, 60);
	log_flush(shard);
	ck_assert_ptr_nonnull(strstr(test_stderr_end(),
				     "place 49\nprog[3]: 10 lines like the next were left out\n"
				     "prog[3]: place 60\n"));
}
END_TEST

START_TEST(limits_and_once_of_ones_own)
{
	struct log_limit limit = { 0 };
	bool done = false;
	int n = 0;

	for (int i = 0; i < 1000; i++)
		n += log_ratelimit(&limit, 7);
	ck_assert_int_eq(n, 50);
	ck_assert_uint_eq(limit.missed, 950);
	ck_assert(log_ratelimit(&limit, 7 + MN_SEC));
	test_stderr_begin();
	for (int i = 0; i < 3; i++)
		log_once(&done, MN_LOG_WARN, "once");
	log_flush(shard);
	ck_assert_str_eq(test_stderr_end(), "prog[3]: warning: once\n");
}
END_TEST

START_TEST(closing_writes_the_rest)
{
	test_stderr_begin();
	mn_info("last words");
	log_close(shard);
	ck_assert_str_eq(test_stderr_end(), "prog[3]: last words\n");
	mn_info("afterwards");
	ck_assert_ptr_nonnull(strstr(test_stderr_end(), "prog: afterwards\n"));
}
END_TEST

START_TEST(a_bug_says_where_after_what_came_before)
{
	int status;

	test_stderr_begin();
	mn_info("before");
	if (!fork())
		bug("it_hurts", "here.c:12");
	ck_assert_int_gt(wait(&status), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_str_eq(test_stderr_end(), "prog[3]: before\n"
					    "prog[3]: error: bug: it_hurts, at here.c:12\n");
}
END_TEST

Suite *suite_log(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, shard_make, NULL);
	tcase_add_test(tc, other_threads_write_at_once);
	tcase_add_test(tc, a_shards_lines_wait_for_the_flush);
	tcase_add_test(tc, debug_lines_are_off_by_default);
	tcase_add_test(tc, lines_cannot_be_forged);
	tcase_add_test(tc, long_lines_are_cut);
	tcase_add_loop_test(tc, a_stuck_reader_blocks_nobody_and_losses_are_counted, 0, 2);
	tcase_add_test(tc, a_reader_that_went_away_is_no_harm);
	tcase_add_test(tc, a_place_that_repeats_is_limited);
	tcase_add_test(tc, what_was_left_out_is_summed_up);
	tcase_add_test(tc, limits_and_once_of_ones_own);
	tcase_add_test(tc, closing_writes_the_rest);
	tcase_add_test(tc, a_bug_says_where_after_what_came_before);
	suite_add_tcase(suite, tc);
	return suite;
}
