// SPDX-License-Identifier: MIT
/*
 * Operations that do nothing, through the backend and the kernel: one after
 * the other from a fiber, and many at once by continuations.
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/bench/bench.h"

#define DEPTH	64

static int nop_fiber(void *arg)
{
	struct mn_op op;

	for (uint64_t left = *(uint64_t *)arg; left; left--) {
		mn_nop_start(&op);
		bench_keep(mn_await(&op.done));
	}
	return 0;
}

static void qd1_run(struct bench_case *c, uint64_t n)
{
	mn_spawn(nop_fiber, &n, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static const struct bench op_nop_qd1 = {
	.name = "op.nop.qd1",
	.kind = &backend_kind,
	.run = qd1_run,
};
bench_register(op_nop_qd1);

struct nop {
	struct mn_op op;
	struct mn_task task;
	struct nops *all;
};

struct nops {
	uint64_t nr_unstarted;
	unsigned int nr_in_flight;
	struct nop nop[DEPTH];
};

static void nop_next(struct mn_task *task);

static void nop_start(struct nop *nop)
{
	if (!nop->all->nr_unstarted)
		return;
	nop->all->nr_unstarted--;
	nop->all->nr_in_flight++;
	mn_nop_start(&nop->op);
	mn_future_then(&nop->op.done, &nop->task, nop_next);
}

static void nop_next(struct mn_task *task)
{
	struct nop *nop = container_of(task, struct nop, task);

	nop->all->nr_in_flight--;
	bench_keep(mn_future_take(&nop->op.done));
	nop_start(nop);
}

static int qd64_open(struct bench_case *c)
{
	struct nops *nops = calloc(1, sizeof(*nops));

	if (!nops)
		return -ENOMEM;
	for (int i = 0; i < DEPTH; i++)
		nops->nop[i].all = nops;
	c->state = nops;
	return 0;
}

static void qd64_run(struct bench_case *c, uint64_t n)
{
	struct nops *nops = c->state;

	nops->nr_unstarted = n;
	for (int i = 0; i < DEPTH; i++)
		nop_start(&nops->nop[i]);
	while (nops->nr_in_flight)
		case_step(c);
}

static void qd64_close(struct bench_case *c)
{
	free(c->state);
}

static const struct bench op_nop_qd64 = {
	.name = "op.nop.qd64",
	.kind = &backend_kind,
	.open = qd64_open,
	.run = qd64_run,
	.close = qd64_close,
};
bench_register(op_nop_qd64);
