// SPDX-License-Identifier: MIT
/* Group commit; on every backend alike. */
#include <stdlib.h>

#include <miniss/commit.h>

#include "core/compiler.h"
#include "tests/file-stream.h"
#include "tests/file.h"
#include "tests/suites.h"
#include "tests/world.h"

#define FIBERS	100

struct committer {
	struct mn_commit *commit;
	struct mn_file *file;
	int64_t off, timeout_ns;
	uint64_t syncs_before, syncs_after;
};

/* A sync that began after the write: the next one, or the one after one that was under way. */
static int write_and_commit(void *arg)
{
	struct committer *c = arg;
	int err;

	if (c->off >= 0 && mn_write(c->file, "x", 1, c->off) != 1)
		return -EPROTO;
	c->syncs_before = mn_commit_syncs(c->commit);
	err = mn_commit_timeout(c->commit, c->timeout_ns);
	c->syncs_after = mn_commit_syncs(c->commit);
	return err;
}

struct group {
	struct mn_file file;
	struct mn_commit commit;
	struct committer c[FIBERS];
	struct mn_fiber *fiber[FIBERS];
};

static struct group *group_make(void)
{
	struct group *g = calloc(1, sizeof(*g));

	ck_assert_ptr_nonnull(g);
	file_make(&g->file, "log", 10);
	mn_commit_init(&g->commit, &g->file);
	for (int i = 0; i < FIBERS; i++)
		g->c[i] = (struct committer){
			.commit = &g->commit, .file = &g->file, .off = -1, .timeout_ns = MN_NEVER
		};
	return g;
}

static void group_end(struct group *g, int res)
{
	is(mn_commit_close(&g->commit), res);
	is(mn_file_close(&g->file), res);
	free(g);
}

static void start(struct group *g, int i)
{
	ck_assert_int_eq(mn_spawn(write_and_commit, &g->c[i], &g->fiber[i]), 0);
}

/* One begins; all others come while it is under way. */
static int one_for_all(void *arg)
{
	struct group *g = group_make();
	uint64_t n;

	for (int i = 0; i < FIBERS; i++)
		start(g, i);
	for (int i = 0; i < FIBERS; i++)
		is(mn_join(g->fiber[i]), 0);
	ck_assert_uint_ge(mn_commit_syncs(&g->commit), 2);
	ck_assert_uint_le(mn_commit_syncs(&g->commit), 10);	/* 2, if nothing comes in between */
	n = mn_commit_syncs(&g->commit);
	ok(mn_commit(&g->commit));
	ck_assert_uint_eq(mn_commit_syncs(&g->commit), n + 1);
	group_end(g, 0);
	return 0;
}

static int after_the_write(void *arg)
{
	struct group *g = group_make();

	for (int i = 0; i < FIBERS; i++) {
		g->c[i].off = i;
		start(g, i);
		if (i % 7 == 0)
			mn_yield();
	}
	for (int i = 0; i < FIBERS; i++)
		is(mn_join(g->fiber[i]), 0);
	for (int i = 0; i < FIBERS; i++)
		ck_assert_uint_gt(g->c[i].syncs_after, g->c[i].syncs_before);
	ck_assert_uint_lt(mn_commit_syncs(&g->commit), FIBERS);
	group_end(g, 0);
	return 0;
}

/* Who leaves takes nothing from the others; the sync goes on. */
static int leave(void *arg)
{
	struct group *g = group_make();

	g->c[3].timeout_ns = 0;
	for (int i = 0; i < 6; i++)
		start(g, i);
	mn_fiber_cancel(g->fiber[4]);	/* before it ran */
	mn_yield();
	mn_fiber_cancel(g->fiber[0]);	/* who began it */
	mn_fiber_cancel(g->fiber[1]);
	is(mn_join(g->fiber[1]), -ECANCELED);
	is(mn_join(g->fiber[3]), -ETIMEDOUT);
	is(mn_join(g->fiber[4]), -ECANCELED);
	is(mn_join(g->fiber[0]), -ECANCELED);
	ok(mn_join(g->fiber[2]));
	ok(mn_join(g->fiber[5]));
	is((int64_t)mn_commit_syncs(&g->commit), 2);
	is(mn_commit_timeout(&g->commit, 0), -ETIMEDOUT);
	is((int64_t)mn_commit_syncs(&g->commit), 2);
	group_end(g, 0);
	return 0;
}

/* As if the kernel had said so: for those under way, those who wait, and those who come. */
static int failure(void *arg)
{
	struct group *g = group_make();

	for (int i = 0; i < 10; i++)
		start(g, i);
	mn_yield();
	g->file.failed = -EIO;
	for (int i = 0; i < 10; i++)
		is(mn_join(g->fiber[i]), -EIO);
	is((int64_t)mn_commit_syncs(&g->commit), 1);
	is(mn_commit(&g->commit), -EIO);
	is(mn_commit_timeout(&g->commit, 0), -EIO);
	is((int64_t)mn_commit_syncs(&g->commit), 1);
	is(mn_commit_close(&g->commit), -EIO);
	mn_commit_init(&g->commit, &g->file);	/* a new one does not know better */
	is(mn_commit(&g->commit), -EIO);
	group_end(g, -EIO);
	return 0;
}

/* One that did not even begin is nobody's end. */
static int not_begun(void *arg)
{
	struct group *g = group_make();
	int fd = g->file.fd;

	g->file.fd = -1;
	is(mn_commit(&g->commit), -EBADF);
	g->file.fd = fd;
	ok(mn_commit(&g->commit));
	group_end(g, 0);
	return 0;
}

static int close_waits(void *arg)
{
	struct group *g = group_make();

	for (int i = 0; i < 10; i++)
		start(g, i);
	mn_yield();
	ok(mn_commit_close(&g->commit));
	for (int i = 0; i < 10; i++)
		is(mn_join(g->fiber[i]), 0);
	ok(mn_file_close(&g->file));
	free(g);
	return 0;
}

static const struct script scripts[] = {
	{ "one_for_all", one_for_all },
	{ "after_the_write", after_the_write },
	{ "leave", leave },
	{ "failure", failure },
	{ "not_begun", not_begun },
	{ "close_waits", close_waits },
};

SCRIPT_TEST(many_writers_share_a_sync, scripts)

TCase *tcase_commit(void)
{
	TCase *tc = tcase_create("commit");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, many_writers_share_a_sync, scripts);
	return tc;
}
