// SPDX-License-Identifier: MIT
/*
 * Threads that are not shards: what they call, and how that ends. Every case
 * on every backend and waker that has real time, with 1, 2 and 8 shards.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniss/alien.h>
#include <miniss/run.h>
#include <miniss/smp.h>

#include "core/shard.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define ALIENS	8
#define QUEUE	256	/* the default of --alien.queue */

static const unsigned int nr_shards[] = { 1, 2, 8 };

static struct mn_alien_gate *gate;	/* of the test that runs */
static pthread_t aliens[ALIENS];
static atomic_int nr_running, nr_ended, nr_left;

static int nr_worlds(void)
{
	return nr_wakers() * (int)ARRAY_SIZE(nr_shards);
}

static bool virtual_time(int i)
{
	return waker_virtual_time(i / (int)ARRAY_SIZE(nr_shards));
}

/* The loop variable counts combinations of waker and number of shards. */
static void run(int i, mn_fiber_fn fn)
{
	unsigned int n = nr_shards[i % (int)ARRAY_SIZE(nr_shards)];
	int ret;

	if (virtual_time(i))
		return;
	ret = run_waker(i / (int)ARRAY_SIZE(nr_shards), n, fn, NULL);
	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%u shards: %d", n, ret);
}

static unsigned int last(void)
{
	return mn_shards() - 1;
}

static void aliens_start(unsigned int n, void *(*fn)(void *arg))
{
	atomic_store(&nr_running, 0);
	atomic_store(&nr_ended, 0);
	atomic_store(&nr_left, (int)n);
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&aliens[i], NULL, fn, (void *)(uintptr_t)i), 0);
}

static void aliens_join(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_join(aliens[i], NULL), 0);
}

/* From a fiber: let @n threads through the gate, and wait for their end. */
static void aliens_run(unsigned int n, void *(*fn)(void *arg))
{
	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	aliens_start(n, fn);
	while (atomic_load(&nr_left))
		mn_sleep(MN_MSEC);
	aliens_join(n);
	mn_alien_gate_put(gate);
}

static void *alien_end(void)
{
	atomic_fetch_sub(&nr_left, 1);
	return NULL;
}

/* --- results --- */

struct question {
	uint8_t filler[MN_ALIEN_ARG_MAX - 2 * sizeof(uint32_t)];
	uint32_t shard;
	int32_t value;
};

static int answer(void *arg)
{
	const struct question *question = arg;

	ck_assert_uint_eq(question->shard, mn_shard());
	ck_assert_uint_eq((uintptr_t)arg % _Alignof(max_align_t), 0);
	ck_assert_ptr_nonnull(mn_fiber_self());
	if (question->value % 3 == 0)
		mn_yield();
	return question->value;
}

static int count(void *arg)
{
	atomic_fetch_add(*(atomic_int **)arg, 1);
	return 0;
}

static unsigned int shards_of(struct mn_alien_gate *g)
{
	unsigned int n = 0;

	while (mn_alien_post(g, n, answer, NULL, MN_ALIEN_ARG_MAX + 1) != -EINVAL)
		n++;
	return n;
}

static void *hammer(void *arg)
{
	unsigned int n = shards_of(gate);
	atomic_int *counter = &nr_running;

	for (int i = 0; i < 300; i++) {
		struct question question = { .shard = (unsigned int)i % n, .value = i };

		ck_assert_int_eq(mn_alien_call(gate, question.shard, answer, &question,
					       sizeof(question), MN_NEVER),
				 i);
		while (mn_alien_post(gate, question.shard, count, &counter, sizeof(counter)) ==
		       -EAGAIN)
			usleep(10);
	}
	return alien_end();
}

static int hammer_fiber(void *arg)
{
	aliens_run(ALIENS, hammer);
	while (atomic_load(&nr_running) < ALIENS * 300)
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(threads_call_and_post_and_get_results)
{
	run(_i, hammer_fiber);
}
END_TEST

static void *misuse(void *arg)
{
	static const char text[MN_ALIEN_ARG_MAX + 1];

	ck_assert_int_eq(mn_alien_call(gate, 0, answer, text, sizeof(text), MN_NEVER), -E2BIG);
	ck_assert_int_eq(mn_alien_post(gate, 0, answer, text, sizeof(text)), -E2BIG);
	ck_assert_int_eq(mn_alien_call(gate, 1000, answer, NULL, 0, MN_NEVER), -EINVAL);
	ck_assert_int_eq(mn_alien_post(gate, 1000, answer, NULL, 0), -EINVAL);
	return alien_end();
}

static int misuse_fiber(void *arg)
{
	struct mn_alien_gate *mine;

	aliens_run(1, misuse);
	ck_assert_int_eq(mn_alien_gate(&mine), 0);
	ck_assert_int_eq(mn_alien_call(mine, 0, answer, NULL, 0, MN_NEVER), -EDEADLK);
	mn_alien_gate_put(mine);
	return 0;
}

START_TEST(bad_calls_are_refused)
{
	run(_i, misuse_fiber);
}
END_TEST

/* --- sleep and wake --- */

static struct mn_world *world;

static int nothing(void *arg)
{
	return 0;
}

static void *wake_sleepers(void *arg)
{
	for (int round = 0; round < 30; round++)
		for (unsigned int s = 0; s < world->nr_shards; s++) {
			while (!atomic_load(&world->shards[s]->asleep))
				usleep(10);
			ck_assert_int_eq(mn_alien_call(gate, s, nothing, NULL, 0, MN_NEVER), 0);
		}
	atomic_store(&nr_ended, 1);
	ck_assert_int_eq(mn_alien_post(gate, 0, nothing, NULL, 0), 0);
	return alien_end();
}

static int sleep_fiber(void *arg)
{
	world = mn_self->world;
	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	aliens_start(1, wake_sleepers);
	while (!atomic_load(&nr_ended))
		mn_sleep(20 * MN_MSEC);
	aliens_join(1);
	mn_alien_gate_put(gate);
	return 0;
}

START_TEST(a_shard_that_sleeps_is_woken)
{
	run(_i, sleep_fiber);
}
END_TEST

/* --- time-outs --- */

static int obstinate(void *arg)
{
	const struct question *question = arg;

	atomic_fetch_add(&nr_running, 1);
	ck_assert_int_eq(mn_sleep(3600 * MN_SEC), -ECANCELED);
	for (int i = 0; i < 20; i++)
		mn_yield();
	ck_assert_int_eq(question->value, 4711);	/* though nobody waits any more */
	atomic_fetch_add(&nr_ended, 1);
	return -EIO;
}

static void *impatient(void *arg)
{
	struct question *question = malloc(sizeof(*question));

	question->value = 4711;
	for (unsigned int s = 0; s < shards_of(gate); s++) {
		question->shard = s;
		ck_assert_int_eq(mn_alien_call(gate, s, obstinate, question, sizeof(*question),
					       20 * MN_MSEC),
				 -ETIMEDOUT);
	}
	free(question);
	return alien_end();
}

static int impatient_fiber(void *arg)
{
	aliens_run(ALIENS, impatient);
	while (atomic_load(&nr_ended) < atomic_load(&nr_running))
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(a_timeout_returns_at_once_and_cancels_the_function)
{
	run(_i, impatient_fiber);
}
END_TEST

static void *drop(void *arg)
{
	ck_assert_int_eq(mn_alien_call(gate, shards_of(gate) - 1, obstinate, NULL, 0, MN_MSEC),
			 -ETIMEDOUT);
	return alien_end();
}

static int block(void *arg)
{
	aliens_start(ALIENS, drop);
	while (atomic_load(&nr_left))	/* not a suspension: this shard is stuck */
		usleep(1000);
	return 0;
}

static int drop_fiber(void *arg)
{
	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	ck_assert_int_eq(mn_call(last(), block, NULL), 0);
	aliens_join(ALIENS);
	mn_sleep(5 * MN_MSEC);
	ck_assert_int_eq(atomic_load(&nr_running), 0);
	mn_alien_gate_put(gate);
	return 0;
}

START_TEST(a_call_that_timed_out_before_it_began_never_runs)
{
	run(_i, drop_fiber);
}
END_TEST

/* --- bounds --- */

static int linger(void *arg)
{
	atomic_fetch_add(&nr_running, 1);
	mn_sleep(3600 * MN_SEC);
	atomic_fetch_add(&nr_ended, 1);
	return -ECANCELED;
}

/* Sleeps about as long as the other side waits. */
static int race(void *arg)
{
	uint32_t us = *(uint32_t *)arg;

	return mn_sleep(us * MN_USEC) ? -EIO : 0;
}

static void *racer(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg + 1, n = shards_of(gate);

	for (int i = 0; i < 400; i++) {
		uint32_t us = (uint32_t)rand_r(&seed) % 300;
		int64_t timeout_ns = rand_r(&seed) % 300 * MN_USEC;
		int res = mn_alien_call(gate, (unsigned int)rand_r(&seed) % n, race, &us,
					sizeof(us), timeout_ns);

		ck_assert_msg(res == 0 || res == -ETIMEDOUT, "%d", res);
	}
	return alien_end();
}

static atomic_bool full;

static void *fill(void *arg)
{
	unsigned int s = shards_of(gate) - 1;
	int n = 0;

	/* What the races left behind is done with by and by. */
	while (atomic_load(&nr_running) < QUEUE) {
		int err = mn_alien_post(gate, s, linger, NULL, 0);

		ck_assert(err == 0 || err == -EAGAIN);
		n += !err;
	}
	ck_assert_int_eq(n, QUEUE);
	ck_assert_int_eq(mn_alien_post(gate, s, linger, NULL, 0), -EAGAIN);
	ck_assert_int_eq(mn_alien_call(gate, s, nothing, NULL, 0, MN_MSEC), -ETIMEDOUT);
	atomic_store(&full, true);
	ck_assert_int_eq(mn_alien_call(gate, s, nothing, NULL, 0, MN_NEVER), 0);
	return alien_end();
}

static int cancel_here(void *arg)
{
	struct mn_fiber *self = mn_fiber_self();

	fiber_cancel_all(mn_self);
	self->stop = 0;
	return 0;
}

static int full_fiber(void *arg)
{
	aliens_run(ALIENS, racer);
	atomic_store(&full, false);
	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	aliens_start(1, fill);
	while (!atomic_load(&full))
		mn_sleep(MN_MSEC);
	ck_assert_int_eq(atomic_load(&nr_running), QUEUE);
	mn_call(last(), cancel_here, NULL);	/* with one shard, the main fiber, too */
	mn_fiber_self()->stop = 0;
	while (atomic_load(&nr_left))
		mn_yield();
	aliens_join(1);
	mn_alien_gate_put(gate);
	return 0;
}

START_TEST(the_queue_is_bounded_and_no_place_in_it_is_lost)
{
	run(_i, full_fiber);
}
END_TEST

/* --- the end --- */

static void *stay(void *arg)
{
	unsigned int s = (unsigned int)(uintptr_t)arg % shards_of(gate);
	int n = 0, err;

	ck_assert_int_eq(mn_alien_call(gate, s, linger, NULL, 0, MN_NEVER), -ESHUTDOWN);
	while (n++ < 1000 && (err = mn_alien_post(gate, s, linger, NULL, 0)) != -ESHUTDOWN)
		ck_assert(err == 0 || err == -EAGAIN);
	ck_assert_int_eq(mn_alien_call(gate, s, linger, NULL, 0, MN_NEVER), -ESHUTDOWN);
	return alien_end();
}

/* Never lets up, so that some come at every moment of the stop. */
static void *flood(void *arg)
{
	unsigned int s = (unsigned int)(uintptr_t)arg % shards_of(gate);
	int res = 0;

	while (res != -ESHUTDOWN) {
		res = mn_alien_call(gate, s, nothing, NULL, 0, MN_NEVER);
		ck_assert(res == 0 || res == -ESHUTDOWN);
		mn_alien_post(gate, s, linger, NULL, 0);
	}
	return alien_end();
}

static int stay_fiber(void *arg)
{
	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	aliens_start(ALIENS, stay);
	while (atomic_load(&nr_running) < ALIENS)
		mn_sleep(MN_MSEC);
	return 0;
}

static int flood_fiber(void *arg)
{
	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	aliens_start(ALIENS, flood);
	mn_sleep(5 * MN_MSEC);
	return 0;
}

/* The world is gone when the threads are joined; the gate is not. */
static void run_and_outlive(int i, mn_fiber_fn fn)
{
	gate = NULL;
	run(i, fn);
	if (!gate)
		return;
	aliens_join(ALIENS);
	ck_assert_int_eq(mn_alien_post(gate, 0, nothing, NULL, 0), -ESHUTDOWN);
	mn_alien_gate_put(gate);
}

START_TEST(a_stop_ends_the_calls_that_are_under_way)
{
	run_and_outlive(_i, stay_fiber);
}
END_TEST

START_TEST(a_stop_ends_what_comes_meanwhile)
{
	run_and_outlive(_i, flood_fiber);
}
END_TEST

static int no_gate_fiber(void *arg)
{
	struct mn_alien_gate *mine;

	ck_assert_int_eq(mn_alien_gate(&mine), -EOPNOTSUPP);
	return 0;
}

START_TEST(virtual_time_has_no_gate)
{
	if (virtual_time(_i))
		ck_assert_int_eq(run_waker(_i / (int)ARRAY_SIZE(nr_shards), 2, no_gate_fiber, NULL),
				 0);
}
END_TEST

Suite *suite_alien(void)
{
	Suite *s = suite_create("alien");
	TCase *tc = tcase_create("alien");
	int n = nr_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, threads_call_and_post_and_get_results, 0, n);
	tcase_add_loop_test(tc, bad_calls_are_refused, 0, n);
	tcase_add_loop_test(tc, a_shard_that_sleeps_is_woken, 0, n);
	tcase_add_loop_test(tc, a_timeout_returns_at_once_and_cancels_the_function, 0, n);
	tcase_add_loop_test(tc, a_call_that_timed_out_before_it_began_never_runs, 0, n);
	tcase_add_loop_test(tc, the_queue_is_bounded_and_no_place_in_it_is_lost, 0, n);
	tcase_add_loop_test(tc, a_stop_ends_the_calls_that_are_under_way, 0, n);
	tcase_add_loop_test(tc, a_stop_ends_what_comes_meanwhile, 0, n);
	tcase_add_loop_test(tc, virtual_time_has_no_gate, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
