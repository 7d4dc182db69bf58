/* SPDX-License-Identifier: MIT */
/*
 * A shard is one CPU's worth of everything: run queue, backend, timers,
 * fibers, buffers, counters. Only its own thread touches it, apart from
 * what says otherwise. A world is the set of shards of a process, or of a
 * simulated host; tests make as many as they like.
 */
#ifndef CORE_SHARD_H
#define CORE_SHARD_H

#include <stdatomic.h>

#include <miniss/op.h>
#include <miniss/timer.h>

#include "core/driver.h"
#include "core/fiber.h"
#include "core/hygiene.h"
#include "core/stats.h"
#include "core/task.h"
#include "lib/list.h"
#include "lib/mem/heap.h"
#include "lib/mem/pool.h"
#include "lib/mem/slab.h"
#include "lib/net/zerocopy.h"
#include "lib/signal/hub.h"
#include "smp/door.h"
#include "smp/local.h"
#include "smp/queue.h"

#define SHARDS_MAX	1024

struct backend;
struct blocking;
struct calls;
struct dump;
struct homing;
struct ledger;
struct log_ring;
struct mesh;
struct mn_alien_gate;
struct mn_stream;
struct mn_world;
struct parcels;
struct resolver;
struct sched;
struct timer_queue;

/* How long to spin before parking; see reactor_idle(). */
struct idle {
	int64_t budget_ns;	/* twice what parking costs, or as set; 0: never spin */
	bool measured;		/* it follows what parking costs */
	int64_t gap_ns;		/* how long idle times were lately (moving average) */
};

struct shard {
	/* every turn */
	struct runq runq;		/* of the default group */
	uint64_t ready;			/* other groups that have tasks; core/sched.c */
	struct sched *sched;		/* NULL: there are no other groups */
	struct backend *be;
	struct timer_queue *tq;
	struct mn_task timers_ran;	/* behind a full batch of expired timers */
	struct mesh *mesh;		/* to and from the other shards */
	struct calls *calls;
	int64_t now_ns;			/* read once a turn, if anybody asks: shard_now() */
	bool now_stale;
	uint64_t slice_end;		/* cycles: when this batch should yield; 0: not asked yet */
	uint64_t slice_cycles;
	uint64_t turns;
	int tasks_max;			/* tasks that may run now before it is looked up; 0: none runs */
	uint16_t group;			/* of what runs, and of what it spawns */
	struct mn_fiber *fiber;		/* the one that runs, or NULL */
	void *sp;			/* the reactor's own stack while a fiber runs */
	uint32_t id;
	bool virtual_time;		/* the cycle counter means nothing here */
	bool ending;			/* its fibers were cancelled, new ones would be left */
	bool stopping;			/* shard_main() is to return when all is done */
	bool leaving;			/* likewise, whatever is left to do */
	bool log_pending;		/* lines wait to be written */
	struct mn_scope *scopes_unarmed;	/* opened in this turn, with a deadline */
	struct mn_stream *unsent, **unsent_tail;	/* those that were written to in this turn */

	/* per operation */
	struct fiber_pool fibers;
	struct pool pool;
	struct slab conns;	/* of servers */
	struct homing *homing;		/* frees of what is other shards' */
	struct parcels *parcels;	/* what it shows to other shards */
	struct locals locals;		/* what it has one of, as all shards do */
	struct batch *batches;		/* lib/net/out.c: free ones */
	struct zerocopy zc;
	struct list stuck;		/* lib/net/shed.c: who waits for output to shrink */
	struct mn_timer shed;
	uint64_t stats[STAT_NR];

	/* setup, idleness, and the end */
	struct mn_world *world;
	struct idle idle;
	struct log_ring *log;
	int64_t log_retry_ns;		/* standard error was full; ask again then */
	struct list servers;		/* lib/net/serve.c: what this shard serves */
	struct resolver *resolver;	/* lib/dns: NULL until names are asked for */
	struct list processes;		/* lib/process: its children, not reaped yet */
	struct list disks;		/* lib/file/disk.c: schedulers, by device */
	int cpu;			/* pinned to, or -1 */
	uint64_t cycles_per_us;
	uint64_t random;		/* core/random.h */
	int start_err;
	struct hygiene hygiene;

	/* debug builds */
	struct ledger *ledger;
	const char *origin;		/* of what is being started: mn__origin() */

	/* Written here, read by every shard that sends to this one. */
	_Atomic uint32_t asleep __cacheline_aligned;

	struct door door;		/* from threads that are not shards */

	struct heap heap;		/* mem_alloc(); last, so that the rest is as near as it was */
};

/* Who waits for the end; core/stop.c. */
struct stop {
	struct list waiters;
	bool listening;			/* for the signals */
	bool requested;
};

struct mn_world {
	struct shard **shards;
	unsigned int nr_shards;
	bool shared_cpus;		/* more shards than CPUs, or less than whole ones */
	bool numa;			/* memory is nearer to some of the CPUs */
	void *backend_state;		/* what the shards' backends share (mem) */
	struct mn_alien_gate *gate;	/* smp/alien.c */
	struct blocking *blocking;	/* smp/blocking.c */
	struct dump *dump;		/* smp/dump.c */

	/* boot */
	struct driver_choice backend, timer, queue;
	int64_t spin_ns;		/* --spin: 0 off, < 0 measured */
	uint64_t seed;			/* of its shards' random numbers */
	unsigned int nr_up;		/* shards that have a thread */
	struct boot *boot;		/* core/boot.c, while it runs */
	struct stop stop;		/* shard 0's */
	struct signal_hub signals;	/* likewise */
	bool hears_children;		/* lib/process/children.c, shard 0's */
	uint64_t groups;		/* bit n: group n was created; shard 0's */
	uint64_t groups_ending;		/* and somebody is about to destroy it */
	mn_fiber_fn fn;			/* the main fiber, its argument and result */
	void *arg;
	int result;
};

/*
 * The shard that this thread runs; NULL on other threads. Set at each step
 * and cached across none.
 */
extern _Thread_local struct shard *mn_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

void batches_free(struct shard *shard);	/* lib/net/out.c */
void shed_init(struct shard *shard);	/* lib/net/shed.c */
void out_flush(struct shard *shard);	/* what was written in this turn is sent */
void disks_free(struct shard *shard);	/* lib/file/disk.c */

void shard_clock_read(struct shard *shard);

/* shard_now - the time of this turn: mn_now() */
static inline int64_t shard_now(struct shard *shard)
{
	if (shard->now_stale)
		shard_clock_read(shard);
	return shard->now_ns;
}

/* shard_ready - is there a task to run? */
static inline bool shard_ready(const struct shard *shard)
{
	return !runq_empty(&shard->runq) || shard->ready;
}

void sched_push(struct shard *shard, struct mn_task *task);	/* core/sched.c */
bool sched_remove(struct shard *shard, struct mn_task *task);

static inline void task_schedule(struct shard *shard, struct mn_task *task)
{
	if (task->group)
		sched_push(shard, task);
	else
		runq_push(&shard->runq, task);
}

static inline bool task_unqueue(struct shard *shard, struct mn_task *task)
{
	return task->queued &&
	       (task->group ? sched_remove(shard, task) : runq_remove(&shard->runq, task));
}

/*
 * world_open - make the shards of a world, with the drivers that it names
 * Everything is set up on the calling thread, nothing runs yet; on failure
 * nothing is left. @cpus: where each is to be pinned, or NULL. With @numa set,
 * the thread visits these CPUs, so that what it writes is near to its shard.
 */
int world_open(struct mn_world *world, unsigned int nr_shards, const int *cpus);
void world_close(struct mn_world *world);

/* world_run - run the world's main fiber on shard 0, return when all have stopped */
int world_run(struct mn_world *world);

/* The pieces of that, for tests and worlds that are stepped. */
int shard_start(struct shard *shard);		/* on its own thread, before the first step */
bool shard_step(struct shard *shard, bool may_wait);	/* one turn; false: idle */
bool shard_done(const struct shard *shard);	/* asked to stop, and nothing is left to do */
void shard_main(struct shard *shard);		/* start, step until done */

#endif
