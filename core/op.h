/* SPDX-License-Identifier: MIT */
/* The life cycle of an operation: idle, in flight, perhaps canceling, done. */
#ifndef CORE_OP_H
#define CORE_OP_H

#include <miniss/op.h>

#include "core/compiler.h"
#include "core/future.h"
#include "core/ledger.h"
#include "core/shard.h"

enum op_state {
	OP_IDLE,
	OP_IN_FLIGHT,	/* the backend has it */
	OP_CANCELING,	/* the same, and it was asked to stop */
	OP_DONE,
	OP_QUEUED,	/* a disk scheduler has it; lib/file/disk.c */
};

/* op->flags */
#define OP_MORE	0x01	/* this delivery of a multishot operation is not the last */
#define OP_ONE	0x04	/* RECV_PACKETS: nothing is received beyond what was delivered */
#define OP_TOLD	0x02	/* RECV_STREAM: a send began since, whose result tells of a reset, too */
#define OP_PINNED 0x04	/* SENDMSG_ZC: the kernel has yet to say that it needs the memory no more */
#define OP_COPY	0x08	/* SENDMSG_ZC: what is left is sent with a copy */
#define OP_STREAM 0x20	/* SEND, SENDMSG: of a stream's socket; see forget() in backends/backend.h */
#define OP_AWAITED 0x20 /* READ, READV: a fiber waits for it now, and for nothing else */
#define OP_SENT	0x10	/* SENDMSG_ZC: how the send ended was delivered */

/* Completes by resolving op->done. */
void op_resolve(struct mn_op *op, int64_t res);

/* op_init - from raw memory; in a debug build it knows the place */
#define op_init(op, code, fd)	op_init_at(op, code, fd, HERE)

static inline void op_init_at(struct mn_op *op, enum mn_opcode code, int fd, const char *origin)
{
	ledger_idle((uintptr_t)op);
	mn_future_init(&op->done);
	future_made(&op->done, origin);
	op->complete = op_resolve;
	op->chunk = NULL;
	op->fd = fd;
	op->code = code;
	op->state = OP_IDLE;
	op->flags = 0;
	op->priv = 0;
}

/* op_start - hand an initialised operation to this shard's backend */
void op_start(struct mn_op *op);

/* op_fail - end an initialised operation that is not worth starting */
static inline void op_fail(struct mn_op *op, int err)
{
	op->state = OP_DONE;
	op->complete(op, err);
}

/* op_call - start an operation of the kind that completes inline; its result */
int64_t op_call(struct mn_op *op);

static inline void op_check_in_flight(const struct mn_op *op)
{
	if (IS_ENABLED(CONFIG_DEBUG) && !mn_op_in_flight(op))
		ledger_lost(op);
}

/*
 * For backends: report, once, the result. The operation is no longer the
 * backend's when the completion function runs, and may be freed by it.
 * Never runs user code.
 */
static inline void op_complete(struct mn_op *op, int64_t res)
{
	op_check_in_flight(op);
	ledger_remove(op);
	mn_self->hygiene.nr_ops--;
	op->state = OP_DONE;
	op->flags &= ~OP_MORE;
	op->complete(op, res);
}

/*
 * For backends: report an item of a multishot operation that stays in flight.
 * RECV_STREAM: @res bytes in op->chunk, whose reference passes to the
 * completion function. RECV_PACKETS: the same, one datagram. ACCEPT_STREAM: @res is a descriptor, which passes too.
 * SENDMSG_ZC: how the send ended; once, and before the end of the operation.
 */
static inline void op_deliver(struct mn_op *op, int64_t res)
{
	op_check_in_flight(op);
	op->flags |= OP_MORE;
	op->complete(op, res);
}

#endif
