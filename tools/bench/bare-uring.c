// SPDX-License-Identifier: MIT
/* op.nop on liburing alone: what is submitted together is reaped together. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "tools/bench/bench.h"

#define DEPTH	64

static int ring_open(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
	};
	int err = io_uring_queue_init_params(DEPTH, ring, &params);

	if (err == -EINVAL) {	/* before Linux 6.1 */
		params = (struct io_uring_params){ .flags = 0 };
		err = io_uring_queue_init_params(DEPTH, ring, &params);
	}
	if (!err)
		io_uring_register_ring_fd(ring);	/* faster where it works */
	return err;
}

static int bare_open(struct bench_case *c)
{
	struct io_uring *ring = calloc(1, sizeof(*ring));
	int err = ring ? ring_open(ring) : -ENOMEM;

	if (err)
		free(ring);
	c->state = ring;
	return err;
}

static void bare_close(struct bench_case *c)
{
	io_uring_queue_exit(c->state);
	free(c->state);
}

/* Returns how many completed. */
static unsigned int nops(struct io_uring *ring, unsigned int n)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr_done = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
	}
	io_uring_submit_and_get_events(ring);
	/* clang-format off */
	io_uring_for_each_cqe(ring, head, cqe) {
		bench_keep(cqe->user_data + (uint64_t)cqe->res);
		nr_done++;
	}
	/* clang-format on */
	io_uring_cq_advance(ring, nr_done);
	return nr_done;
}

static void qd1_run(struct bench_case *c, uint64_t n)
{
	while (n)
		n -= nops(c->state, 1);
}

static const struct bench op_nop_bare_qd1 = {
	.name = "op.nop.bare.qd1",
	.family = "op.nop.qd1",
	.bare_of = "io_uring",
	.open = bare_open,
	.run = qd1_run,
	.close = bare_close,
};
bench_register(op_nop_bare_qd1);

static void qd64_run(struct bench_case *c, uint64_t n)
{
	while (n)
		n -= nops(c->state, (unsigned int)min(n, DEPTH));
}

static const struct bench op_nop_bare_qd64 = {
	.name = "op.nop.bare.qd64",
	.family = "op.nop.qd64",
	.bare_of = "io_uring",
	.open = bare_open,
	.run = qd64_run,
	.close = bare_close,
};
bench_register(op_nop_bare_qd64);
