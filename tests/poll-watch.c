// SPDX-License-Identifier: MIT
/* Watches: calls as long as a descriptor is ready, and what may happen meanwhile. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/op.h"
#include "tests/poll.h"
#include "tests/suites.h"
#include "tests/world.h"

struct seen {
	struct mn_watch watch;
	unsigned int calls;
	unsigned int enough;	/* after so many calls it wants no more; 0: never */
	uint32_t next;		/* the interest from then on */
	int ready;		/* the last of them */
};

static void seen_call(struct mn_watch *watch, int ready)
{
	struct seen *s = container_of(watch, struct seen, watch);

	ck_assert_ptr_null(mn_self->fiber);
	s->ready = ready;
	if (++s->calls == s->enough)
		ck_assert_int_eq(mn_watch_set(watch, s->next), 0);
}

static void seen_start(struct seen *s, int fd, uint32_t events, unsigned int enough)
{
	*s = (struct seen){ .enough = enough };
	mn_watch_init(&s->watch, fd, seen_call);
	ck_assert_int_eq(mn_watch_set(&s->watch, events), 0);
}

static void seen_until(const struct seen *s, unsigned int calls)
{
	while (s->calls < calls)
		mn_sleep(MN_MSEC / 4);
}

/* Long enough for a call that must not come. */
static void pause_ms(int ms)
{
	ck_assert_int_eq(mn_sleep(ms * MN_MSEC), 0);
}

static void watch_kind(struct ends *e)
{
	struct seen s;

	seen_start(&s, e->in, POLLIN, 3);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 0);
	ends_put(e);
	seen_until(&s, 3);	/* nobody took it: again and again */
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 3);
	ck_assert_int_eq(s.ready, POLLIN);
	s.enough = 5;
	ck_assert_int_eq(mn_watch_set(&s.watch, POLLIN), 0);
	seen_until(&s, 5);
	ends_take(e);
	s.enough = 6;
	ck_assert_int_eq(mn_watch_set(&s.watch, POLLIN), 0);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 5);
	ends_put(e);
	seen_until(&s, 6);
	ends_take(e);
	ck_assert_int_eq(mn_watch_set(&s.watch, POLLIN), 0);	/* removed while it waits */
	mn_watch_remove(&s.watch);
	ck_assert_uint_eq(s.calls, 6);
}

static int watch_fiber(void *arg)
{
	return each_kind(watch_kind);
}

START_TEST(a_watch_is_level_triggered)
{
	poll_run(_i, watch_fiber);
}
END_TEST

/* ---- interest ---- */

static int interest_fiber(void *arg)
{
	struct ends e;
	struct seen s;

	ends_open(&e, 0);
	seen_start(&s, e.in, 0, 0);
	ck_assert_int_eq(mn_watch_set(&s.watch, POLLIN | POLLPRI), -EINVAL);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 0);
	/* From nothing to one direction, to the other, to both. */
	mn_watch_set(&s.watch, POLLIN);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 0);
	s.enough = 1;
	mn_watch_set(&s.watch, POLLOUT);
	seen_until(&s, 1);
	ck_assert_int_eq(s.ready, POLLOUT);
	ends_put(&e);
	s.enough = 2;
	mn_watch_set(&s.watch, POLLIN | POLLOUT);
	seen_until(&s, 2);
	ck_assert_int_eq(s.ready, POLLIN | POLLOUT);
	/* From one to the other by the function itself. */
	ends_take(&e);
	s.enough = 3;
	s.next = POLLIN;
	mn_watch_set(&s.watch, POLLOUT);
	seen_until(&s, 3);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 3);
	s.enough = 4;
	s.next = 0;
	ends_put(&e);
	seen_until(&s, 4);
	ck_assert_int_eq(s.ready, POLLIN);
	mn_watch_remove(&s.watch);
	ends_close(&e);
	return 0;
}

START_TEST(interest_may_change)
{
	poll_run(_i, interest_fiber);
}
END_TEST

/* What is seen and not yet told when it is not of interest any more. */
static int dropped_fiber(void *arg)
{
	struct ends e;
	struct seen s;

	ends_open(&e, 0);
	seen_start(&s, e.out, POLLOUT, 0);
	while (!s.watch.task.queued && !s.calls)	/* this fiber is queued behind it, or before */
		mn_yield();
	mn_watch_set(&s.watch, 0);
	s.calls = 0;
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 0);
	mn_watch_set(&s.watch, POLLOUT);
	mn_watch_set(&s.watch, 0);	/* before the backend has even seen it */
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 0);
	s.enough = 2;
	mn_watch_set(&s.watch, POLLOUT);
	mn_watch_set(&s.watch, 0);
	mn_watch_set(&s.watch, POLLIN | POLLOUT);
	seen_until(&s, 2);
	ck_assert_int_eq(s.ready, POLLOUT);
	mn_watch_remove(&s.watch);
	ends_close(&e);
	return 0;
}

START_TEST(what_is_of_no_interest_any_more_is_not_told)
{
	poll_run(_i, dropped_fiber);
}
END_TEST

static int both_fiber(void *arg)
{
	struct seen in, out;
	struct ends e;

	ends_open(&e, 0);
	seen_start(&in, e.in, POLLIN, 2);
	seen_start(&out, e.in, POLLOUT, 2);
	seen_until(&out, 2);
	pause_ms(1);
	ck_assert_uint_eq(in.calls, 0);
	ends_put(&e);
	seen_until(&in, 2);
	ck_assert_int_eq(in.ready, POLLIN);
	ck_assert_int_eq(out.ready, POLLOUT);
	ck_assert_uint_eq(out.calls, 2);
	mn_watch_remove(&out.watch);
	in.enough = 4;
	mn_watch_set(&in.watch, POLLIN);	/* the other's removal has not hurt it */
	seen_until(&in, 4);
	mn_watch_remove(&in.watch);
	ends_close(&e);
	return 0;
}

START_TEST(two_watches_share_a_descriptor)
{
	poll_run(_i, both_fiber);
}
END_TEST

/* ---- removal ---- */

static void free_seen(struct mn_task *task)
{
	free(container_of(task, struct seen, watch.task));
}

static unsigned int nr_removed;

static void remove_itself(struct mn_watch *watch, int ready)
{
	struct seen *s = container_of(watch, struct seen, watch);

	mn_watch_remove_start(watch);
	mn_watch_remove_start(watch);
	ck_assert_int_eq(mn_watch_set(watch, POLLIN), -EINVAL);
	ck_assert(!mn_future_ready(&watch->removed));
	mn_future_then(&watch->removed, &watch->task, free_seen);
	(void)s;
	nr_removed++;
}

static int remove_fiber(void *arg)
{
	struct ends e;
	struct seen s, *self = malloc(sizeof(*self));

	nr_removed = 0;
	ends_open(&e, 0);
	/* Of itself, with its memory; */
	mn_watch_init(&self->watch, e.out, remove_itself);
	mn_watch_set(&self->watch, POLLOUT);
	while (!nr_removed)
		mn_yield();
	/* without ever an interest; */
	mn_watch_init(&s.watch, e.in, seen_call);
	mn_watch_remove(&s.watch);
	/* before the backend has seen it; */
	seen_start(&s, e.out, POLLOUT, 0);
	mn_watch_remove(&s.watch);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 0);
	/* when it is about to be called; */
	seen_start(&s, e.out, POLLOUT, 0);
	while (!s.watch.task.queued && !s.calls)
		mn_yield();
	s.calls = 0;
	mn_watch_remove(&s.watch);
	ck_assert_uint_eq(s.calls, 0);
	/* and by a fiber that is to end. */
	seen_start(&s, e.in, POLLIN, 0);
	pause_ms(1);
	mn_fiber_cancel(mn_fiber_self());
	mn_watch_remove(&s.watch);
	ck_assert(!mn_op_in_flight(&s.watch.op));
	fiber_revive(mn_self->fiber);
	ends_close(&e);
	return 0;
}

START_TEST(removal_waits_until_the_backend_has_let_go)
{
	poll_run(_i, remove_fiber);
}
END_TEST

/* ---- bad descriptors ---- */

static int bad_fiber(void *arg)
{
	struct seen s;
	struct ends e;

	ends_open(&e, 0);
	ends_close(&e);
	seen_start(&s, e.in, POLLIN, 0);
	seen_until(&s, 1);
	ck_assert_int_eq(s.ready, -EBADF);
	pause_ms(1);
	ck_assert_uint_eq(s.calls, 1);	/* the interest has become none */
	mn_watch_set(&s.watch, POLLIN);
	seen_until(&s, 2);
	ck_assert_int_eq(s.ready, -EBADF);
	mn_watch_remove(&s.watch);
	return 0;
}

START_TEST(a_failure_is_told_once)
{
	poll_run(_i, bad_fiber);
}
END_TEST

/* A library closed it, and the number is another's already. */
static int behind_fiber(void *arg)
{
	struct seen old, new;
	struct ends a, b;

	if (is_mem())
		return 0;
	for (int keep = 0; keep < 2; keep++) {
		int copy = -1;

		pipe_open(&a);
		seen_start(&old, a.in, POLLIN, 0);
		pause_ms(1);
		if (keep)	/* then the kernel still has what is watched */
			copy = dup(a.in);
		close(a.in);
		pipe_open(&b);
		ck_assert_int_eq(b.in, a.in);
		seen_start(&new, b.in, POLLIN, 2);
		pause_ms(1);
		ck_assert_uint_eq(old.calls + new.calls, 0);
		ck_assert_int_eq(write(b.out, "x", 1), 1);
		seen_until(&new, 2);
		mn_watch_remove(&old.watch);
		new.enough = 4;
		mn_watch_set(&new.watch, POLLIN);
		seen_until(&new, 4);
		mn_watch_remove(&new.watch);
		if (copy >= 0)
			close(copy);
		close(a.out);
		close(b.in);
		close(b.out);
	}
	return 0;
}

START_TEST(a_descriptor_may_be_closed_behind_its_back)
{
	poll_run(_i, behind_fiber);
}
END_TEST

/* Always ready: no backend may give all its time to it, or refuse it. */
static int always_fiber(void *arg)
{
	struct seen s;
	int fd, yields = 0;

	if (is_mem())
		return 0;
	fd = file_open();
	seen_start(&s, fd, POLLIN, 100);
	for (; s.calls < 100; yields++)
		mn_yield();
	ck_assert_int_eq(s.ready, POLLIN);
	ck_assert_int_ge(yields, 50);
	mn_watch_remove(&s.watch);
	close(fd);
	return 0;
}

START_TEST(what_is_always_ready_leaves_time_to_others)
{
	poll_run(_i, always_fiber);
}
END_TEST

TCase *tcase_poll_watch(void)
{
	TCase *tc = tcase_create("watches");
	int n = poll_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_watch_is_level_triggered, 0, n);
	tcase_add_loop_test(tc, interest_may_change, 0, n);
	tcase_add_loop_test(tc, what_is_of_no_interest_any_more_is_not_told, 0, n);
	tcase_add_loop_test(tc, two_watches_share_a_descriptor, 0, n);
	tcase_add_loop_test(tc, removal_waits_until_the_backend_has_let_go, 0, n);
	tcase_add_loop_test(tc, a_failure_is_told_once, 0, n);
	tcase_add_loop_test(tc, a_descriptor_may_be_closed_behind_its_back, 0, n);
	tcase_add_loop_test(tc, what_is_always_ready_leaves_time_to_others, 0, n);
	return tc;
}
