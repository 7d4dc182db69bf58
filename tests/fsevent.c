// SPDX-License-Identifier: MIT
/*
 * Events of files; every case on each backend of the real world, with 1 and 2
 * shards, on the last of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/poll.h"
#include "tests/suites.h"
#include "tests/world.h"

static char dir[64];

static void dir_make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/mn-test-fs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void dir_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* In the directory of the test; good until the fourth next one. */
static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned int i;

	snprintf(path[++i % 4], sizeof(path[0]), "%s/%s", dir, name);
	return path[i % 4];
}

static void file_write(const char *name)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}

static struct mn_fswatch *watch;
static struct mn_fsevent event;

static void expect(enum mn_fsevent_kind kind, int id, const char *name)
{
	int err = mn_fswatch_next(watch, &event, 20 * MN_SEC);

	ck_assert_msg(err == 0, "%d instead of event %d of %s", err, kind, name);
	ck_assert_msg(event.kind == kind && event.id == id && !strcmp(event.name, name),
		      "event %d of %d, %s, instead of %d of %d, %s", event.kind, event.id,
		      event.name, kind, id, name);
}

static void expect_nothing(void)
{
	int err = mn_fswatch_next(watch, &event, 0);

	ck_assert_msg(err == -ETIMEDOUT, "%d: event %d, %s", err, event.kind, event.name);
}

static void expect_renamed(int id, const char *name, int to_id, const char *to)
{
	expect(MN_FS_RENAMED, id, name);
	ck_assert_msg(event.to_id == to_id && !strcmp(event.to, to), "to %d, %s", event.to_id,
		      event.to);
}

static int mem_fiber(void *arg)
{
	if (is_mem())
		ck_assert_int_eq(mn_fswatch_open(&watch), -EOPNOTSUPP);
	return 0;
}

static int files_fiber(void *arg)
{
	int id;

	if (is_mem())
		return mem_fiber(arg);
	ck_assert_int_eq(mn_fswatch_open(&watch), 0);
	id = mn_fswatch_add(watch, dir, MN_FS_ALL);
	ck_assert_int_ge(id, 0);
	expect_nothing();
	file_write("a");
	expect(MN_FS_CREATED, id, "a");
	ck_assert(!event.dir);
	expect(MN_FS_CHANGED, id, "a");
	expect(MN_FS_WRITTEN, id, "a");
	ck_assert_int_eq(chmod(in_dir("a"), 0600), 0);
	expect(MN_FS_ATTRIBUTES, id, "a");
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	expect(MN_FS_CREATED, id, "sub");
	ck_assert(event.dir);
	ck_assert_int_eq(rename(in_dir("a"), in_dir("b")), 0);
	expect_renamed(id, "a", id, "b");
	ck_assert_int_eq(rename(in_dir("b"), in_dir("sub/b")), 0);	/* where nobody looks */
	expect_renamed(id, "b", -1, "");
	ck_assert_int_eq(rename(in_dir("sub/b"), in_dir("c")), 0);
	expect_renamed(-1, "", id, "c");
	ck_assert_int_eq(unlink(in_dir("c")), 0);
	expect(MN_FS_DELETED, id, "c");
	expect_nothing();
	mn_fswatch_close(watch);
	return 0;
}

START_TEST(what_happens_in_a_directory_is_told)
{
	poll_run(_i, files_fiber);
}
END_TEST

/* What only some ask for, two directories, and a file by itself. */
static int several_fiber(void *arg)
{
	int one, two, file;

	if (is_mem())
		return 0;
	ck_assert_int_eq(mkdir(in_dir("1"), 0700), 0);
	ck_assert_int_eq(mkdir(in_dir("2"), 0700), 0);
	file_write("file");
	ck_assert_int_eq(mn_fswatch_open(&watch), 0);
	one = mn_fswatch_add(watch, in_dir("1"), MN_FS_RENAMED | MN_FS_CREATED);
	two = mn_fswatch_add(watch, in_dir("2"), MN_FS_RENAMED);
	file = mn_fswatch_add(watch, in_dir("file"), MN_FS_WRITTEN);
	ck_assert(one >= 0 && two >= 0 && file >= 0 && one != two && two != file);
	ck_assert_int_eq(mn_fswatch_add(watch, in_dir("1/."), MN_FS_ALL), -EEXIST);
	ck_assert_int_eq(mn_fswatch_add(watch, in_dir("none"), MN_FS_ALL), -ENOENT);
	ck_assert_int_eq(mn_fswatch_add(watch, dir, MN_FS_GONE), -EINVAL);
	ck_assert_int_eq(mn_fswatch_remove(watch, 12345), -EINVAL);
	file_write("1/a");
	expect(MN_FS_CREATED, one, "a");
	for (int i = 0; i < 100; i++) {	/* more than one read's worth, so that some pairs are cut */
		ck_assert_int_eq(rename(in_dir("1/a"), in_dir("2/a")), 0);
		ck_assert_int_eq(rename(in_dir("2/a"), in_dir("1/a")), 0);
	}
	for (int i = 0; i < 100; i++) {
		expect_renamed(one, "a", two, "a");
		expect_renamed(two, "a", one, "a");
	}
	file_write("file");
	expect(MN_FS_WRITTEN, file, "");
	expect_nothing();
	ck_assert_int_eq(mn_fswatch_remove(watch, file), 0);
	ck_assert_int_eq(mn_fswatch_remove(watch, file), -EINVAL);
	file_write("file");
	expect_nothing();
	mn_fswatch_close(watch);
	return 0;
}

START_TEST(renamings_have_both_names_between_directories_too)
{
	poll_run(_i, several_fiber);
}
END_TEST

static int gone_fiber(void *arg)
{
	int sub, file;

	if (is_mem())
		return 0;
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	file_write("file");
	ck_assert_int_eq(mn_fswatch_open(&watch), 0);
	sub = mn_fswatch_add(watch, in_dir("sub"), MN_FS_CREATED);
	file = mn_fswatch_add(watch, in_dir("file"), MN_FS_WRITTEN);
	ck_assert_int_eq(rename(in_dir("file"), in_dir("moved")), 0);
	expect(MN_FS_MOVED, file, "");
	file_write("moved");	/* it is the file that is watched, not its name */
	expect(MN_FS_WRITTEN, file, "");
	ck_assert_int_eq(unlink(in_dir("moved")), 0);
	expect(MN_FS_GONE, file, "");
	ck_assert_int_eq(rmdir(in_dir("sub")), 0);
	expect(MN_FS_GONE, sub, "");
	expect_nothing();
	ck_assert_int_eq(mn_fswatch_remove(watch, sub), -EINVAL);
	file_write("file");
	ck_assert_int_ge(mn_fswatch_add(watch, in_dir("file"), MN_FS_WRITTEN), 0);
	mn_fswatch_close(watch);
	return 0;
}

START_TEST(what_is_watched_may_move_and_go)
{
	poll_run(_i, gone_fiber);
}
END_TEST

static int next_fiber(void *arg)
{
	return mn_fswatch_next(watch, &event, MN_NEVER);
}

static int wait_fiber(void *arg)
{
	struct mn_fiber *fiber;
	int id;

	if (is_mem())
		return 0;
	ck_assert_int_eq(mn_fswatch_open(&watch), 0);
	id = mn_fswatch_add(watch, dir, MN_FS_ALL);
	ck_assert_int_eq(mn_fswatch_next(watch, &event, MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_spawn(next_fiber, NULL, &fiber), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_int_eq(mn_spawn(next_fiber, NULL, &fiber), 0);
	mn_sleep(MN_MSEC);
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	ck_assert_int_eq(mn_join(fiber), 0);
	ck_assert(event.kind == MN_FS_CREATED && event.id == id && event.dir);
	mn_fswatch_close(watch);
	return 0;
}

START_TEST(a_wait_for_events_can_end_early)
{
	poll_run(_i, wait_fiber);
}
END_TEST

static int queue_max(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	int n = 0;

	if (!f || fscanf(f, "%d", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static int overflow_fiber(void *arg)
{
	int id, n = 0, max = queue_max();

	if (is_mem())
		return 0;
	ck_assert_int_eq(mn_fswatch_open(&watch), 0);
	id = mn_fswatch_add(watch, dir, MN_FS_CREATED | MN_FS_DELETED);
	for (int i = 0; i < max / 2 + 10; i++) {
		ck_assert(!mkdir(in_dir("sub"), 0700));
		ck_assert(!rmdir(in_dir("sub")));
		if (i % 64 == 0)
			mn_yield();
	}
	while (!mn_fswatch_next(watch, &event, 0) && event.kind != MN_FS_OVERFLOW)
		n++;
	ck_assert_int_eq(event.kind, MN_FS_OVERFLOW);
	ck_assert_int_eq(event.id, -1);
	ck_assert_int_eq(n, max);
	expect_nothing();
	file_write("a");	/* and it goes on */
	expect(MN_FS_CREATED, id, "a");
	mn_fswatch_close(watch);
	return 0;
}

START_TEST(events_that_are_lost_are_told)
{
	if (queue_max() < 1 || queue_max() > 100000)
		test_skip("the kernel queues %d events", queue_max());
	poll_run(_i, overflow_fiber);
}
END_TEST

Suite *suite_fsevent(void)
{
	Suite *suite = suite_create("fsevent");
	TCase *tc = tcase_create("events");
	int n = poll_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, dir_make, dir_remove);
	tcase_add_loop_test(tc, what_happens_in_a_directory_is_told, 0, n);
	tcase_add_loop_test(tc, renamings_have_both_names_between_directories_too, 0, n);
	tcase_add_loop_test(tc, what_is_watched_may_move_and_go, 0, n);
	tcase_add_loop_test(tc, a_wait_for_events_can_end_early, 0, n);
	tcase_add_loop_test(tc, events_that_are_lost_are_told, 0, n);
	suite_add_tcase(suite, tc);
	return suite;
}
