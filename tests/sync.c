// SPDX-License-Identifier: MIT
/*
 * Synchronisation between fibers: what each object promises, on every backend,
 * on one shard and on two at once.
 */
#include <signal.h>

#include "lib/sync/wait.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/sync.h"
#include "tests/world.h"

static int on_each(void *fn)
{
	mn_fiber_fn *run = fn;

	return mn_call_all(*run, NULL);
}

void sync_run(int i, mn_fiber_fn fn)
{
	int ret = run_backend(i, 1, fn, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
	ret = run_backend(i, 2, on_each, &fn);
	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}

struct mn_fiber *sync_spawn(mn_fiber_fn fn, void *arg)
{
	struct mn_fiber *fiber;

	ck_assert_int_eq(mn_spawn(fn, arg, &fiber), 0);
	mn_yield();
	return fiber;
}

/* --- semaphore --- */

struct taker {
	struct mn_sem *sem;
	uint64_t units;
	int64_t timeout_ns;
	int *nr_done, place;	/* in which order they were served */
};

static int taker(void *arg)
{
	struct taker *t = arg;
	int err = mn_sem_take_timeout(t->sem, t->units, t->timeout_ns);

	if (!err)
		t->place = (*t->nr_done)++;
	return err;
}

static int sem_order_fiber(void *arg)
{
	static const uint64_t wants[] = { 1, 5, 1, 2, 1 };
	struct taker t[ARRAY_SIZE(wants)];
	struct mn_fiber *fiber[ARRAY_SIZE(wants)];
	struct mn_sem sem;
	int nr_done = 0;

	mn_sem_init(&sem, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(wants); i++) {
		t[i] = (struct taker){ &sem, wants[i], MN_NEVER, &nr_done, -1 };
		fiber[i] = sync_spawn(taker, &t[i]);
	}
	mn_sem_give(&sem, 3);	/* one for the first; the second is not passed */
	ck_assert_int_eq(mn_sem_try(&sem, 1), -EAGAIN);
	mn_yield();
	ck_assert_int_eq(nr_done, 1);
	mn_sem_give(&sem, 2);
	mn_yield();
	ck_assert_int_eq(nr_done, 1);
	mn_sem_give(&sem, 5);
	ck_assert_uint_eq(sem.units, 0);	/* handed over at once, before they ran */
	for (unsigned int i = 0; i < ARRAY_SIZE(wants); i++) {
		ck_assert_int_eq(mn_join(fiber[i]), 0);
		ck_assert_int_eq(t[i].place, (int)i);
	}
	mn_sem_destroy(&sem);
	return 0;
}

START_TEST(a_semaphore_serves_in_order_and_nobody_passes_who_wants_many)
{
	sync_run(_i, sem_order_fiber);
}
END_TEST

static int sem_leave_fiber(void *arg)
{
	struct mn_sem sem;
	int nr_done = 0;
	struct taker many = { &sem, 5, MN_NEVER, &nr_done, -1 };
	struct taker soon = { &sem, 5, MN_MSEC, &nr_done, -1 };
	struct taker few = { &sem, 2, MN_NEVER, &nr_done, -1 };
	struct mn_fiber *fiber[3];
	int64_t start = mn_now();

	mn_sem_init(&sem, 3);
	fiber[0] = sync_spawn(taker, &many);
	fiber[1] = sync_spawn(taker, &soon);
	fiber[2] = sync_spawn(taker, &few);
	mn_fiber_cancel(fiber[0]);
	ck_assert_int_eq(mn_join(fiber[0]), -ECANCELED);
	if (mn_now() - start < MN_MSEC)	/* else the second may have given up, too */
		ck_assert_int_eq(nr_done, 0);
	ck_assert_int_eq(mn_join(fiber[1]), -ETIMEDOUT);
	ck_assert_int_eq(mn_join(fiber[2]), 0);	/* which had waited for them only */
	ck_assert_uint_eq(sem.units, 1);
	mn_sem_destroy(&sem);
	return 0;
}

START_TEST(who_stops_waiting_for_many_units_lets_those_behind_go_on)
{
	sync_run(_i, sem_leave_fiber);
}
END_TEST

static int sem_wins_fiber(void *arg)
{
	struct mn_sem sem;
	int nr_done = 0;
	struct taker t = { &sem, 1, 3600 * MN_SEC, &nr_done, -1 };
	struct mn_fiber *fiber;

	mn_sem_init(&sem, 0);
	fiber = sync_spawn(taker, &t);
	mn_sem_give(&sem, 1);
	mn_fiber_cancel(fiber);	/* too late: it is its own */
	ck_assert_int_eq(mn_join(fiber), 0);
	fiber = sync_spawn(taker, &t);
	mn_fiber_cancel(fiber);
	mn_sem_give(&sem, 1);	/* too late likewise */
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_uint_eq(sem.units, 1);
	mn_sem_destroy(&sem);
	return 0;
}

START_TEST(what_was_granted_before_the_cancellation_is_kept_and_nothing_is_lost)
{
	sync_run(_i, sem_wins_fiber);
}
END_TEST

static int stopped_taker(void *arg)
{
	struct mn_sem *sem = arg;

	mn_fiber_cancel(mn_fiber_self());
	ck_assert_int_eq(mn_sem_take(sem, 1), 0);	/* no wait, nothing to end */
	ck_assert_int_eq(mn_sem_take_timeout(sem, 1, 0), -ECANCELED);
	return mn_sem_take(sem, 1);
}

static int sem_stopped_fiber(void *arg)
{
	struct mn_sem sem;
	struct mn_fiber *fiber;

	mn_sem_init(&sem, 1);
	ck_assert_int_eq(mn_sem_take_timeout(&sem, 2, 0), -ETIMEDOUT);
	ck_assert_int_eq(mn_sem_take_timeout(&sem, 2, -1), -ETIMEDOUT);
	fiber = sync_spawn(stopped_taker, &sem);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_uint_eq(sem.units, 0);
	mn_sem_destroy(&sem);
	return 0;
}

START_TEST(a_fiber_that_is_to_stop_takes_what_there_is_and_waits_for_nothing)
{
	sync_run(_i, sem_stopped_fiber);
}
END_TEST

static int sem_break_fiber(void *arg)
{
	struct mn_sem sem;
	int nr_done = 0;
	struct taker t = { &sem, 1, MN_NEVER, &nr_done, -1 };
	struct mn_fiber *fiber[3];

	mn_sem_init(&sem, 0);
	for (int i = 0; i < 3; i++)
		fiber[i] = sync_spawn(taker, &t);
	mn_sem_break(&sem, -EIO);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_join(fiber[i]), -EIO);
	mn_sem_give(&sem, 7);
	ck_assert_int_eq(mn_sem_take(&sem, 1), -EIO);
	ck_assert_int_eq(mn_sem_try(&sem, 1), -EIO);
	mn_sem_destroy(&sem);
	return 0;
}

START_TEST(breaking_a_semaphore_ends_all_waits_now_and_later)
{
	sync_run(_i, sem_break_fiber);
}
END_TEST

/* --- mutex and condition --- */

struct counter {
	struct mn_mutex mutex;
	struct mn_cond cond;
	int n, inside, turn;
};

static int increments(void *arg)
{
	struct counter *counter = arg;

	for (int i = 0; i < 100; i++) {
		int n;

		ck_assert_int_eq(mn_mutex_lock(&counter->mutex), 0);
		ck_assert_int_eq(counter->inside++, 0);
		n = counter->n;
		mn_yield();
		counter->n = n + 1;
		counter->inside--;
		mn_mutex_unlock(&counter->mutex);
	}
	return 0;
}

static int mutex_fiber(void *arg)
{
	struct counter counter = { .n = 0 };
	struct mn_fiber *fiber[10];

	mn_mutex_init(&counter.mutex);
	for (int i = 0; i < 10; i++)
		fiber[i] = sync_spawn(increments, &counter);
	ck_assert_int_eq(mn_mutex_try(&counter.mutex), -EAGAIN);
	ck_assert_int_eq(mn_mutex_lock_timeout(&counter.mutex, 0), -ETIMEDOUT);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(counter.n, 1000);
	ck_assert_int_eq(mn_mutex_try(&counter.mutex), 0);
	mn_mutex_unlock(&counter.mutex);
	mn_mutex_destroy(&counter.mutex);
	return 0;
}

START_TEST(a_mutex_lets_one_in_at_a_time)
{
	sync_run(_i, mutex_fiber);
}
END_TEST

static int locks_once(void *arg)
{
	struct counter *counter = arg;
	int err = mn_mutex_lock(&counter->mutex);

	if (err)
		return err;
	counter->n++;
	mn_mutex_unlock(&counter->mutex);
	return 0;
}

static int mutex_handed_fiber(void *arg)
{
	struct counter counter = { .n = 0 };
	struct mn_fiber *fiber[2];

	mn_mutex_init(&counter.mutex);
	ck_assert_int_eq(mn_mutex_lock(&counter.mutex), 0);
	fiber[0] = sync_spawn(locks_once, &counter);
	fiber[1] = sync_spawn(locks_once, &counter);
	mn_fiber_cancel(fiber[0]);
	mn_mutex_unlock(&counter.mutex);
	ck_assert_int_eq(mn_mutex_try(&counter.mutex), -EAGAIN);	/* it is the second one's */
	ck_assert_int_eq(mn_join(fiber[0]), -ECANCELED);
	ck_assert_int_eq(mn_mutex_lock(&counter.mutex), 0);
	ck_assert_int_eq(counter.n, 1);
	mn_mutex_unlock(&counter.mutex);
	ck_assert_int_eq(mn_join(fiber[1]), 0);
	mn_mutex_destroy(&counter.mutex);
	return 0;
}

START_TEST(a_mutex_is_handed_on_and_not_taken_by_who_comes_later)
{
	sync_run(_i, mutex_handed_fiber);
}
END_TEST

static int cond_waiter(void *arg)
{
	struct counter *counter = arg;
	int err;

	ck_assert_int_eq(mn_mutex_lock(&counter->mutex), 0);
	err = mn_cond_wait_timeout(&counter->cond, &counter->mutex, 3600 * MN_SEC);
	ck_assert_int_eq(counter->inside++, 0);	/* it has the mutex, whatever it was */
	mn_yield();
	counter->inside--;
	counter->n += !err;
	mn_mutex_unlock(&counter->mutex);
	return err;
}

static int cond_fiber(void *arg)
{
	struct counter counter = { .n = 0 };
	struct mn_fiber *fiber[5];

	mn_mutex_init(&counter.mutex);
	mn_cond_init(&counter.cond);
	mn_cond_signal(&counter.cond);	/* nobody waits: it is forgotten */
	for (int i = 0; i < 5; i++)
		fiber[i] = sync_spawn(cond_waiter, &counter);
	ck_assert_int_eq(mn_mutex_lock(&counter.mutex), 0);
	mn_cond_signal(&counter.cond);		/* the first */
	mn_fiber_cancel(fiber[0]);		/* which has it */
	mn_fiber_cancel(fiber[1]);
	mn_cond_signal(&counter.cond);		/* the third: the second has left */
	for (int i = 0; i < 4; i++)
		mn_yield();
	ck_assert_int_eq(counter.n, 0);		/* all of them want the mutex first */
	mn_mutex_unlock(&counter.mutex);
	ck_assert_int_eq(mn_join(fiber[0]), 0);
	ck_assert_int_eq(mn_join(fiber[1]), -ECANCELED);
	ck_assert_int_eq(mn_join(fiber[2]), 0);
	ck_assert_int_eq(counter.n, 2);
	mn_cond_broadcast(&counter.cond);
	ck_assert_int_eq(mn_join(fiber[3]), 0);
	ck_assert_int_eq(mn_join(fiber[4]), 0);
	ck_assert_int_eq(mn_mutex_lock(&counter.mutex), 0);
	ck_assert_int_eq(mn_cond_wait_timeout(&counter.cond, &counter.mutex, MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_mutex_try(&counter.mutex), -EAGAIN);
	mn_mutex_unlock(&counter.mutex);
	mn_cond_destroy(&counter.cond);
	mn_mutex_destroy(&counter.mutex);
	return 0;
}

START_TEST(a_condition_wakes_in_order_and_always_returns_with_the_mutex)
{
	sync_run(_i, cond_fiber);
}
END_TEST

/* --- debug builds --- */

static struct mn_sem misused;

static int destroyer(void *arg)
{
	struct taker t = { .sem = &misused, .units = 1, .timeout_ns = MN_NEVER };

	mn_sem_init(&misused, 0);
	sync_spawn(taker, &t);
	mn_sem_destroy(&misused);
	return 0;
}

static int stranger(void *arg)
{
	mn_sem_give(&misused, 1);
	return 0;
}

static int foreign_giver(void *arg)
{
	mn_sem_init(&misused, 0);
	return mn_call(1, stranger, NULL);
}

static int relocker(void *arg)
{
	struct mn_mutex mutex;

	mn_mutex_init(&mutex);
	mn_mutex_lock(&mutex);
	return mn_mutex_lock(&mutex);
}

static const mn_fiber_fn misuses[] = { destroyer, foreign_giver, relocker };

START_TEST(debug_builds_abort_on_misuse)
{
	if (!IS_ENABLED(CONFIG_DEBUG))
		test_skip("this is not a debug build");
	test_stderr_begin();
	run_main("mem", 2, misuses[_i], NULL);
	ck_abort_msg("it went on");
}
END_TEST

Suite *suite_sync(void)
{
	const TTest *const tests[] = {
		a_semaphore_serves_in_order_and_nobody_passes_who_wants_many,
		who_stops_waiting_for_many_units_lets_those_behind_go_on,
		what_was_granted_before_the_cancellation_is_kept_and_nothing_is_lost,
		a_fiber_that_is_to_stop_takes_what_there_is_and_waits_for_nothing,
		breaking_a_semaphore_ends_all_waits_now_and_later,
		a_mutex_lets_one_in_at_a_time,
		a_mutex_is_handed_on_and_not_taken_by_who_comes_later,
		a_condition_wakes_in_order_and_always_returns_with_the_mutex,
	};
	Suite *s = suite_create("sync");
	TCase *tc = tcase_create("sync");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, nr_backends());
	if (IS_ENABLED(CONFIG_DEBUG) && IS_ENABLED(CONFIG_BACKEND_MEM))
		tcase_add_loop_test_raise_signal(tc, debug_builds_abort_on_misuse, SIGABRT, 0,
						 ARRAY_SIZE(misuses));
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_sync_group());
	suite_add_tcase(s, tcase_sync_cancel());
	suite_add_tcase(s, tcase_sync_model());
	return s;
}
