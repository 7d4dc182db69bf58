// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "backends/io_uring/uring.h"
#include "lib/time/clock.h"

static int64_t uring_now(struct backend *be)
{
	return clock_now_ns();
}

static void uring_describe(struct backend *be, char *text, size_t size)
{
	const struct uring_plan *plan = &to_uring(be)->plan;

	char without[256];

	uring_without(plan, without, sizeof(without));
	snprintf(text, size, "%s; %u/%u entries, %u buffers; %s waker: %s%s", plan->name,
		 plan->sq_entries, plan->cq_entries, to_uring(be)->bufs ? plan->buffers : 0,
		 waker_names[plan->waker - 1], plan->waker_why, without);
}

static const struct backend_ops uring_ops = {
	.submit		= uring_submit,
	.cancel		= uring_cancel,
	.turn		= uring_turn,
	.now		= uring_now,
	.wake		= uring_wake,
	.forget		= uring_forget,
	.open		= uring_open,
	.start		= uring_start,
	.close		= uring_close,
	.describe	= uring_describe,
	.buffers	= uring_buffers,
	.wakers		= waker_names,
	.features	= uring_report,
	.shrunk		= uring_shrunk,
	.state_size	= sizeof(struct uring),
	.drv = {
		.name	= "io_uring",
		.rating	= 300,
		.check	= uring_check,
		.probe	= uring_probe,
		.hint	= "kernel.io_uring_disabled or seccomp?",
	},
};
backend_driver(uring_ops);
