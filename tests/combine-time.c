// SPDX-License-Identifier: MIT
/* Combinators that go on for some time: loops, time-outs, retries. On the mem backend. */
#include <check.h>

#include <miniss/combine.h>

#include "core/random.h"
#include "tests/combine.h"
#include "tests/suites.h"
#include "timers/timer_queue.h"

#define MANY	1000000

/* --- again and again --- */

struct rounds {
	int64_t n, last;
	int64_t fails_at;
	struct mn_future future;
};

static struct mn_future *round_start(void *arg, int64_t res)
{
	struct rounds *rounds = arg;

	depth_see();
	ck_assert_int_eq(res, rounds->n);
	if (rounds->n == rounds->last)
		return NULL;
	rounds->n++;
	return combine_ready(&rounds->future, rounds->n == rounds->fails_at ? -EIO : rounds->n);
}

static bool rounds_over(void *arg, int64_t res)
{
	struct rounds *rounds = arg;

	return rounds->n == rounds->last;
}

/* Nothing to wait for, every other time. */
static struct mn_future *round_or_nothing(void *arg, int64_t res)
{
	struct rounds *rounds = arg;

	depth_see();
	rounds->n++;
	return rounds->n % 2 ? NULL : combine_ready(&rounds->future, rounds->n);
}

START_TEST(repeat_takes_no_stack_and_ends_with_the_last_round)
{
	struct rounds rounds = { .last = MANY };
	struct mn_repeat repeat;

	mn_repeat(&repeat, round_start, &rounds);
	ck_assert_int_eq(rounds.n, 0);
	combine_run();
	ck_assert_int_eq(mn_future_take(&repeat.done), MANY);
	rounds = (struct rounds){ .last = MANY };
	mn_do_until(&repeat, rounds_over, round_or_nothing, &rounds);
	combine_run();
	ck_assert_int_eq(mn_future_take(&repeat.done), MANY);
	ck_assert_uint_lt(depth.high - depth.low, 1024);
}
END_TEST

START_TEST(repeat_ends_with_a_failure_or_when_cancelled)
{
	struct rounds rounds = { .last = 100, .fails_at = 50 };
	struct mn_repeat repeat;

	mn_repeat(&repeat, round_start, &rounds);
	combine_run();
	ck_assert_int_eq(mn_future_take(&repeat.done), -EIO);
	ck_assert_int_eq(rounds.n, 50);
	rounds = (struct rounds){ .last = MANY };
	mn_repeat(&repeat, round_start, &rounds);
	shard_step(mn_self, false);
	mn_combine_cancel(&repeat.combine);
	combine_run();
	ck_assert_int_eq(mn_future_take(&repeat.done), -ECANCELED);
	ck_assert_int_gt(rounds.n, 0);
	ck_assert_int_lt(rounds.n, MANY);
	rounds = (struct rounds){ .last = 0 };
	mn_repeat(&repeat, round_start, &rounds);
	combine_run();
	ck_assert_int_eq(mn_future_take(&repeat.done), 0);
}
END_TEST

/* --- each --- */

struct items {
	uint64_t seed;
	size_t started, ended;
	unsigned int live, live_max;
	int64_t err;		/* the first, in time */
	size_t started_at_err;
	unsigned int limit;
	struct later later[16];
};

static void item_ended(struct later *later)
{
	struct items *items = later->arg;

	items->ended++;
	items->live--;
	if (later->result < 0 && !items->err) {
		items->err = later->result;
		items->started_at_err = items->started;
	}
}

static struct mn_future *item_start(void *arg, size_t i, unsigned int slot)
{
	struct items *items = arg;
	struct later *later = &items->later[slot];
	uint64_t random = random_mix(items->seed + i);

	ck_assert_uint_eq(i, items->started++);
	/* Others may have been about to start when it failed. */
	ck_assert(!items->err || items->started - items->started_at_err < items->limit);
	ck_assert(!later->running);
	items->live++;
	items->live_max = max(items->live_max, items->live);
	later->arg = items;
	later->ended = item_ended;
	return later_start(later, (int64_t)(random % 50) * MN_MSEC,
			   random % 997 ? (int64_t)i : -1 - (int64_t)i);
}

START_TEST(for_each_keeps_to_its_limit_and_stops_at_the_first_failure)
{
	uint64_t random = random_mix((uint64_t)_i);
	unsigned int limit = 1 + random % 16;
	size_t n = random / 16 % 2000;
	struct items items = { .seed = random, .limit = limit };
	struct mn_for_each each;
	struct mn_input wait[16];
	int64_t res;

	mn_parallel_for_each(&each, wait, limit, n, item_start, &items);
	ck_assert_uint_eq(items.started, 0);
	for (size_t ms = 0; !mn_future_ready(&each.done) && ms < 100 * n + 100; ms++)
		combine_run_for(MN_MSEC);
	ck_assert(mn_future_ready(&each.done));
	res = mn_future_take(&each.done);
	ck_assert_int_eq(res, items.err);
	if (!res)
		ck_assert_uint_eq(items.started, n);
	ck_assert_uint_eq(items.ended, items.started);
	ck_assert_uint_eq(items.live_max, min(limit, items.started));
}
END_TEST

static struct mn_future *item_ready(void *arg, size_t i, unsigned int slot)
{
	struct mn_future *future = arg;

	depth_see();
	return i % 3 ? combine_ready(&future[slot], (int64_t)i) : NULL;
}

START_TEST(for_each_of_nothing_and_of_very_many)
{
	struct mn_future future[8];
	struct mn_for_each each;
	struct mn_input wait[8];

	mn_parallel_for_each(&each, wait, 8, 0, item_ready, future);
	ck_assert_int_eq(mn_future_take(&each.done), 0);
	mn_parallel_for_each(&each, NULL, 0, 5, item_ready, future);
	ck_assert_int_eq(mn_future_take(&each.done), -EINVAL);
	mn_parallel_for_each(&each, wait, 8, MANY, item_ready, future);
	combine_run();
	ck_assert_int_eq(mn_future_take(&each.done), 0);
	ck_assert_uint_eq(each.next, MANY);
	ck_assert_uint_lt(depth.high - depth.low, 1024);
}
END_TEST

START_TEST(for_each_starts_nothing_after_it_was_cancelled)
{
	struct items items = { .seed = 1 };
	struct asked asked = { .n = 0 };
	struct mn_for_each each;
	struct mn_input wait[4];

	mn_parallel_for_each(&each, wait, 4, 100, item_start, &items);
	mn_combine_cancel(&each.combine);	/* before it began */
	combine_run();
	ck_assert_int_eq(mn_future_take(&each.done), -ECANCELED);
	ck_assert_uint_eq(items.started, 0);
	mn_parallel_for_each(&each, wait, 4, 100, item_start, &items);
	mn_combine_on_cancel(&each.combine, ask, &asked);
	combine_run();
	mn_combine_cancel(&each.combine);
	combine_run();
	ck_assert_int_eq(asked.n, (int)items.live);
	ck_assert(items.live && !mn_future_ready(&each.done));
	for (int i = 0; i < 60; i++)
		combine_run_for(MN_MSEC);
	ck_assert_int_eq(mn_future_take(&each.done), -ECANCELED);
	ck_assert_uint_eq(items.live, 0);
	ck_assert_uint_lt(items.started, 100);
}
END_TEST

/* --- timeouts --- */

START_TEST(a_result_that_is_there_wins_against_the_time)
{
	struct mn_future future;
	struct mn_timed timed;
	struct later later = { .running = false };

	/* Resolved in the very turn in which the time is up. */
	later_start(&later, 10 * MN_MSEC, 3);
	mn_with_timeout(&timed, &later.future, 10 * MN_MSEC);
	combine_run_for(11 * MN_MSEC);
	ck_assert_int_eq(mn_future_take(&timed.done), 3);
	/* The other way round: the time was up first. */
	mn_with_timeout(&timed, (mn_future_init(&later.future), &later.future), 10 * MN_MSEC);
	later_arm(&later, 10 * MN_MSEC, 4);
	combine_run_for(11 * MN_MSEC);
	ck_assert_int_eq(mn_future_take(&timed.done), -ETIMEDOUT);
	ck_assert_int_eq(mn_future_take(&later.future), 4);
	mn_with_timeout(&timed, combine_ready(&future, 5), 0);
	combine_run();
	ck_assert_int_eq(mn_future_take(&timed.done), 5);
	mn_with_timeout(&timed, (mn_future_init(&future), &future), 0);
	combine_run();
	ck_assert_int_eq(mn_future_take(&timed.done), -ETIMEDOUT);
	mn_with_timeout(&timed, &future, MN_NEVER);
	combine_run_for(MN_SEC);
	ck_assert(!mn_future_ready(&timed.done));
	mn_future_resolve(&future, 6);
	combine_run();
	ck_assert_int_eq(mn_future_take(&timed.done), 6);
	ck_assert_uint_eq(mn_self->tq->nr_armed, 0);
}
END_TEST

START_TEST(the_loser_is_abandoned_only_if_a_failure_nobody_takes)
{
	struct mn_future future;
	struct mn_timed timed;

	for (int taken = 0; taken < 3; taken++) {
		uint64_t before = combine_abandoned();

		mn_future_init(&future);
		mn_with_timeout(&timed, &future, MN_MSEC);
		combine_run_for(2 * MN_MSEC);
		ck_assert_int_eq(mn_future_take(&timed.done), -ETIMEDOUT);
		ck_assert_ptr_null(future.waiter);
		mn_future_resolve(&future, taken == 2 ? 1 : -EIO);
		if (taken == 1)
			mn_future_take(&future);
		mn_future_drop(&future);
		if (IS_ENABLED(CONFIG_STATS))
			ck_assert_uint_eq(combine_abandoned() - before, taken == 0);
	}
}
END_TEST

START_TEST(with_a_hook_time_is_up_when_the_future_has_ended)
{
	static const int64_t ends[] = { -ECANCELED, 9, -EIO };
	static const int64_t expected[] = { -ETIMEDOUT, 9, -EIO };
	struct mn_future future;
	struct mn_timed timed;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct asked asked = { .n = 0 };

		mn_future_init(&future);
		mn_with_timeout(&timed, &future, MN_MSEC);
		mn_combine_on_cancel(&timed.combine, ask, &asked);
		combine_run_for(2 * MN_MSEC);
		ck_assert_int_eq(asked.n, 1);
		ck_assert(!mn_future_ready(&timed.done));
		mn_combine_cancel(&timed.combine);	/* too late to be the reason */
		combine_run();
		ck_assert_int_eq(asked.n, 1);
		mn_future_resolve(&future, ends[i]);
		combine_run();
		ck_assert_int_eq(mn_future_take(&timed.done), expected[i]);
	}
}
END_TEST

/* --- retry --- */

struct attempts {
	int n;
	int64_t at_ns[64];
	int works_at;
	int64_t err;
	struct later later;
	int64_t takes_ns;
};

static struct mn_future *attempt(void *arg, int64_t n)
{
	struct attempts *attempts = arg;

	attempts->at_ns[attempts->n++] = mem_clock_now(mn_self->world);
	ck_assert_int_eq(n, attempts->n);
	return later_start(&attempts->later, attempts->takes_ns,
			   n == attempts->works_at ? 100 : attempts->err);
}

static void run_until_ready(struct mn_future *future, int64_t step_ns, int steps)
{
	for (int i = 0; !mn_future_ready(future) && i < steps; i++)
		combine_run_for(step_ns);
	ck_assert(mn_future_ready(future));
}

#define BASE_NS	(10 * MN_MSEC)
#define MAX_NS	(100 * MN_MSEC)

START_TEST(retry_pauses_at_random_up_to_a_bound_that_doubles)
{
	const struct mn_retry_policy policy = { .base_ns = BASE_NS, .max_ns = MAX_NS };
	struct attempts attempts = { .works_at = 40, .err = -ECONNREFUSED };
	struct shard same;
	struct mn_retry retry;
	int64_t bound_ns = BASE_NS;

	random_seed(mn_self, (uint64_t)_i);
	same.random = mn_self->random;
	mn_retry(&retry, &policy, attempt, &attempts);
	run_until_ready(&retry.done, MN_MSEC / 50, 1000000);
	ck_assert_int_eq(mn_future_take(&retry.done), 100);
	ck_assert_int_eq(attempts.n, 40);
	for (int i = 1; i < attempts.n; i++) {
		int64_t pause_ns = (int64_t)random_below(&same, (uint64_t)bound_ns + 1);
		int64_t paused_ns = attempts.at_ns[i] - attempts.at_ns[i - 1];

		ck_assert_int_le(pause_ns, bound_ns);
		ck_assert_int_ge(paused_ns, pause_ns);
		ck_assert_int_le(paused_ns, pause_ns + MN_MSEC / 10);
		bound_ns = min(2 * bound_ns, MAX_NS);
	}
}
END_TEST

static bool only_refused(void *arg, int64_t err)
{
	return err == -ECONNREFUSED;
}

START_TEST(retry_ends_with_the_last_failure)
{
	struct mn_retry_policy policy = { .base_ns = MN_MSEC, .attempts_max = 5 };
	struct attempts attempts = { .err = -ECONNREFUSED };
	struct mn_retry retry;

	mn_retry(&retry, &policy, attempt, &attempts);
	run_until_ready(&retry.done, MN_MSEC, 1000);
	ck_assert_int_eq(mn_future_take(&retry.done), -ECONNREFUSED);
	ck_assert_int_eq(attempts.n, 5);
	/* Not every failure is one to try again after. */
	policy.accept = only_refused;
	attempts = (struct attempts){ .err = -EIO };
	mn_retry(&retry, &policy, attempt, &attempts);
	run_until_ready(&retry.done, MN_MSEC, 1000);
	ck_assert_int_eq(mn_future_take(&retry.done), -EIO);
	ck_assert_int_eq(attempts.n, 1);
	ck_assert_uint_eq(mn_self->tq->nr_armed, 0);
}
END_TEST

START_TEST(retry_keeps_to_its_deadline)
{
	struct mn_retry_policy policy = { .base_ns = 10 * MN_MSEC, .max_ns = 10 * MN_MSEC };
	struct attempts attempts = { .err = -EAGAIN, .takes_ns = 7 * MN_MSEC };
	struct asked asked = { .n = 0 };
	struct mn_retry retry;
	int64_t from_ns = mem_clock_now(mn_self->world), res;

	/* In a pause: the last failure. During an attempt: -ETIMEDOUT. Either way in time. */
	policy.deadline_ns = from_ns + 100 * MN_MSEC;
	mn_retry(&retry, &policy, attempt, &attempts);
	run_until_ready(&retry.done, MN_MSEC, 101);
	res = mn_future_take(&retry.done);
	ck_assert(res == (attempts.later.running ? -ETIMEDOUT : -EAGAIN));
	ck_assert_int_ge(attempts.n, 5);
	later_stop(&attempts.later);
	/* One that takes too long, with nobody to ask, and with somebody. */
	for (int hook = 0; hook < 2; hook++) {
		attempts = (struct attempts){ .takes_ns = MN_SEC };
		policy.deadline_ns = mem_clock_now(mn_self->world) + 10 * MN_MSEC;
		mn_retry(&retry, &policy, attempt, &attempts);
		if (hook)
			mn_combine_on_cancel(&retry.combine, ask, &asked);
		combine_run_for(20 * MN_MSEC);
		ck_assert_int_eq(mn_future_ready(&retry.done), !hook);
		ck_assert_int_eq(asked.n, hook);
		later_stop(&attempts.later);
		if (hook)
			mn_future_resolve(&attempts.later.future, -ECANCELED);
		combine_run();
		ck_assert_int_eq(mn_future_take(&retry.done), -ETIMEDOUT);
		ck_assert_int_eq(attempts.n, 1);
	}
	/* One that is over before it begins. */
	policy.deadline_ns = mem_clock_now(mn_self->world);
	mn_retry(&retry, &policy, attempt, &attempts);
	combine_run();
	ck_assert_int_eq(mn_future_take(&retry.done), -ETIMEDOUT);
	ck_assert_int_eq(attempts.n, 1);
	ck_assert_uint_eq(mn_self->tq->nr_armed, 0);
}
END_TEST

START_TEST(retry_can_be_cancelled_in_a_pause_and_in_an_attempt)
{
	const struct mn_retry_policy policy = { .base_ns = MN_SEC };
	struct attempts attempts = { .err = -EAGAIN };
	struct mn_retry retry;

	mn_retry(&retry, &policy, attempt, &attempts);
	combine_run_for(MN_MSEC);
	ck_assert_uint_eq(mn_self->tq->nr_armed, 1);	/* it pauses */
	mn_combine_cancel(&retry.combine);
	combine_run();
	ck_assert_int_eq(mn_future_take(&retry.done), -ECANCELED);
	ck_assert_uint_eq(mn_self->tq->nr_armed, 0);
	attempts = (struct attempts){ .err = -EAGAIN, .takes_ns = MN_SEC };
	mn_retry(&retry, &policy, attempt, &attempts);
	combine_run();
	mn_combine_cancel(&retry.combine);
	combine_run();
	ck_assert_int_eq(mn_future_take(&retry.done), -ECANCELED);
	ck_assert_int_eq(attempts.n, 1);
	ck_assert_ptr_null(attempts.later.future.waiter);
	later_stop(&attempts.later);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_numbers)
{
	struct shard a = { .id = 1 }, b = { .id = 1 }, c = { .id = 2 };
	uint64_t below[10] = { 0 };

	random_seed(&a, 7);
	random_seed(&b, 7);
	random_seed(&c, 7);
	for (int i = 0; i < 1000; i++) {
		uint64_t random = shard_random(&a);

		ck_assert_uint_eq(random, shard_random(&b));
		ck_assert_uint_ne(random, shard_random(&c));
	}
	for (int i = 0; i < 100000; i++)
		below[random_below(&a, 10)]++;
	for (int i = 0; i < 10; i++)
		ck_assert(below[i] > 9500 && below[i] < 10500);
}
END_TEST

TCase *tcase_combine_time(void)
{
	TCase *tc = tcase_create("time");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, combine_setup, combine_teardown);
	tcase_add_test(tc, the_same_seed_gives_the_same_numbers);
	tcase_add_loop_test(tc, for_each_keeps_to_its_limit_and_stops_at_the_first_failure, 0, 20);
	tcase_add_test(tc, for_each_of_nothing_and_of_very_many);
	tcase_add_test(tc, for_each_starts_nothing_after_it_was_cancelled);
	tcase_add_test(tc, repeat_takes_no_stack_and_ends_with_the_last_round);
	tcase_add_test(tc, repeat_ends_with_a_failure_or_when_cancelled);
	tcase_add_test(tc, a_result_that_is_there_wins_against_the_time);
	tcase_add_test(tc, the_loser_is_abandoned_only_if_a_failure_nobody_takes);
	tcase_add_test(tc, with_a_hook_time_is_up_when_the_future_has_ended);
	tcase_add_loop_test(tc, retry_pauses_at_random_up_to_a_bound_that_doubles, 0, 3);
	tcase_add_test(tc, retry_ends_with_the_last_failure);
	tcase_add_test(tc, retry_keeps_to_its_deadline);
	tcase_add_test(tc, retry_can_be_cancelled_in_a_pause_and_in_an_attempt);
	return tc;
}
