// SPDX-License-Identifier: MIT
/* mn_blocking() and its threads; every case on every backend, with 1, 2 and 8 shards. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <miniss/alien.h>
#include <miniss/blocking.h>
#include <miniss/run.h>
#include <miniss/smp.h>

#include "core/shard.h"
#include "smp/blocking.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

static const unsigned int nr_shards[] = { 1, 2, 8 };

static atomic_int nr_running, nr_most, nr_ran;
static atomic_bool go;

static int nr_worlds(void)
{
	return nr_backends() * (int)ARRAY_SIZE(nr_shards);
}

/* The loop variable counts combinations of backend and number of shards. */
static void run(int i, mn_fiber_fn fn)
{
	unsigned int n = nr_shards[i % (int)ARRAY_SIZE(nr_shards)];
	int ret = run_backend(i / (int)ARRAY_SIZE(nr_shards), n, fn, NULL);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%u shards: %d", n, ret);
}

/* Only where functions run on threads. */
static void run_real(int i, mn_fiber_fn fn)
{
	const struct driver *drv = backend_kind.start[i / (int)ARRAY_SIZE(nr_shards)];

	if (!container_of(drv, struct backend_ops, drv)->virtual_time)
		run(i, fn);
}

static struct blocking_pool *pool(enum blocking_kind kind)
{
	return &mn_self->world->blocking->pool[kind];
}

static unsigned int nr_threads(void)
{
	struct blocking_pool *p = pool(BLOCKING_USER);
	unsigned int n;

	pthread_mutex_lock(&p->lock);
	n = p->nr_threads;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* --- results and bounds --- */

static int work(void *arg)
{
	int n = atomic_fetch_add(&nr_running, 1) + 1, most = atomic_load(&nr_most);

	while (n > most && !atomic_compare_exchange_weak(&nr_most, &most, n))
		;
	usleep(500);
	atomic_fetch_sub(&nr_running, 1);
	atomic_fetch_add(&nr_ran, 1);
	return (int)(intptr_t)arg;
}

static int work_fiber(void *arg)
{
	unsigned int shard = mn_shard();
	int res = mn_blocking(work, arg);

	ck_assert_uint_eq(mn_shard(), shard);
	return res;
}

static int works(void *arg)
{
	enum { N = 200 };
	struct mn_fiber *fiber[N];

	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(work_fiber, (void *)(intptr_t)(i - N / 2), &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), i - N / 2);
	return 0;
}

static int works_fiber(void *arg)
{
	enum { THREADS = 3 };

	atomic_store(&nr_most, 0);
	atomic_store(&nr_ran, 0);
	pool(BLOCKING_USER)->threads_max = THREADS;
	ck_assert_int_eq(mn_call_all(works, NULL), 0);
	ck_assert_int_eq(atomic_load(&nr_ran), 200 * (int)mn_shards());
	ck_assert_int_ge(atomic_load(&nr_most), 1);
	ck_assert_int_le(atomic_load(&nr_most), THREADS);
	return 0;
}

START_TEST(two_hundred_jobs_a_shard_run_on_a_few_threads)
{
	run(_i, works_fiber);
}
END_TEST

/* --- the threads --- */

static int look_around(void *arg)
{
	const struct cpu_mask *cpus = arg;
	struct cpu_mask mine;
	sigset_t blocked;

	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
	ck_assert(sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGINT));
	ck_assert(sigismember(&blocked, SIGHUP) && sigismember(&blocked, SIGUSR1));
	ck_assert_int_eq(topology_affinity(&mine), 0);
	ck_assert(!memcmp(&mine, cpus, sizeof(mine)));
	ck_assert_ptr_null(mn_fiber_self());
	return 5;
}

static int threads_fiber(void *arg)
{
	pool(BLOCKING_USER)->idle_ns = 2 * MN_MSEC;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mn_blocking(look_around, &mn_self->world->blocking->cpus), 5);
		while (nr_threads())
			mn_sleep(MN_MSEC);
	}
	return 0;
}

START_TEST(threads_block_signals_are_not_pinned_and_end_when_idle)
{
	run_real(_i, threads_fiber);
}
END_TEST

/* --- cancellation --- */

static int wait_for_go(void *arg)
{
	atomic_fetch_add(&nr_running, 1);
	while (!atomic_load(&go))
		usleep(100);
	atomic_fetch_sub(&nr_running, 1);
	return 17;
}

static int go_fiber(void *arg)
{
	return mn_blocking(wait_for_go, NULL);
}

static void go_reset(void)
{
	atomic_store(&go, false);
	atomic_store(&nr_running, 0);
	atomic_store(&nr_ran, 0);
}

static int cancel(void *arg)
{
	enum { N = 20 };
	struct mn_fiber *begun, *queued[N];

	go_reset();
	pool(BLOCKING_USER)->threads_max = 1;
	ck_assert_int_eq(mn_spawn(go_fiber, NULL, &begun), 0);
	while (!atomic_load(&nr_running))
		mn_sleep(MN_MSEC);	/* the shard goes on */
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(work_fiber, NULL, &queued[i]), 0);
	mn_yield();
	mn_fiber_cancel(begun);
	for (int i = 0; i < N; i++)
		mn_fiber_cancel(queued[i]);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(queued[i]), -ECANCELED);
	ck_assert_int_eq(atomic_load(&nr_ran), 0);
	mn_fiber_self()->stop = -ECANCELED;
	ck_assert_int_eq(mn_blocking(work, NULL), -ECANCELED);
	mn_fiber_self()->stop = 0;
	atomic_store(&go, true);
	ck_assert_int_eq(mn_join(begun), 17);
	ck_assert_int_eq(mn_blocking(work, (void *)3), 3);
	return 0;
}

static int cancel_fiber(void *arg)
{
	return mn_call(mn_shards() - 1, cancel, NULL);
}

START_TEST(what_has_not_begun_is_cancelled_and_what_has_is_waited_for)
{
	run_real(_i, cancel_fiber);
}
END_TEST

/* --- kinds --- */

struct file_job {
	struct blocking_job job;
	struct mn_future done;
	bool ran;
};

static void file_run(struct blocking_job *job)
{
	container_of(job, struct file_job, job)->ran = true;
}

static void file_done(struct blocking_job *job)
{
	mn_future_resolve(&container_of(job, struct file_job, job)->done, 23);
}

static int kinds_fiber(void *arg)
{
	struct file_job file = { .job = { .run = file_run, .done = file_done } };
	struct mn_fiber *fiber;

	go_reset();
	pool(BLOCKING_USER)->threads_max = 1;
	ck_assert_int_eq(mn_spawn(go_fiber, NULL, &fiber), 0);
	while (!atomic_load(&nr_running))
		mn_sleep(MN_MSEC);
	mn_future_init(&file.done);
	ck_assert_int_eq(blocking_start(&file.job, BLOCKING_FILE), 0);
	ck_assert_int_eq(mn_await(&file.done), 23);
	ck_assert(file.ran && !blocking_cancel(&file.job));
	atomic_store(&go, true);
	ck_assert_int_eq(mn_join(fiber), 17);
	return 0;
}

START_TEST(the_work_of_users_does_not_keep_files_waiting)
{
	run_real(_i, kinds_fiber);
}
END_TEST

/* --- both ways --- */

static int where(void *arg)
{
	return (int)mn_shard();
}

static int back(void *arg)
{
	return mn_alien_call(arg, 0, where, NULL, 0, MN_NEVER);
}

static int back_fiber(void *arg)
{
	struct mn_alien_gate *gate;

	ck_assert_int_eq(mn_alien_gate(&gate), 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(mn_blocking(back, gate), 0);
	mn_alien_gate_put(gate);
	return 0;
}

START_TEST(a_blocking_function_may_call_its_shard)
{
	run_real(_i, back_fiber);
}
END_TEST

/* --- the end --- */

static int leave(void *arg)
{
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(mn_spawn(work_fiber, NULL, NULL), 0);
	mn_yield();
	return 0;
}

static int leave_fiber(void *arg)
{
	pool(BLOCKING_USER)->threads_max = 2;
	return mn_call_all(leave, NULL);	/* with some that run and many that do not */
}

START_TEST(a_stop_waits_for_what_has_begun_and_cancels_the_rest)
{
	run(_i, leave_fiber);
}
END_TEST

Suite *suite_blocking(void)
{
	Suite *s = suite_create("blocking");
	TCase *tc = tcase_create("blocking");
	int n = nr_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, two_hundred_jobs_a_shard_run_on_a_few_threads, 0, n);
	tcase_add_loop_test(tc, threads_block_signals_are_not_pinned_and_end_when_idle, 0, n);
	tcase_add_loop_test(tc, what_has_not_begun_is_cancelled_and_what_has_is_waited_for, 0, n);
	tcase_add_loop_test(tc, the_work_of_users_does_not_keep_files_waiting, 0, n);
	tcase_add_loop_test(tc, a_blocking_function_may_call_its_shard, 0, n);
	tcase_add_loop_test(tc, a_stop_waits_for_what_has_begun_and_cancels_the_rest, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
