// SPDX-License-Identifier: MIT
/*
 * Do messages between rings work here, and what do they cost who sends them?
 * Two small rings of this thread tell: nobody has to sleep for that, since
 * how long it takes to get a thread out of its sleep is the same either way
 * (--doctor measures that, too).
 *
 * A turn that submits something else, as most do, is timed with a wake-up of
 * either kind and with none. Before 6.11 a message to a ring that defers its
 * work came back to the sender to be completed: hence its second look.
 */
#include <errno.h>

#include "backends/io_uring/uring.h"
#include "lib/time/clock.h"

#define ROUNDS		16
#define PATIENCE_S	1
#define RETRIES		100	/* of calls that are interrupted, or are told to come again */

enum { NO_WAKE, BY_EVENTFD, BY_MESSAGE, WAYS };

static int submit(struct uring *u)
{
	int ret = 0;

	for (int i = 0; i < RETRIES && uring_pending(u); i++)
		ret = io_uring_submit(&u->ring);
	return ret < 0 && uring_pending(u) ? ret : 0;
}

/* Take all there is; -errno if that is a failed message. */
static int reap(struct uring *u)
{
	struct io_uring_cqe *cqe;
	int err = 0;

	io_uring_get_events(&u->ring);
	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		if ((cqe->user_data & TAG_MASK) == TAG_UNSENT)
			err = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
	}
	return err;
}

/* One turn of the sender, and what it took it; the other ring has its own in between. */
static int sender_turn(struct uring *from, struct uring *to, int way, int64_t *ns)
{
	int64_t from_ns;
	int err;

	io_uring_prep_nop(io_uring_get_sqe(&from->ring));
	if (way == BY_MESSAGE)
		uring_prep_message(io_uring_get_sqe(&from->ring), to, TAG_UNSENT);
	from_ns = clock_now_ns();
	if (way == BY_EVENTFD)
		uring_write_wake(to);
	err = submit(from);
	*ns = clock_now_ns() - from_ns;
	if (err)
		return err;
	io_uring_get_events(&to->ring);
	from_ns = clock_now_ns();
	err = reap(from);
	*ns += clock_now_ns() - from_ns;
	return err;
}

/* Does the message arrive? The first one is waited for, if it was not refused. */
static int first_message(struct uring *from, struct uring *to)
{
	struct __kernel_timespec patience = { .tv_sec = PATIENCE_S };
	struct io_uring_cqe *cqe;
	int64_t ns;
	int err = sender_turn(from, to, BY_MESSAGE, &ns);

	if (err)
		return err;
	for (int i = 0; i < RETRIES; i++) {
		err = io_uring_wait_cqe_timeout(&to->ring, &cqe, &patience);
		if (err != -EINTR && err != -EAGAIN)
			break;
	}
	if (err)
		return err == -ETIME ? -EOPNOTSUPP : err;
	err = cqe->user_data == TAG_IGNORE ? 0 : -EOPNOTSUPP;
	io_uring_cqe_seen(&to->ring, cqe);
	return err;
}

static int measure(struct uring *from, struct uring *to, struct waker_costs *costs)
{
	int64_t least_ns[WAYS] = { INT64_MAX, INT64_MAX, INT64_MAX }, ns;
	int err;

	uring_prep_poll_wake(io_uring_get_sqe(&to->ring), to);
	err = submit(to);
	for (int i = 0; i < ROUNDS * WAYS && !err; i++) {
		err = sender_turn(from, to, i % WAYS, &ns);
		least_ns[i % WAYS] = min(least_ns[i % WAYS], ns);
		reap(to);
	}
	costs->eventfd_ns = max(least_ns[BY_EVENTFD] - least_ns[NO_WAKE], 0);
	costs->msg_ring_ns = max(least_ns[BY_MESSAGE] - least_ns[NO_WAKE], 0);
	return err;
}

int waker_try(unsigned int flags, struct waker_costs *costs)
{
	struct uring from = { .wake_fd = -1 }, to = { .wake_fd = -1 };
	struct uring_plan plan = PLAN_SMALL;
	int err;

	if (uring_mask() & URING_BIT(URING_MSG_RING))
		return -EOPNOTSUPP;
	plan.flags = flags;
	plan.features = URING_ALL & ~uring_mask() & ~URING_BIT(URING_BUF_RING);
	err = uring_ring_open(&from, &plan);
	if (err)
		return err;
	err = uring_ring_open(&to, &plan);
	if (err)
		goto out_from;
	err = uring_ring_enable(&from);
	if (!err)
		err = uring_ring_enable(&to);
	if (!err)
		err = first_message(&from, &to);
	if (!err)
		err = measure(&from, &to, costs);
	uring_ring_close(&to);
out_from:
	uring_ring_close(&from);
	return err;
}
