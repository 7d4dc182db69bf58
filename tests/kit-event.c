// SPDX-License-Identifier: MIT
/*
 * The contract kit, events: readiness of descriptors of each kind, watches of
 * them, and what happens to files.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/poll.h"
#include "tests/run.h"
#include "tests/script.h"
#include "tests/suites.h"
#include "tests/world.h"

/* --- mn_poll() --- */

/* A script that is tried with several kinds of descriptors (tests/poll.c); it gets two ends. */
struct ends_script {
	struct script script;
	int (*fn)(struct ends *e);
	unsigned int kind;
};

enum { SOCKET, PIPE, TTY, EVENTFD };

/* A virtual world has sockets alone. */
static int with_ends(void *arg)
{
	const struct ends_script *s = container_of(arg, struct ends_script, script);
	struct ends e;
	int ret;

	if (is_mem() && s->kind != SOCKET)
		return RUN_SKIPPED;
	ends_open(&e, s->kind);
	ret = s->fn(&e);
	ends_close(&e);
	return ret;
}

static int looks(struct ends *e)
{
	for (int i = 0; i < 3; i++) {
		is(mn_poll(e->in, POLLIN, 0), -ETIMEDOUT);
		is(mn_poll(e->in, POLLIN, -1), -ETIMEDOUT);
		is(mn_poll(e->in, POLLIN, MN_MSEC), -ETIMEDOUT);
		is(mn_poll(e->out, POLLOUT, 0), POLLOUT);
		is(mn_poll(e->out, POLLOUT, MN_NEVER), POLLOUT);
		ends_put(e);
		is(mn_poll(e->in, POLLIN, MN_NEVER), POLLIN);
		is(mn_poll(e->in, POLLIN, 0), POLLIN);
		note(mn_poll(e->in, POLLIN | POLLOUT, 0));
		ends_take(e);
	}
	return 0;
}

static int in_fiber(void *arg)
{
	const struct ends *e = arg;

	return mn_poll(e->in, POLLIN, MN_NEVER);
}

static int waits(struct ends *e)
{
	struct mn_fiber *fiber[5];

	for (unsigned int i = 0; i < ARRAY_SIZE(fiber); i++)
		ok(mn_spawn(in_fiber, e, &fiber[i]));
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber[0]);
	mn_fiber_cancel(fiber[3]);
	is(mn_join(fiber[0]), -ECANCELED);
	is(mn_join(fiber[3]), -ECANCELED);
	ends_put(e);
	is(mn_join(fiber[1]), POLLIN);
	is(mn_join(fiber[2]), POLLIN);
	is(mn_join(fiber[4]), POLLIN);
	ends_take(e);
	is(mn_poll(e->in, POLLIN, 0), -ETIMEDOUT);
	return 0;
}

static int deadlines(struct ends *e)
{
	struct mn_scope scope;

	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + 2 * MN_MSEC });
	is(mn_poll(e->in, POLLIN, MN_NEVER), -ETIMEDOUT);
	is(mn_poll(e->in, POLLIN, MN_SEC), -ETIMEDOUT);
	is(mn_poll(e->out, POLLOUT, MN_NEVER), POLLOUT);	/* what is there wins */
	ok(mn_scope_join(&scope));
	ends_put(e);
	is(mn_poll(e->in, POLLIN, MN_NEVER), POLLIN);
	return 0;
}

static int refusals(struct ends *e)
{
	is(mn_poll(e->in, 0, MN_NEVER), -EINVAL);
	is(mn_poll(e->in, POLLIN | POLLPRI, MN_NEVER), -EINVAL);
	is(mn_poll(e->in, POLLHUP, 0), -EINVAL);
	is(mn_poll(-1, POLLIN, MN_NEVER), -EBADF);
	is(mn_poll(-1, POLLIN, 0), -EBADF);
	is(mn_poll(900000, POLLOUT, MN_SEC), -EBADF);
	return 0;
}

/* --- mn_watch --- */

struct seen {
	struct mn_watch watch;
	struct ends *ends;
	unsigned int nr, max;
	int last;
};

/* Takes nothing, so it is called again, until it has had enough. */
static void on_ready(struct mn_watch *watch, int ready)
{
	struct seen *seen = container_of(watch, struct seen, watch);

	seen->last = ready;
	if (++seen->nr == seen->max)
		mn_watch_set(watch, 0);
}

static void expect_calls(struct seen *seen, uint32_t events, unsigned int n, int ready)
{
	seen->nr = 0;
	seen->max = n;
	ok(mn_watch_set(&seen->watch, events));
	while (seen->nr < n)
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	is(seen->nr, n);
	is(seen->last, ready);
}

static int watches(struct ends *e)
{
	struct seen in = { .nr = 0 }, out = { .nr = 0 };

	mn_watch_init(&in.watch, e->in, on_ready);
	mn_watch_init(&out.watch, e->out, on_ready);
	is(mn_watch_set(&in.watch, POLLPRI), -EINVAL);
	ok(mn_watch_set(&in.watch, POLLIN));
	ok(mn_watch_set(&in.watch, POLLIN));
	expect_calls(&out, POLLOUT, 1, POLLOUT);
	expect_calls(&out, POLLOUT, 7, POLLOUT);
	is(in.nr, 0);
	ok(mn_watch_set(&in.watch, 0));
	ends_put(e);
	ok(mn_sleep(MN_MSEC));
	is(in.nr, 0);	/* it is of no interest */
	expect_calls(&in, POLLIN, 1, POLLIN);
	expect_calls(&in, POLLIN, 5, POLLIN);
	ends_take(e);
	in.nr = 0;
	ok(mn_watch_set(&in.watch, POLLIN));
	ok(mn_sleep(MN_MSEC));
	is(in.nr, 0);
	mn_watch_remove(&in.watch);
	mn_watch_remove(&out.watch);
	ends_put(e);
	ok(mn_sleep(MN_MSEC));
	is(in.nr, 0);
	return 0;
}

static int watch_of_nothing(struct ends *e)
{
	struct seen seen = { .nr = 0 };

	mn_watch_init(&seen.watch, -1, on_ready);
	for (int i = 0; i < 3; i++)
		expect_calls(&seen, POLLIN, 1, -EBADF);
	mn_watch_remove(&seen.watch);
	return 0;
}

/* --- the other end goes --- */

static int hangs_up(void *arg)
{
	struct ends e;
	int fd;

	if (is_mem())
		return RUN_SKIPPED;
	pipe_open(&e);
	close(e.out);
	is(mn_poll(e.in, POLLIN, MN_NEVER), POLLHUP);
	close(e.in);
	pipe_open(&e);
	close(e.in);
	is(mn_poll(e.out, POLLOUT, MN_NEVER), POLLOUT | POLLERR);
	close(e.out);
	ends_open(&e, TTY);
	close(e.out);
	note(mn_poll(e.in, POLLIN, MN_NEVER));
	note(mn_poll(e.in, POLLOUT, 0));
	close(e.in);
	ends_open(&e, SOCKET);
	is(mn_poll(e.out, POLLIN, 0), -ETIMEDOUT);
	close(e.in);
	is(mn_poll(e.out, POLLIN, MN_NEVER), POLLIN);
	shutdown(e.out, SHUT_WR);
	note(mn_poll(e.out, POLLIN, MN_NEVER));
	note(mn_poll(e.out, POLLIN | POLLOUT, 0));
	close(e.out);
	ends_open(&e, SOCKET);
	ends_put(&e);
	close(e.in);	/* a reset: nobody has read it */
	note(mn_poll(e.out, POLLIN, MN_NEVER));
	note(mn_poll(e.out, POLLOUT, MN_NEVER));
	close(e.out);
	fd = file_open();
	is(mn_poll(fd, POLLIN | POLLOUT, MN_NEVER), POLLIN | POLLOUT);
	close(fd);
	return 0;
}

/* The other side says no more, and reads nothing either: there is no room. */
static int half_closed_and_full(void *arg)
{
	static char data[65536];
	struct seen seen = { .max = 1000 };
	int fd[2];

	if (is_mem())
		return RUN_SKIPPED;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	while (send(fd[0], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	shutdown(fd[1], SHUT_WR);
	is(mn_poll(fd[0], POLLOUT, 0), -ETIMEDOUT);
	is(mn_poll(fd[0], POLLOUT, 2 * MN_MSEC), -ETIMEDOUT);
	is(mn_poll(fd[0], POLLIN | POLLOUT, MN_SEC), POLLIN);
	mn_watch_init(&seen.watch, fd[0], on_ready);
	ok(mn_watch_set(&seen.watch, POLLOUT));
	ok(mn_sleep(2 * MN_MSEC));
	is(seen.nr, 0);
	while (recv(fd[1], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	is(mn_poll(fd[0], POLLOUT, MN_SEC), POLLOUT);
	while (!seen.nr)
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	is(seen.last, POLLOUT);
	mn_watch_remove(&seen.watch);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

/* --- files --- */

static struct mn_fswatch *fs;

static void file_write(const char *name)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}

/* Events so far, with all that they say. */
static void tell(int n)
{
	struct mn_fsevent event;

	for (int i = 0; i < n; i++) {
		ok(mn_fswatch_next(fs, &event, 20 * MN_SEC));
		note(event.kind);
		note(event.id);
		note(event.kind == MN_FS_RENAMED ? event.to_id : 0);
		note(event.dir);
		note_bytes(event.name, strlen(event.name));
		if (event.kind == MN_FS_RENAMED)
			note_bytes(event.to, strlen(event.to));
	}
	is(mn_fswatch_next(fs, &event, 0), -ETIMEDOUT);
}

static int files(void *arg)
{
	if (is_mem())
		return RUN_SKIPPED;
	ok(mn_fswatch_open(&fs));
	note(mn_fswatch_add(fs, in_dir("."), MN_FS_ALL));
	tell(0);
	file_write("a");
	tell(3);
	file_write("a");
	tell(2);
	ck_assert_int_eq(chmod(in_dir("a"), 0600), 0);
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	tell(2);
	ck_assert_int_eq(rename(in_dir("a"), in_dir("b")), 0);
	ck_assert_int_eq(rename(in_dir("b"), in_dir("sub/b")), 0);
	ck_assert_int_eq(rename(in_dir("sub/b"), in_dir("c")), 0);
	tell(3);
	ck_assert_int_eq(unlink(in_dir("c")), 0);
	ck_assert_int_eq(rmdir(in_dir("sub")), 0);
	tell(2);
	mn_fswatch_close(fs);
	return 0;
}

static int files_gone(void *arg)
{
	int dir, file;

	if (is_mem())
		return RUN_SKIPPED;
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	file_write("file");
	ok(mn_fswatch_open(&fs));
	dir = (int)note(mn_fswatch_add(fs, in_dir("sub"), MN_FS_ALL));
	file = (int)note(mn_fswatch_add(fs, in_dir("file"), MN_FS_WRITTEN));
	is(mn_fswatch_add(fs, in_dir("sub/../file"), MN_FS_ALL), -EEXIST);
	is(mn_fswatch_add(fs, in_dir("none"), MN_FS_ALL), -ENOENT);
	is(mn_fswatch_add(fs, in_dir("file/none"), MN_FS_ALL), -ENOTDIR);
	is(mn_fswatch_add(fs, in_dir("file"), MN_FS_OVERFLOW), -EINVAL);
	is(mn_fswatch_remove(fs, 12345), -EINVAL);
	file_write("sub/x");
	tell(3);
	ck_assert_int_eq(rename(in_dir("file"), in_dir("moved")), 0);
	file_write("moved");
	tell(2);
	ck_assert_int_eq(unlink(in_dir("moved")), 0);
	tell(1);
	is(mn_fswatch_remove(fs, file), -EINVAL);
	ok(mn_fswatch_remove(fs, dir));
	file_write("sub/y");
	tell(0);
	is(mn_fswatch_remove(fs, dir), -EINVAL);
	mn_fswatch_close(fs);
	return 0;
}

static int next_fiber(void *arg)
{
	return mn_fswatch_next(fs, arg, MN_NEVER);
}

static int files_in_vain(void *arg)
{
	struct mn_fsevent event;
	struct mn_fiber *fiber;
	struct mn_scope scope;

	if (is_mem())
		return RUN_SKIPPED;
	ok(mn_fswatch_open(&fs));
	note(mn_fswatch_add(fs, in_dir("."), MN_FS_WRITTEN));
	is(mn_fswatch_next(fs, &event, MN_MSEC), -ETIMEDOUT);
	ok(mn_spawn(next_fiber, &event, &fiber));
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	is(mn_join(fiber), -ECANCELED);
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + 1 });
	is(mn_fswatch_next(fs, &event, MN_NEVER), -ETIMEDOUT);
	ok(mn_scope_join(&scope));
	file_write("late");
	tell(1);
	mn_fswatch_close(fs);
	return 0;
}

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

/* What does not fit is lost, which is told, and it goes on. */
static int files_too_many(void *arg)
{
	struct mn_fsevent event;
	int max = queue_max(), n = 0;

	if (is_mem() || max < 1 || max > 100000)
		return RUN_SKIPPED;
	ok(mn_fswatch_open(&fs));
	note(mn_fswatch_add(fs, in_dir("."), MN_FS_CREATED | MN_FS_DELETED));
	for (int i = 0; i < max / 2 + 10; i++) {
		ck_assert(!mkdir(in_dir("sub"), 0700) && !rmdir(in_dir("sub")));
		if (i % 64 == 0)
			mn_yield();
	}
	while (!mn_fswatch_next(fs, &event, 0) && event.kind != MN_FS_OVERFLOW)
		n++;
	is(event.kind, MN_FS_OVERFLOW);
	is(event.id, -1);
	is(n, max);
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	tell(1);
	mn_fswatch_close(fs);
	return 0;
}

/* clang-format off */
#define ENDS(fn, what, kind)	{ { #fn " of a " what, with_ends }, fn, kind }
#define ENDS_ALL(fn)							\
	ENDS(fn, "socket", SOCKET), ENDS(fn, "pipe", PIPE),		\
	ENDS(fn, "terminal", TTY), ENDS(fn, "eventfd", EVENTFD)

static const struct ends_script ends_scripts[] = {
	ENDS_ALL(looks), ENDS_ALL(waits), ENDS_ALL(deadlines), ENDS_ALL(watches),
	ENDS(refusals, "socket", SOCKET), ENDS(refusals, "pipe", PIPE),
	ENDS(watch_of_nothing, "pipe", PIPE),
};

static const struct script scripts[] = {
	{ "hangs up", hangs_up }, { "half closed and full", half_closed_and_full }, { "files", files }, { "files gone", files_gone },
	{ "files in vain", files_in_vain }, { "files too many", files_too_many },
};
/* clang-format on */

START_TEST(readiness_is_the_same_on_every_backend)
{
	script_run(&ends_scripts[_i / 2].script, 1 + (unsigned int)_i % 2);
}
END_TEST

SCRIPT_TEST(events_are_the_same_on_every_backend, scripts)

Suite *suite_kit_event(void)
{
	Suite *s = suite_create("kit_event");
	TCase *tc = tcase_create("kit_event");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, readiness_is_the_same_on_every_backend, ends_scripts);
	script_test(tc, events_are_the_same_on_every_backend, scripts);
	suite_add_tcase(s, tc);
	return s;
}
