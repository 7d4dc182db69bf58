// SPDX-License-Identifier: MIT
/*
 * Cancellation at every suspension point. A scenario runs in a fiber whose
 * task is watched: so it is known how often it has suspended. It is then run
 * again for each of these points, and stopped there: as it waits, or when it
 * is about to go on; by itself, with the scope that it is in, or by that one's
 * deadline. Each time it must end with that reason or with its result, and
 * whatever there was before must be there again, on every shard.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/future.h"
#include "core/op.h"
#include "core/scope.h"
#include "smp/call.h"
#include "tests/cancel.h"
#include "tests/run.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"
#include "timers/timer_queue.h"

#define POINTS_MAX	1000	/* more than any scenario has */

enum how { BY_ITSELF, BY_SCOPE, BY_DEADLINE, NR_HOW };

static struct {
	mn_fiber_fn fn;
	struct mn_fiber *fiber;
	mn_task_fn resume;
	struct mn_scope scope;
	unsigned int nr_points;		/* how often it has suspended */
	unsigned int at;		/* where to stop it */
	bool late;			/* when it is about to go on */
	enum how how;
} probe;

static int reason(void)
{
	return probe.how == BY_DEADLINE ? -ETIMEDOUT : -ECANCELED;
}

static void stop_it(void)
{
	if (probe.how == BY_ITSELF)
		fiber_cancel(probe.fiber, reason());
	else
		scope_stop(&probe.scope, reason());
}

static void watched_resume(struct mn_task *task)
{
	if (probe.late && probe.nr_points == probe.at) {
		task->queued = true;	/* as it was until just now */
		stop_it();
		task->queued = false;
	}
	probe.resume(task);
	if (probe.fiber->ended)
		return;
	probe.nr_points++;
	if (!probe.late && probe.nr_points == probe.at)
		stop_it();
}

static int watched_fiber(void *arg)
{
	int res = probe.fn(arg);
	int stop = mn_self->fiber->stop;

	ck_assert_ptr_eq(mn_self->fiber->scope, &probe.scope);
	if (stop)	/* then it stays */
		ck_assert_int_eq(mn_sleep(1), stop);
	return res;
}

/* What a shard has, apart from what always runs there. */
struct residue {
	unsigned int nr_live, nr_calls, chunks_out;
	uint64_t nr_armed;
	int64_t nr_fds, nr_ops;
};

static int residue_here(void *arg)
{
	struct residue *r = arg;

	r->nr_live = mn_self->fibers.nr_live;
	r->nr_calls = calls_under_way(mn_self);
	r->chunks_out = chunks_out(mn_self);
	r->nr_armed = mn_self->tq->nr_armed;
	r->nr_fds = mn_self->hygiene.nr_fds;
	r->nr_ops = mn_self->hygiene.nr_ops;
	return 0;
}

static void residue_get(struct residue *r)
{
	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert_int_eq(mn_call(i, residue_here, &r[i]), 0);
}

static bool residue_same(const struct residue *before)
{
	struct residue now[2];
	int64_t nr_fds = 0;

	residue_get(now);
	for (unsigned int i = 0; i < mn_shards(); i++)
		if (now[i].nr_live != before[i].nr_live || now[i].nr_calls != before[i].nr_calls ||
		    now[i].nr_armed != before[i].nr_armed || now[i].nr_ops != before[i].nr_ops ||
		    now[i].chunks_out > before[i].chunks_out)
			return false;
	/* Those of a connection that moved are opened here and closed there. */
	for (unsigned int i = 0; i < mn_shards(); i++)
		nr_fds += now[i].nr_fds - before[i].nr_fds;
	return !nr_fds;
}

/* The other end of a connection may need a moment. What leaks never comes back. */
static void residue_check(const struct residue *before, const char *name)
{
	for (int i = 0; i < 2000; i++) {
		if (residue_same(before))
			return;
		mn_sleep(MN_MSEC);
	}
	ck_abort_msg("%s, stopped at point %u, mode %d%s, has left something", name, probe.at,
		     probe.how, probe.late ? ", late" : "");
}

static int probe_run(const struct scenario *scenario)
{
	const struct mn_scope_options options = { .keep_going = true };
	int res;

	probe.fn = scenario->fn;
	probe.nr_points = 0;
	mn_scope_open(&probe.scope, &options);
	ck_assert_int_eq(mn_spawn(watched_fiber, NULL, &probe.fiber), 0);
	probe.resume = probe.fiber->task.fn;
	probe.fiber->task.fn = watched_resume;
	ck_assert_int_eq(mn_scope_join(&probe.scope), 0);
	res = mn_join(probe.fiber);
	ck_assert_msg(res == 0 || res == reason(), "%s, stopped at point %u, mode %d%s: %d",
		      scenario->name, probe.at, probe.how, probe.late ? ", late" : "", res);
	return res;
}

/* All points, until one that it does not reach. How many there were. */
static unsigned int probe_points(const struct scenario *scenario, const struct residue *before)
{
	unsigned int nr_stopped = 0;

	for (probe.at = probe.late ? 0 : 1; probe.at < POINTS_MAX; probe.at++) {
		int res = probe_run(scenario);

		residue_check(before, scenario->name);
		nr_stopped += res != 0;
		if (probe.nr_points < probe.at)
			return nr_stopped;
	}
	ck_abort_msg("%s has no end", scenario->name);
}

static int director(void *arg)
{
	const struct scenario *scenario = arg;
	struct residue before[2];

	probe.how = BY_ITSELF;
	probe.late = false;
	if (scenario->setup)
		scenario->setup();
	/* Twice: what is kept for the next time is there then. */
	probe.at = UINT32_MAX;
	ck_assert_int_eq(probe_run(scenario), 0);
	mn_sleep(20 * MN_MSEC);
	ck_assert_int_eq(probe_run(scenario), 0);
	ck_assert_uint_gt(probe.nr_points, 0);
	mn_sleep(20 * MN_MSEC);
	residue_get(before);
	for (probe.how = 0; probe.how < NR_HOW; probe.how++) {
		probe.late = false;
		ck_assert_uint_gt(probe_points(scenario, before), 0);
		probe.late = true;
		ck_assert_uint_gt(probe_points(scenario, before), 0);
	}
	if (scenario->teardown)
		scenario->teardown();
	return 0;
}

/* The loop variable counts combinations of scenario, backend with its wakers, and 1 or 2 shards. */
START_TEST(a_fiber_stopped_at_any_point_ends_and_leaves_nothing)
{
	int i = _i / NR_SCENARIOS;
	int ret = run_waker(i / 2, 1 + (unsigned int)i % 2, director,
			    (void *)(uintptr_t)&scenarios[_i % NR_SCENARIOS]);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

Suite *suite_cancel(void)
{
	Suite *s = suite_create("cancel");
	TCase *tc = tcase_create("cancel");

	tcase_set_timeout(tc, 2 * TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_fiber_stopped_at_any_point_ends_and_leaves_nothing, 0,
			    2 * nr_wakers() * NR_SCENARIOS);
	suite_add_tcase(s, tc);
	return s;
}
