// SPDX-License-Identifier: MIT
/*
 * Readiness. The kernel also ends a poll when the peer will send no more
 * (POLLRDHUP), asked or not, and at once if that is so already. Who waits for
 * room to send would then hear of nothing else, again and again: that wait
 * goes through an epoll descriptor, which reports what it was asked for.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backends/io_uring/uring.h"

/* op->be.num of a poll: 0, or one more than the epoll descriptor. */

static int epoll_of(const struct mn_op *op)
{
	return (int)op->be.num - 1;
}

void uring_poll_prep(const struct mn_op *op, struct io_uring_sqe *sqe)
{
	if (op->be.num)
		io_uring_prep_poll_add(sqe, epoll_of(op), POLLIN);
	else
		io_uring_prep_poll_add(sqe, op->fd, op->poll.events);
}

void uring_poll_end(struct mn_op *op)
{
	if (op->be.num)
		close(epoll_of(op));
	op->be.num = 0;
}

static int epoll_open(struct mn_op *op)
{
	struct epoll_event event = { .events = op->poll.events };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	op->be.num = (uint64_t)fd + 1;
	return epoll_ctl(fd, EPOLL_CTL_ADD, op->fd, &event) ? -errno : 0;
}

static int ready_now(const struct mn_op *op)
{
	struct pollfd pfd = { .fd = op->fd, .events = (short)op->poll.events };

	return poll(&pfd, 1, 0) < 0 ? 0 : pfd.revents;
}

static void ended(struct mn_op *op, int res)
{
	uring_poll_end(op);
	op_complete(op, res);
}

void uring_polled(struct uring *u, struct mn_op *op, int res)
{
	if (res > 0 && op->be.num)
		res = ready_now(op);
	if (res > 0)
		res &= (int)(op->poll.events | POLLERR | POLLHUP | POLLNVAL);
	if (!res && op->state == OP_CANCELING)
		res = -ECANCELED;
	if (!res && !op->be.num)
		res = epoll_open(op);
	if (res)
		ended(op, res);
	else
		uring_resubmit(u, op);
}
