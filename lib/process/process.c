// SPDX-License-Identifier: MIT
/*
 * The life of a process: watched, waited for, killed, reaped.
 *
 * A descriptor of the process (pidfd) becomes readable when it ends: one
 * operation in flight watches it, and its completion reaps. Where the kernel
 * has none, SIGCHLD says that it is time to look; see children.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include <miniss/log.h>

#include "core/alarm.h"
#include "core/future.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "lib/process/process.h"
#include "smp/watch.h"

#define RETRY_NS	(10 * MN_MSEC)

/* ---- noticing the end ---- */

struct waiter {
	struct list entry;
	struct mn_fiber *fiber;
};

static void process_free(struct mn_process *p)
{
	mn_timer_cancel(&p->retry);
	list_del(&p->entry);
	sys_close(p->pidfd);
	fds_add(p->pidfd >= 0 ? -1 : 0);
	mem_free(p);
}

static void process_ended(struct mn_process *p, int err)
{
	struct list *pos, *tmp;

	p->ended = true;
	p->err = err;
	list_for_each_safe(pos, tmp, &p->waiters)
		task_schedule(mn_self, &container_of(pos, struct waiter, entry)->fiber->task);
	if (p->detached)
		process_free(p);
}

/* Out of line: gcc does not see that what goes into the list comes out again. */
static __noinline void waiter_enter(struct mn_process *p, struct waiter *waiter)
{
	list_add_tail(&p->waiters, &waiter->entry);
}

bool process_look(struct mn_process *p)
{
	int err;

	if (p->ended)
		return true;
	err = sys_reap(p->pid, &p->status);
	if (err == -EAGAIN)
		return false;
	process_ended(p, err);
	return true;
}

/* What cannot be watched is looked at now and then. */
static void look_later(struct mn_process *p)
{
	mn_timer_arm(&p->retry, mn_now() + RETRY_NS, 0);
}

static void watched(struct mn_op *op, int64_t res)
{
	struct mn_process *p = container_of(op, struct mn_process, watch);

	mn_future_resolve(&op->done, 0);
	if (!p->leaving && !process_look(p))	/* no memory for it, or a debugger holds it */
		look_later(p);
}

static void watch_start(struct mn_process *p)
{
	op_init(&p->watch, MN_OP_POLL, p->pidfd);
	p->watch.poll.events = POLLIN;
	p->watch.complete = watched;
	op_start(&p->watch);
}

static void watch_again(struct mn_task *task)
{
	struct mn_process *p = container_of(mn_timer_of(task), struct mn_process, retry);

	if (p->pidfd >= 0)
		watch_start(p);
	else if (!process_look(p))
		look_later(p);
}

void process_watch(struct mn_process *p, bool heard)
{
	mn_timer_init(&p->retry, watch_again);
	list_add_tail(&mn_self->processes, &p->entry);
	if (p->pidfd >= 0)
		watch_start(p);
	else if (!process_look(p) && !heard)	/* perhaps it ended before anybody listened */
		look_later(p);
}

/* ---- waiting ---- */

static void wait_cancel(void *obj)
{
	struct waiter *waiter = obj;

	task_schedule(mn_self, &waiter->fiber->task);
}

static void alarm_ends_wait(struct alarm *alarm)
{
	wait_cancel(alarm->obj);
}

/* Until it has ended, or time is up; @shielded: whatever the fiber is to do else. */
static bool wait_for_end(struct mn_process *p, int64_t timeout_ns, bool shielded)
{
	struct waiter waiter = { .fiber = mn_self->fiber };
	struct alarm alarm = { .expired = timeout_ns <= 0 };
	bool limited = !alarm.expired && timeout_ns != MN_NEVER;

	if (limited)
		alarm_set(&alarm, timeout_ns, alarm_ends_wait, &waiter);
	waiter_enter(p, &waiter);
	while (!p->ended && !alarm.expired && (shielded || !waiter.fiber->stop))
		fiber_park(shielded ? NULL : wait_cancel, &waiter);
	list_del(&waiter.entry);
	if (limited)
		alarm_cancel(&alarm);
	return p->ended;
}

/* When the program ends nobody may be there any more to hear SIGCHLD. */
static void wait_shielded(struct mn_process *p, int64_t timeout_ns)
{
	int64_t until_ns;

	if (p->pidfd >= 0) {
		wait_for_end(p, timeout_ns, true);
		return;
	}
	until_ns = timeout_ns > MN_NEVER - mn_now() ? MN_NEVER : mn_now() + timeout_ns;
	while (!wait_for_end(p, min(RETRY_NS, until_ns - mn_now()), true) && mn_now() < until_ns)
		process_look(p);
}

static int process_signal(struct mn_process *p, int signal)
{
	return p->ended ? -ESRCH : sys_kill(p->pid, p->pidfd, p->group, signal);
}

void process_finish(struct mn_process *p, int64_t grace_ns)
{
	if (grace_ns > 0) {
		process_signal(p, SIGTERM);
		wait_shielded(p, grace_ns);
	}
	process_signal(p, SIGKILL);
	wait_shielded(p, MN_NEVER);
}

static int result_of(const struct mn_process *p, struct mn_process_status *status)
{
	if (status && p->ended)
		*status = p->status;
	return p->err;
}

int mn_process_wait_timeout(struct mn_process *p, struct mn_process_status *status,
			    int64_t timeout_ns, int64_t grace_ns)
{
	struct mn_fiber *fiber = mn_self->fiber;
	int why;

	BUG_ON(!fiber);
	if (timeout_ns <= 0)
		process_look(p);
	if (wait_for_end(p, timeout_ns, false))
		return result_of(p, status);
	why = fiber_stopped(fiber, -ETIMEDOUT);
	if (grace_ns >= 0)
		process_finish(p, grace_ns);
	result_of(p, status);
	return why;
}

int mn_process_wait(struct mn_process *p, struct mn_process_status *status, int64_t grace_ns)
{
	return mn_process_wait_timeout(p, status, MN_NEVER, grace_ns);
}

int mn_process_kill(struct mn_process *p, int signal)
{
	return process_signal(p, signal);
}

/* ---- the end of the handle ---- */

static void watch_end(struct mn_process *p)
{
	mn_timer_cancel(&p->retry);
	if (p->pidfd < 0 || !mn_op_in_flight(&p->watch))
		return;
	mn_op_cancel(&p->watch);
	fiber_wait(&p->watch.done);
}

static void pipes_close(struct mn_process *p, bool abort)
{
	for (int i = 0; i < 3; i++) {
		if (p->pipe[i] && abort)
			mn_stream_abort(p->pipe[i]);
		if (p->pipe[i])
			mn_stream_close(p->pipe[i]);
		p->pipe[i] = NULL;
	}
}

void mn_process_close(struct mn_process *p)
{
	BUG_ON(!list_empty(&p->waiters));
	process_finish(p, 0);
	pipes_close(p, true);
	watch_end(p);
	process_free(p);
}

void mn_process_detach(struct mn_process *p)
{
	BUG_ON(!list_empty(&p->waiters));
	pipes_close(p, false);
	p->detached = true;
	if (p->ended)
		process_free(p);
}

/* Still alive and wanted so: it goes on without us. */
static void process_leave(struct mn_process *p)
{
	p->leaving = true;
	watch_end(p);
	if (!process_look(p))
		process_free(p);
}

static int process_end(struct mn_process *p)
{
	mn_warn("process %d (%s) was neither closed nor detached%s", p->pid, p->name,
		p->ended ? "" : ": it is killed");
	process_signal(p, SIGKILL);
	wait_shielded(p, watch_limit_ns());
	if (!p->ended) {
		mn_err("process %d (%s) does not die", p->pid, p->name);
		return -ETIMEDOUT;
	}
	mn_process_close(p);
	return 0;
}

/* Waiting for one may see another end: begin anew each time. */
int processes_end(void *fibers_left)
{
	struct list *processes = &mn_self->processes, *pos, *tmp;
	int err = 0;

	while (!fibers_left && !err && !list_empty(processes)) {
		struct mn_process *p = list_first(processes, struct mn_process, entry);

		if (p->detached)
			process_leave(p);
		else
			err = process_end(p);
	}
	/* What is in the hands of fibers that do not end is at least killed. */
	list_for_each_safe(pos, tmp, processes) {
		struct mn_process *p = container_of(pos, struct mn_process, entry);

		if (!p->detached)
			process_signal(p, SIGKILL);
	}
	return err;
}
