/* SPDX-License-Identifier: MIT */
/*
 * The io_uring backend: one ring for each shard, used by its thread alone.
 *
 *	setup.c	rings and their sizes, found by trying; what all shards share
 *	features.c	what the kernel has, and what of it is not to be used
 *	sqe.c	from operations to submission entries
 *	cqe.c	from completion entries to operations
 *	file.c	operations on files
 *	poll.c	readiness
 *	mounts.c	file systems that are not to be trusted
 *	fixed.c	buffers that the kernel knows
 *	files.c	sockets that it has at hand
 *	recv.c	the buffer ring, and receives of streams
 *	zc.c	sends without a copy, and what the kernel says when it lets go
 *	turn.c	the one system call of a turn
 *	waker.c	waking a shard that waits, and the choice of how
 *	try.c	whether waking by message works here, and what it costs
 *	io_uring.c	the ops table
 */
#ifndef BACKENDS_IO_URING_URING_H
#define BACKENDS_IO_URING_URING_H

#include <liburing.h>

#include "backends/backend.h"
#include "backends/io_uring/compat.h"
#include "backends/io_uring/features.h"
#include "core/shard.h"

/* What a completion entry is about: the low bits of its user_data. */
#define TAG_OP		0UL	/* the rest is the operation */
#define TAG_WAKE	1UL	/* the poll of the wake-up eventfd */
#define TAG_IGNORE	2UL	/* the answer to a cancel request; a wake-up by message */
#define TAG_UNSENT	3UL	/* a message that failed; the rest is the shard that sleeps */
#define TAG_ZC		4UL	/* the rest is a MN_OP_SENDMSG_ZC: its result, or that it is let go */
#define TAG_MASK	7UL
#define TAG_BITS	3

/* A first-in, first-out queue of operations, linked by next and pprev. */
struct op_list {
	struct mn_op *head;
	struct mn_op **tail;
};

enum waker { WAKER_AUTO, WAKER_EVENTFD, WAKER_MSG_RING };

#define WAKER_WHY_MAX	64

/* One decision for all shards. */
struct uring_plan {
	unsigned int sq_entries, cq_entries, buffers;
	unsigned int flags;		/* IORING_SETUP_* */
	unsigned int features;		/* bits of enum uring_feature: to be used */
	const char *name;		/* of the flag set */
	enum waker waker;
	char waker_why[WAKER_WHY_MAX];
};

/* Of rings that only try something. */
#define PLAN_SMALL	((struct uring_plan){ .sq_entries = 8, .cq_entries = 16, .buffers = 8 })

#define URING_MOUNTS	8

struct uring {
	struct backend be;

	/* every turn */
	unsigned int enter_flags;	/* REGISTERED_RING, NO_IOWAIT */
	int enter_fd;
	uint16_t buf_tail;		/* of the buffer ring, not yet published */
	uint16_t buf_mask;
	uint32_t nr_bufs;		/* in the buffer ring, the kernel's */
	bool incremental;		/* each takes as many receives as fit */
	struct io_uring_buf_ring *bufs;
	struct op_list unqueued;	/* waiting for room in the submission queue */
	struct op_list uncanceled;	/* in the ring, their cancel request waits likewise */
	struct op_list starved;		/* receives waiting for buffers */
	struct op_list heard;		/* in the ring, may have missed a reset: see recv.c */
	uint32_t turns;			/* with some of these */
	uint32_t uncached;		/* reads that are for the ring at once: see file.c */
	struct {
		uint32_t nr;		/* of the ring's table, 0: there is none */
		uint8_t *uses;		/* of each descriptor below that: its sends, or FILE_* */
	} files;
	struct io_uring ring;

	/* mounts.c: file systems that were looked up, the newest at @next - 1 */
	struct {
		uint64_t dev[URING_MOUNTS];
		bool waits[URING_MOUNTS];
		unsigned int next;
	} mounts;

	/* fixed.c: bit n of @slabs: slab n of the pool is registered, as buffer n */
	struct {
		uint64_t slabs;
		uint16_t uses[POOL_SLABS_MAX];
		bool refused;
	} fixed;

	bool messages;			/* it may wake others by message: it is enabled */

	/* once, and for those who wake it */
	int wake_fd;
	int msg_fd;			/* where messages for this ring go */
	bool wake_armed;
	struct uring_plan plan;
	void *bufs_mem;
};

static inline bool uring_has(const struct uring *u, enum uring_feature feature)
{
	return u->plan.features & URING_BIT(feature);
}

static inline struct uring *to_uring(struct backend *be)
{
	return container_of(be, struct uring, be);
}

static inline void op_list_init(struct op_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static inline void op_list_push(struct op_list *list, struct mn_op *op)
{
	op->next = NULL;
	op->pprev = list->tail;
	*list->tail = op;
	list->tail = &op->next;
}

static inline void op_list_del(struct op_list *list, struct mn_op *op)
{
	*op->pprev = op->next;
	if (op->next)
		op->next->pprev = op->pprev;
	else
		list->tail = op->pprev;
	op->pprev = NULL;
}

static inline struct mn_op *op_list_pop(struct op_list *list)
{
	struct mn_op *op = list->head;

	if (op)
		op_list_del(list, op);
	return op;
}

/*
 * Values of op->priv: who has it. REAPED: nobody, until it is submitted again or completed.
 * POOLED: the blocking pool.
 */
enum { OP_IN_RING, OP_UNCANCELED, OP_UNQUEUED, OP_STARVED, OP_REAPED, OP_POOLED };

/* Values of op->be.num of a stream's receive. DEAD: the error that is its end is added. */
enum { RECV_BUFFERS, RECV_POLLED, RECV_DEAD };

/* setup.c */
int uring_probe(const char *arg);
int uring_open(struct backend *const *be, unsigned int n, const char *arg);
int uring_start(struct backend *be);
void uring_close(struct backend *be);
bool uring_shrunk(struct backend *be);

/* A ring by itself, disabled at first: 0 or -errno. */
int uring_ring_open(struct uring *u, const struct uring_plan *plan);
int uring_ring_enable(struct uring *u);	/* by the thread that will use it */
int uring_bufs_register(struct uring *u, unsigned int entries, bool incremental);

/* A small one, enabled, with the best flags, to try something; @plan says which. */
int uring_small_open(struct uring *u, struct uring_plan *plan);

/* When memory of rings that were closed is still on its way back, wait for it. */
int uring_ring_open_patiently(struct uring *u, const struct uring_plan *plan);
void uring_ring_close(struct uring *u);

/* sqe.c */
struct io_uring_sqe *uring_sqe(struct uring *u);	/* NULL: not even after submitting */
void uring_submit(struct backend *be, struct mn_op *op);
void uring_cancel(struct backend *be, struct mn_op *op);
void uring_submit_unqueued(struct uring *u);
void uring_resubmit(struct uring *u, struct mn_op *op);

/* waker.c */
extern const char *const waker_names[];
int waker_probe(const char *arg, unsigned int flags);
int waker_choose(const char *arg, unsigned int n, struct uring_plan *plan);
void uring_wake(struct backend *be);
void uring_wake_unsent(struct uring *u, unsigned int shard);
void uring_arm_wake(struct uring *u);
void uring_prep_poll_wake(struct io_uring_sqe *sqe, const struct uring *u);
void uring_prep_message(struct io_uring_sqe *sqe, const struct uring *to, uint64_t if_unsent);
void uring_write_wake(const struct uring *to);

/* try.c */

/* What one wake-up adds to a turn of the shard that sends it, ns. */
struct waker_costs {
	int64_t eventfd_ns, msg_ring_ns;
};

int waker_try(unsigned int flags, struct waker_costs *costs);

/* file.c */
void uring_file_submit(struct uring *u, struct mn_op *op);
void uring_file_prep(struct uring *u, const struct mn_op *op, struct io_uring_sqe *sqe);
void uring_file_reap(struct uring *u, struct mn_op *op, int res);

/* poll.c */
void uring_poll_prep(const struct mn_op *op, struct io_uring_sqe *sqe);
void uring_polled(struct uring *u, struct mn_op *op, int res);
void uring_poll_end(struct mn_op *op);	/* before it completes in another way */

/* fixed.c: of which registered buffer this is, or -1; whether there can be any: 0 or -errno */
int uring_fixed(struct uring *u, const void *base, size_t len);
int uring_try_fixed(struct uring *u);

/*
 * files.c. Of a descriptor's sends so many that it is in the table, or that it
 * is not to be.
 */
enum { FILE_REFUSED = UINT8_MAX - 1, FILE_AT_HAND };

void uring_files_open(struct backend *const *be, unsigned int n);
void uring_files_close(struct uring *u);
unsigned int uring_file_use(struct uring *u, int fd);
void uring_forget(struct backend *be, int fd);

/* uring_file_flags - a request of this operation is about to be made: the flags of its descriptor */
static inline unsigned int uring_file_flags(struct uring *u, const struct mn_op *op)
{
	if (!(op->flags & OP_STREAM) || (unsigned int)op->fd >= u->files.nr)
		return 0;
	if (u->files.uses[op->fd] == FILE_AT_HAND)
		return IOSQE_FIXED_FILE;
	return uring_file_use(u, op->fd);
}

/* mounts.c */
bool uring_file_waits(struct uring *u, int fd);

/* cqe.c */
unsigned int uring_reap(struct uring *u);

/* zc.c */
void uring_zc_prep(struct mn_op *op, struct io_uring_sqe *sqe);
void uring_zc_reap(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe);
void uring_zc_sent(struct mn_op *op, int64_t res);

/* uring_msg_advance - take the bytes that were sent off a message; true when nothing is left */
bool uring_msg_advance(struct msghdr *hdr, size_t n);

/* recv.c */
void uring_refill(struct uring *u);
unsigned int uring_buffers(const struct backend *be);
void uring_recv_stream(struct uring *u, struct mn_op *op, const struct io_uring_cqe *cqe);
void uring_feed(struct uring *u);
void uring_ask(struct uring *u);

/* turn.c */
unsigned int uring_turn(struct backend *be, int64_t deadline_ns);
void uring_enter_now(struct uring *u);

/* Entries that were filled in and not yet taken by the kernel. */
static inline unsigned int uring_pending(struct uring *u)
{
	return u->ring.sq.sqe_tail - *u->ring.sq.khead;
}

#endif
