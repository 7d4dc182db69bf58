// SPDX-License-Identifier: MIT
#include <poll.h>

#include "backends/inline.h"
#include "backends/libev/try.h"
#include "backends/platform.h"

#define IOV_BATCH 16 /* slices of a message that is continued */

int64_t libev_transferred(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? NOT_YET : -errno;
}

static int64_t try_recv(struct mn_op *op)
{
	return libev_transferred(recv(op->fd, op->buf.base, op->buf.len, MSG_DONTWAIT));
}

static int64_t try_send(struct mn_op *op, uint64_t *done)
{
	int64_t n = libev_transferred(send(op->fd, (char *)op->buf.base + *done,
					   op->buf.len - *done, MSG_DONTWAIT | MSG_NOSIGNAL));

	if (n < 0)
		return n;
	*done += (uint64_t)n;
	return *done == op->buf.len ? (int64_t)*done : NOT_YET;
}

/* The next slices of a message, after the first @done bytes. */
static size_t rest_of(const struct msghdr *msg, uint64_t done, struct iovec *rest, size_t *nr)
{
	size_t len = 0, i;

	*nr = 0;
	for (i = 0; i < msg->msg_iovlen && *nr < IOV_BATCH; i++) {
		struct iovec v = msg->msg_iov[i];

		if (done >= v.iov_len) {
			done -= v.iov_len;
			continue;
		}
		rest[*nr].iov_base = (char *)v.iov_base + done;
		rest[*nr].iov_len = v.iov_len - done;
		len += rest[(*nr)++].iov_len;
		done = 0;
	}
	return len;
}

/* The caller's message is left as it is: what remains is sent from a copy. */
static int64_t try_sendmsg(struct mn_op *op, uint64_t *done)
{
	struct iovec rest[IOV_BATCH];
	struct msghdr msg = *op->msg.hdr;
	size_t len, nr;
	int64_t n;

	do {
		len = rest_of(op->msg.hdr, *done, rest, &nr);
		if (!len && *done)
			return (int64_t)*done;
		msg.msg_iov = rest;
		msg.msg_iovlen = nr;
		n = libev_transferred(sendmsg(op->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
		if (n < 0)
			return n;
		*done += (uint64_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	} while (len && (size_t)n == len && nr == IOV_BATCH);
	return (size_t)n == len ? (int64_t)*done : NOT_YET;
}

static int64_t try_connect(struct mn_op *op, uint64_t *begun)
{
	socklen_t len = sizeof(int);
	int err;

	if (*begun) {
		if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &err, &len))
			return -errno;
		return -err;
	}
	if (!connect(op->fd, op->addr.sa, op->addr.len))
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return -errno;
	*begun = 1;
	return NOT_YET;
}

static int64_t try_poll(struct mn_op *op)
{
	struct pollfd pfd = { .fd = op->fd, .events = (short)op->poll.events };
	int n;

	/* What libev cannot watch for, it would spin on. */
	if (op->poll.events & ~(uint32_t)(POLLIN | POLLOUT | POLLERR | POLLHUP))
		return -EINVAL;
	n = poll(&pfd, 1, 0);
	if (n < 0)
		return errno == EINTR ? NOT_YET : -errno;
	if (pfd.revents & POLLNVAL)
		return -EBADF;
	return n ? pfd.revents : NOT_YET;
}

static int64_t try_signal(struct mn_op *op)
{
	int64_t n = signal_take(op->signal.counts);

	return n < 0 ? NOT_YET : n;
}

int64_t libev_try(struct mn_op *op, uint64_t *done)
{
	switch (op->code) {
	case MN_OP_POLL:
		return try_poll(op);
	case MN_OP_RECV:
		return try_recv(op);
	case MN_OP_RECVMSG:
		return libev_transferred(
			recvmsg(op->fd, op->msg.hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	case MN_OP_SEND:
		return try_send(op, done);
	case MN_OP_SENDMSG:
		return try_sendmsg(op, done);
	case MN_OP_CONNECT:
		return try_connect(op, done);
	case MN_OP_SIGNAL:
		return try_signal(op);
	default:
		return -EOPNOTSUPP;
	}
}
