// SPDX-License-Identifier: MIT
/*
 * Sends without a copy. Each request has two completion entries: its result,
 * which says with MORE that there will be another; and that one, the
 * notification, when the kernel needs the memory no more. What the first
 * leaves to be done (it came short, or could not be done in this way) is done
 * with a copy, so that there is one notification at most.
 *
 * The notification has the user_data of the request and no mark of which of
 * two: therefore the operation stays in flight, where it is, until it comes.
 */
#include <errno.h>

#include "backends/io_uring/uring.h"

void uring_zc_prep(struct mn_op *op, struct io_uring_sqe *sqe)
{
	if (op->flags & OP_COPY) {
		io_uring_prep_sendmsg(sqe, op->fd, op->msg.hdr, MSG_NOSIGNAL | MSG_WAITALL);
		return;
	}
	op->msg.copied = 0;
	io_uring_prep_sendmsg_zc(sqe, op->fd, op->msg.hdr, MSG_NOSIGNAL | MSG_WAITALL);
	sqe->ioprio = URING_SEND_ZC_REPORT_USAGE;
}

/* The first step; the second one is the end. */
void uring_zc_sent(struct mn_op *op, int64_t res)
{
	op->flags |= OP_SENT;
	op_deliver(op, res);
	if (!(op->flags & OP_PINNED))
		op_complete(op, op->msg.copied);
}

/* Who has the notification may have let go of what was sent after all that. */
static void let_go(struct mn_op *op, const struct io_uring_cqe *cqe)
{
	if (!(op->flags & OP_PINNED))	/* nobody waits for it any more: zc_abandon() */
		return;
	op->flags &= ~OP_PINNED;
	if ((unsigned int)cqe->res & URING_NOTIF_ZC_COPIED && !op->msg.copied)
		op->msg.copied = 1;
	if (op->flags & OP_SENT)
		op_complete(op, op->msg.copied);
}

/* Was it the way of sending that failed? RLIMIT_MEMLOCK is about that, too. */
static bool refused(const struct mn_op *op, int res)
{
	return !(op->flags & OP_COPY) && (res == -EOPNOTSUPP || res == -ENOMEM || res == -ENOBUFS);
}

void uring_zc_reap(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe)
{
	int res = cqe->res;

	if (cqe->flags & IORING_CQE_F_NOTIF) {
		let_go(op, cqe);
		return;
	}
	if (op->pprev)	/* before there was room for the request to cancel it */
		op_list_del(&u->uncanceled, op);
	op->priv = OP_REAPED;
	if (cqe->flags & IORING_CQE_F_MORE)
		op->flags |= OP_PINNED;
	if (refused(op, res)) {
		op->msg.copied = res;
	} else if (res < 0 && res != -EINTR && res != -EAGAIN) {
		uring_zc_sent(op, res);
		return;
	}
	op->be.num += (uint64_t)max(res, 0);
	if (uring_msg_advance(op->msg.hdr, (size_t)max(res, 0))) {
		uring_zc_sent(op, (int64_t)op->be.num);
	} else if (op->state == OP_CANCELING) {
		uring_zc_sent(op, -ECANCELED);
	} else {
		op->flags |= OP_COPY;
		uring_resubmit(u, op);
	}
}
