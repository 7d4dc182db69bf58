// SPDX-License-Identifier: MIT
/*
 * Faults of files and disks: full, broken, slow, gone. Each on io_uring and on
 * libev, with one shard and with two.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <miniss/clock.h>
#include <miniss/file.h>
#include <miniss/run.h>
#include <miniss/scope.h>
#include <miniss/smp.h>
#include <miniss/timer.h>

#include "tests/fuse.h"
#include "tests/run.h"
#include "tests/spawn.h"
#include "tests/suites.h"
#include "tests/world.h"

#define LEN	100000

static struct fuse fuse;
static uint8_t out[FUSE_SIZE_MAX], in[FUSE_SIZE_MAX];

static int there(void *fn)
{
	return mn_call(mn_shards() - 1, (mn_fiber_fn)(uintptr_t)fn, NULL);
}

static void run(int i, mn_fiber_fn fn)
{
	int ret = run_main(serving[i / 2], 1 + (unsigned int)i % 2, there, (void *)(uintptr_t)fn);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%s: %d", serving[i / 2], ret);
}

static void run_fuse(int i, mn_fiber_fn fn)
{
	if (!fuse_start(&fuse))
		return;
	run(i, fn);
	fuse_end(&fuse);
}

static void file_open(struct mn_file *file)
{
	ck_assert_int_eq(mn_file_open(file, fuse.path, O_RDWR, 0), 0);
}

static void file_fill(void)
{
	pattern_fill(fuse.faults->data, 0, LEN);
	atomic_store(&fuse.faults->size, LEN);
}

/* --- short, interrupted --- */

static int shorts(void *arg)
{
	struct mn_file file;
	struct iovec iov[3];

	file_open(&file);
	pattern_fill(out, 0, LEN);
	atomic_store(&fuse.faults->read_max, 1000);
	atomic_store(&fuse.faults->write_max, 777);
	ck_assert_int_eq(mn_write(&file, out, LEN, 0), LEN);
	ck_assert(!memcmp(fuse.faults->data, out, LEN));
	ck_assert_uint_ge(atomic_load(&fuse.faults->nr_writes), LEN / 777);
	ck_assert_int_eq(mn_read(&file, in, LEN + 5, 0), LEN);
	ck_assert(!memcmp(in, out, LEN));
	for (int i = 0; i < 3; i++)
		iov[i] = (struct iovec){ in + i * 30000, 30000 };
	memset(in, 0, LEN);
	ck_assert_int_eq(mn_readv(&file, iov, 3, 7), 90000);
	ck_assert(!memcmp(in, out + 7, 90000));
	ck_assert(iov[1].iov_base == in + 30000 && iov[1].iov_len == 30000);
	for (int i = 0; i < 3; i++)
		iov[i].iov_base = out + i * 30000;
	ck_assert_int_eq(mn_writev(&file, iov, 3, 0), 90000);
	ck_assert(!memcmp(fuse.faults->data, out, LEN));
	return mn_file_close(&file);
}

START_TEST(short_transfers_go_on)
{
	run_fuse(_i, shorts);
}
END_TEST

static int interrupts(void *arg)
{
	struct mn_file file;

	file_fill();
	file_open(&file);
	for (int i = 0; i < 5; i++) {
		atomic_store(&fuse.faults->once_err, EINTR);
		ck_assert_int_eq(mn_read(&file, in, 100, 0), 100);
		atomic_store(&fuse.faults->once_err, EINTR);
		ck_assert_int_eq(mn_write(&file, in, 100, 0), 100);
		atomic_store(&fuse.faults->once_err, EAGAIN);
		mn_read(&file, in, 100, 0);	/* what it says depends, but it ends */
	}
	return mn_file_close(&file);
}

START_TEST(interrupted_transfers_are_done_again)
{
	run_fuse(_i, interrupts);
}
END_TEST

/* --- errors --- */

static int parts(void *arg)
{
	struct mn_file file;

	file_open(&file);
	pattern_fill(out, 0, LEN);
	atomic_store(&fuse.faults->err_from, 50001);
	atomic_store(&fuse.faults->write_err, ENOSPC);
	atomic_store(&fuse.faults->read_err, EIO);
	ck_assert_int_eq(mn_write(&file, out, LEN, 0), 50001);
	ck_assert_int_eq(mn_write(&file, out + 50001, LEN - 50001, 50001), -ENOSPC);
	ck_assert(!memcmp(fuse.faults->data, out, 50001));
	file_fill();
	ck_assert_int_eq(mn_read(&file, in, LEN, 1), 50000);
	ck_assert(!memcmp(in, out + 1, 50000));
	ck_assert_int_eq(mn_read(&file, in, 10, 50001), -EIO);
	atomic_store(&fuse.faults->read_err, 0);
	ck_assert_int_eq(mn_read(&file, in, LEN, 0), LEN);	/* it is no longer so */
	ck_assert_int_eq(file.failed, 0);
	return mn_file_close(&file);
}

START_TEST(an_error_after_a_part_is_for_who_goes_on)
{
	run_fuse(_i, parts);
}
END_TEST

static int opens(void *arg)
{
	static const int errs[] = { EIO, ENOSPC, EROFS, ETXTBSY };
	struct mn_file file;

	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		atomic_store(&fuse.faults->open_err, errs[i]);
		ck_assert_int_eq(mn_file_open(&file, fuse.path, O_RDWR, 0), -errs[i]);
		ck_assert_int_eq(file.fd, -1);
	}
	atomic_store(&fuse.faults->open_err, 0);
	file_open(&file);
	atomic_store(&fuse.faults->flush_err, EDQUOT);
	ck_assert_int_eq(mn_file_close(&file), -EDQUOT);
	ck_assert_int_eq(file.fd, -1);
	ck_assert_int_eq(mn_file_close(&file), 0);
	while (atomic_load(&fuse.faults->nr_releases) < 1)
		mn_sleep(MN_MSEC);	/* it is closed all the same */
	return 0;
}

START_TEST(open_and_close_say_what_the_file_system_says)
{
	run_fuse(_i, opens);
}
END_TEST

static int final(void *arg)
{
	struct mn_op op[8];
	struct mn_file file;

	file_open(&file);
	ck_assert_int_eq(mn_file_sync(&file), 0);
	atomic_store(&fuse.faults->sync_err, EIO);
	ck_assert_int_eq(mn_file_sync(&file), -EIO);
	atomic_store(&fuse.faults->sync_err, 0);
	ck_assert_int_eq(atomic_load(&fuse.faults->nr_syncs), 2);
	ck_assert_int_eq(mn_file_sync(&file), -EIO);
	ck_assert_int_eq(mn_file_datasync(&file), -EIO);
	ck_assert_int_eq(mn_file_sync_range(&file, 0, 0, SYNC_FILE_RANGE_WRITE), -EIO);
	ck_assert_int_eq(atomic_load(&fuse.faults->nr_syncs), 2);	/* nobody was asked */
	ck_assert_int_eq(file.failed, -EIO);
	ck_assert_int_eq(mn_file_close(&file), -EIO);

	/* Another one that was opened knows nothing of that. */
	file_open(&file);
	ck_assert_int_eq(mn_file_sync(&file), 0);
	/* Of several under way, those that end after the one that failed have failed. */
	atomic_store(&fuse.faults->hold, true);
	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		mn_file_sync_start(&op[i], &file);
	while (!atomic_load(&fuse.faults->nr_held))
		mn_sleep(MN_MSEC);
	atomic_store(&fuse.faults->sync_err, EIO);
	atomic_store(&fuse.faults->hold, false);
	for (size_t i = 0; i < ARRAY_SIZE(op); i++)
		ck_assert_int_eq(mn_await(&op[i].done), -EIO);
	ck_assert_int_eq(mn_file_close(&file), -EIO);
	return 0;
}

START_TEST(a_failed_sync_is_final)
{
	run_fuse(_i, final);
}
END_TEST

/* --- slow, gone --- */

static int nr_ticks;

static int ticker(void *arg)
{
	while (!mn_sleep(MN_MSEC))
		nr_ticks++;
	return 0;
}

static int release(void *arg)
{
	mn_sleep(100 * MN_MSEC);
	atomic_store(&fuse.faults->hold, false);
	return 0;
}

static int slow(void *arg)
{
	struct mn_fiber *tick, *rel;
	struct mn_scope scope;
	struct mn_file file;
	int64_t from_ns;

	file_fill();
	file_open(&file);
	nr_ticks = 0;
	atomic_store(&fuse.faults->hold, true);
	ck_assert_int_eq(mn_spawn(ticker, NULL, &tick), 0);
	ck_assert_int_eq(mn_spawn(release, NULL, &rel), 0);
	from_ns = mn_now();
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 10 * MN_MSEC });
	/* The buffer is the kernel's until it is done: so it takes as long as that. */
	ck_assert_int_eq(mn_read(&file, in, LEN, 0), LEN);
	ck_assert_int_ge(mn_now() - from_ns, 95 * MN_MSEC);
	ck_assert(!memcmp(in, fuse.faults->data, LEN));
	ck_assert(mn_fiber_canceled());
	ck_assert_int_eq(mn_read(&file, in, LEN, 0), -ETIMEDOUT);	/* what has not begun */
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	ck_assert_int_gt(nr_ticks, 10);		/* the shard went on */
	ck_assert_int_eq(mn_join(rel), 0);
	mn_fiber_cancel(tick);
	mn_join(tick);
	return mn_file_close(&file);
}

START_TEST(a_disk_that_hangs_holds_up_its_fiber_alone)
{
	run_fuse(_i, slow);
}
END_TEST

static int killer(void *arg)
{
	mn_sleep(20 * MN_MSEC);
	fuse_kill(&fuse);
	return 0;
}

static int gone(void *arg)
{
	struct mn_fiber *fiber;
	struct mn_file file;
	int64_t res;

	file_fill();
	file_open(&file);
	atomic_store(&fuse.faults->hold, true);
	ck_assert_int_eq(mn_spawn(killer, NULL, &fiber), 0);
	res = mn_read(&file, in, LEN, 0);
	ck_assert_msg(res == -ECONNABORTED || res == -ENOTCONN, "%lld", (long long)res);
	ck_assert_int_eq(mn_join(fiber), 0);
	ck_assert_int_eq(mn_read(&file, in, LEN, 0), -ENOTCONN);
	ck_assert_int_eq(mn_write(&file, in, LEN, 0), -ENOTCONN);
	ck_assert_int_eq(mn_file_sync(&file), -ENOTCONN);
	ck_assert_int_eq(mn_file_close(&file), -ENOTCONN);	/* for good */
	return 0;
}

START_TEST(a_disk_that_goes_away_is_an_error_and_no_hang)
{
	run_fuse(_i, gone);
}
END_TEST

/* --- full --- */

static char dir[48];

static const char *in_full(const char *name)
{
	static char path[2][100];
	static int i;

	snprintf(path[i ^= 1], sizeof(path[0]), "%s/%s", dir, name);
	return path[i];
}

static int full(void *arg)
{
	struct mn_file file, old;
	struct mn_temp temp;
	int64_t n;

	/* What is there when the disk becomes full stays as it is. */
	ck_assert_int_eq(mn_file_open(&old, in_full("old"), O_RDWR | O_CREAT, 0600), 0);
	ck_assert_int_eq(mn_write(&old, "precious", 8, 0), 8);
	memset(out, 'x', sizeof(out));
	ck_assert_int_eq(mn_file_open(&file, in_full("new"), O_RDWR | O_CREAT, 0600), 0);
	n = mn_write(&file, out, FUSE_SIZE_MAX, 0);
	ck_assert_msg(n > 0 && n < FUSE_SIZE_MAX, "%lld", (long long)n);
	ck_assert_int_eq(mn_write(&file, out, 8192, n), -ENOSPC);
	ck_assert_int_eq(mn_append(&file, out, 8192), -ENOSPC);
	ck_assert_int_eq(mn_file_allocate(&file, 0, FUSE_SIZE_MAX, false), -ENOSPC);
	ck_assert_int_eq(mn_read(&file, in, FUSE_SIZE_MAX, 0), n);
	ck_assert(!memcmp(in, out, (size_t)n));

	ck_assert_int_eq(mn_temp_open(&temp, dir, 0600), 0);
	n = mn_write(&temp.file, out, FUSE_SIZE_MAX, 0);
	ck_assert_int_eq(n, -ENOSPC);
	ck_assert_int_eq(mn_temp_close(&temp), 0);
	ck_assert_int_eq(mn_read(&old, in, 100, 0), 8);
	ck_assert(!memcmp(in, "precious", 8));

	/* It goes on when there is room again. */
	ck_assert_int_eq(mn_file_close(&file), 0);
	ck_assert_int_eq(mn_unlink(in_full("new")), 0);
	ck_assert_int_eq(mn_write(&old, out, 8192, 0), 8192);
	return mn_file_close(&old);
}

START_TEST(a_full_disk_says_so_and_keeps_what_it_has)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		test_skip("only root can mount");
	strcpy(dir, "/tmp/mn-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mount("mn-test", dir, "tmpfs", 0, "size=512k"), 0);
	run(_i, full);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}
END_TEST

static int dev_full(void *arg)
{
	struct mn_file file;

	ck_assert_int_eq(mn_file_open(&file, "/dev/full", O_RDWR, 0), 0);
	ck_assert_int_eq(mn_write(&file, out, 1, 0), -ENOSPC);
	ck_assert_int_eq(mn_read(&file, out, 100, 0), 100);
	return mn_file_close(&file);
}

START_TEST(a_device_that_is_full_says_so)
{
	run(_i, dev_full);
}
END_TEST

/* --- limits --- */

static int too_large(void *arg)
{
	struct mn_file file;

	ck_assert_int_eq(mn_file_open(&file, "/tmp", O_RDWR | O_TMPFILE, 0600), 0);
	ck_assert_int_eq(mn_write(&file, out, LEN, 0), 65536);
	ck_assert_int_eq(mn_write(&file, out, LEN, 65536), -EFBIG);
	ck_assert_int_eq(mn_file_truncate(&file, LEN), -EFBIG);
	return mn_file_close(&file);
}

START_TEST(a_file_that_may_not_be_larger_is_written_to_its_limit)
{
	struct rlimit limit = { .rlim_cur = 65536, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);	/* the application's to do */
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	run(_i, too_large);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
}
END_TEST

static int no_descriptor(void *arg)
{
	struct rlimit limit, low;
	struct mn_file file[64];
	int n = 0, err;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)dup(0) + 10;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (!(err = mn_file_open(&file[n], "/dev/null", O_RDONLY, 0)))
		ck_assert_int_lt(++n, 64);
	ck_assert_int_eq(err, -EMFILE);
	ck_assert_int_eq(mn_file_close(&file[--n]), 0);
	ck_assert_int_eq(mn_file_open(&file[n], "/dev/null", O_RDONLY, 0), 0);
	for (; n >= 0; n--)
		ck_assert_int_eq(mn_file_close(&file[n]), 0);
	return setrlimit(RLIMIT_NOFILE, &limit);
}

START_TEST(without_a_descriptor_open_fails_until_one_is_closed)
{
	run(_i, no_descriptor);
}
END_TEST

Suite *suite_file_faults(void)
{
	Suite *s = suite_create("file_faults");
	TCase *tc = tcase_create("file_faults");
	int n = 2 * NR_SERVING;

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, short_transfers_go_on, 0, n);
	tcase_add_loop_test(tc, interrupted_transfers_are_done_again, 0, n);
	tcase_add_loop_test(tc, an_error_after_a_part_is_for_who_goes_on, 0, n);
	tcase_add_loop_test(tc, open_and_close_say_what_the_file_system_says, 0, n);
	tcase_add_loop_test(tc, a_failed_sync_is_final, 0, n);
	tcase_add_loop_test(tc, a_disk_that_hangs_holds_up_its_fiber_alone, 0, n);
	tcase_add_loop_test(tc, a_disk_that_goes_away_is_an_error_and_no_hang, 0, n);
	tcase_add_loop_test(tc, a_full_disk_says_so_and_keeps_what_it_has, 0, n);
	tcase_add_loop_test(tc, a_device_that_is_full_says_so, 0, n);
	tcase_add_loop_test(tc, a_file_that_may_not_be_larger_is_written_to_its_limit, 0, n);
	tcase_add_loop_test(tc, without_a_descriptor_open_fails_until_one_is_closed, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
