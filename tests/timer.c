// SPDX-License-Identifier: MIT
/*
 * Timers as users see them, over every timer queue that was built: on a shard
 * that has a run queue, a timer queue and a clock that the tests set, and
 * nothing else.
 */
#include <check.h>
#include <stdlib.h>

#include "core/ledger.h"
#include "core/shard.h"
#include "tests/suites.h"
#include "timers/timer.h"

#define START_NS	(1000 * MN_SEC)

static struct shard *shard;

/* A timer that counts, and remembers when it ran last. */
struct probe {
	struct mn_timer timer;
	unsigned int runs;
	int64_t ran_ns;
};

static void probe_run(struct mn_task *task)
{
	struct probe *probe = container_of(mn_timer_of(task), struct probe, timer);

	probe->runs++;
	probe->ran_ns = mn_now();
}

static void begin(int i, struct probe *probe)
{
	const struct timer_queue_ops *ops =
		container_of(timer_queue_kind.start[i], struct timer_queue_ops, drv);

	shard = aligned_alloc(_Alignof(struct shard), sizeof(*shard));
	ck_assert_ptr_nonnull(shard);
	*shard = (struct shard){ .now_ns = START_NS, .tq = calloc(1, ops->state_size) };
	ck_assert_ptr_nonnull(shard->tq);
	shard->tq->ops = ops;
	runq_init(&shard->runq);
	ck_assert_int_eq(timer_queue_open(shard->tq, START_NS), 0);
	mn_self = shard;
	*probe = (struct probe){ .runs = 0 };
	mn_timer_init(&probe->timer, probe_run);
}

static void end(void)
{
	mn_self = NULL;
	ledger_close(shard);
	timer_queue_close(shard->tq);
	free(shard->tq);
	free(shard);
}

static unsigned int tick(int64_t now_ns)
{
	unsigned int n;

	shard->now_ns = now_ns;
	/* A wheel may need a turn to move what it hands out in the next. */
	for (n = 0; timer_queue_next(shard->tq) <= now_ns;)
		n += timers_expire(shard);
	return n;
}

static void turn(int64_t now_ns)
{
	struct mn_task *task;

	tick(now_ns);
	while (!runq_empty(&shard->runq)) {
		task = runq_pop(&shard->runq);
		task->fn(task);
	}
}

START_TEST(a_timer_runs_once)
{
	struct probe probe;

	begin(_i, &probe);
	mn_timer_arm(&probe.timer, START_NS + MN_MSEC, 0);
	ck_assert(mn_timer_armed(&probe.timer));
	turn(START_NS + MN_MSEC - 1);
	ck_assert_uint_eq(probe.runs, 0);
	turn(START_NS + MN_MSEC + TIMER_TICK_NS);
	ck_assert_uint_eq(probe.runs, 1);
	ck_assert(!mn_timer_armed(&probe.timer));
	turn(START_NS + MN_SEC);
	ck_assert_uint_eq(probe.runs, 1);
	ck_assert(!mn_timer_cancel(&probe.timer));
	end();
}
END_TEST

START_TEST(expiry_only_queues_the_task)
{
	struct probe probe;

	begin(_i, &probe);
	mn_timer_arm(&probe.timer, START_NS, 0);
	ck_assert_uint_eq(tick(START_NS), 1);
	ck_assert_uint_eq(probe.runs, 0);
	ck_assert(probe.timer.task.queued);
	end();
}
END_TEST

START_TEST(cancel_stops_a_timer_that_is_armed)
{
	struct probe probe;

	begin(_i, &probe);
	mn_timer_arm(&probe.timer, START_NS + MN_MSEC, 0);
	ck_assert(mn_timer_cancel(&probe.timer));
	ck_assert(!mn_timer_cancel(&probe.timer));
	turn(START_NS + MN_SEC);
	ck_assert_uint_eq(probe.runs, 0);
	end();
}
END_TEST

START_TEST(cancel_stops_a_timer_that_expired_and_did_not_run_yet)
{
	struct probe probe, other;

	begin(_i, &probe);
	other = probe;
	mn_timer_arm(&probe.timer, START_NS, 0);
	mn_timer_arm(&other.timer, START_NS, 0);
	ck_assert_uint_eq(tick(START_NS), 2);
	ck_assert(mn_timer_cancel(&probe.timer));
	ck_assert(!mn_timer_cancel(&probe.timer));
	turn(START_NS + MN_SEC);
	ck_assert_uint_eq(probe.runs, 0);
	ck_assert_uint_eq(other.runs, 1);
	end();
}
END_TEST

START_TEST(arming_an_armed_timer_moves_it)
{
	struct probe probe;

	begin(_i, &probe);
	mn_timer_arm(&probe.timer, START_NS + MN_MSEC, 0);
	mn_timer_arm(&probe.timer, START_NS + MN_SEC, 0);
	turn(START_NS + MN_SEC - 1);
	ck_assert_uint_eq(probe.runs, 0);
	turn(START_NS + MN_SEC + TIMER_TICK_NS);
	ck_assert_uint_eq(probe.runs, 1);
	/* Also one that expired and did not run yet. */
	mn_timer_arm(&probe.timer, mn_now(), 0);
	ck_assert_uint_eq(tick(mn_now()), 1);
	mn_timer_arm(&probe.timer, mn_now() + MN_SEC, 0);
	turn(mn_now());
	ck_assert_uint_eq(probe.runs, 1);
	turn(mn_now() + MN_SEC + TIMER_TICK_NS);
	ck_assert_uint_eq(probe.runs, 2);
	end();
}
END_TEST

static void probe_run_again(struct mn_task *task)
{
	probe_run(task);
	mn_timer_arm(mn_timer_of(task), mn_now(), 0);
}

START_TEST(a_timer_armed_by_its_own_task_runs_in_the_next_turn)
{
	struct probe probe;
	unsigned int i;

	begin(_i, &probe);
	mn_timer_init(&probe.timer, probe_run_again);
	mn_timer_arm(&probe.timer, START_NS, 0);
	for (i = 1; i <= 100; i++) {
		shard->now_ns++;
		ck_assert_uint_eq(timers_expire(shard), 1);
		probe_run_again(runq_pop(&shard->runq));
		ck_assert(runq_empty(&shard->runq));
		ck_assert_uint_eq(probe.runs, i);
	}
	end();
}
END_TEST

START_TEST(a_periodic_timer_does_not_drift)
{
	const int64_t period_ns = 3 * MN_MSEC + 333;
	struct probe probe;
	unsigned int k;
	int64_t due_ns;

	begin(_i, &probe);
	mn_timer_arm_periodic(&probe.timer, START_NS + MN_MSEC, period_ns, 0);
	for (k = 0; k < 10000; k++) {
		due_ns = START_NS + MN_MSEC + k * period_ns;
		turn(due_ns - 1);
		ck_assert_uint_eq(probe.runs, k);
		turn(due_ns + TIMER_TICK_NS + 100 * MN_USEC);	/* always somewhat late */
		ck_assert_uint_eq(probe.runs, k + 1);
	}
	ck_assert(mn_timer_cancel(&probe.timer));
	turn(mn_now() + MN_SEC);
	ck_assert_uint_eq(probe.runs, k);
	end();
}
END_TEST

START_TEST(a_periodic_timer_skips_what_it_missed)
{
	struct probe probe;

	begin(_i, &probe);
	mn_timer_arm_periodic(&probe.timer, START_NS + MN_SEC, MN_SEC, 0);
	turn(START_NS + 10 * MN_SEC + MN_SEC / 2);
	ck_assert_uint_eq(probe.runs, 1);
	turn(START_NS + 11 * MN_SEC - 1);
	ck_assert_uint_eq(probe.runs, 1);
	turn(START_NS + 11 * MN_SEC + TIMER_TICK_NS);
	ck_assert_uint_eq(probe.runs, 2);
	/* A first time long ago only says when the others are. */
	mn_timer_arm_periodic(&probe.timer, INT64_MIN + 1, INT64_MAX, 0);
	turn(mn_now());
	ck_assert_uint_eq(probe.runs, 3);
	ck_assert(probe.timer.deadline_ns == INT64_MAX);
	end();
}
END_TEST

START_TEST(cancel_stops_a_periodic_timer_between_expiry_and_run)
{
	struct probe probe;

	begin(_i, &probe);
	mn_timer_arm_periodic(&probe.timer, START_NS, MN_MSEC, 0);
	ck_assert_uint_eq(tick(START_NS), 1);
	ck_assert(mn_timer_armed(&probe.timer) && probe.timer.task.queued);
	ck_assert(mn_timer_cancel(&probe.timer));
	ck_assert(!mn_timer_armed(&probe.timer) && !probe.timer.task.queued);
	turn(START_NS + MN_SEC);
	ck_assert_uint_eq(probe.runs, 0);
	end();
}
END_TEST

Suite *suite_timer(void)
{
	const TTest *const tests[] = {
		a_timer_runs_once,
		expiry_only_queues_the_task,
		cancel_stops_a_timer_that_is_armed,
		cancel_stops_a_timer_that_expired_and_did_not_run_yet,
		arming_an_armed_timer_moves_it,
		a_timer_armed_by_its_own_task_runs_in_the_next_turn,
		a_periodic_timer_does_not_drift,
		a_periodic_timer_skips_what_it_missed,
		cancel_stops_a_periodic_timer_between_expiry_and_run,
	};
	const int nr_drivers = (int)(timer_queue_kind.stop - timer_queue_kind.start);
	Suite *suite = suite_create("timer");
	TCase *tcase = tcase_create("timer");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tcase, tests[i], 0, nr_drivers);
	suite_add_tcase(suite, tcase);
	return suite;
}
