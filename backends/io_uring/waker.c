// SPDX-License-Identifier: MIT
/*
 * Waking a shard that waits in its ring; there are two ways.
 *
 * By eventfd: the descriptor is polled for ever and never read, so every
 * write to it makes a completion. Any thread can, for a system call.
 *
 * By message: MSG_RING posts a completion into another ring. It goes out
 * with what the sender's turn submits anyway, so the wake-up itself needs no
 * system call. Only a shard can, of the same world: rings last as long as
 * their world, so none goes away under a message. It is heard of only if it
 * failed; then, and when the submission queue is full, the eventfd does it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "backends/io_uring/uring.h"

MN_PARAM(str, waker, "auto", 1, 16,
	 "how shards wake each other: auto (measured at the start), eventfd, msg_ring");

const char *const waker_names[] = { "eventfd", "msg_ring", NULL };

/* ---- waking ---- */

void uring_prep_poll_wake(struct io_uring_sqe *sqe, const struct uring *u)
{
	io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, TAG_WAKE);
}

void uring_arm_wake(struct uring *u)
{
	struct io_uring_sqe *sqe = uring_sqe(u);

	u->wake_armed = sqe;
	if (sqe)
		uring_prep_poll_wake(sqe, u);
}

void uring_write_wake(const struct uring *to)
{
	uint64_t one = 1;
	ssize_t n = write(to->wake_fd, &one, sizeof(one));

	(void)n;	/* it fails only when the counter is full: then it is readable */
}

void uring_prep_message(struct io_uring_sqe *sqe, const struct uring *to, uint64_t if_unsent)
{
	io_uring_prep_msg_ring(sqe, to->msg_fd, 0, TAG_IGNORE, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, if_unsent);
}

/* The ring of the shard that this thread runs, if it may send to @to; or NULL. */
static struct uring *sender_to(const struct uring *to)
{
	const struct shard *self = mn_self;

	if (!self || self->world != to->be.shard->world || self->be->ops != to->be.ops)
		return NULL;
	return to_uring(self->be)->messages ? to_uring(self->be) : NULL;
}

void uring_wake(struct backend *be)
{
	struct uring *to = to_uring(be), *from = sender_to(to);
	/* Without room, submitting first would cost what the eventfd does. */
	struct io_uring_sqe *sqe = from ? io_uring_get_sqe(&from->ring) : NULL;

	if (sqe)
		uring_prep_message(sqe, to, (uint64_t)be->shard->id << TAG_BITS | TAG_UNSENT);
	else
		uring_write_wake(to);
}

void uring_wake_unsent(struct uring *u, unsigned int shard)
{
	stats_add(u->be.shard, STAT_WAKES_UNSENT, 1);
	uring_write_wake(to_uring(u->be.shard->world->shards[shard]->be));
}

/* ---- choosing ---- */

static int waker_parse(const char *text, enum waker *waker)
{
	*waker = WAKER_AUTO;
	if (!strcmp(text, "auto"))
		return 0;
	for (int i = 0; waker_names[i]; i++)
		if (!strcmp(text, waker_names[i])) {
			*waker = WAKER_EVENTFD + i;
			return 0;
		}
	return -EINVAL;
}

int waker_probe(const char *arg, unsigned int flags)
{
	struct waker_costs costs;
	enum waker waker;
	int err = waker_parse(arg, &waker);

	return err || waker != WAKER_MSG_RING ? err : waker_try(flags, &costs);
}

static void choose_automatically(int err, const struct waker_costs *costs, struct uring_plan *plan)
{
	bool messages = !err && costs->msg_ring_ns <= costs->eventfd_ns;

	plan->waker = messages ? WAKER_MSG_RING : WAKER_EVENTFD;
	if (err)
		snprintf(plan->waker_why, WAKER_WHY_MAX, "msg_ring: %s", strerror(-err));
	else
		snprintf(plan->waker_why, WAKER_WHY_MAX,
			 "eventfd costs the sender %lld ns, msg_ring %lld",
			 (long long)costs->eventfd_ns, (long long)costs->msg_ring_ns);
}

int waker_choose(const char *arg, unsigned int n, struct uring_plan *plan)
{
	const char *text = arg ? arg : param_waker;
	struct waker_costs costs = { 0 };
	int err = waker_parse(text, &plan->waker);

	if (err) {
		mn_err("%s: must be auto, eventfd or msg_ring", param_origin_waker);
		return err;
	}
	snprintf(plan->waker_why, WAKER_WHY_MAX, "asked for");
	if (plan->waker == WAKER_EVENTFD)
		return 0;
	if (plan->waker == WAKER_AUTO && n == 1) {
		plan->waker = WAKER_EVENTFD;
		snprintf(plan->waker_why, WAKER_WHY_MAX, "there is no other shard");
		return 0;
	}
	err = waker_try(plan->flags, &costs);
	if (plan->waker == WAKER_AUTO) {
		choose_automatically(err, &costs, plan);
		return 0;
	}
	if (!err)
		return 0;
	mn_err("%s: cannot be used here: %s", arg ? arg : param_origin_waker, strerror(-err));
	return -ENODEV;
}
