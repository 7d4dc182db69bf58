/* SPDX-License-Identifier: MIT */
/*
 * The ring of bare-uring-echo: its flags, the one system call of its loop, and
 * the spin before that call sleeps. Errors end the process.
 *
 * liburing 2.3 fills entries and maps the ring; entering is done here, because
 * its submit functions do not know NO_IOWAIT and check more than this loop
 * needs.
 */
#ifndef BARE_RING_H
#define BARE_RING_H

#include "bare-common.h"

#include <liburing.h>
#include <stdint.h>
#include <time.h>

#define SQ_ENTRIES 32 /* full means submit: answers leave while we still reap */
#define CQ_ENTRIES 4096 /* multishot makes completions without entries */

/* Younger than the headers of liburing 2.3. */
#define ENTER_NO_IOWAIT (1u << 7)

struct ring {
	struct io_uring io;
	unsigned int enter_fd;
	unsigned int enter_flags;
};

static inline unsigned int ring_unsubmitted(const struct ring *r)
{
	return io_uring_sq_ready(&r->io);
}

/* Submit everything; with GETEVENTS also run deferred work, and wait if asked. */
static inline void ring_enter(struct ring *r, unsigned int wait_nr, unsigned int flags)
{
	struct io_uring_sq *sq = &r->io.sq;
	int n;

	/* Release: the entries are written before the tail says so. */
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	n = io_uring_enter(r->enter_fd, ring_unsubmitted(r), wait_nr, r->enter_flags | flags, NULL);
	/* EBUSY, EAGAIN: the kernel wants us to reap first, which we do next. */
	if (unlikely(n < 0) && n != -EINTR && n != -EBUSY && n != -EAGAIN)
		errx(EXIT_FAILURE, "io_uring_enter: %s", strerror(-n));
}

static inline struct io_uring_sqe *ring_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe;

	while (unlikely(!(sqe = io_uring_get_sqe(&r->io))))
		ring_enter(r, 0, 0);
	return sqe;
}

static inline bool ring_has_work(const struct ring *r)
{
	const unsigned int flags = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;

	return (IO_URING_READ_ONCE(*r->io.sq.kflags) & flags) || io_uring_cq_ready(&r->io);
}

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/*
 * Watch memory until the kernel has something for us: true; or the budget is
 * gone: false. Reading the clock takes as long as a pause instruction would.
 */
static inline bool ring_spin(const struct ring *r, int64_t budget_ns)
{
	int64_t end_ns = now_ns() + budget_ns;

	do {
		if (ring_has_work(r))
			return true;
	} while (now_ns() < end_ns);
	return false;
}

static inline void ring_init(struct ring *r)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
			 IORING_SETUP_CLAMP,
		.cq_entries = CQ_ENTRIES,
	};
	int n;

	n = io_uring_queue_init_params(SQ_ENTRIES, &r->io, &p);
	if (n)
		errx(EXIT_FAILURE, "io_uring_setup: %s", strerror(-n));
	r->enter_fd = (unsigned int)r->io.ring_fd;
	if (io_uring_register_ring_fd(&r->io) == 1) {
		r->enter_fd = (unsigned int)r->io.enter_ring_fd;
		r->enter_flags = IORING_ENTER_REGISTERED_RING;
	}
	/* An idle server does not wait for a disk; try whether the kernel can say so. */
	if (io_uring_enter(r->enter_fd, 0, 0,
			   r->enter_flags | IORING_ENTER_GETEVENTS | ENTER_NO_IOWAIT, NULL) >= 0)
		r->enter_flags |= ENTER_NO_IOWAIT;
}

#endif /* BARE_RING_H */
