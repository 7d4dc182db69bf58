// SPDX-License-Identifier: MIT
/*
 * The one system call of a turn: it submits what was prepared, runs what the
 * kernel has deferred, and waits if that is wanted. With nothing to submit
 * and nothing deferred there is none.
 *
 * The kernel runs at most 20 deferred items a call, or as many as one waits
 * for; the TASKRUN flag says that there are more. They are for the next turn,
 * whose call also submits the answers to these.
 */
#include <errno.h>

#include "backends/io_uring/uring.h"
#include "lib/time/clock.h"

#define SQ_KFLAGS	(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)

static unsigned int kflags(struct uring *u)
{
	return IO_URING_READ_ONCE(*u->ring.sq.kflags);
}

static bool cq_ready(struct uring *u)
{
	return *u->ring.cq.khead != io_uring_smp_load_acquire(u->ring.cq.ktail);
}

/*
 * Errors need no handling: what was not submitted stays in the queue, and
 * EBUSY and EAGAIN mean that completions must be reaped first, as happens
 * next. A short submit is the same.
 */
static void enter(struct uring *u, unsigned int min_complete, const struct __kernel_timespec *ts)
{
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)ts };
	unsigned int flags = IORING_ENTER_GETEVENTS | u->enter_flags;
	unsigned int pending = uring_pending(u);

	if (kflags(u) & IORING_SQ_CQ_OVERFLOW)
		stats_add(u->be.shard, STAT_CQ_OVERFLOWS, 1);
	if (min_complete)
		flags |= IORING_ENTER_EXT_ARG;
	/* Release: the entries are written before the tail that covers them. */
	io_uring_smp_store_release(u->ring.sq.ktail, u->ring.sq.sqe_tail);
	stats_add(u->be.shard, STAT_SYSCALLS, 1);
	io_uring_enter2((unsigned int)u->enter_fd, pending, min_complete, flags,
			min_complete ? (void *)&arg : NULL, min_complete ? sizeof(arg) : 0);
}

void uring_enter_now(struct uring *u)
{
	enter(u, 0, NULL);
}

static void enter_wait(struct uring *u, int64_t deadline_ns)
{
	struct __kernel_timespec ts;
	int64_t wait_ns;

	if (deadline_ns == MN_NEVER) {
		enter(u, 1, NULL);
		return;
	}
	/* A wait of zero would cost a timer and a halt: only look, then. */
	wait_ns = deadline_ns - clock_now_ns();
	ts.tv_sec = wait_ns / MN_SEC;
	ts.tv_nsec = wait_ns % MN_SEC;
	enter(u, wait_ns > 0, &ts);
}

unsigned int uring_turn(struct backend *be, int64_t deadline_ns)
{
	struct uring *u = to_uring(be);
	unsigned int n;

	if (u->unqueued.head || u->uncanceled.head)
		uring_submit_unqueued(u);
	if (u->starved.head) {
		uring_refill(u);
		uring_feed(u);
	}
	/* Before a sleep; and now and then in a shard that never sleeps. */
	if (u->heard.head && (deadline_ns || !(u->turns++ % 256)))
		uring_ask(u);
	if (!u->wake_armed)
		uring_arm_wake(u);

	if (deadline_ns && !cq_ready(u))
		enter_wait(u, deadline_ns);
	else if (uring_pending(u) || kflags(u) & SQ_KFLAGS)
		enter(u, 0, NULL);
	if (!cq_ready(u))
		return 0;

	n = uring_reap(u);
	uring_refill(u);
	return n;
}
