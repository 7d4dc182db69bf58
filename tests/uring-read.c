// SPDX-License-Identifier: MIT
/* Who waits for a read alone: what is in the page cache does not go through the ring. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "backends/io_uring/uring.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define TIMES		100
#define NOT_TRIED	16	/* after one that was not there */

static struct mn_file file;

static uint64_t completions(void)
{
	return mn_self->stats[STAT_COMPLETIONS];
}

static uint64_t awaited(int n)
{
	uint64_t before = completions();
	char byte;

	while (n--)
		ck_assert_int_eq(mn_read(&file, &byte, 1, 0), 1);
	return completions() - before;
}

static uint64_t started(int n)
{
	uint64_t before = completions();
	struct mn_op op;
	char byte;

	while (n--) {
		mn_read_start(&op, &file, &byte, 1, 0);
		ck_assert_int_eq(mn_op_await(&op, MN_NEVER), 1);
	}
	return completions() - before;
}

static int cached(void *arg)
{
	ck_assert_int_eq(mn_sleep(MN_MSEC), 0);	/* a new slice, and nothing else */
	/* On a busy machine it may be over before: then some go to the ring, to give way. */
	ck_assert_uint_lt(awaited(TIMES), TIMES / 2);
	ck_assert_uint_eq(started(TIMES), TIMES);
	return 0;
}

static int uncached(void *arg)
{
	struct uring *u = to_uring(mn_self->be);

	ck_assert_int_eq(posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_uint_eq(awaited(1), 1);
	ck_assert_uint_eq(u->uncached, NOT_TRIED);
	ck_assert_uint_eq(awaited(NOT_TRIED), NOT_TRIED);
	ck_assert_uint_eq(u->uncached, 0);
	return 0;
}

/* Of a file system that tells what would block. */
static bool begin(void)
{
	char path[] = "/tmp/mn-read-XXXXXX", byte = 'x';
	struct iovec iov = { &byte, 1 };

	file = MN_FILE_CLOSED;
	file.fd = mkstemp(path);
	ck_assert_int_ge(file.fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(file.fd, &byte, 1), 1);
	ck_assert_int_eq(fsync(file.fd), 0);
	return preadv2(file.fd, &iov, 1, 0, RWF_NOWAIT) == 1;
}

static const mn_fiber_fn fns[] = { cached, uncached };

START_TEST(what_is_cached_is_read_at_once)
{
	int ret;

	if (!begin())
		test_skip("/tmp does not say what would block");
	ret = run_main("io_uring", 1, fns[_i], NULL);
	ck_assert(ret == 0 || ret == RUN_SKIPPED);
	close(file.fd);
}
END_TEST

Suite *suite_uring_read(void)
{
	Suite *s = suite_create("uring_read");
	TCase *tc = tcase_create("uring_read");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, what_is_cached_is_read_at_once, 0, ARRAY_SIZE(fns));
	suite_add_tcase(s, tc);
	return s;
}
