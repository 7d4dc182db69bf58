// SPDX-License-Identifier: MIT
/*
 * How fibers wait. Every wait is the same three steps: leave the fiber's task
 * where it will be scheduled, park, look at what happened. Cancellation and
 * time-outs only schedule the same task early; a result that came first wins.
 */
#include <miniss/op.h>
#include <miniss/timer.h>

#include "backends/backend.h"
#include "core/alarm.h"
#include "core/future.h"
#include "core/op.h"
#include "core/shard.h"

static struct mn_fiber *fiber_running(void)
{
	struct mn_fiber *fiber = mn_self->fiber;

	if (IS_ENABLED(CONFIG_DEBUG) && !fiber)
		bug("waiting is for fibers; a task was running", HERE);
	return fiber;
}

/* The same, for a future that it can name. */
static struct mn_fiber *fiber_waiting(const struct mn_future *future)
{
	FUTURE_BUG_ON(future, !mn_self->fiber, "a task waited for a future; waiting is for fibers");
	return mn_self->fiber;
}

static void await_cancel(void *obj)
{
	struct mn_future *future = obj;
	struct mn_task *waiter = future->waiter;

	if (future_pending(future) && waiter) {
		future->waiter = NULL;
		task_schedule(mn_self, waiter);
	}
}

/* Wait, but do not take: false if something else ended the wait. */
static bool await_ready(struct mn_future *future)
{
	struct mn_fiber *fiber = fiber_waiting(future);

	if (mn_future_ready(future) || fiber->stop)
		return mn_future_ready(future);
	future_attach(future, &fiber->task);
	fiber_park(await_cancel, future);
	return mn_future_ready(future);
}

int64_t mn_await(struct mn_future *future)
{
	return await_ready(future) ? mn_future_take(future) : mn_self->fiber->stop;
}

int64_t fiber_wait(struct mn_future *future)
{
	struct mn_fiber *fiber = fiber_waiting(future);

	while (!mn_future_ready(future)) {
		future_attach(future, &fiber->task);
		fiber_park(NULL, NULL);
	}
	return mn_future_take(future);
}

int mn_await_all(struct mn_future *const *futures, size_t n)
{
	int first = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (!await_ready(futures[i]))
			return mn_self->fiber->stop;
	for (i = 0; i < n; i++) {
		int64_t res = mn_future_take(futures[i]);

		if (res < 0 && !first)
			first = (int)res;
	}
	return first;
}

/* One entry for each future; all wake the same fiber. */
struct any_waiter {
	struct mn_task task;
	struct mn_fiber *fiber;
};

static void any_wake(struct mn_task *task)
{
	task_schedule(mn_self, &container_of(task, struct any_waiter, task)->fiber->task);
}

static void any_cancel(void *obj)
{
	struct mn_fiber *fiber = obj;

	task_schedule(mn_self, &fiber->task);
}

static int any_ready(struct mn_future *const *futures, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mn_future_ready(futures[i]))
			return (int)i;
	return -EAGAIN;
}

int mn_await_any(struct mn_future *const *futures, size_t n)
{
	struct mn_fiber *fiber = fiber_running();
	struct any_waiter waiter[MN_AWAIT_ANY_MAX];
	int ready;

	if (n < 1 || n > MN_AWAIT_ANY_MAX)
		return -EINVAL;
	ready = any_ready(futures, n);
	if (ready >= 0 || fiber->stop)
		return ready >= 0 ? ready : fiber->stop;
	for (size_t i = 0; i < n; i++) {
		mn_task_init(&waiter[i].task, any_wake);
		waiter[i].task.group = fiber->task.group;
		waiter[i].fiber = fiber;
		future_attach(futures[i], &waiter[i].task);
	}
	fiber_park(any_cancel, fiber);
	for (size_t i = 0; i < n; i++) {
		future_detach(futures[i], &waiter[i].task);
		task_unqueue(mn_self, &waiter[i].task);
	}
	ready = any_ready(futures, n);
	return ready >= 0 ? ready : fiber->stop;
}

static void alarm_fire(struct mn_task *task)
{
	struct alarm *alarm = container_of(mn_timer_of(task), struct alarm, timer);

	alarm->expired = true;
	alarm->expire(alarm);
}

void alarm_set(struct alarm *alarm, int64_t timeout_ns, void (*expire)(struct alarm *), void *obj)
{
	int64_t now_ns = backend_now(mn_self->be);

	alarm->expire = expire;
	alarm->obj = obj;
	alarm->expired = false;
	mn_timer_init(&alarm->timer, alarm_fire);
	alarm->timer.task.group = mn_self->group;
	mn_timer_arm(&alarm->timer, timeout_ns > MN_NEVER - now_ns ? MN_NEVER : now_ns + timeout_ns,
		     0);
}

static void alarm_ends_await(struct alarm *alarm)
{
	await_cancel(alarm->obj);
}

int64_t mn_await_timeout(struct mn_future *future, int64_t timeout_ns)
{
	struct alarm alarm;
	bool ready;

	if (mn_future_ready(future))
		return mn_future_take(future);
	if (timeout_ns <= 0)
		return fiber_stopped(fiber_waiting(future), -ETIMEDOUT);
	alarm_set(&alarm, timeout_ns, alarm_ends_await, future);
	ready = await_ready(future);
	alarm_cancel(&alarm);
	if (ready)
		return mn_future_take(future);
	return fiber_stopped(mn_self->fiber, -ETIMEDOUT);
}

static void alarm_cancels_op(struct alarm *alarm)
{
	mn_op_cancel(alarm->obj);
}

static void op_await_cancel(void *obj)
{
	mn_op_cancel(obj);
}

/*
 * The fiber leaves only with the final completion. That the operation ended
 * because of us is known by its result: -ECANCELED after we asked.
 */
int64_t mn_op_await(struct mn_op *op, int64_t timeout_ns)
{
	struct mn_fiber *fiber = fiber_waiting(&op->done);
	struct alarm alarm = { .expired = false };
	int64_t res;

	if (mn_future_ready(&op->done))
		return mn_future_take(&op->done);
	alarm.expired = timeout_ns <= 0;
	if (fiber->stop || alarm.expired)
		mn_op_cancel(op);
	else if (timeout_ns != MN_NEVER)
		alarm_set(&alarm, timeout_ns, alarm_cancels_op, op);
	while (!mn_future_ready(&op->done)) {
		future_attach(&op->done, &fiber->task);
		fiber_park(op_await_cancel, op);
	}
	if (alarm.timer.task.fn)
		alarm_cancel(&alarm);
	res = mn_future_take(&op->done);
	return res == -ECANCELED ? fiber_stopped(fiber, alarm.expired ? -ETIMEDOUT : res) : res;
}

static void alarm_wakes_fiber(struct alarm *alarm)
{
	struct mn_fiber *fiber = alarm->obj;

	task_schedule(mn_self, &fiber->task);
}

static void sleep_cancel(void *obj)
{
	alarm_wakes_fiber(obj);
}

int mn_sleep(int64_t ns)
{
	struct mn_fiber *fiber = fiber_running();
	struct alarm alarm;

	if (fiber->stop)
		return fiber->stop;
	if (ns <= 0) {
		mn_yield();
		return fiber->stop;
	}
	alarm_set(&alarm, ns, alarm_wakes_fiber, fiber);
	fiber_park(sleep_cancel, &alarm);
	alarm_cancel(&alarm);
	return alarm.expired ? 0 : fiber->stop;
}
