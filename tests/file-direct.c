// SPDX-License-Identifier: MIT
/* Past the page cache; and threads that block: bounds, queues, cancellation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <miniss/scope.h>
#include <miniss/timer.h>

#include "smp/blocking.h"
#include "tests/file.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define LEN	(256 * 1024)

/* The same for whoever knows no such thing: then nothing is noted but that. */
static bool direct_open(struct mn_file *file, const char *name, int flags)
{
	int err = mn_file_open(file, in_dir(name), flags | O_DIRECT, 0600);

	note(err);
	ck_assert(!err || err == -EINVAL);
	return !err;
}

static int direct(void *arg)
{
	uint8_t *buf = aligned_alloc(4096, LEN), *want = malloc(LEN);
	struct mn_file file;
	struct iovec iov[2];
	struct mn_stat st;

	pattern_fill(want, 0, LEN);
	if (!direct_open(&file, "direct", O_RDWR | O_CREAT))
		return 0;
	ok(mn_file_stat(&file, &st));
	ck_assert(!st.offset_align || st.offset_align == file.offset_align);
	ck_assert(file.mem_align >= 1 && file.offset_align >= 512 && file.offset_align <= 4096);
	note(file.mem_align);
	note(file.offset_align);
	memcpy(buf, want, LEN);
	is(mn_write(&file, buf, LEN, 0), LEN);
	memset(buf, 0, LEN);
	is(mn_read(&file, buf, LEN, 0), LEN);
	ck_assert(!memcmp(buf, want, LEN));
	iov[0] = (struct iovec){ buf + 4096, 8192 };
	iov[1] = (struct iovec){ buf, 4096 };
	is(mn_readv(&file, iov, 2, 4096), 12288);
	ck_assert(!memcmp(buf + 4096, want + 4096, 8192) && !memcmp(buf, want + 12288, 4096));

	/* Refused here, and said once. */
	test_stderr_begin();
	is(mn_read(&file, buf, 100, 0), -EINVAL);
	is(mn_read(&file, buf, 4096, 100), -EINVAL);
	is(mn_read(&file, buf + 1, 4096, 0), file.mem_align > 1 ? -EINVAL : 4096);
	is(mn_write(&file, buf, LEN - 1, 0), -EINVAL);
	iov[1].iov_len = 7;
	is(mn_writev(&file, iov, 2, 0), -EINVAL);
	ck_assert(file.told);

	/* A file that ends within a block: the rest is short, and nobody asks for more. */
	ok(mn_file_truncate(&file, LEN - 4096 + 100));
	is(mn_read(&file, buf, 8192, LEN - 8192), 4096 + 100);
	is(mn_read(&file, buf, 4096, LEN), 0);
	ok(mn_file_sync(&file));
	ok(mn_file_close(&file));
	free(want);
	free(buf);
	return 0;
}

static const struct script scripts[] = { { "direct", direct } };

SCRIPT_TEST(past_the_page_cache_all_is_aligned, scripts)

/* --- the pool --- */

static struct blocking_pool *pool(void)
{
	return &mn_self->world->blocking->pool[BLOCKING_FILE];
}

static char fifo[64];

static int open_fifo(void *arg)
{
	struct mn_file file;
	int err = mn_file_open(&file, fifo, O_RDONLY, 0);

	return err ? err : mn_file_close(&file);
}

/* Opening it waits for a writer: that takes the only thread. */
static int truncate_one(void *arg)
{
	return mn_file_truncate(arg, 5);
}

static int queued(void *arg)
{
	enum { N = 20 };
	struct mn_fiber *opener, *fiber[N];
	struct mn_scope scope;
	struct mn_file file;
	struct mn_op op;
	int writer;

	pool()->threads_max = 1;
	ck_assert_int_eq(mn_file_open(&file, "/tmp", O_RDWR | O_TMPFILE, 0600), 0);
	ck_assert_int_eq(mn_write(&file, "0123456789", 10, 0), 10);
	ck_assert_int_eq(mn_spawn(open_fifo, NULL, &opener), 0);
	mn_yield();
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(truncate_one, &file, &fiber[i]), 0);
	mn_yield();
	for (int i = 0; i < N; i += 2)
		mn_fiber_cancel(fiber[i]);
	for (int i = 0; i < N; i += 2)
		ck_assert_int_eq(mn_join(fiber[i]), -ECANCELED);

	/* A deadline likewise, and an operation of one's own. */
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 5 * MN_MSEC });
	ck_assert_int_eq(mn_file_truncate(&file, 3), -ETIMEDOUT);
	ck_assert_int_eq(mn_scope_join(&scope), 0);
	mn_file_truncate_start(&op, &file, 3);
	mn_op_cancel(&op);
	mn_op_cancel(&op);
	ck_assert_int_eq(mn_await(&op.done), -ECANCELED);

	writer = open(fifo, O_RDWR);
	ck_assert_int_ge(writer, 0);
	ck_assert_int_eq(mn_join(opener), 0);
	for (int i = 1; i < N; i += 2)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(mn_read(&file, &op, sizeof(op), 0), 5);
	ck_assert_int_eq(mn_file_close(&file), 0);
	close(writer);
	if (IS_ENABLED(CONFIG_STATS)) {
		ck_assert_uint_gt(mn_self->stats[STAT_JOBS], N / 2);
		ck_assert_uint_gt(mn_self->stats[STAT_JOBS_WAIT_US], 5000);
	}
	return 0;
}

/* The one backend where a thread of the pool opens files. */
START_TEST(what_is_queued_for_a_thread_is_cancelled_and_its_wait_counted)
{
	char dir[] = "/tmp/mn-test-XXXXXX";
	int ret;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ret = run_main("libev", 1 + (unsigned int)_i, queued, NULL);
	unlink(fifo);
	rmdir(dir);
	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

/* --- many are cancelled at once --- */

static int storm(void *arg)
{
	enum { N = 96, PART = 4096 };
	static uint8_t out[N][PART], in[PART];
	static struct mn_op op[N], sync[N];
	struct mn_file file;
	int64_t res[N];

	ck_assert_int_eq(mn_file_open(&file, "/tmp", O_RDWR | O_TMPFILE, 0600), 0);
	ck_assert_int_eq(mn_file_truncate(&file, N * PART), 0);
	memset(out, 'x', sizeof(out));
	for (int i = 0; i < N; i++) {
		mn_write_start(&op[i], &file, out[i], PART, i * PART);
		mn_file_sync_start(&sync[i], &file);
	}
	if (arg)
		mn_yield();	/* some are in the kernel */
	for (int i = 0; i < N; i++) {
		mn_op_cancel(&sync[i]);
		mn_op_cancel(&op[i]);
	}
	for (int i = 0; i < N; i++) {
		int64_t synced = mn_await(&sync[i].done);

		res[i] = mn_await(&op[i].done);
		ck_assert(res[i] == PART || res[i] == -ECANCELED);
		ck_assert(!synced || synced == -ECANCELED);
	}
	ck_assert_int_eq(file.failed, 0);	/* not to begin is no failure */
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(mn_read(&file, in, PART, i * PART), PART);
		if (res[i] == PART ? memcmp(in, out[i], PART) != 0 : in[0] && in[0] != 'x')
			ck_abort_msg("write %d, which said %lld, wrote something else", i,
				     (long long)res[i]);
	}
	ck_assert_int_eq(mn_file_sync(&file), 0);
	return mn_file_close(&file);
}

static int storm_soon(void *arg)
{
	return storm(NULL);
}

static int storm_late(void *arg)
{
	return storm(fifo);
}

START_TEST(operations_that_are_cancelled_end_once_and_say_what_they_did)
{
	int ret = run_backend(_i / 2, 1, _i % 2 ? storm_late : storm_soon, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

TCase *tcase_file_direct(void)
{
	TCase *tc = tcase_create("direct");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, past_the_page_cache_all_is_aligned, scripts);
	tcase_add_loop_test(tc, what_is_queued_for_a_thread_is_cancelled_and_its_wait_counted, 0,
			    2);
	tcase_add_loop_test(tc, operations_that_are_cancelled_end_once_and_say_what_they_did, 0,
			    2 * nr_backends());
	return tc;
}
