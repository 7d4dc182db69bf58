// SPDX-License-Identifier: MIT
/*
 * Clocks, those that are moved by hand, timers that share wake-ups and timers
 * that come all at once; with 1 and 2 shards.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <miniss/clock.h>
#include <miniss/run.h>
#include <miniss/smp.h>

#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define NR_SHARDS 2 /* at most */

static int nr_worlds(void)
{
	return nr_backends() * NR_SHARDS;
}

/* The loop variable counts combinations of backend and number of shards. */
static void run(int i, mn_fiber_fn fn)
{
	int ret = run_backend(i / NR_SHARDS, (unsigned int)(i % NR_SHARDS) + 1, fn, NULL);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%d", ret);
}

/* --- reading --- */

static int64_t real_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * MN_SEC + ts.tv_nsec;
}

static int read_clocks(void *arg)
{
	int64_t turn_ns = mn_now(), before_ns = mn_clock_steady(), coarse_ns, wall_ns;
	struct timespec tick = { 0, 0 };

	ck_assert_int_ge(before_ns, turn_ns);
	coarse_ns = mn_clock_coarse();
	ck_assert_int_le(coarse_ns, mn_clock_steady());
	if (mn_self->virtual_time) {
		ck_assert_int_eq(coarse_ns, mn_clock_steady());
		ck_assert_int_eq(mn_clock_wall() - mn_clock_steady(), 946684800 * MN_SEC);
		return 0;
	}
	/* The turn's stands still in a turn, and the fresh one does not. */
	while (mn_clock_steady() < before_ns + MN_USEC)
		;
	ck_assert_int_eq(mn_now(), turn_ns);
	before_ns = real_ns(CLOCK_REALTIME);
	wall_ns = mn_clock_wall();
	ck_assert(before_ns <= wall_ns && wall_ns <= real_ns(CLOCK_REALTIME));
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	before_ns = real_ns(CLOCK_MONOTONIC_COARSE);
	coarse_ns = mn_clock_coarse();
	ck_assert(before_ns <= coarse_ns && coarse_ns <= real_ns(CLOCK_MONOTONIC_COARSE));
	return 0;
}

static int read_everywhere(void *arg)
{
	return mn_call_all(read_clocks, NULL);
}

START_TEST(clocks_say_what_they_are_for)
{
	run(_i, read_everywhere);
}
END_TEST

static int slack_here(void *arg)
{
	return mn_self->virtual_time ? 1 : prctl(PR_GET_TIMERSLACK);
}

static int slack_everywhere(void *arg)
{
	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert_int_eq(mn_call(i, slack_here, NULL), 1);
	return 0;
}

START_TEST(the_kernel_does_not_delay_the_shards_timers)
{
	prctl(PR_SET_TIMERSLACK, 77777UL);
	run(_i, slack_everywhere);
	ck_assert_int_eq(prctl(PR_GET_TIMERSLACK), 77777);
}
END_TEST

/* --- moving --- */

static int no_advance(void *arg)
{
	ck_assert_int_eq(mn_clock_advance(-1), -EINVAL);
	ck_assert_int_eq(mn_clock_advance(0), mn_self->virtual_time ? 0 : -EOPNOTSUPP);
	return 0;
}

START_TEST(only_a_virtual_clock_can_be_moved)
{
	run(_i, no_advance);
}
END_TEST

struct sleeper {
	int64_t ns;
	struct mn_fiber *fiber;
	bool woken;
};

static int sleep_fiber(void *arg)
{
	struct sleeper *s = arg;
	int err = mn_sleep(s->ns);

	s->woken = !err;
	return err;
}

static void start_sleep(struct sleeper *s, int64_t ns)
{
	*s = (struct sleeper){ .ns = ns };
	ck_assert_int_eq(mn_spawn(sleep_fiber, s, &s->fiber), 0);
	mn_yield();
}

/* Each move may have been rounded up by a tick. */
static bool is_tick_of(int64_t ns, int64_t since_ns, int64_t after_ns, int nr_moves)
{
	return ns >= since_ns + after_ns && ns < since_ns + after_ns + nr_moves * 16384;
}

static int there(void *arg)
{
	struct sleeper *s = arg;

	return sleep_fiber(s);
}

/* It is the way a user tests code with time-outs: nothing happens before its time. */
static int manual_fiber(void *arg)
{
	int64_t from_ns = mn_now();
	struct sleeper s[4], far = { .ns = 30 * MN_SEC };
	struct mn_call call;

	ck_assert_int_eq(mn_call_start(&call, mn_shards() - 1, there, &far), 0);
	for (int i = 0; i < 4; i++)
		start_sleep(&s[i], (i + 1) * MN_SEC);
	for (int i = 0; i < 1000; i++)
		mn_yield();
	ck_assert_int_eq(mn_clock_steady(), from_ns);
	for (int i = 0; i < 3; i++) {
		ck_assert(!s[i].woken);
		ck_assert_int_eq(mn_clock_advance(MN_SEC), 0);
		ck_assert(s[i].woken && !s[i + 1].woken);
		ck_assert(is_tick_of(mn_now(), from_ns, (i + 1) * MN_SEC, i + 1));
	}
	/* No time passes; what is ready runs. */
	mn_fiber_cancel(s[3].fiber);
	ck_assert_int_eq(mn_clock_advance(0), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(mn_join(s[i].fiber), i < 3 ? 0 : -ECANCELED);
	ck_assert(!far.woken);
	ck_assert_int_eq(mn_clock_advance(27 * MN_SEC), 0);
	ck_assert(far.woken);
	ck_assert_int_eq((int)mn_future_take(&call.done), 0);
	return 0;
}

static const char *need_mem(void)
{
	return IS_ENABLED(CONFIG_BACKEND_MEM) ? NULL : "mem is not built";
}

START_TEST(a_manual_clock_moves_as_told)
{
	int ret;

	if (need_mem())
		test_skip("%s", need_mem());
	ret = run_main("mem:manual", (unsigned int)_i + 1, manual_fiber, NULL);
	ck_assert_int_eq(ret, 0);
}
END_TEST

static int advance_fiber(void *arg)
{
	return mn_clock_advance(*(int64_t *)arg);
}

/* Several may want it to move, each by something else; some think better of it. */
static int advances_fiber(void *arg)
{
	int64_t by_ns[] = { 3 * MN_SEC, MN_SEC, 2 * MN_SEC, MN_NEVER }, from_ns = mn_now();
	struct mn_fiber *fiber[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(mn_spawn(advance_fiber, &by_ns[i], &fiber[i]), 0);
	ck_assert_int_eq(mn_join(fiber[1]), 0);
	ck_assert(is_tick_of(mn_now(), from_ns, MN_SEC, 1));
	mn_fiber_cancel(fiber[2]);
	ck_assert_int_eq(mn_join(fiber[2]), -ECANCELED);
	ck_assert(is_tick_of(mn_now(), from_ns, MN_SEC, 1));
	ck_assert_int_eq(mn_join(fiber[0]), 0);
	ck_assert(is_tick_of(mn_now(), from_ns, 3 * MN_SEC, 1));
	mn_fiber_cancel(fiber[3]);
	ck_assert_int_eq(mn_join(fiber[3]), -ECANCELED);
	return 0;
}

START_TEST(several_may_move_the_clock_or_be_cancelled)
{
	const char *const backends[] = { "mem", "mem:manual" };
	int ret;

	if (need_mem())
		test_skip("%s", need_mem());
	ret = run_main(backends[_i / 2], (unsigned int)_i % 2 + 1, advances_fiber, NULL);
	ck_assert_int_eq(ret, 0);
}
END_TEST

static int sleep_for_ever(void *arg)
{
	return mn_sleep(MN_SEC);
}

START_TEST(a_manual_clock_that_nobody_moves_is_told)
{
	int ret;

	if (need_mem())
		test_skip("%s", need_mem());
	test_stderr_begin();
	ret = run_main("mem:manual", 1, sleep_for_ever, NULL);
	ck_assert_int_eq(ret, -EDEADLK);
	ck_assert_ptr_nonnull(strstr(test_stderr_end(), "nobody advances the clock"));
}
END_TEST

/* --- slack --- */

#define NR_TIMERS 1000

struct timeout {
	struct mn_timer timer;
	bool early, late;
};

static struct timeout timeouts[NR_TIMERS];
static unsigned int nr_run, nr_wakeups;
static int64_t last_ns;

static void timed_out(struct mn_task *task)
{
	struct timeout *t = container_of(mn_timer_of(task), struct timeout, timer);
	int64_t late_ns = mn_now() - t->timer.deadline_ns;

	t->early = late_ns < 0;
	t->late = late_ns > (int64_t)t->timer.slack_ns + 16384;
	nr_wakeups += mn_now() != last_ns;
	last_ns = mn_now();
	nr_run++;
}

/* A thousand time-outs, armed at odd times for odd times over some seconds. */
static unsigned int wakeups_with(uint32_t slack_ns, uint64_t *nr_parks)
{
	uint64_t random = 1, parks = mn_self->stats[STAT_PARKS];
	unsigned int wrong = 0;

	nr_run = nr_wakeups = 0;
	last_ns = 0;
	for (int i = 0; i < NR_TIMERS; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		mn_timer_init(&timeouts[i].timer, timed_out);
		mn_timer_arm(&timeouts[i].timer, mn_now() + (int64_t)(random >> 33) % (2 * MN_SEC),
			     slack_ns);
	}
	while (nr_run < NR_TIMERS)
		mn_sleep(10 * MN_SEC);
	for (int i = 0; i < NR_TIMERS; i++)
		wrong += timeouts[i].early || timeouts[i].late;
	ck_assert_uint_eq(wrong, 0);
	*nr_parks = mn_self->stats[STAT_PARKS] - parks;
	return nr_wakeups;
}

/* Multiples of at least half the slack are what they run at. */
static int slack_fiber(void *arg)
{
	static const uint32_t slacks[] = { MN_SLACK_FINE, MN_SLACK_NORMAL, MN_SLACK_COARSE };
	uint64_t exact_parks, parks;
	unsigned int n;

	ck_assert_uint_gt(wakeups_with(MN_SLACK_EXACT, &exact_parks), NR_TIMERS * 95 / 100);
	for (size_t i = 0; i < ARRAY_SIZE(slacks); i++) {
		int64_t most = 2 * MN_SEC / (slacks[i] / 2) + 2;

		n = wakeups_with(slacks[i], &parks);
		ck_assert_msg((int64_t)n <= min(most, NR_TIMERS), "slack %u: %u wake-ups",
			      slacks[i], n);
	}
	if (IS_ENABLED(CONFIG_STATS)) /* of the last: the shard itself did not wake up either */
		ck_assert_msg(parks * 4 < exact_parks, "%u waits, exactly: %u", (unsigned int)parks,
			      (unsigned int)exact_parks);
	return 0;
}

/* Also different classes, and with them what has no slack. */
START_TEST(timers_with_slack_share_their_wake_ups)
{
	const struct driver *const *drv = timer_queue_kind.start + _i;
	struct mn_world world = { .fn = slack_fiber, .timer = { .driver = *drv } };
	int ret;

	if (need_mem())
		test_skip("%s", need_mem());
	ck_assert_int_eq(driver_choose(&backend_kind, "mem", "this test", NULL, &world.backend), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, NULL, NULL, NULL, &world.queue), 0);
	ck_assert_int_eq(world_open(&world, 1, NULL), 0);
	ret = world_run(&world);
	world_close(&world);
	ck_assert_int_eq(ret, 0);
}
END_TEST

/* --- a storm --- */

#define NR_STORM (IS_ENABLED(CONFIG_DEBUG) || IS_ENABLED(CONFIG_SANITIZE_THREAD) ? 100000 : 1000000)
#define BATCH 1024 /* --timers.batch */
#define TURN 512 /* tasks of a turn */

static int nr_expired;

static void storm_fired(struct mn_task *task)
{
	nr_expired++;
}

/* Between two results of operations no more than a batch or so runs. */
static int storm_fiber(void *arg)
{
	struct mn_timer *timers = calloc((size_t)NR_STORM, sizeof(*timers));
	int64_t due_ns = mn_clock_steady() + MN_MSEC;
	int most = 0;

	ck_assert_ptr_nonnull(timers);
	nr_expired = 0;
	for (int i = 0; i < NR_STORM; i++) {
		mn_timer_init(&timers[i], storm_fired);
		mn_timer_arm(&timers[i], due_ns, MN_SLACK_EXACT);
	}
	while (nr_expired < NR_STORM) {
		int before = nr_expired;
		struct mn_op op;

		mn_nop_start(&op);
		ck_assert(mn_op_await(&op, MN_NEVER) == 0);
		most = max(most, nr_expired - before);
		before = nr_expired;
		mn_yield(); /* libev has such results at once */
		most = max(most, nr_expired - before);
		if (!nr_expired && mn_self->virtual_time)
			mn_sleep(due_ns - mn_now());
	}
	free(timers);
	/* The batch that was queued, the one behind it, and what a turn had begun. */
	ck_assert_int_le(most, 2 * BATCH + TURN);
	return 0;
}

START_TEST(a_storm_of_timers_leaves_room_for_io)
{
	run(_i, storm_fiber);
}
END_TEST

Suite *suite_clock(void)
{
	Suite *suite = suite_create("clock");
	TCase *tc = tcase_create("clock");
	int n = nr_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, clocks_say_what_they_are_for, 0, n);
	tcase_add_loop_test(tc, the_kernel_does_not_delay_the_shards_timers, 0, n);
	tcase_add_loop_test(tc, only_a_virtual_clock_can_be_moved, 0, n);
	tcase_add_loop_test(tc, a_manual_clock_moves_as_told, 0, 2);
	tcase_add_loop_test(tc, several_may_move_the_clock_or_be_cancelled, 0, 4);
	tcase_add_test(tc, a_manual_clock_that_nobody_moves_is_told);
	tcase_add_loop_test(tc, timers_with_slack_share_their_wake_ups, 0,
			    (int)(timer_queue_kind.stop - timer_queue_kind.start));
	tcase_add_loop_test(tc, a_storm_of_timers_leaves_room_for_io, 0, n);
	suite_add_tcase(suite, tc);
	return suite;
}
