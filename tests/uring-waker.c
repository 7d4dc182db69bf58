// SPDX-License-Identifier: MIT
/*
 * Wake-ups by message, and what becomes of them when something is in their
 * way: then the eventfd must do it. Both shards are stepped by the test; one
 * that waits for a wake-up which does not come runs into Check's time limit.
 */
#include <unistd.h>

#include "backends/io_uring/uring.h"
#include "tests/spawn.h"
#include "tests/suites.h"
#include "tests/world.h"

static struct mn_world world;

static struct uring *ring(unsigned int shard)
{
	return to_uring(world.shards[shard]->be);
}

static void turn(unsigned int shard, int64_t deadline_ns)
{
	mn_self = world.shards[shard];
	backend_turn(mn_self->be, deadline_ns);
	mn_self = world.shards[0];
}

/* How often the eventfd of a shard was written to; it is 0 again. */
static uint64_t written(unsigned int shard)
{
	uint64_t n;

	return read(ring(shard)->wake_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static uint64_t unsent(void)
{
	return world.shards[0]->stats[STAT_WAKES_UNSENT];
}

/* Shard 0 has run; whatever its start left behind is done. */
static bool begin(const char *backend)
{
	if (!world_begin(&world, backend, 2))
		return false;
	for (int i = 0; i < 10; i++) {
		turn(0, 0);
		turn(1, 0);
	}
	return true;
}

static void wake(void)
{
	backend_wake(world.shards[1]->be);
}

/* --- who sends, and how --- */

START_TEST(a_shard_wakes_another_by_message_with_its_next_turn)
{
	if (!begin("io_uring:msg_ring"))
		return;
	for (int i = 0; i < 3; i++) {
		wake();
		ck_assert_uint_eq(uring_pending(ring(0)), 1);
		turn(0, 0);
		ck_assert_uint_eq(uring_pending(ring(0)), 0);
		turn(1, MN_NEVER);
	}
	ck_assert_uint_eq(written(1), 0);
	ck_assert(ring(1)->wake_armed);
	world_end(&world);
}
END_TEST

START_TEST(with_the_eventfd_waker_no_message_is_sent)
{
	if (!begin("io_uring:eventfd"))
		return;
	wake();
	ck_assert_uint_eq(uring_pending(ring(0)), 0);
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 1);
	world_end(&world);
}
END_TEST

START_TEST(who_is_not_a_shard_of_this_world_uses_the_eventfd)
{
	static struct mn_world home;

	if (!world_begin(&home, "io_uring:msg_ring", 1))
		return;
	ck_assert(begin("io_uring:msg_ring"));
	mn_self = NULL;
	wake();
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 1);
	mn_self = home.shards[0];
	backend_turn(mn_self->be, 0);
	wake();
	ck_assert_uint_eq(uring_pending(to_uring(mn_self->be)), 0);
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 1);
	world_end(&world);
	world_end(&home);
}
END_TEST

/* --- what is in the way --- */

static void falls_back(void)
{
	uint64_t before = unsent();

	wake();
	turn(0, 0);
	turn(0, 0);
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(unsent(), before + 1);
}

START_TEST(a_message_that_cannot_be_delivered_goes_by_eventfd)
{
	int fd[2], closed, target;

	if (!begin("io_uring:msg_ring"))
		return;
	ck_assert_int_eq(pipe(fd), 0);
	closed = dup(fd[0]);
	close(closed);
	target = ring(1)->msg_fd;
	for (int i = 0; i < 3; i++) {
		/* A ring that was closed, something else, nothing at all. */
		ring(1)->msg_fd = i == 0 ? closed : i == 1 ? fd[0] : -1;
		falls_back();
		turn(1, MN_NEVER);
		ck_assert_uint_eq(written(1), 1);
	}
	ring(1)->msg_fd = target;
	wake();
	turn(0, 0);
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 0);
	close(fd[0]);
	close(fd[1]);
	world_end(&world);
}
END_TEST

START_TEST(a_ring_that_is_not_enabled_yet_finds_its_wake_up_later)
{
	if (!world_make(&world, "io_uring:msg_ring", 2))
		return;
	ck_assert_int_eq(shard_start(world.shards[0]), 0);
	falls_back();
	ck_assert_int_eq(shard_start(world.shards[1]), 0);
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 1);
	world_end(&world);
}
END_TEST

START_TEST(a_shard_that_has_not_started_wakes_others_by_eventfd)
{
	if (!world_make(&world, "io_uring:msg_ring", 2))
		return;
	ck_assert_int_eq(shard_start(world.shards[1]), 0);
	mn_self = world.shards[0];
	wake();
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 1);
	world_end(&world);
}
END_TEST

static void fill_sq(struct uring *u)
{
	struct io_uring_sqe *sqe;

	while ((sqe = io_uring_get_sqe(&u->ring))) {
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, TAG_IGNORE);
	}
}

START_TEST(a_full_submission_queue_is_gone_around)
{
	if (!begin("io_uring:msg_ring"))
		return;
	fill_sq(ring(0));
	wake();
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 1);
	world_end(&world);
}
END_TEST

/* Completions of the target that nobody reaps: the kernel keeps the rest, and ends the poll. */
START_TEST(a_full_completion_queue_loses_no_wake_up)
{
	unsigned int n;

	if (!begin("io_uring:msg_ring"))
		return;
	n = ring(1)->plan.cq_entries + 100;
	for (unsigned int i = 0; i < n; i++) {
		wake();
		if (i % 64 == 0)
			turn(0, 0);
	}
	turn(0, 0);
	for (unsigned int i = 0; i < n; i++)
		uring_enter_now(ring(1));
	uring_write_wake(ring(1));
	uring_enter_now(ring(1));
	ck_assert(*ring(1)->ring.sq.kflags & IORING_SQ_CQ_OVERFLOW);
	turn(1, MN_NEVER);
	for (int i = 0; i < 20; i++)
		turn(1, 0);
	ck_assert(!(*ring(1)->ring.sq.kflags & IORING_SQ_CQ_OVERFLOW));
	ck_assert(ring(1)->wake_armed);
	written(1);
	wake();
	turn(0, 0);
	turn(1, MN_NEVER);
	ck_assert_uint_eq(written(1), 0);
	uring_write_wake(ring(1));
	turn(1, MN_NEVER);
	world_end(&world);
}
END_TEST

/* --- choosing --- */

static bool describes(const char *what)
{
	char text[200];

	ring(0)->be.ops->describe(&ring(0)->be, text, sizeof(text));
	return strstr(text, what);
}

START_TEST(the_choice_is_told_with_its_reason)
{
	static const char *const backend[] = { "io_uring:eventfd", "io_uring:msg_ring",
					       "io_uring:auto" };
	static const char *const says[] = { "eventfd waker: asked for", "msg_ring waker: asked for",
					    " waker: eventfd costs the sender " };

	need_memlock();
	if (_i && uring_mask() & URING_BIT(URING_MSG_RING))
		test_skip("msg_ring is masked");
	if (!begin(backend[_i]))
		return;
	ck_assert(describes(says[_i]));
	world_end(&world);
}
END_TEST

Suite *suite_uring_waker(void)
{
	Suite *s = suite_create("uring_waker");
	TCase *tc = tcase_create("uring_waker");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, a_shard_wakes_another_by_message_with_its_next_turn);
	tcase_add_test(tc, with_the_eventfd_waker_no_message_is_sent);
	tcase_add_test(tc, who_is_not_a_shard_of_this_world_uses_the_eventfd);
	tcase_add_test(tc, a_message_that_cannot_be_delivered_goes_by_eventfd);
	tcase_add_test(tc, a_ring_that_is_not_enabled_yet_finds_its_wake_up_later);
	tcase_add_test(tc, a_shard_that_has_not_started_wakes_others_by_eventfd);
	tcase_add_test(tc, a_full_submission_queue_is_gone_around);
	tcase_add_test(tc, a_full_completion_queue_loses_no_wake_up);
	tcase_add_loop_test(tc, the_choice_is_told_with_its_reason, 0, 3);
	suite_add_tcase(s, tc);
	return s;
}
