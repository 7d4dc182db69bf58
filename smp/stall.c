// SPDX-License-Identifier: MIT
/*
 * The stall detector. Each shard's thread has a timer on its own CPU time,
 * which ticks every --stall_ms of that: never while it sleeps, and nobody arms
 * it again. If two ticks come in the same task, that task has computed for as
 * long as a tick takes and not given way.
 *
 * That it is the same task is known without counting tasks: a tick that finds
 * one running has the loop end with it (TASKS_CUT), and the turn soon after;
 * so in the same turn there can only be the same task.
 *
 * A task that blocks in a system call uses no CPU time and is not found here;
 * SIGQUIT shows it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "core/log.h"
#include "core/reactor.h"
#include "smp/dump.h"
#include "smp/stall-timer.h"

MN_PARAM(uint, stall_ms, 25, 0, 3600000,
	 "report tasks that compute for longer than this without giving way; 0: never");
MN_PARAM(uint, stall_abort_s, 0, 0, 3600, "abort when one does for this long; 0: never");

#define GAP_MIN_NS	MN_SEC		/* between two reports of a shard; then twice that, ... */
#define GAP_MAX_NS	(64 * MN_SEC)

static uint64_t const none = UINT64_MAX;

/* ---- on the shard's thread, in the middle of anything ---- */

static bool report_due(struct stall *stall, int64_t now_ns)
{
	if (now_ns < stall->next_ns)
		return false;
	/* A burst ends when there was no stall for as long as the gap. */
	if (!stall->gap_ns || now_ns > stall->next_ns + stall->gap_ns)
		stall->gap_ns = GAP_MIN_NS;
	else
		stall->gap_ns = min(2 * stall->gap_ns, GAP_MAX_NS);
	stall->next_ns = now_ns + stall->gap_ns;
	return true;
}

static void stall_found(struct shard *self, struct dump_shard *d, const void *context)
{
	struct stall *stall = &d->stall;
	uint64_t ran_ms = (uint64_t)stall->ticks * param_stall_ms;
	bool fatal = param_stall_abort_s && ran_ms >= param_stall_abort_s * UINT64_C(1000);

	if (stall->ticks == 1)
		stats_add(self, STAT_STALLS, 1);
	/* Acquire: it was printed before it is written again. Pairs with stall_print(). */
	if (atomic_load_explicit(&stall->state, memory_order_acquire) != DUMP_IDLE ||
	    (!fatal && !report_due(stall, clock_now_ns()))) {
		stall->missed += stall->ticks == 1;
		return;
	}
	where_running(self, frame_interrupted(context), d->stack_high, &stall->where);
	stall->ran_ms = (unsigned int)ran_ms;
	stall->skipped = stall->missed;
	stall->missed = 0;
	stall->fatal = fatal;
	/* Release: it was written before it is printed. Pairs with stall_print(). */
	atomic_store_explicit(&stall->state, DUMP_ANSWERED, memory_order_release);
	dump_wake();
}

static void tick(struct shard *self, struct dump_shard *d, const void *context)
{
	struct stall *stall = &d->stall;

	if (!self->tasks_max) {		/* no task runs */
		stall->turns = none;
		return;
	}
	if (stall->turns == self->turns) {
		stall->ticks++;
		stall_found(self, d, context);
	} else {
		stall->turns = self->turns;
		stall->ticks = 0;
	}
	self->tasks_max = TASKS_CUT;
}

void dump_signal(int sig, siginfo_t *info, void *context)
{
	struct shard *self = mn_self;
	struct dump *dump = self ? self->world->dump : NULL;
	int asked = DUMP_ASKED, saved_errno = errno;
	struct dump_shard *d;

	if (!dump)
		return;
	d = &dump->shard[self->id];
	if (info->si_code == SI_TIMER) {
		tick(self, d, context);
	} else if (atomic_load_explicit(&d->running_state, memory_order_relaxed) == asked) {
		where_running(self, frame_interrupted(context), d->stack_high, &d->running);
		/* Release: as above. Pairs with stuck_print(). */
		atomic_store_explicit(&d->running_state, DUMP_ANSWERED, memory_order_release);
	}
	errno = saved_errno;
}

/* ---- on the shard's thread, at its beginning and end ---- */

/* Whoever handles the signal already goes on to do so: then there are no stalls. */
static bool signal_catch(void)
{
	struct sigaction sa = { .sa_sigaction = dump_signal,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	struct sigaction old;

	if (sigaction(STALL_SIGNAL, NULL, &old))
		return false;
	if (old.sa_sigaction == dump_signal)
		return true;
	return old.sa_handler == SIG_DFL && !sigaction(STALL_SIGNAL, &sa, NULL);
}

static void signal_mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, STALL_SIGNAL);
	pthread_sigmask(how, &set, NULL);
}

void stall_enter(struct dump_shard *d)
{
	int err;

	if (!signal_catch())
		return;
	signal_mask(SIG_UNBLOCK);
	d->stall.turns = none;
	if (!param_stall_ms)
		return;
	err = stall_timer_open(&d->stall.timer, STALL_SIGNAL, param_stall_ms * MN_MSEC);
	d->stall.armed = !err;
	if (err && !d->shard->id)
		mn_warn("tasks that run for too long are not reported here: %s", strerror(-err));
}

/* The handler stays: a signal of a moment ago may still come, and would end the program. */
void stall_leave(struct dump_shard *d)
{
	if (d->stall.armed)
		stall_timer_close(d->stall.timer);
	d->stall.armed = false;
}

/* ---- on the printing thread ---- */

void stall_print(struct dump_shard *d)
{
	struct stall *stall = &d->stall;
	char head[160], more[48] = "";

	/* Acquire and release: pair with stall_found(). */
	if (atomic_load_explicit(&stall->state, memory_order_acquire) != DUMP_ANSWERED)
		return;
	if (stall->skipped)
		snprintf(more, sizeof(more), " (and %u stalls before it)", stall->skipped);
	snprintf(head, sizeof(head),
		 "%s[%u]: warning: stall: it has computed for %u ms and not given way%s: ",
		 log_program_name(), d->shard->id, stall->ran_ms, more);
	where_print(&stall->where, head);
	if (stall->fatal)
		bug("a task ran for --stall_abort_s", HERE);
	atomic_store_explicit(&stall->state, DUMP_IDLE, memory_order_release);
}
