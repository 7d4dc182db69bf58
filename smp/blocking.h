/* SPDX-License-Identifier: MIT */
/*
 * Jobs that block their thread, run by a pool of threads for the shards of a
 * world. For mn_blocking(), and for backends whose system has no other way to
 * read a file.
 *
 * A job is embedded in its owner's object: nothing is allocated for it, and
 * the queue is bounded by those who wait.
 */
#ifndef SMP_BLOCKING_H
#define SMP_BLOCKING_H

#include <pthread.h>

#include "lib/list.h"
#include "smp/door.h"
#include "smp/topology.h"

struct mn_world;

/* What they are for: one kind never keeps the other waiting. */
enum blocking_kind { BLOCKING_USER, BLOCKING_FILE, BLOCKING_KINDS };

struct blocking_job {
	/** @run: on a thread of the pool; may block */
	void (*run)(struct blocking_job *job);

	/** @done: later on the job's shard, from the reactor; the job is the owner's again */
	void (*done)(struct blocking_job *job);

	/* the pool's */
	union {
		struct list entry;	/* of the queue, under its lock */
		struct door_item item;	/* on its way back */
	};
	struct shard *shard;
	uint32_t us;			/* when it was queued; then how long it was */
	uint8_t kind;
	bool begun;			/* under the lock */
};

/*
 * blocking_start - have a job run; on a shard
 * @job: with @run and @done set; the pool's until @done is called
 * In a world whose time is not the real one, @run is called from here.
 *
 * Return: 0, or -EAGAIN: there is no thread; then nothing was started.
 */
int blocking_start(struct blocking_job *job, enum blocking_kind kind);

/* blocking_cancel - on its shard: true: it will not run, and is the owner's again */
bool blocking_cancel(struct blocking_job *job);

struct blocking_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;		/* something in the queue, or the end */
	pthread_cond_t left;		/* the last thread has */
	struct list queue;
	unsigned int nr_queued;
	unsigned int nr_idle;		/* threads that wait for work */
	unsigned int nr_threads;
	unsigned int threads_max;
	int64_t idle_ns;		/* after which a thread ends */
	bool closing;
	bool has_ended;			/* @ended is a thread that nobody has joined yet */
	pthread_t ended;
	const struct cpu_mask *cpus;
};

struct blocking {
	struct blocking_pool pool[BLOCKING_KINDS];
	struct cpu_mask cpus;		/* where threads may run: not on one shard's alone */
};

int blocking_open(struct mn_world *world);

/* blocking_close - end the threads, the shards run no more; jobs not begun never will */
void blocking_close(struct mn_world *world);

#endif
