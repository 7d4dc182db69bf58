// SPDX-License-Identifier: MIT
/* Which buffers of the pool io_uring knows, and what it does when it may not. */
#include <grp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "backends/io_uring/uring.h"
#include "tests/run.h"
#include "tests/spawn.h"
#include "tests/world.h"

#define TIMES	300	/* more than what makes it worth while */

static int fd;

static int read_into(void *base, size_t len)
{
	struct mn_file file = MN_FILE_CLOSED;
	struct mn_op op;

	file.fd = fd;
	for (int i = 0; i < TIMES; i++) {
		mn_read_start(&op, &file, base, len, i);
		if (mn_op_await(&op, MN_NEVER) != 1)
			return 1;
	}
	return 0;
}

#define KNOWN	11
#define REFUSED	12
#define UNKNOWN	13

static int knowledge(void)
{
	const struct uring *u = to_uring(mn_self->be);

	return u->fixed.slabs ? KNOWN : u->fixed.refused ? REFUSED : UNKNOWN;
}

static int pooled(void *arg)
{
	struct mn_buf buf;
	int ret = mn_buf_alloc(&buf);

	if (!ret)
		ret = read_into(buf.data, 1);
	mn_buf_free(&buf);
	return ret ? ret : knowledge();
}

/* Of the arena, and of two slabs. */
static int across(void *arg)
{
	const struct pool *pool = &mn_self->pool;
	struct mn_buf buf[POOL_CHUNKS_PER_SLAB];
	int ret = 0;

	for (int i = 0; i < POOL_CHUNKS_PER_SLAB; i++)
		if (mn_buf_alloc(&buf[i]))
			return 1;
	ret = uring_fixed(to_uring(mn_self->be), pool->arena.base + pool_slab_bytes(pool) - 1, 2);
	for (int i = 0; i < POOL_CHUNKS_PER_SLAB; i++)
		mn_buf_free(&buf[i]);
	return ret < 0 ? knowledge() : 1;
}

static int elsewhere(void *arg)
{
	static char byte;

	return read_into(&byte, 1) ? 1 : knowledge();
}

#define need_fixed()								\
	do {									\
		need_backend("io_uring");					\
		if (uring_mask() & URING_BIT(URING_FIXED_BUFS))			\
			test_skip("fixed_bufs is masked");			\
	} while (0)

static void begin(void)
{
	fd = memfd_create("fixed", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < TIMES; i++)
		ck_assert_int_eq(write(fd, "x", 1), 1);
}

START_TEST(what_is_used_often_is_known)
{
	int ret;

	need_fixed();
	begin();
	ret = run_main("io_uring", 1, pooled, NULL);
	ck_assert_msg(ret == KNOWN || ret == REFUSED || ret == RUN_SKIPPED, "%d", ret);
	ret = run_main("io_uring", 1, across, NULL);
	ck_assert_msg(ret == UNKNOWN || ret == RUN_SKIPPED, "%d", ret);
	ret = run_main("io_uring", 1, elsewhere, NULL);
	ck_assert_msg(ret == UNKNOWN || ret == RUN_SKIPPED, "%d", ret);
	uring_mask_set("fixed_bufs");
	ret = run_main("io_uring", 1, pooled, NULL);
	ck_assert_msg(ret == UNKNOWN || ret == RUN_SKIPPED, "%d", ret);
}
END_TEST

static int as_nobody(void)
{
	const struct rlimit little = { 64 << 10, 64 << 10 };

	if (setrlimit(RLIMIT_MEMLOCK, &little) || setgroups(0, NULL) ||
	    setresuid(65534, 65534, 65534))
		return 1;
	return run_main("io_uring", 1, pooled, NULL) & 0xff;
}

/* A slab is more than it may lock: then all goes on as it was. */
START_TEST(who_may_not_lock_them_reads_all_the_same)
{
	int status;
	pid_t pid;

	need_root();
	need_fixed();
	begin();
	pid = fork();
	if (!pid)
		_exit(as_nobody());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == (RUN_SKIPPED & 0xff))
		test_skip("no ring fits into 64 KiB here");
	ck_assert_int_eq(WEXITSTATUS(status), REFUSED);
}
END_TEST

Suite *suite_uring_fixed(void)
{
	Suite *s = suite_create("uring_fixed");
	TCase *tc = tcase_create("uring_fixed");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, what_is_used_often_is_known);
	tcase_add_test(tc, who_may_not_lock_them_reads_all_the_same);
	suite_add_tcase(s, tc);
	return s;
}
