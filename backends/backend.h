/* SPDX-License-Identifier: MIT */
/*
 * The contract of I/O backends. Included by the backends, by core/reactor.c
 * and by tests; never by users.
 *
 * The contract is completion-based: an operation is submitted, and later, or
 * at once, reported through op_complete() (core/op.h). Readiness systems
 * emulate that. What they all promise:
 *
 * - One final op_complete() for each submitted operation, whatever happens.
 * - Completion functions of the core run from submit(), cancel() and turn();
 *   they queue tasks, and never run user code.
 * - SEND and SENDMSG send everything or fail: short sends are continued by
 *   the backend. A failed one may have sent a part; when one that was cancelled
 *   ends with -ECANCELED, op->be.num says how many bytes went out.
 * - SENDMSG_ZC is SENDMSG in two steps, of backends that say so (@zero_copy).
 *   First, once, it delivers (op_deliver) how the send ended: all bytes, or
 *   -errno, with op->be.num after -ECANCELED as above; the next send may start.
 *   The memory, but not the message header and its iovecs, is the kernel's
 *   until the operation completes: with 0; 1: it was copied after all; or why it
 *   could not be sent otherwise than by a copy, as it then was: -EOPNOTSUPP (by
 *   this socket), -ENOMEM, -ENOBUFS. That may take until the peer reads, and may
 *   come after CLOSE: only the first step can be cancelled.
 * - RECV_STREAM delivers pooled chunks (op_deliver) until the end of the
 *   stream (op_complete 0), an error, or cancellation (-ECANCELED). When the
 *   pool is empty it pauses, and goes on when chunks come back: that is
 *   never reported as an error.
 * - RECV_PACKETS does likewise for datagrams: each is a chunk that begins with
 *	struct packet_head (backends/packet.h). msg.hdr says how much room to
 *	leave for name and control data, in msg_namelen and msg_controllen, and
 *	stays as it is; what the chunk has not room for is cut off and marked.
 *	Descriptors that come along are close-on-exec. Some that were received
 *	already may be delivered after a cancellation; with OP_ONE, which is for
 *	what is to be bounded exactly, and for Unix streams, none.
 * - ACCEPT_STREAM delivers descriptors (non-blocking where the backend wants
 *   them so, close-on-exec) until an error such as -EMFILE, or cancellation.
 * - POLL reports what was asked for, POLLERR and POLLHUP, and is ended by
 *   nothing else.
 * - POLL looks once even if it is cancelled at once, if there was room to
 *   begin it: what is ready then is its result.
 * - After the last completion of an operation the kernel holds none of its
 *   memory. CLOSE comes after every other operation of the descriptor.
 * - A peer that resets or ends never raises SIGPIPE.
 */
#ifndef BACKENDS_BACKEND_H
#define BACKENDS_BACKEND_H

#include <stdio.h>

#include "core/driver.h"
#include "core/op.h"

struct backend;
struct shard;
struct mn_world;

struct backend_ops {
	/* every turn, or for each operation; on the owning shard only */

	/**
	 * @submit: take an operation that was initialised
	 *	May complete it before returning. Never fails and never blocks:
	 *	what has no room in a ring waits in the backend, in order.
	 */
	void (*submit)(struct backend *be, struct mn_op *op);

	/**
	 * @cancel: ask that an operation in flight end early
	 *	Called at most once for each. It still completes; file operations
	 *	that the kernel is working on cannot be cancelled.
	 */
	void (*cancel)(struct backend *be, struct mn_op *op);

	/**
	 * @turn: submit what was prepared and reap what completed
	 *	@deadline_ns: absolute; 0 or earlier than now: do not wait;
	 *	MN_NEVER: until something happens. It waits only if nothing could
	 *	be reaped. wake() ends the wait, also if it came first.
	 *	At most one system call when not waiting, and none when there is
	 *	nothing to do. Bounded. Returns the number of completions and
	 *	deliveries; a signal or time out is not an error: 0.
	 */
	unsigned int (*turn)(struct backend *be, int64_t deadline_ns);

	/**
	 * @forget: a stream's socket goes to another shard; or NULL
	 *	None of its operations is in flight. The backend may keep
	 *	something of a descriptor with sends that have OP_STREAM,
	 *	until this or MN_OP_CLOSE: by nothing else is such a one
	 *	closed, or its number another file's.
	 */
	void (*forget)(struct backend *be, int fd);

	/** @now: the time of this world, ns, monotonic */
	int64_t (*now)(struct backend *be);

	/* from any thread */

	/**
	 * @wake: end the wait of @be, or its next one; many wakes may be one
	 *	From a shard of the same world it may go out no sooner than
	 *	with that shard's next turn(): one must follow.
	 */
	void (*wake)(struct backend *be);

	/* once in a world's or a shard's life */

	/**
	 * @open: set up the backends of all shards, on the starting thread
	 *	@be: @n zeroed states with ops and shard filled in. All or
	 *	nothing: on failure (-errno, with a line logged that names what
	 *	failed) nothing is left behind. Sizes that depend on limits are
	 *	decided here, once, for all. -EINVAL and -ENODEV are for what a
	 *	parameter asks for and there is not, or not here, also logged:
	 *	no other backend is tried then.
	 */
	int (*open)(struct backend *const *be, unsigned int n, const char *arg);

	/** @start: the rest, on the shard's own thread, before its first turn */
	int (*start)(struct backend *be);

	/** @close: undo @open and @start; nothing is in flight. On the starting thread. */
	void (*close)(struct backend *be);

	/**
	 * @run: run shard_main() of every shard and return when all returned
	 *	NULL means a pinned thread each (shards_run_threads()); a
	 *	simulated world steps them on one.
	 */
	int (*run)(struct mn_world *world);

	/** @describe: one line of what was chosen, for --doctor and the tables */
	void (*describe)(struct backend *be, char *text, size_t size);

	/** @features: print what of the kernel it can use and what not; 0 or -errno. Or NULL */
	int (*features)(void);

	/** @shrunk: is it smaller than its parameters say, for want of memory? Or NULL */
	bool (*shrunk)(struct backend *be);

	/* The ways to wake() that "name:waker" chooses from, NULL at the end; NULL: there is one. */
	const char *const *wakers;

	/** @buffers: how many chunks of the pool it holds to receive into; NULL: none. When at rest */
	unsigned int (*buffers)(const struct backend *be);

	bool virtual_time;	/* now() does not follow the cycle counter */
	size_t state_size;	/* of the struct that embeds struct backend */
	struct driver drv;
};

struct backend {
	const struct backend_ops *ops;
	struct shard *shard;
	bool zero_copy;		/* since start(): it has SENDMSG_ZC */
};

void backend_submit(struct backend *be, struct mn_op *op);
void backend_cancel(struct backend *be, struct mn_op *op);
unsigned int backend_turn(struct backend *be, int64_t deadline_ns);
int64_t backend_now(struct backend *be);
void backend_wake(struct backend *be);
void backend_forget(struct backend *be, int fd);
int backend_start(struct backend *be);
void backend_close(struct backend *be);

/* Every call the reactor makes, spelled once; OPS says where the table is. */
/* clang-format off */
#define BACKEND_CALLS(OPS)						\
	void backend_submit(struct backend *be, struct mn_op *op)	\
	{ (OPS)->submit(be, op); }					\
	void backend_cancel(struct backend *be, struct mn_op *op)	\
	{ (OPS)->cancel(be, op); }					\
	unsigned int backend_turn(struct backend *be, int64_t deadline_ns) \
	{ return (OPS)->turn(be, deadline_ns); }			\
	int64_t backend_now(struct backend *be)				\
	{ return (OPS)->now(be); }					\
	void backend_wake(struct backend *be)				\
	{ (OPS)->wake(be); }						\
	void backend_forget(struct backend *be, int fd)			\
	{ if ((OPS)->forget) (OPS)->forget(be, fd); }			\
	int backend_start(struct backend *be)				\
	{ return (OPS)->start(be); }					\
	void backend_close(struct backend *be)				\
	{ (OPS)->close(be); }
/* clang-format on */

#ifdef SOLE_DRIVER	/* set by the Makefile when there is only one */
#define backend_driver(ops)						\
	section_entry(backend_drivers, ops, ops.drv);			\
	BACKEND_CALLS(&(ops))						\
	_Static_assert(1, "")
#else
#define backend_driver(ops)	section_entry(backend_drivers, ops, ops.drv)
#endif

#endif
