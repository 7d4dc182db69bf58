// SPDX-License-Identifier: MIT
#include "backends/backend.h"
#include "core/future.h"
#include "core/shard.h"
#include "lib/file/disk.h"

BUILD_BUG_ON(sizeof(struct mn_op) > 128 && !IS_ENABLED(CONFIG_DEBUG));

void op_resolve(struct mn_op *op, int64_t res)
{
	mn_future_resolve(&op->done, res);
}

void op_start(struct mn_op *op)
{
	FUTURE_BUG_ON(&op->done, mn_op_in_flight(op), "an operation in flight was started again");
	ledger_op(op, future_origin(&op->done));
	op->state = OP_IN_FLIGHT;
	mn_self->hygiene.nr_ops++;
	stats_add(mn_self, STAT_OPS, 1);
	backend_submit(mn_self->be, op);
}

int64_t op_call(struct mn_op *op)
{
	int64_t res;

	op_start(op);
	BUG_ON(future_pending(&op->done));
	res = mn_future_take(&op->done);
	if (op->code == MN_OP_CLOSE)
		fds_add(-1);
	else if (op->code == MN_OP_PIPE && res >= 0)
		fds_add(2);
	else if ((op->code == MN_OP_SOCKET || op->code == MN_OP_ACCEPT) && res >= 0)
		fds_add(1);
	return res;
}

bool mn_op_in_flight(const struct mn_op *op)
{
	return op->state == OP_IN_FLIGHT || op->state == OP_CANCELING || op->state == OP_QUEUED;
}

void mn_op_cancel(struct mn_op *op)
{
	if (op->state == OP_QUEUED)
		disk_cancel(op);
	if (op->state != OP_IN_FLIGHT)
		return;
	op->state = OP_CANCELING;
	backend_cancel(mn_self->be, op);
}

void(mn_nop_start)(struct mn_op *op)
{
	op_init(op, MN_OP_NOP, -1);
	op_start(op);
}

void(mn_poll_start)(struct mn_op *op, int fd, uint32_t events)
{
	op_init(op, MN_OP_POLL, fd);
	op->poll.events = events;
	op_start(op);
}

void(mn_recv_start)(struct mn_op *op, int fd, void *base, size_t len)
{
	op_init(op, MN_OP_RECV, fd);
	op->buf.base = base;
	op->buf.len = len;
	op_start(op);
}

void(mn_send_start)(struct mn_op *op, int fd, const void *base, size_t len)
{
	op_init(op, MN_OP_SEND, fd);
	op->buf.base = (void *)(uintptr_t)base;
	op->buf.len = len;
	op_start(op);
}
