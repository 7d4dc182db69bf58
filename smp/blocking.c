// SPDX-License-Identifier: MIT
/*
 * The pool of threads for what blocks.
 *
 * A job goes to the pool through a queue under a mutex, and comes back
 * through the door of its shard. Threads are made when there are more jobs
 * than threads that wait for one. Each that ends joins the one that ended
 * before it, so that at any time one is left to join: no list of them.
 */
#include <errno.h>
#include <string.h>

#include <miniss/blocking.h>
#include <miniss/log.h>
#include <miniss/param.h>

#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/time/clock.h"
#include "smp/blocking.h"
#include "smp/thread.h"

MN_PARAM(uint, user_threads, 16, 1, 1024, "threads for mn_blocking(), at most");
MN_PARAM(uint, file_threads, 4, 1, 1024,
	 "threads for file operations that the system has no asynchronous way for, at most");
MN_PARAM(uint, idle_ms, 5000, 1, 3600000, "time without work after which a thread ends");

#define LEAVE_NS	(10 * MN_SEC)	/* for functions that run when the program ends */

static uint32_t now_us(void)
{
	return (uint32_t)(clock_now_ns() / MN_USEC);
}

/* ---- threads ---- */

static void job_done(struct shard *self, struct door_item *item)
{
	struct blocking_job *job = container_of(item, struct blocking_job, item);

	stats_add(self, STAT_JOBS, 1);
	stats_add(self, STAT_JOBS_WAIT_US, job->us);
	job->done(job);
}

static void job_run(struct blocking_job *job)
{
	job->run(job);
	job->item.receive = job_done;
	door_push(job->shard, &job->item);
}

/* The next job; NULL: this thread is to end. Under the lock. */
static struct blocking_job *job_take(struct blocking_pool *pool)
{
	struct blocking_job *job;
	bool in_time = true;
	int64_t until_ns = thread_deadline(pool->idle_ns);

	while (!pool->closing && list_empty(&pool->queue) && in_time) {
		pool->nr_idle++;
		in_time = thread_wait(&pool->work, &pool->lock, until_ns);
		pool->nr_idle--;
	}
	if (pool->closing || list_empty(&pool->queue))
		return NULL;
	job = list_first(&pool->queue, struct blocking_job, entry);
	list_del(&job->entry);
	pool->nr_queued--;
	job->begun = true;
	job->us = now_us() - job->us;
	return job;
}

/* Gives the lock back. */
static void thread_leave(struct blocking_pool *pool)
{
	pthread_t before = pool->ended;
	bool join = pool->has_ended;

	pool->ended = pthread_self();
	pool->has_ended = true;
	if (--pool->nr_threads == 0)
		pthread_cond_signal(&pool->left);
	pthread_mutex_unlock(&pool->lock);
	if (join)
		pthread_join(before, NULL);
}

static void *pool_thread(void *arg)
{
	struct blocking_pool *pool = arg;
	struct blocking_job *job;

	thread_name("blocking");
	/* The shard that made it has a CPU of its own; this one shall not stay there. */
	topology_confine(pool->cpus);
	pthread_mutex_lock(&pool->lock);
	while ((job = job_take(pool))) {
		pthread_mutex_unlock(&pool->lock);
		job_run(job);
		pthread_mutex_lock(&pool->lock);
	}
	thread_leave(pool);
	return NULL;
}

/* Under the lock, so that nobody counts on a thread that is not made after all. */
static int thread_add(struct blocking_pool *pool)
{
	pthread_t thread;
	int err = thread_start(&thread, pool_thread, pool);

	if (!err)
		pool->nr_threads++;
	return err;
}

/* ---- jobs ---- */

static int job_queue(struct blocking_pool *pool, struct blocking_job *job)
{
	int err = 0;

	pthread_mutex_lock(&pool->lock);
	list_add_tail(&pool->queue, &job->entry);
	pool->nr_queued++;
	if (pool->nr_queued <= pool->nr_idle)
		pthread_cond_signal(&pool->work);
	else if (pool->nr_threads < pool->threads_max)
		err = thread_add(pool);
	if (err && pool->nr_threads) {
		err = 0;	/* those that there are will come to it */
	} else if (err) {
		list_del(&job->entry);
		pool->nr_queued--;
	}
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int blocking_start(struct blocking_job *job, enum blocking_kind kind)
{
	job->shard = mn_self;
	job->kind = kind;
	job->us = 0;
	job->begun = mn_self->virtual_time;
	if (!job->begun) {
		job->us = now_us();
		return job_queue(&mn_self->world->blocking->pool[kind], job);
	}
	job_run(job);
	return 0;
}

bool blocking_cancel(struct blocking_job *job)
{
	struct blocking_pool *pool = &mn_self->world->blocking->pool[job->kind];
	bool taken;

	pthread_mutex_lock(&pool->lock);
	taken = !job->begun;
	if (taken) {
		list_del(&job->entry);
		pool->nr_queued--;
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

/* ---- fibers ---- */

struct call {
	struct blocking_job job;
	int (*fn)(void *arg);
	void *arg;
	struct mn_fiber *fiber;
	int res;
	bool ended;
};

static void call_run(struct blocking_job *job)
{
	struct call *call = container_of(job, struct call, job);

	call->res = call->fn(call->arg);
}

static void call_done(struct blocking_job *job)
{
	struct call *call = container_of(job, struct call, job);

	call->ended = true;
	task_schedule(mn_self, &call->fiber->task);
}

static void call_cancel(void *obj)
{
	struct call *call = obj;

	if (!blocking_cancel(&call->job))
		return;		/* it runs: its memory is on the fiber's stack */
	call->res = call->fiber->stop;
	call_done(&call->job);
}

int mn_blocking(int (*fn)(void *arg), void *arg)
{
	struct call call = {
		.job = { .run = call_run, .done = call_done },
		.fn = fn,
		.arg = arg,
		.fiber = mn_self->fiber,
	};
	int err;

	BUG_ON(!call.fiber);
	if (call.fiber->stop)
		return call.fiber->stop;
	err = blocking_start(&call.job, BLOCKING_USER);
	if (err)
		return err;
	while (!call.ended)
		fiber_park(call_cancel, &call);
	return call.res;
}

/* ---- set-up ---- */

static void threads_open(struct blocking_pool *pool, unsigned int threads_max,
			 const struct cpu_mask *cpus)
{
	pthread_mutex_init(&pool->lock, NULL);
	thread_cond_init(&pool->work);
	thread_cond_init(&pool->left);
	list_init(&pool->queue);
	pool->threads_max = threads_max;
	pool->idle_ns = param_idle_ms * MN_MSEC;
	pool->cpus = cpus;
}

int blocking_open(struct mn_world *world)
{
	struct blocking *blocking = mem_alloc(sizeof(*blocking));
	int err;

	if (!blocking)
		return -ENOMEM;
	/* This thread is not pinned yet, if it is going to be a shard. */
	err = topology_affinity(&blocking->cpus);
	if (err)
		mn_warn("cannot read the CPU affinity: %s", strerror(-err));
	threads_open(&blocking->pool[BLOCKING_USER], param_user_threads, &blocking->cpus);
	threads_open(&blocking->pool[BLOCKING_FILE], param_file_threads, &blocking->cpus);
	world->blocking = blocking;
	return 0;
}

static void threads_close(struct blocking_pool *pool)
{
	int64_t deadline_ns = thread_deadline(LEAVE_NS);

	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->work);
	while (pool->nr_threads)
		/* Its job is on a stack that is about to go: it cannot be left behind. */
		if (!thread_wait(&pool->left, &pool->lock, deadline_ns) && pool->nr_threads)
			bug("a function of mn_blocking() does not return", HERE);
	pthread_mutex_unlock(&pool->lock);
	if (pool->has_ended)
		pthread_join(pool->ended, NULL);
	pthread_cond_destroy(&pool->left);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
}

void blocking_close(struct mn_world *world)
{
	struct blocking *blocking = world->blocking;

	if (!blocking)
		return;
	for (unsigned int kind = 0; kind < BLOCKING_KINDS; kind++)
		threads_close(&blocking->pool[kind]);
	world->blocking = NULL;
	mem_free(blocking);
}
