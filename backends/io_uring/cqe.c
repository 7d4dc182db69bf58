// SPDX-License-Identifier: MIT
/*
 * From completion entries to operations. What the kernel ends for reasons of
 * its own (a multishot request whose entries overflowed, a receive without a
 * buffer, a send that came up short) is started again here: to the core an
 * operation ends once, and for its own reasons.
 */
#include <unistd.h>

#include "backends/file.h"
#include "backends/inline.h"
#include "backends/io_uring/uring.h"

static bool accept_transient(int res)
{
	return res >= 0 || res == -EAGAIN || accept_skips(-res);
}

static void accept_stream(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe)
{
	bool more = cqe->flags & IORING_CQE_F_MORE;
	int res = cqe->res;

	if (res >= 0)
		op_deliver(op, res);
	if (more)
		return;
	if (!accept_transient(res))
		op_complete(op, res);
	else if (op->state == OP_CANCELING)
		op_complete(op, -ECANCELED);
	else
		uring_resubmit(u, op);
}

bool uring_msg_advance(struct msghdr *hdr, size_t n)
{
	while (hdr->msg_iovlen && n >= hdr->msg_iov->iov_len) {
		n -= hdr->msg_iov->iov_len;
		hdr->msg_iov++;
		hdr->msg_iovlen--;
	}
	if (!hdr->msg_iovlen)
		return true;
	hdr->msg_iov->iov_base = (uint8_t *)hdr->msg_iov->iov_base + n;
	hdr->msg_iov->iov_len -= n;
	return false;
}

/* The kernel retries short sends itself (MSG_WAITALL), mostly. */
static void sent(struct uring *u, struct mn_op *op, int res)
{
	bool all;

	if (res < 0 && res != -EINTR && res != -EAGAIN) {
		op_complete(op, res);
		return;
	}
	if (res > 0)
		op->be.num += (uint64_t)res;
	all = op->code == MN_OP_SEND ? op->be.num >= op->buf.len :
				       uring_msg_advance(op->msg.hdr, (size_t)max(res, 0));
	if (all)
		op_complete(op, (int64_t)op->be.num);
	else if (op->state == OP_CANCELING)
		op_complete(op, -ECANCELED);
	else
		uring_resubmit(u, op);
}

static void signaled(struct uring *u, struct mn_op *op, int res)
{
	int64_t n = res < 0 ? res : signal_take(op->signal.counts);

	if (n == -EAGAIN && op->state != OP_CANCELING) {
		uring_resubmit(u, op);
		return;
	}
	signal_end();
	op_complete(op, n == -EAGAIN ? -ECANCELED : n);
}

static void op_reap(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		/* UNCANCELED: before there was room for the request to cancel it. */
		if (op->pprev)
			op_list_del(op->priv == OP_UNCANCELED ? &u->uncanceled : &u->heard, op);
		op->priv = OP_REAPED;
	}
	switch (op->code) {
	case MN_OP_RECV_STREAM:
	case MN_OP_RECV_PACKETS:
		uring_recv_stream(u, op, cqe);
		break;
	case MN_OP_ACCEPT_STREAM:
		accept_stream(u, op, cqe);
		break;
	case MN_OP_SEND:
	case MN_OP_SENDMSG:
		sent(u, op, cqe->res);
		break;
	case MN_OP_POLL:
		uring_polled(u, op, cqe->res);
		break;
	case MN_OP_SIGNAL:
		signaled(u, op, cqe->res);
		break;
	default:
		if (op_is_file(op))
			uring_file_reap(u, op, cqe->res);
		else
			op_complete(op, cqe->res);
	}
}

/* Take what is there now; what arrives meanwhile is for the next time. */
unsigned int uring_reap(struct uring *u)
{
	struct io_uring_cq *cq = &u->ring.cq;
	unsigned int head = *cq->khead, n = 0;
	/* Acquire: entries are read after the tail that covers them. Pairs with the kernel. */
	unsigned int tail = io_uring_smp_load_acquire(cq->ktail);

	for (; head != tail; head++) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];

		switch (cqe->user_data & TAG_MASK) {
		case TAG_OP:
			op_reap(u, (struct mn_op *)(uintptr_t)cqe->user_data, cqe);
			n++;
			break;
		case TAG_ZC:
			uring_zc_reap(u, (struct mn_op *)(uintptr_t)(cqe->user_data & ~TAG_MASK),
				      cqe);
			n++;
			break;
		case TAG_WAKE:
			if (!(cqe->flags & IORING_CQE_F_MORE))
				u->wake_armed = false;
			break;
		case TAG_UNSENT:
			uring_wake_unsent(u, (unsigned int)(cqe->user_data >> TAG_BITS));
			break;
		}
	}
	/* Release: the entries were read before the kernel may write there again. */
	io_uring_smp_store_release(cq->khead, head);
	stats_add(u->be.shard, STAT_COMPLETIONS, n);
	return n;
}
