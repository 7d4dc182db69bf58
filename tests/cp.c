// SPDX-License-Identifier: MIT
/*
 * mn-cp as a user meets it: what is copied is the same, bit for bit; what is
 * interrupted goes on; and whatever fails leaves nothing behind but a line that
 * says why.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/program.h"
#include "tests/spawn.h"
#include "tests/world.h"

#define MIB	(1024 * 1024)
#define BLOCK	(16 * MIB)	/* from one sum to the next: samples/cp/cp.h */
#define LONG	(4 * BLOCK + 12345)
#define SUMS	48		/* bytes before the first sum */

static struct program p, other;
static char dir[256];

/* ---- files ---- */

static const char *in(const char *name)
{
	static char path[8][512];
	static unsigned int i;

	i = (i + 1) % ARRAY_SIZE(path);
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void dir_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/mn-cp-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static unsigned int nr_names(void)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void dir_remove(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			remove(in(entry->d_name));
	closedir(d);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* Any bytes, and no two blocks alike. */
static void file_write(const char *path, size_t len, uint64_t seed)
{
	static uint64_t buf[MIB / 8];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	ck_assert_int_ge(fd, 0);
	for (size_t done = 0; done < len;) {
		size_t n = min(len - done, sizeof(buf));

		for (size_t i = 0; i < ARRAY_SIZE(buf); i++)
			buf[i] =
				(seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407);
		ck_assert_int_eq(write(fd, buf, n), (ssize_t)n);
		done += n;
	}
	close(fd);
}

static bool same(const char *path, const char *as)
{
	static char a[MIB], b[MIB];
	FILE *f = fopen(path, "re"), *g = fopen(as, "re");
	bool is = f && g;

	while (is) {
		size_t n = fread(a, 1, sizeof(a), f);

		is = fread(b, 1, sizeof(b), g) == n && !memcmp(a, b, n);
		if (!n)
			break;
	}
	if (f)
		fclose(f);
	if (g)
		fclose(g);
	return is;
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c = (char)~c;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static const char *backend_option(int i)
{
	static char option[64];

	snprintf(option, sizeof(option), "--backend=%s", serving[i]);
	return option;
}

static void done(void)
{
	ck_assert_uint_eq(nr_names(), 2);	/* the source and the target, and no more */
	ck_assert(same(in("source"), in("target")));
	dir_remove();
}

/* It said why, in one line, and left the source alone. */
static void failed(const char *why)
{
	ck_assert_msg(strstr(program_err(&p), why), "it said: %s", program_err(&p));
	ck_assert_int_eq(program_nr_lines(&p), 1);
	ck_assert_str_eq(program_out(&p), "");
	ck_assert_uint_eq(nr_names(), 1);
	dir_remove();
}

/* ---- copies ---- */

static const size_t sizes[] = { 0, 1, 4095, 4096, 3 * 256 * 1024 + 17, BLOCK, 2 * BLOCK + 77 };

START_TEST(a_copy_is_the_same)
{
	static const char *const options[] = { "--sync=on", "--verify", "--direct", "--depth=1" };
	int n = (int)ARRAY_SIZE(sizes);
	size_t size = sizes[_i % n];
	struct stat st;

	need_backend(serving[_i / n % NR_SERVING]);
	dir_make();
	file_write(in("source"), size, (uint64_t)_i);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		int code = program_run(&p, NULL,
				       ARGS("mn-cp", backend_option(_i / n % NR_SERVING),
					    options[i], i % 2 ? "--cpus=1" : "--cpus=2",
					    in("source"), in("target")));

		if (i == 2 && code == 1 && strstr(program_err(&p), "Invalid argument"))
			continue;	/* a file system that has no O_DIRECT */
		ck_assert_msg(code == 0, "%s: %s", options[i], program_err(&p));
		ck_assert_uint_eq(strlen(program_out(&p)), 16 + 2 + strlen(in("target")) + 1);
		ck_assert(same(in("source"), in("target")));
	}
	ck_assert_int_eq(stat(in("target"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	done();
}
END_TEST

START_TEST(sums_are_those_of_xxh64)
{
	static const struct {
		const char *text, *sum;
	} known[] = { { "", "ef46db3751d8e999" },
		      { "abc", "44bc2cf5ad770999" },
		      { "xxhash", "32dd38952c4bc720" } };

	dir_make();
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		FILE *f = fopen(in("source"), "we");

		fputs(known[i].text, f);
		fclose(f);
		ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-cp", in("source"), in("target"))),
				 0);
		ck_assert(!strncmp(program_out(&p), known[i].sum, 16));
	}
	done();
}
END_TEST

START_TEST(progress_is_shown_when_asked_for)
{
	dir_make();
	file_write(in("source"), BLOCK, 1);
	ck_assert_int_eq(program_run(&p, NULL,
				     ARGS("mn-cp", "--progress=on", in("source"), in("target"))),
			 0);
	program_said(program_err(&p), ARGS("copying [", "%", "MB/s"));
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-cp", in("source"), in("target"))), 0);
	ck_assert_ptr_null(strstr(program_err(&p), "copying"));
	done();
}
END_TEST

/* ---- refusals ---- */

START_TEST(bad_usage_is_refused)
{
	static const struct {
		const char *argv[4];
		const char *says;
	} bad[] = {
		{ { NULL }, "SOURCE and TARGET" },
		{ { "a" }, "SOURCE and TARGET" },
		{ { "a", "b", "c" }, "unexpected argument" },
		{ { "a", "b", "--progress=no" }, "on, off or auto" },
		{ { "a", "b", "--chunk-kb=5" }, "multiple of 4" },
		{ { "a", "b", "--depth=0" }, "from 1" },
		{ { "a", "b", "--nosuch" }, "unknown option" },
	};

	ck_assert_int_eq(
		program_run(&p, NULL,
			    ARGS("mn-cp", bad[_i].argv[0], bad[_i].argv[1], bad[_i].argv[2])),
			 2);
	ck_assert_msg(strstr(program_err(&p), bad[_i].says), "it said: %s", program_err(&p));
}
END_TEST

static void is_refused(const char *source, const char *target, const char *why)
{
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-cp", source, target)), 1);
	ck_assert_msg(strstr(program_err(&p), why), "%s to %s: %s", source, target,
		      program_err(&p));
	ck_assert_int_eq(program_nr_lines(&p), 1);
	ck_assert_str_eq(program_out(&p), "");
}

START_TEST(what_cannot_be_copied_is_refused)
{
	dir_make();
	file_write(in("source"), 100, 1);
	ck_assert_int_eq(link(in("source"), in("hard")), 0);
	ck_assert_int_eq(symlink("source", in("soft")), 0);
	ck_assert_int_eq(mkfifo(in("fifo"), 0600), 0);
	is_refused(in("nosuch"), in("target"), "No such file");
	is_refused(dir, in("target"), "is a directory");
	is_refused(in("fifo"), in("target"), "not a regular file");
	is_refused("/dev/zero", in("target"), "not a regular file");
	is_refused(in("source"), dir, "is a directory");
	is_refused(in("source"), in("fifo"), "not a regular file");
	is_refused(in("source"), "/dev/null", "not a regular file");
	is_refused(in("source"), in("nosuch/target"), "No such file");
	is_refused(in("source"), in("source/target"), "Not a directory");
	is_refused(in("source"), in("source"), "same file");
	is_refused(in("source"), in("hard"), "same file");
	is_refused(in("source"), in("soft"), "same file");
	is_refused(in("source"), "", "empty");
	ck_assert_uint_eq(nr_names(), 4);
	dir_remove();
}
END_TEST

/* ---- interruptions ---- */

/* A copy that takes its time, stopped when it has so many sums; the last may be ahead of its block. */
static void interrupted(int backend, int signal, off_t sums)
{
	file_write(in("source"), LONG, 7);
	program_start(&p, NULL,
		      ARGS("mn-cp", backend_option(backend), "--chunk-kb=4", "--depth=1",
			   "--sync=off", in("source"), in("target")));
	for (int ms = 0; size_of(in("target.mn-cp-sums")) < SUMS + 8 * sums; ms++) {
		ck_assert_int_lt(ms, PATIENCE_MS);
		ck_assert_msg(program_alive(&p), "it ended: %s", program_err(&p));
		test_pause_ms(1);
	}
	kill(p.pid, signal);
}

static void goes_on(int backend, const char *after)
{
	ck_assert_int_eq(size_of(in("target")), -1);
	ck_assert_int_eq(
		program_run(&p, NULL,
			    ARGS("mn-cp", backend_option(backend), in("source"), in("target"))),
			 0);
	if (after)
		ck_assert_msg(strstr(program_err(&p), after), "it said: %s", program_err(&p));
	else
		ck_assert_ptr_null(strstr(program_err(&p), "going on"));
	done();
}

START_TEST(what_was_killed_goes_on_where_it_was)
{
	need_backend(serving[_i]);
	dir_make();
	interrupted(_i, SIGKILL, 2);
	ck_assert_int_eq(program_exit(&p), -SIGKILL);
	goes_on(_i, "going on after ");
}
END_TEST

START_TEST(what_was_interrupted_says_so_and_goes_on_where_it_was)
{
	need_backend(serving[_i / 2]);
	dir_make();
	interrupted(_i / 2, _i % 2 ? SIGTERM : SIGINT, 2);
	ck_assert_int_eq(program_exit(&p), 1);
	program_said(program_err(&p), ARGS("interrupted; the same command goes on"));
	goes_on(_i / 2, "going on after ");
}
END_TEST

START_TEST(what_is_not_as_its_sum_says_is_copied_again)
{
	static const struct {
		off_t at;		/* a byte that is not what it was */
		const char *after;
	} bad[] = { { 5, NULL }, { BLOCK + 5, "going on after 16777216 bytes" } };

	need_backend(serving[0]);
	dir_make();
	interrupted(0, SIGKILL, 2);
	program_exit(&p);
	flip(in("target.mn-cp"), bad[_i].at);
	goes_on(0, bad[_i].after);
}
END_TEST

START_TEST(a_source_that_is_another_one_is_copied_from_the_start)
{
	need_backend(serving[0]);
	dir_make();
	interrupted(0, SIGKILL, 1);
	program_exit(&p);
	file_write(in("source"), LONG, 8);
	goes_on(0, NULL);
}
END_TEST

START_TEST(without_resume_a_copy_begins_anew)
{
	need_backend(serving[0]);
	dir_make();
	interrupted(0, SIGKILL, 1);
	program_exit(&p);
	ck_assert_int_eq(program_run(&p, NULL,
				     ARGS("mn-cp", "--resume=off", in("source"), in("target"))),
			 0);
	ck_assert_ptr_null(strstr(program_err(&p), "going on"));
	done();
}
END_TEST

START_TEST(two_do_not_copy_to_one_target)
{
	need_backend(serving[_i]);
	need_memlock();
	dir_make();
	interrupted(_i, SIGSTOP, 1);
	ck_assert_int_eq(program_run(&other, NULL,
				     ARGS("mn-cp", backend_option(_i), in("source"), in("target"))),
			 1);
	program_said(program_err(&other), ARGS("another mn-cp"));
	kill(p.pid, SIGCONT);
	ck_assert_int_eq(program_exit(&p), 0);
	done();
}
END_TEST

/* ---- failures ---- */

START_TEST(a_source_that_changes_meanwhile_is_not_copied)
{
	need_backend(serving[_i / 2]);
	dir_make();
	interrupted(_i / 2, SIGSTOP, 1);
	ck_assert_int_eq(truncate(in("source"), _i % 2 ? 3 * BLOCK : LONG + 1), 0);
	kill(p.pid, SIGCONT);
	ck_assert_int_eq(program_exit(&p), 1);
	failed("has changed");
}
END_TEST

/* A file system of a megabyte, that nobody else sees, at @dir. */
static bool small_disk(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("small", dir, "tmpfs", 0, "size=1m");
}

static void is_full(int backend, const struct spawn *how)
{
	static char source[] = "/tmp/mn-cp-source-XXXXXX";
	int fd = mkstemp(source);

	ck_assert_int_ge(fd, 0);
	close(fd);
	file_write(source, 4 * MIB, 3);
	file_write(in("target"), 1000, 4);
	file_write(in("before"), 1000, 4);
	ck_assert_int_eq(program_run(&p, how,
				     ARGS("mn-cp", backend_option(backend), source, in("target"))),
			 1);
	ck_assert_msg(strstr(program_err(&p), "No space left on device"), "it said: %s",
		      program_err(&p));
	ck_assert_int_eq(program_nr_lines(&p), 1);
	unlink(source);
	ck_assert_uint_eq(nr_names(), 2);
	ck_assert(same(in("target"), in("before")));
	ck_assert_int_eq(umount(dir), 0);
	dir_remove();
}

/* The last time it is not known before that there is no room. */
START_TEST(a_full_disk_leaves_the_target_as_it_was)
{
	const struct spawn how = { .inject = "fallocate:error=EOPNOTSUPP" };

	if (_i == NR_SERVING)
		need_strace();
	need_backend(serving[min(_i, NR_SERVING - 1)]);
	dir_make();
	if (!small_disk()) {
		rmdir(dir);
		test_skip("cannot mount a tmpfs: %s", strerror(errno));
	}
	is_full(min(_i, NR_SERVING - 1), _i == NR_SERVING ? &how : NULL);
}
END_TEST

START_TEST(an_error_of_the_disk_is_reported_and_leaves_nothing)
{
	static const char *const inject[] = { "fsync:error=EIO", "fsync,fdatasync:error=ENOSPC",
					      "preadv:error=EIO:when=6+",
					      "pwritev:error=EIO:when=6+" };
	static const char *const says[] = { "Input/output error", "No space left",
					    "Input/output error", "Input/output error" };
	const struct spawn how = { .inject = inject[_i] };

	need_strace();
	need_backend("libev");
	dir_make();
	file_write(in("source"), 2 * BLOCK, 5);
	ck_assert_int_eq(program_run(&p, &how,
				     ARGS("mn-cp", "--backend=libev", in("source"), in("target"))),
			 1);
	failed(says[_i]);
}
END_TEST

Suite *suite_cp(void)
{
	Suite *s = suite_create("cp");
	TCase *tc = tcase_create("cp");

	tcase_set_timeout(tc, 2 * TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_copy_is_the_same, 0, NR_SERVING * (int)ARRAY_SIZE(sizes));
	tcase_add_test(tc, sums_are_those_of_xxh64);
	tcase_add_test(tc, progress_is_shown_when_asked_for);
	tcase_add_loop_test(tc, bad_usage_is_refused, 0, 7);
	tcase_add_test(tc, what_cannot_be_copied_is_refused);
	tcase_add_loop_test(tc, what_was_killed_goes_on_where_it_was, 0, NR_SERVING);
	tcase_add_loop_test(tc, what_was_interrupted_says_so_and_goes_on_where_it_was, 0,
			    2 * NR_SERVING);
	tcase_add_loop_test(tc, what_is_not_as_its_sum_says_is_copied_again, 0, 2);
	tcase_add_test(tc, a_source_that_is_another_one_is_copied_from_the_start);
	tcase_add_test(tc, without_resume_a_copy_begins_anew);
	tcase_add_loop_test(tc, two_do_not_copy_to_one_target, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_source_that_changes_meanwhile_is_not_copied, 0, 2 * NR_SERVING);
	tcase_add_loop_test(tc, a_full_disk_leaves_the_target_as_it_was, 0, NR_SERVING + 1);
	tcase_add_loop_test(tc, an_error_of_the_disk_is_reported_and_leaves_nothing, 0, 4);
	suite_add_tcase(s, tc);
	return s;
}
