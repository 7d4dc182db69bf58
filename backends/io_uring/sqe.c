// SPDX-License-Identifier: MIT
/*
 * From operations to submission entries. The submission queue is only a
 * staging area: when it is full it is submitted, and if even that makes no
 * room, operations wait in a list, in order. So a full queue is flow
 * control and never an error.
 */
#include <poll.h>

#include "backends/file.h"
#include "backends/inline.h"
#include "backends/io_uring/uring.h"

struct io_uring_sqe *uring_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe) {
		uring_enter_now(u);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

/* When buffers are short, or the kernel cannot do better, one at a time: see recv.c. */
static void prep_recv_stream(struct uring *u, struct mn_op *op, struct io_uring_sqe *sqe)
{
	const struct pool *pool = &u->be.shard->pool;
	bool pressed = pool_pressed(pool);
	/* Of datagrams the kernel writes the head only for multishot, and to the start of a buffer. */
	bool single = op->code == MN_OP_RECV_PACKETS &&
		      (op->flags & OP_ONE || u->incremental || !uring_has(u, URING_MULTISHOT_RECV));

	op->be.num = RECV_BUFFERS;
	if (!u->bufs || single || (pressed && (pool->nr_free || !u->nr_bufs))) {
		op->be.num = RECV_POLLED;
		io_uring_prep_poll_add(sqe, op->fd, POLLIN);
		return;
	}
	if (op->code == MN_OP_RECV_PACKETS)
		io_uring_prep_recvmsg_multishot(sqe, op->fd, op->msg.hdr, MSG_CMSG_CLOEXEC);
	else if (pressed || !uring_has(u, URING_MULTISHOT_RECV))
		io_uring_prep_recv(sqe, op->fd, NULL, 0, 0);
	else
		io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
}

/* What its completion entries have as user_data. */
static uint64_t op_data(const struct mn_op *op)
{
	return (uintptr_t)op | (op->code == MN_OP_SENDMSG_ZC ? TAG_ZC : TAG_OP);
}

static void op_prep(struct uring *u, struct mn_op *op, struct io_uring_sqe *sqe)
{
	switch (op->code) {
	case MN_OP_POLL:
		uring_poll_prep(op, sqe);
		break;
	case MN_OP_RECV:
		io_uring_prep_recv(sqe, op->fd, op->buf.base, op->buf.len, 0);
		break;
	case MN_OP_SEND:
		io_uring_prep_send(sqe, op->fd, (uint8_t *)op->buf.base + op->be.num,
				   op->buf.len - op->be.num, MSG_NOSIGNAL | MSG_WAITALL);
		sqe->flags |= uring_file_flags(u, op);
		break;
	case MN_OP_SENDMSG:
		io_uring_prep_sendmsg(sqe, op->fd, op->msg.hdr, MSG_NOSIGNAL | MSG_WAITALL);
		sqe->flags |= uring_file_flags(u, op);
		break;
	case MN_OP_SENDMSG_ZC:
		uring_zc_prep(op, sqe);
		break;
	case MN_OP_RECVMSG:
		io_uring_prep_recvmsg(sqe, op->fd, op->msg.hdr, MSG_CMSG_CLOEXEC);
		break;
	case MN_OP_RECV_STREAM:
	case MN_OP_RECV_PACKETS:
		prep_recv_stream(u, op, sqe);
		break;
	case MN_OP_ACCEPT_STREAM:
		if (uring_has(u, URING_MULTISHOT_ACCEPT))
			io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
		else
			io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
		break;
	case MN_OP_CONNECT:
		io_uring_prep_connect(sqe, op->fd, op->addr.sa, op->addr.len);
		break;
	case MN_OP_SIGNAL:
		io_uring_prep_poll_add(sqe, (int)op->be.num, POLLIN);
		break;
	case MN_OP_NOP:
		io_uring_prep_nop(sqe);
		break;
	default:
		uring_file_prep(u, op, sqe);
	}
	io_uring_sqe_set_data64(sqe, op_data(op));
	op->priv = OP_IN_RING;
}

static void prep_cancel(struct mn_op *op, struct io_uring_sqe *sqe)
{
	io_uring_prep_cancel64(sqe, op_data(op), 0);
	io_uring_sqe_set_data64(sqe, TAG_IGNORE);
	op->priv = OP_IN_RING;
}

void uring_resubmit(struct uring *u, struct mn_op *op)
{
	struct io_uring_sqe *sqe = u->unqueued.head ? NULL : uring_sqe(u);

	if (sqe) {
		op_prep(u, op, sqe);
	} else {
		op->priv = OP_UNQUEUED;
		op_list_push(&u->unqueued, op);
	}
}

void uring_submit_unqueued(struct uring *u)
{
	struct io_uring_sqe *sqe;

	while (u->uncanceled.head && (sqe = io_uring_get_sqe(&u->ring)))
		prep_cancel(op_list_pop(&u->uncanceled), sqe);
	while (u->unqueued.head && (sqe = io_uring_get_sqe(&u->ring)))
		op_prep(u, op_list_pop(&u->unqueued), sqe);
}

void uring_submit(struct backend *be, struct mn_op *op)
{
	op->be.num = 0;
	op->pprev = NULL;
	if (op_is_inline(op)) {
		if (op->code == MN_OP_CLOSE)
			uring_forget(be, op->fd);
		op_complete(op, inline_op(op, false));
		return;
	}
	if (op_is_file(op)) {
		uring_file_submit(to_uring(be), op);
		return;
	}
	if (op->code == MN_OP_SIGNAL) {
		int fd = signal_begin();

		if (fd < 0) {
			op_complete(op, fd);
			return;
		}
		op->be.num = (uint64_t)fd;
	}
	uring_resubmit(to_uring(be), op);
}

void uring_cancel(struct backend *be, struct mn_op *op)
{
	struct uring *u = to_uring(be);
	struct io_uring_sqe *sqe;

	if (op->priv == OP_REAPED)
		return;
	if (op->priv == OP_POOLED) {
		file_pool_cancel(op);
		return;
	}
	if (op->priv != OP_IN_RING) {
		op_list_del(op->priv == OP_STARVED ? &u->starved : &u->unqueued, op);
		if (op->code == MN_OP_SIGNAL)
			signal_end();
		if (op->code == MN_OP_POLL)
			uring_poll_end(op);
		if (op->code == MN_OP_SENDMSG_ZC)
			uring_zc_sent(op, -ECANCELED);
		else
			op_complete(op, -ECANCELED);
		return;
	}
	if (op->pprev)
		op_list_del(&u->heard, op);
	sqe = uring_sqe(u);
	if (sqe) {
		prep_cancel(op, sqe);
	} else {
		op->priv = OP_UNCANCELED;
		op_list_push(&u->uncanceled, op);
	}
}
