/* SPDX-License-Identifier: MIT */
/*
 * Processes inside. Their shard has them in a list, from the moment they are
 * spawned until they are reaped: what the handle's owner does not end, the end
 * of the program does.
 */
#ifndef LIB_PROCESS_PROCESS_H
#define LIB_PROCESS_PROCESS_H

#include <miniss/process.h>
#include <miniss/timer.h>

#include "core/op.h"
#include "lib/list.h"
#include "lib/process/sys.h"

struct mn_process {
	struct list entry;		/* of its shard's */
	struct list waiters;
	struct mn_op watch;		/* of @pidfd */
	struct mn_timer retry;		/* the watch failed, or was wrong */
	int pid, pidfd;
	bool group;
	bool ended;			/* and reaped */
	bool detached;			/* nobody has the handle */
	bool leaving;			/* likewise, and the program ends */
	int err;			/* -ECHILD: how it ended is not known */
	struct mn_process_status status;
	struct mn_stream *pipe[3];	/* NULL: not a pipe */
	char name[32];			/* for reports */
};

/*
 * process_watch - from now on its end is noticed; it is in the shard's list
 * @heard: without a pidfd: children.c will say when to look
 */
void process_watch(struct mn_process *process, bool heard);

/*
 * process_look - has it ended? If so, it is reaped and those who wait are woken
 * One that is detached is freed then.
 */
bool process_look(struct mn_process *process);

/* process_finish - SIGTERM, SIGKILL after a time, and wait, whatever happens */
void process_finish(struct mn_process *process, int64_t grace_ns);

/*
 * processes_end - end those of this shard that nobody has; a fiber's function
 * @fibers_left: NULL, or some may still be waiting: then they are only killed
 */
int processes_end(void *fibers_left);

/* children.c: where there is no pidfd, SIGCHLD says that some process has ended */
int children_watch(void);

#endif
