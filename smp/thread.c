// SPDX-License-Identifier: MIT
/* Shards as threads: each pinned to its CPU; the caller's thread is shard 0. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <miniss/log.h>

#include "backends/backend.h"
#include "lib/mem/guard.h"
#include "lib/mem/mem.h"
#include "lib/time/clock.h"
#include "smp/dump.h"
#include "smp/mesh.h"
#include "smp/thread.h"
#include "smp/topology.h"

static void thread_prepare(struct shard *shard)
{
	/* The kernel may delay a wait by 50 us to coalesce timers; we do that ourselves. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (shard->cpu >= 0 && topology_pin(shard->cpu))
		mn_warn("cannot pin shard %u to CPU %d: %s", shard->id, shard->cpu,
			strerror(errno));
	guard_thread_enter();
	dump_enter(shard);
}

static void thread_end(struct shard *shard)
{
	dump_leave(shard);
	guard_thread_leave();
}

static void *thread_main(void *arg)
{
	struct shard *shard = arg;
	char name[16];

	snprintf(name, sizeof(name), "shard-%u", shard->id);
	thread_name(name);
	thread_prepare(shard);
	shard_main(shard);
	thread_end(shard);
	return NULL;
}

void thread_name(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}

/* Signals are for shard 0: the other threads block all but their own faults. */
int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

void thread_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

bool thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = deadline_ns / MN_SEC,
		.tv_nsec = deadline_ns % MN_SEC,
	};

	if (deadline_ns == MN_NEVER)
		return !pthread_cond_wait(cond, lock);
	return !pthread_cond_timedwait(cond, lock, &until);
}

void thread_sem_wait(sem_t *sem, int64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = deadline_ns / MN_SEC,
		.tv_nsec = deadline_ns % MN_SEC,
	};

	if (deadline_ns == MN_NEVER)
		sem_wait(sem);
	else
		sem_clockwait(sem, CLOCK_MONOTONIC, &until);
}

void thread_pause(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / MN_SEC, .tv_nsec = ns % MN_SEC };

	nanosleep(&ts, NULL);
}

uintptr_t thread_stack_high(void)
{
	pthread_attr_t attr;
	uintptr_t high = 0;
	void *low;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr))
		return 0;
	if (!pthread_attr_getstack(&attr, &low, &size))
		high = (uintptr_t)low + size;
	pthread_attr_destroy(&attr);
	return high;
}

int64_t thread_deadline(int64_t timeout_ns)
{
	int64_t now_ns = clock_now_ns();

	return timeout_ns > MN_NEVER - now_ns ? MN_NEVER : now_ns + max(timeout_ns, 0);
}

int shards_run_threads(struct mn_world *world)
{
	pthread_t *threads = mem_alloc(world->nr_shards * sizeof(*threads));
	int slack_ns = prctl(PR_GET_TIMERSLACK);	/* the caller's, who has it back */
	unsigned int started = 1;
	int err = threads ? 0 : -ENOMEM;

	if (err)
		return err;
	dump_begin(world);
	for (; started < world->nr_shards; started++) {
		err = thread_start(&threads[started], thread_main, world->shards[started]);
		if (err) {
			mn_err("cannot start the thread of shard %u: %s", started, strerror(-err));
			break;
		}
	}
	/* If some have no thread, shard 0 finds that out, and stops the others. */
	world->nr_up = started;
	thread_prepare(world->shards[0]);
	shard_main(world->shards[0]);
	thread_end(world->shards[0]);
	prctl(PR_SET_TIMERSLACK, (unsigned long)max(slack_ns, 0));
	for (unsigned int i = 1; i < started; i++)
		pthread_join(threads[i], NULL);
	dump_end(world);
	mem_free(threads);
	return err;
}
