// SPDX-License-Identifier: MIT
/*
 * Watches are one poll operation after another: the next begins when the
 * function has returned. So they are level-triggered on every backend, the
 * function never runs twice for one readiness, and a descriptor that is always
 * ready costs a turn for each call and not more.
 *
 * At any time a watch is in one of these: its operation is in flight, its task
 * is queued, its function runs, or it rests. Whatever changes goes through
 * watch_update(), which only acts in the first and in the last.
 */
#include <miniss/poll.h>

#include "core/op.h"
#include "core/shard.h"

#define EVENTS	(POLLIN | POLLOUT)	/* what every backend can wait for */
#define ALWAYS	(POLLERR | POLLHUP)	/* reported whether asked for or not */

int mn_poll(int fd, uint32_t events, int64_t timeout_ns)
{
	struct mn_op op;

	if (!events || events & ~(uint32_t)EVENTS)
		return -EINVAL;
	mn_poll_start(&op, fd, events);
	return (int)mn_op_await(&op, timeout_ns);
}

static void watch_ended(struct mn_op *op, int64_t res);

static void watch_poll(struct mn_watch *watch)
{
	op_init_at(&watch->op, MN_OP_POLL, watch->op.fd, watch->origin);
	watch->op.poll.events = watch->events;
	watch->op.complete = watch_ended;
	op_start(&watch->op);
}

static void watch_update(struct mn_watch *watch)
{
	if (watch->running || watch->task.queued)
		return;
	if (mn_op_in_flight(&watch->op)) {
		if (watch->op.poll.events != watch->events)
			mn_op_cancel(&watch->op);
	} else if (watch->leaving) {
		mn_future_resolve(&watch->removed, 0);
	} else if (watch->events) {
		watch_poll(watch);
	}
}

/* What of it is of interest now. */
static int watch_ready(const struct mn_watch *watch, int64_t res)
{
	if (watch->leaving || (res > 0 && !watch->events))
		return 0;
	return (int)(res > 0 ? res & (watch->events | ALWAYS) : res);
}

static void watch_ended(struct mn_op *op, int64_t res)
{
	struct mn_watch *watch = container_of(op, struct mn_watch, op);

	mn_future_resolve(&op->done, 0);
	if (res == -ECANCELED)	/* the interest has changed */
		res = 0;
	watch->ready = watch_ready(watch, res);
	if (watch->ready < 0)
		watch->events = 0;
	if (watch->ready)
		task_schedule(mn_self, &watch->task);
	watch_update(watch);
}

static void watch_run(struct mn_task *task)
{
	struct mn_watch *watch = container_of(task, struct mn_watch, task);
	int ready = watch_ready(watch, watch->ready);

	if (ready) {
		watch->running = true;
		watch->fn(watch, ready);
		watch->running = false;
	}
	watch_update(watch);
}

void mn_watch_init_at(struct mn_watch *watch, int fd, mn_watch_fn fn, const char *origin)
{
	*watch = (struct mn_watch){ .fn = fn, .origin = origin };
	op_init_at(&watch->op, MN_OP_POLL, fd, origin);
	mn_future_init(&watch->removed);
	mn_task_init(&watch->task, watch_run);
	watch->task.group = mn_self->group;
}

int mn_watch_set(struct mn_watch *watch, uint32_t events)
{
	if (events & ~(uint32_t)EVENTS || watch->leaving)
		return -EINVAL;
	watch->events = events;
	watch_update(watch);
	return 0;
}

void mn_watch_remove_start(struct mn_watch *watch)
{
	if (watch->leaving)
		return;
	watch->leaving = true;
	watch->events = 0;
	watch_update(watch);
}

void mn_watch_remove(struct mn_watch *watch)
{
	mn_watch_remove_start(watch);
	fiber_wait(&watch->removed);
}
