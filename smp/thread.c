// SPDX-License-Identifier: MIT
/* Shards as threads: each pinned to its CPU; the caller's thread is shard 0. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include <miniss/log.h>

#include "backends/backend.h"
#include "lib/mem/guard.h"
#include "lib/mem/mem.h"
#include "smp/mesh.h"
#include "smp/topology.h"

static void thread_prepare(struct shard *shard)
{
	/* The kernel may delay a wait by 50 us to coalesce timers; we do that ourselves. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (shard->cpu >= 0 && topology_pin(shard->cpu))
		mn_warn("cannot pin shard %u to CPU %d: %s", shard->id, shard->cpu,
			strerror(errno));
	guard_thread_enter();
}

static void *thread_main(void *arg)
{
	struct shard *shard = arg;
	char name[16];

	snprintf(name, sizeof(name), "shard-%u", shard->id);
	pthread_setname_np(pthread_self(), name);
	thread_prepare(shard);
	shard_main(shard);
	guard_thread_leave();
	return NULL;
}

/* Signals are for shard 0: the other threads block all but their own faults. */
static int thread_start(pthread_t *thread, struct shard *shard)
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
	err = pthread_create(thread, NULL, thread_main, shard);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int shards_run_threads(struct mn_world *world)
{
	pthread_t *threads = mem_alloc(world->nr_shards * sizeof(*threads));
	unsigned int started = 1;
	int err = threads ? 0 : -ENOMEM;

	if (err)
		return err;
	for (; started < world->nr_shards; started++) {
		err = thread_start(&threads[started], world->shards[started]);
		if (err) {
			mn_err("cannot start the thread of shard %u: %s", started, strerror(-err));
			break;
		}
	}
	/* If some have no thread, shard 0 finds that out, and stops the others. */
	world->nr_up = started;
	thread_prepare(world->shards[0]);
	shard_main(world->shards[0]);
	guard_thread_leave();
	for (unsigned int i = 1; i < started; i++)
		pthread_join(threads[i], NULL);
	mem_free(threads);
	return err;
}
