// SPDX-License-Identifier: MIT
/*
 * What combinators have in common: waiting, ending, and being given up.
 *
 * Who gives one up with mn_combine_cancel() only queues a task: so nothing
 * goes down a chain of combinators on the stack, and hooks are called where
 * all functions of the caller are.
 */
#include <miniss/op.h>

#include "lib/future/combine.h"

static void combine_canceled(struct mn_combine *c);

static void canceling_run(struct mn_task *task)
{
	combine_canceled(container_of(task, struct mn_combine, canceling));
}

void combine_open(struct mn_combine *c, struct mn_input *wait, size_t n, mn_task_fn fn,
		  struct mn_timer *timer)
{
	mn_future_init(&c->done);
	c->wait = wait;
	c->nr_waits = n;
	c->timer = timer;
	c->give_up = combine_end;
	c->cancel = NULL;
	c->cancel_arg = NULL;
	c->canceled = c->asked = c->shielded = false;
	mn_task_init(&c->canceling, canceling_run);
	c->canceling.group = mn_self->group;
	for (size_t i = 0; i < n; i++) {
		mn_task_init(&wait[i].task, fn);
		wait[i].task.group = mn_self->group;
		wait[i].future = NULL;
		wait[i].owner = c;
	}
	if (timer)
		timer->task.group = mn_self->group;
}

void combine_again(struct mn_input *wait)
{
	task_schedule(mn_self, &wait->task);
}

void combine_wait(struct mn_input *wait, struct mn_future *future)
{
	struct mn_combine *c = wait->owner;

	wait->future = future;
	c->asked = false;
	mn_future_then(future, &wait->task, wait->task.fn);
	if (c->canceled)
		combine_canceled(c);
}

/* Forget all that could still run. What is not queued costs no look at the queue. */
static void combine_let_go(struct mn_combine *c)
{
	task_unqueue(mn_self, &c->canceling);
	for (size_t i = 0; i < c->nr_waits; i++) {
		struct mn_input *wait = &c->wait[i];

		if (wait->future)
			future_detach(wait->future, &wait->task);
		task_unqueue(mn_self, &wait->task);
		wait->future = NULL;
	}
	c->nr_waits = 0;
	if (c->timer)
		mn_timer_cancel(c->timer);
}

void combine_end(struct mn_combine *c, int64_t res)
{
	combine_let_go(c);
	mn_future_resolve(&c->done, res);
}

void mn_combine_stop(struct mn_combine *c)
{
	combine_let_go(c);
	mn_future_drop(&c->done);
}

/* Call the hook for what is pending. How many there are that end by themselves now. */
static size_t combine_call_hook(struct mn_combine *c)
{
	size_t n = 0, nr_waits = c->nr_waits;
	bool asked = c->asked;

	c->asked = true;
	for (size_t i = 0; i < nr_waits; i++) {
		struct mn_future *future = c->wait[i].future;

		if (!future)
			continue;
		n++;
		if (future_pending(future) && !asked)
			c->cancel(future, c->cancel_arg);
	}
	return n;
}

/* The result that it waits for is there, if it is one: its task is queued. */
static bool combine_has_come(const struct mn_combine *c)
{
	return c->nr_waits == 1 && c->wait[0].future && mn_future_ready(c->wait[0].future);
}

bool combine_ask(struct mn_combine *c)
{
	return !combine_has_come(c) && (!c->cancel || !combine_call_hook(c));
}

static void combine_canceled(struct mn_combine *c)
{
	if (!c->shielded && !mn_future_ready(&c->done) && combine_ask(c))
		c->give_up(c, -ECANCELED);
}

void mn_combine_cancel(struct mn_combine *c)
{
	if (c->canceled || mn_future_ready(&c->done))
		return;
	c->canceled = true;
	task_schedule(mn_self, &c->canceling);
}

void mn_combine_on_cancel(struct mn_combine *c, mn_cancel_fn cancel, void *arg)
{
	c->cancel = cancel;
	c->cancel_arg = arg;
}

void mn_cancel_op(struct mn_future *future, void *arg)
{
	mn_op_cancel(container_of(future, struct mn_op, done));
}

void mn_cancel_combine(struct mn_future *future, void *arg)
{
	mn_combine_cancel(container_of(future, struct mn_combine, done));
}
