// SPDX-License-Identifier: MIT
/*
 * Readiness of descriptors: mn_poll() and watches. Every case on every
 * backend, with 1 and 2 shards, on the last of them. Over mem there are
 * sockets alone; elsewhere also pipes, terminals, eventfds and files.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/op.h"
#include "tests/poll.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define NR_SHARDS 2 /* at most */

int poll_worlds(void)
{
	return nr_backends() * NR_SHARDS;
}

static int on_last(void *fn)
{
	return mn_call(mn_shards() - 1, (mn_fiber_fn)fn, NULL);
}

/* The loop variable counts combinations of backend and number of shards. */
void poll_run(int i, mn_fiber_fn fn)
{
	int ret =
		run_backend(i / NR_SHARDS, (unsigned int)(i % NR_SHARDS) + 1, on_last, (void *)fn);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%d", ret);
}

/* ---- two ends, of several kinds ---- */

bool is_mem(void)
{
	return mn_self->virtual_time;
}

static void open_socket(struct ends *e)
{
	struct sockaddr_in sa;
	int fd = listener(&sa, 1);
	struct mn_op op;

	e->out = do_socket();
	op_init(&op, MN_OP_CONNECT, e->out);
	op.addr.sa = (struct sockaddr *)&sa;
	op.addr.len = sizeof(sa);
	op_start(&op);
	ck_assert_int_eq(mn_op_await(&op, MN_NEVER), 0);
	ck_assert_int_eq(mn_poll(fd, POLLIN, MN_SEC), POLLIN);
	e->in = do_call(MN_OP_ACCEPT, fd, 0);
	ck_assert_int_ge(e->in, 0);
	do_call(MN_OP_CLOSE, fd, 0);
}

void pipe_open(struct ends *e)
{
	int fd[2];

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	e->in = fd[0];
	e->out = fd[1];
}

/* What the master writes is what was typed; the slave reads it line by line. */
static void open_tty(struct ends *e)
{
	e->out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	ck_assert_int_ge(e->out, 0);
	ck_assert(!grantpt(e->out) && !unlockpt(e->out));
	e->in = open(ptsname(e->out), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	ck_assert_int_ge(e->in, 0);
}

static void open_eventfd(struct ends *e)
{
	e->in = e->out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(e->in, 0);
}

static const struct kind kinds[] = {
	{ "socket", open_socket, "x\n", 2 },
	{ "pipe", pipe_open, "x\n", 2 },
	{ "tty", open_tty, "x\n", 2 },
	{ "eventfd", open_eventfd, "\1\0\0\0\0\0\0\0", 8 },
};

static unsigned int nr_kinds(void)
{
	return is_mem() ? 1 : ARRAY_SIZE(kinds);
}

void ends_open(struct ends *e, unsigned int i)
{
	e->kind = &kinds[i];
	e->kind->open(e);
}

void ends_put(const struct ends *e)
{
	struct mn_op op;

	if (e->kind != kinds) {
		ck_assert_int_eq(write(e->out, e->kind->text, (size_t)e->kind->len), e->kind->len);
		return;
	}
	mn_send_start(&op, e->out, e->kind->text, (size_t)e->kind->len);
	ck_assert_int_eq(mn_op_await(&op, MN_NEVER), e->kind->len);
	/* It has arrived. */
	ck_assert_int_eq(mn_poll(e->in, POLLIN, MN_SEC), POLLIN);
}

void ends_take(const struct ends *e)
{
	struct mn_op op;
	char text[8];

	if (e->kind != kinds) {
		ck_assert_int_eq(read(e->in, text, (size_t)e->kind->len), e->kind->len);
		return;
	}
	mn_recv_start(&op, e->in, text, (size_t)e->kind->len);
	ck_assert_int_eq(mn_op_await(&op, MN_NEVER), e->kind->len);
}

void ends_close(const struct ends *e)
{
	do_call(MN_OP_CLOSE, e->out, 0);
	if (e->out != e->in)
		do_call(MN_OP_CLOSE, e->in, 0);
}

/* A test of each kind of descriptor that there is over the backend. */
int each_kind(void (*test)(struct ends *e))
{
	for (unsigned int i = 0; i < nr_kinds(); i++) {
		struct ends e;

		ends_open(&e, i);
		test(&e);
		ends_close(&e);
	}
	return 0;
}

/* ---- one wait ---- */

static int poll_in(void *arg)
{
	const struct ends *e = arg;

	return mn_poll(e->in, POLLIN, MN_NEVER);
}

static void poll_kind(struct ends *e)
{
	struct mn_fiber *fiber[3];

	ck_assert_int_eq(mn_poll(e->in, POLLIN, 0), -ETIMEDOUT);
	ck_assert_int_eq(mn_poll(e->in, POLLIN, -1), -ETIMEDOUT);
	ck_assert_int_eq(mn_poll(e->in, POLLIN, MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_poll(e->out, POLLOUT, 0), POLLOUT);
	ck_assert_int_eq(mn_poll(e->out, POLLOUT, MN_NEVER), POLLOUT);
	for (unsigned int i = 0; i < ARRAY_SIZE(fiber); i++)
		ck_assert_int_eq(mn_spawn(poll_in, e, &fiber[i]), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber[1]);
	ck_assert_int_eq(mn_join(fiber[1]), -ECANCELED);
	ends_put(e);
	ck_assert_int_eq(mn_join(fiber[0]), POLLIN);
	ck_assert_int_eq(mn_join(fiber[2]), POLLIN);
	/* Nobody has taken it: it is there for who comes late, even without waiting. */
	ck_assert_int_eq(mn_poll(e->in, POLLIN, 0), POLLIN);
	ck_assert_int_eq(mn_poll(e->in, POLLIN, MN_NEVER), POLLIN);
	ends_take(e);
	ck_assert_int_eq(mn_poll(e->in, POLLIN, 0), -ETIMEDOUT);
}

static int poll_fiber(void *arg)
{
	return each_kind(poll_kind);
}

START_TEST(a_fiber_waits_for_any_descriptor)
{
	poll_run(_i, poll_fiber);
}
END_TEST

static int deadline_fiber(void *arg)
{
	struct mn_scope scope;
	struct ends e;
	int res;

	ends_open(&e, 0);
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 2 * MN_MSEC });
	ck_assert_int_eq(mn_poll(e.in, POLLIN, MN_NEVER), -ETIMEDOUT);
	/* No wait begins, but what is ready is seen. */
	ck_assert_int_eq(mn_poll(e.in, POLLIN, MN_NEVER), -ETIMEDOUT);
	ck_assert_int_eq(mn_poll(e.out, POLLOUT, MN_NEVER), POLLOUT);
	res = mn_scope_join(&scope);
	ck_assert(res == 0 || res == -ETIMEDOUT);
	ends_close(&e);
	return 0;
}

START_TEST(a_deadline_around_it_ends_the_wait)
{
	poll_run(_i, deadline_fiber);
}
END_TEST

static int refused_fiber(void *arg)
{
	struct ends e;

	ends_open(&e, 0);
	ck_assert_int_eq(mn_poll(e.in, 0, MN_NEVER), -EINVAL);
	ck_assert_int_eq(mn_poll(e.in, POLLIN | POLLPRI, MN_NEVER), -EINVAL);
	ck_assert_int_eq(mn_poll(e.in, POLLERR, MN_NEVER), -EINVAL);
	ck_assert_int_eq(mn_poll(-1, POLLIN, MN_NEVER), -EBADF);
	ends_close(&e);
	ck_assert_int_eq(mn_poll(e.in, POLLIN, MN_NEVER), -EBADF);
	return 0;
}

START_TEST(what_makes_no_sense_is_refused)
{
	poll_run(_i, refused_fiber);
}
END_TEST

/* The last of them has closed its end. */
static int hangup_fiber(void *arg)
{
	struct ends e;
	int ready;

	if (is_mem())
		return 0;
	pipe_open(&e);
	close(e.out);
	ck_assert_int_eq(mn_poll(e.in, POLLIN, MN_NEVER), POLLHUP);
	close(e.in);
	pipe_open(&e);
	close(e.in);
	ready = mn_poll(e.out, POLLOUT, MN_NEVER);
	ck_assert_msg(ready == (POLLOUT | POLLERR), "%d", ready);
	close(e.out);
	open_tty(&e);
	close(e.out);
	ready = mn_poll(e.in, POLLIN, MN_NEVER);
	ck_assert_msg(ready > 0 && ready & POLLHUP, "%d", ready);
	close(e.in);
	return 0;
}

START_TEST(a_hangup_is_reported_unasked)
{
	poll_run(_i, hangup_fiber);
}
END_TEST

int file_open(void)
{
	char name[] = "/tmp/mn-test-poll-XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	unlink(name);
	return fd;
}

static int file_fiber(void *arg)
{
	int fd;

	if (is_mem())
		return 0;
	fd = file_open();
	ck_assert_int_eq(mn_poll(fd, POLLIN, MN_NEVER), POLLIN);
	ck_assert_int_eq(mn_poll(fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
	close(fd);
	return 0;
}

START_TEST(a_regular_file_is_always_ready)
{
	poll_run(_i, file_fiber);
}
END_TEST

Suite *suite_poll(void)
{
	Suite *suite = suite_create("poll");
	TCase *tc = tcase_create("once");
	int n = poll_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_fiber_waits_for_any_descriptor, 0, n);
	tcase_add_loop_test(tc, a_deadline_around_it_ends_the_wait, 0, n);
	tcase_add_loop_test(tc, what_makes_no_sense_is_refused, 0, n);
	tcase_add_loop_test(tc, a_hangup_is_reported_unasked, 0, n);
	tcase_add_loop_test(tc, a_regular_file_is_always_ready, 0, n);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, tcase_poll_watch());
	return suite;
}
