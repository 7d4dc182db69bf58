/* SPDX-License-Identifier: MIT */
/*
 * Reports of where a program is: of tasks that keep their shard for too long
 * (smp/stall.c), of all fibers, when somebody sends SIGQUIT (smp/dump.c), and
 * of shards that hold up a stop (smp/watch.c).
 *
 * Signal handlers and shards only gather; a thread of its own prints, so that
 * a standard error that nobody reads holds up no shard. Until a stop is asked
 * for, it sleeps between reports without a time limit.
 */
#ifndef SMP_DUMP_H
#define SMP_DUMP_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "core/where.h"

#define DUMP_FIBERS	16	/* gathered at once */

enum dump_state { DUMP_IDLE, DUMP_ASKED, DUMP_ANSWERED };

/* The detector's half of it: only the shard's own thread, but for @report. */
struct stall {
	bool armed;
	timer_t timer;
	uint64_t turns;			/* at the last tick, if a task ran then */
	unsigned int ticks;		/* since then, in the same task */
	unsigned int missed;		/* stalls since the last report */
	int64_t next_ns, gap_ns;	/* no report before */

	_Atomic(int) state;		/* DUMP_ANSWERED: what is below is the printing thread's */
	struct where where;
	unsigned int ran_ms, skipped;
	bool fatal;
};

struct dump_shard {
	struct shard *shard;
	struct stall stall;

	/* under the lock */
	pthread_t thread;
	bool present;			/* @thread runs the shard */

	/* Asked at its door, and answered there. */
	struct door_item item;
	_Atomic(int) state;
	struct fiber_cursor at;
	bool more;
	unsigned int nr_fibers;
	struct where fiber[DUMP_FIBERS];

	/* Asked by a signal, since it did not come to the door. */
	_Atomic(int) running_state;
	struct where running;
	uintptr_t stack_high;		/* of the reactor's stack */

	/* While a stop is watched: left at its door, to be fetched. */
	struct door_item pulse;
	_Atomic(bool) fetched;		/* it is the printing thread's again */
	unsigned int missed;		/* steps */
} __cacheline_aligned;

struct dump {
	pthread_mutex_t lock;
	pthread_t thread;
	bool begun;
	_Atomic(bool) closing;
	_Atomic(bool) watching;		/* a stop was asked for */
	int64_t look_ns;		/* when the watch takes its next step */
	unsigned int nr_shards;
	struct mn_world *world;
	struct dump_shard shard[];
};

/* dump_open - room for it: 0 or -ENOMEM; dump_close - after dump_end() */
int dump_open(struct mn_world *world);
void dump_close(struct mn_world *world);

/* dump_begin - start the thread, catch SIGQUIT; dump_end - no shard runs any more */
void dump_begin(struct mn_world *world);
void dump_end(struct mn_world *world);

/* dump_enter, dump_leave - the calling thread begins to run a shard, and ends */
void dump_enter(struct shard *shard);
void dump_leave(struct shard *shard);

/* dump_wake - have the thread look for what there is to print; from any signal handler */
void dump_wake(void);

/* stall_enter, stall_leave - of those two: the detector */
void stall_enter(struct dump_shard *d);
void stall_leave(struct dump_shard *d);

#define STALL_SIGNAL	SIGVTALRM

/*
 * dump_signal - the handler that answers: by what the shard of its thread runs
 * For STALL_SIGNAL; and for SIGABRT, while a program is about to abort.
 */
void dump_signal(int sig, siginfo_t *info, void *context);

/*
 * stuck_print - on the printing thread: where one is that does not come to its door
 * @sig: to ask its thread with; @for_ms: for how long it has not; @wait_ns: for an answer
 */
void stuck_print(struct dump *dump, struct dump_shard *d, int sig, unsigned int for_ms,
		 int64_t wait_ns);

/* smp/watch.c: on a shard, what it found at its door; on the printing thread, a step if it is time */
void pulse_fetch(struct shard *self, struct door_item *item);
void watch_look(struct dump *dump);

/* stall_print - on the printing thread: a stall that was found, if there is one */
void stall_print(struct dump_shard *d);

/* where_print - the lines of one fiber or task; @head: what to say before it */
void where_print(const struct where *where, const char *head);

#endif
