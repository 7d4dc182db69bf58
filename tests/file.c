// SPDX-License-Identifier: MIT
/* Files: what is written is read, on every backend alike. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <miniss/clock.h>
#include <miniss/scope.h>

#include "tests/file.h"
#include "tests/poll.h"
#include "tests/suites.h"
#include "tests/world.h"

/* --- one buffer --- */

void file_make(struct mn_file *file, const char *name, size_t len)
{
	uint8_t *buf = malloc(len + 1);

	pattern_fill(buf, 0, len);
	ok(mn_file_open(file, in_dir(name), O_RDWR | O_CREAT | O_EXCL, 0600));
	is(mn_write(file, buf, len, 0), (int64_t)len);
	free(buf);
}

static uint8_t *pattern_new(uint64_t from, size_t len)
{
	uint8_t *buf = malloc(len + 1);

	pattern_fill(buf, from, len);
	return buf;
}

/* Read, and expect pattern() from @off on. */
static void expect(struct mn_file *file, size_t len, int64_t off, int64_t n)
{
	uint8_t *buf = calloc(1, len + 1), *want = pattern_new((uint64_t)off, len);

	is(mn_read(file, buf, len, off), n);
	note_bytes(buf, len);
	ck_assert(n < 0 || !memcmp(buf, want, (size_t)n));
	free(want);
	free(buf);
}

static int plain(void *arg)
{
	struct mn_file file, other;
	struct mn_stat st;

	is(mn_file_open(&file, in_dir("a"), O_RDONLY, 0), -ENOENT);
	is(file.fd, -1);
	ok(mn_file_close(&file));
	file_make(&file, "a", 10000);
	expect(&file, 10000, 0, 10000);
	expect(&file, 20000, 0, 10000);
	expect(&file, 100, 9950, 50);
	expect(&file, 100, 10000, 0);
	expect(&file, 100, INT64_C(1) << 40, 0);
	expect(&file, 0, 5, 0);
	is(mn_read(&file, &st, 1, -1), -EINVAL);
	is(mn_write(&file, &st, 1, -1), -EINVAL);
	is(mn_read(&file, &st, 2, INT64_MAX), -EINVAL);
	is(mn_write(&file, NULL, 10, 0), -EFAULT);
	is(mn_file_open(&other, in_dir("a"), O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	ok(mn_file_open(&other, in_dir("a"), O_RDONLY, 0));
	is(mn_write(&other, "x", 1, 0), -EBADF);
	expect(&other, 10000, 0, 10000);
	ok(mn_file_close(&other));
	is(mn_read(&other, &st, 1, 0), -EBADF);
	is(mn_file_sync(&other), -EBADF);
	is(mn_file_stat(&other, &st), -EBADF);
	ok(mn_file_close(&other));
	expect(&file, 1, 9999, 1);
	ok(mn_file_close(&file));
	return 0;
}

/* More than is copied, or handed to the system, at once. */
static int large(void *arg)
{
	enum { LEN = 3 * 1024 * 1024 + 12345 };
	struct mn_file file;

	file_make(&file, "large", LEN);
	expect(&file, LEN, 0, LEN);
	expect(&file, LEN, 1000000, LEN - 1000000);
	expect(&file, LEN + 1, 0, LEN);
	ok(mn_file_close(&file));
	return 0;
}

/* What nobody wrote is zeros, and what lies beyond is there. */
static int sparse(void *arg)
{
	const int64_t far = INT64_C(5) << 32;
	uint8_t buf[4096];
	struct mn_file file;
	struct mn_stat st;

	file_make(&file, "sparse", 10);
	is(mn_write(&file, "end", 3, far), 3);
	ok(mn_file_stat(&file, &st));
	is((int64_t)st.size, far + 3);
	is(mn_read(&file, buf, sizeof(buf), far - 1000), 1003);
	note_bytes(buf, 1003);
	ck_assert(!buf[0] && !buf[999] && !memcmp(buf + 1000, "end", 3));
	ok(mn_file_close(&file));
	return 0;
}

/* --- several --- */

static int vectors(void *arg)
{
	enum { LEN = 2 * 1024 * 1024 + 777 };
	uint8_t *out = pattern_new(0, LEN), *in = calloc(1, LEN);
	struct iovec one[] = {
		{ out, 1 }, { out + 1, 0 }, { out + 1, 1500000 }, { NULL, 0 }, { out + 1500001, 7 },
	};
	struct iovec many[MN_IOV_MAX], too_many[MN_IOV_MAX + 1] = { { out, 1 } };
	struct mn_file file;
	size_t at = 0;

	ok(mn_file_open(&file, in_dir("v"), O_RDWR | O_CREAT, 0600));
	is(mn_writev(&file, one, ARRAY_SIZE(one), 100), 1500008);
	is(mn_write(&file, out + 1500008, LEN - 1500008, 1500108), LEN - 1500008);
	for (unsigned int i = 0; i < MN_IOV_MAX; i++) {
		size_t len = i == 500 ? 1100000 : i * 7 % 2000;

		len = min(len, LEN - at);
		many[i] = (struct iovec){ in + at, len };
		at += len;
	}
	is(mn_readv(&file, many, MN_IOV_MAX, 100), (int64_t)at);
	ck_assert(!memcmp(in, out, at));
	memset(in, 0, LEN);
	many[0] = (struct iovec){ in, LEN };
	many[1] = (struct iovec){ in, LEN };
	is(mn_readv(&file, many, 2, 200), LEN - 100);	/* to the end of the file */
	ck_assert(!memcmp(in, out + 100, LEN - 100));
	is(mn_readv(&file, too_many, MN_IOV_MAX + 1, 0), -EINVAL);
	is(mn_readv(&file, many, 1, -5), -EINVAL);
	is(mn_readv(&file, NULL, 0, 0), 0);
	many[0].iov_len = SIZE_MAX;
	is(mn_writev(&file, many, 2, 0), -EINVAL);
	ok(mn_file_close(&file));
	free(in);
	free(out);
	return 0;
}

/* --- at the end --- */

#define RECORDS	50
#define WRITERS	4
#define RECORD	100

static int appender(void *arg)
{
	char record[RECORD];
	struct mn_file file;
	int id = (int)(intptr_t)arg;

	ck_assert_int_eq(mn_file_open(&file, in_dir("log"), O_WRONLY | O_CREAT, 0600), 0);
	for (int i = 0; i < RECORDS; i++) {
		memset(record, 'a' + id, RECORD);
		record[0] = (char)i;
		ck_assert_int_eq(mn_append(&file, record, RECORD), RECORD);
	}
	return mn_file_close(&file);
}

static int append(void *arg)
{
	static char all[RECORD * RECORDS * WRITERS + 1];
	struct mn_fiber *fiber[WRITERS];
	int next[WRITERS] = { 0 };
	struct mn_file file;

	for (int i = 0; i < WRITERS; i++)
		ck_assert_int_eq(mn_spawn(appender, (void *)(intptr_t)i, &fiber[i]), 0);
	for (int i = 0; i < WRITERS; i++)
		ok(mn_join(fiber[i]));
	ok(mn_file_open(&file, in_dir("log"), O_RDONLY, 0));
	is(mn_read(&file, all, sizeof(all), 0), RECORD * RECORDS * WRITERS);
	for (int i = 0; i < RECORDS * WRITERS; i++) {
		const char *record = &all[i * RECORD];
		int id = record[1] - 'a';

		ck_assert(id >= 0 && id < WRITERS);
		ck_assert_int_eq(record[0], next[id]++);	/* each one's own, in order */
		for (int j = 2; j < RECORD; j++)
			if (record[j] != record[1])
				ck_abort_msg("record %d has somebody else's bytes", i);
	}
	ok(mn_file_close(&file));
	return 0;
}

/* --- sync, space, what there is to know --- */

static int sync_all(void *arg)
{
	struct mn_file file, zero;

	file_make(&file, "s", 100000);
	ok(mn_file_datasync(&file));
	ok(mn_file_sync(&file));
	ok(mn_file_sync_range(&file, 0, 0, SYNC_FILE_RANGE_WRITE));
	ok(mn_file_sync_range(&file, 4096, INT64_C(1) << 33, SYNC_FILE_RANGE_WRITE));
	is(mn_file_sync_range(&file, -1, 0, SYNC_FILE_RANGE_WRITE), -EINVAL);
	is(mn_file_sync_range(&file, 0, 0, 0x1000), -EINVAL);
	ok(mn_file_sync(&file));	/* that was nothing that failed */
	ok(mn_file_close(&file));
	ok(mn_file_open(&zero, "/dev/zero", O_RDWR, 0));
	is(mn_file_sync(&zero), -EINVAL);
	ok(mn_file_close(&zero));
	return 0;
}

static int space(void *arg)
{
	enum { LEN = 1 << 20 };
	uint8_t *buf = calloc(1, LEN);
	struct mn_file file;
	struct mn_stat st;

	file_make(&file, "space", LEN);
	ok(mn_file_allocate(&file, 0, 2 * LEN, true));
	ok(mn_file_stat(&file, &st));
	is((int64_t)st.size, LEN);
	ck_assert(st.allocated >= 2 * LEN);
	ok(mn_file_allocate(&file, 0, 2 * LEN, false));
	ok(mn_file_stat(&file, &st));
	is((int64_t)st.size, 2 * LEN);
	ok(mn_file_punch(&file, 65536, LEN - 65536));
	expect(&file, 65536, 0, 65536);
	is(mn_read(&file, buf, LEN, 65536), LEN);
	for (size_t i = 0; i < LEN; i++)
		if (buf[i])
			ck_abort_msg("the hole has a byte at %zu", i);
	ok(mn_file_truncate(&file, 5000));
	expect(&file, LEN, 0, 5000);
	ok(mn_file_truncate(&file, 9000));
	is(mn_read(&file, buf, LEN, 4999), 4001);
	ck_assert(!buf[1] && !buf[4000]);
	is(mn_file_truncate(&file, -1), -EINVAL);
	is(mn_file_allocate(&file, 0, 0, false), -EINVAL);
	is(mn_file_allocate(&file, -1, 5, false), -EINVAL);
	is(mn_file_allocate(&file, 5, INT64_MAX, false), -EINVAL);
	ok(mn_file_advise(&file, 0, 0, POSIX_FADV_WILLNEED));
	ok(mn_file_advise(&file, 0, INT64_C(1) << 40, POSIX_FADV_DONTNEED));
	is(mn_file_advise(&file, 0, 0, 77), -EINVAL);
	ok(mn_file_close(&file));
	free(buf);
	return 0;
}

static void stat_compare(const struct mn_stat *got, const struct stat *want)
{
	ck_assert_uint_eq(got->size, (uint64_t)want->st_size);
	ck_assert_uint_eq(got->allocated, (uint64_t)want->st_blocks * 512);
	ck_assert_uint_eq(got->ino, want->st_ino);
	ck_assert_uint_eq(got->dev, want->st_dev);
	ck_assert_uint_eq(got->rdev, want->st_rdev);
	ck_assert_uint_eq(got->mode, want->st_mode);
	ck_assert_uint_eq(got->nlink, want->st_nlink);
	ck_assert_uint_eq(got->uid, want->st_uid);
	ck_assert_uint_eq(got->gid, want->st_gid);
	ck_assert_uint_eq(got->blksize, (uint32_t)want->st_blksize);
	ck_assert_int_eq(got->mtime_ns, want->st_mtim.tv_sec * MN_SEC + want->st_mtim.tv_nsec);
	ck_assert_int_eq(got->ctime_ns, want->st_ctim.tv_sec * MN_SEC + want->st_ctim.tv_nsec);
}

static int stats(void *arg)
{
	struct mn_file file;
	struct mn_stat st;
	struct stat want;

	file_make(&file, "st", 12345);
	ok(mn_file_sync(&file));
	ck_assert_int_eq(symlink("st", in_dir("link")), 0);
	ok(mn_file_stat(&file, &st));
	ck_assert_int_eq(fstat(file.fd, &want), 0);
	stat_compare(&st, &want);
	ok(mn_stat(in_dir("link"), &st));
	stat_compare(&st, &want);
	note(st.mode);
	ok(mn_lstat(in_dir("link"), &st));
	ck_assert_int_eq(lstat(in_dir("link"), &want), 0);
	stat_compare(&st, &want);
	note(st.mode);
	is(mn_stat(in_dir("nothing"), &st), -ENOENT);
	is(mn_stat(in_dir("st/x"), &st), -ENOTDIR);
	ok(mn_stat("/dev/null", &st));
	ck_assert_int_eq(stat("/dev/null", &want), 0);
	stat_compare(&st, &want);
	ok(mn_file_close(&file));
	return 0;
}

/* --- many at once --- */

static int started(void *arg)
{
	enum { N = 300, LEN = 1000 };
	static uint8_t buf[N][LEN];
	static struct mn_op op[N];
	struct mn_file file;

	ok(mn_file_open(&file, in_dir("many"), O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < N; i++) {
		pattern_fill(buf[i], (uint64_t)i * LEN, LEN);
		mn_write_start(&op[i], &file, buf[i], LEN, (int64_t)i * LEN);
	}
	for (int i = 0; i < N; i++)
		is(mn_await(&op[i].done), LEN);
	memset(buf, 0, sizeof(buf));
	for (int i = 0; i < N; i++)
		mn_read_start(&op[i], &file, buf[i], LEN, (int64_t)i * LEN);
	for (int i = N - 1; i >= 0; i--)
		is(mn_await(&op[i].done), LEN);
	for (int i = 0; i < N; i++) {
		uint8_t want[LEN];

		pattern_fill(want, (uint64_t)i * LEN, LEN);
		ck_assert(!memcmp(buf[i], want, LEN));
	}
	mn_file_sync_start(&op[0], &file);
	mn_file_truncate_start(&op[1], &file, N * LEN / 2);
	mn_file_allocate_start(&op[2], &file, 0, 10, true);
	mn_read_start(&op[3], &file, buf, 1, -1);
	is(mn_await(&op[3].done), -EINVAL);
	for (int i = 0; i < 3; i++)
		is(mn_await(&op[i].done), 0);
	ok(mn_file_close(&file));
	return 0;
}

/* --- cancellation --- */

static int canceled(void *arg)
{
	struct mn_file file, none;
	struct mn_scope scope;
	struct mn_stat st;
	char byte;

	file_make(&file, "c", 10);
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + 1 });
	is(mn_sleep(MN_SEC), -ETIMEDOUT);
	is(mn_read(&file, &byte, 1, 0), -ETIMEDOUT);
	is(mn_write(&file, &byte, 1, 0), -ETIMEDOUT);
	is(mn_file_sync(&file), -ETIMEDOUT);
	is(mn_file_truncate(&file, 0), -ETIMEDOUT);
	is(mn_file_open(&none, in_dir("none"), O_RDWR | O_CREAT, 0600), -ETIMEDOUT);
	is(mn_stat(in_dir("c"), &st), -ETIMEDOUT);
	ok(mn_file_close(&file));	/* all the same */
	ok(mn_scope_join(&scope));
	is(mn_stat(in_dir("none"), &st), -ENOENT);
	ok(mn_stat(in_dir("c"), &st));
	is((int64_t)st.size, 10);
	return 0;
}

/* --- what is in memory, and the others --- */

/* Not ready before there was a turn; a virtual clock moves when nothing else goes on. */
static int notice(void *arg)
{
	if (!is_mem())
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	*(bool *)arg = true;
	return 0;
}

/* Nothing blocks who reads what is cached; the shard does its other work all the same. */
static int gives_way(void *arg)
{
	bool noticed = false;
	struct mn_file file;
	char buf[64];

	file_make(&file, "cached", sizeof(buf));
	ok(mn_spawn(notice, &noticed, NULL));
	mn_yield();
	for (int i = 0; !noticed && i < 1000 * 1000; i++)
		ck_assert_int_eq(mn_read(&file, buf, sizeof(buf), 0), sizeof(buf));
	ck_assert(noticed);
	ok(mn_file_close(&file));
	return 0;
}

static const struct script scripts[] = {
	{ "plain", plain },	  { "large", large },	{ "sparse", sparse },
	{ "vectors", vectors },	  { "append", append }, { "sync", sync_all },
	{ "space", space },	  { "stats", stats },	{ "started", started },
	{ "canceled", canceled },  { "gives way", gives_way },
};

SCRIPT_TEST(files_are_the_same_on_every_backend, scripts)

Suite *suite_file(void)
{
	Suite *s = suite_create("file");
	TCase *tc = tcase_create("file");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, files_are_the_same_on_every_backend, scripts);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_file_names());
	suite_add_tcase(s, tcase_file_direct());
	suite_add_tcase(s, tcase_file_fixed());
	return s;
}
