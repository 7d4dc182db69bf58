// SPDX-License-Identifier: MIT
/*
 * Timers as users see them: a queue of deadlines below, the run queue above.
 *
 * A timer that expires is out of the queue before its task runs, so that the
 * task may arm it again or free it. Between the two it is only a queued task,
 * and who cancels it takes that back too.
 */
#include <miniss/param.h>

#include "core/ledger.h"
#include "core/shard.h"
#include "timers/timer.h"

MN_PARAM(uint, batch, 1024, 1, 1000000, "timers that expire in one turn, at most");

/*
 * Arming and cancelling are mostly waiting for memory: for the lines of the
 * timer and of its neighbours in the queue. Stores wait in line behind those
 * that miss, even stores to the stack, and when that line is full nothing
 * moves on. So the common paths store little: what is rare is out of line,
 * what rarely changes is compared first. That is a fifth of the time.
 */
static __noinline bool timer_stop(struct mn_timer *timer)
{
	struct shard *shard = mn_self;
	bool armed = timer->armed;

	if (armed) {
		ledger_remove(timer);
		timer_queue_cancel(shard->tq, timer);
	}
	return task_unqueue(shard, &timer->task) || armed;
}

static inline void timer_start(struct mn_timer *timer, int64_t deadline_ns, int64_t period_ns,
			       uint32_t slack_ns)
{
	BUG_ON(!mn_self || !timer->task.fn);
	timer->deadline_ns = deadline_ns;
	if (timer->period_ns != period_ns)
		timer->period_ns = period_ns;
	if (timer->slack_ns != slack_ns)
		timer->slack_ns = slack_ns;
	timer_queue_arm(mn_self->tq, timer);
	ledger_timer(timer);
}

static __noinline void timer_move(struct mn_timer *timer, int64_t deadline_ns, uint32_t slack_ns)
{
	timer_stop(timer);
	timer_start(timer, deadline_ns, 0, slack_ns);
}

void mn_timer_arm(struct mn_timer *timer, int64_t deadline_ns, uint32_t slack_ns)
{
	if (timer->armed || timer->task.queued)
		timer_move(timer, deadline_ns, slack_ns);
	else
		timer_start(timer, deadline_ns, 0, slack_ns);
}

void mn_timer_arm_periodic(struct mn_timer *timer, int64_t first_ns, int64_t period_ns,
			   uint32_t slack_ns)
{
	BUG_ON(period_ns <= 0);
	timer_stop(timer);
	timer_start(timer, first_ns, period_ns, slack_ns);
}

bool mn_timer_cancel(struct mn_timer *timer)
{
	BUG_ON(!mn_self);
	if (timer->task.queued)
		return timer_stop(timer);
	if (!timer->armed)
		return false;
	ledger_remove(timer);
	timer_queue_cancel(mn_self->tq, timer);
	return true;
}

int64_t mn_now(void)
{
	return shard_now(mn_self);
}

/*
 * The first deadline after now, counted from the last one and not from when
 * it expired: no drift. Unsigned, because a first deadline long before zero is
 * further from now than an int64_t can say.
 */
static int64_t timer_following(const struct mn_timer *timer, int64_t now_ns)
{
	uint64_t period_ns = (uint64_t)timer->period_ns;
	uint64_t late_ns = (uint64_t)now_ns - (uint64_t)timer->deadline_ns;
	int64_t last_ns = (int64_t)((uint64_t)now_ns - late_ns % period_ns);

	return last_ns > MN_NEVER - timer->period_ns ? MN_NEVER : last_ns + timer->period_ns;
}

static void batch_ran(struct mn_task *task)
{
}

/*
 * A million timers may be due at once. They come a batch a turn, and the next
 * one only when the last has run: else their tasks would grow into a queue
 * that everything that I/O makes ready has to stand in line behind.
 */
unsigned int timers_expire(struct shard *shard)
{
	struct mn_timer *timer, *next;
	unsigned int n = 0;
	uint16_t group = 0;

	if (shard->timers_ran.queued)
		return 0;
	timer = timer_queue_advance(shard->tq, shard->now_ns, param_batch);
	for (; timer; timer = next, n++) {
		next = timer->next;
		if (timer->period_ns) {
			timer->deadline_ns = timer_following(timer, shard->now_ns);
			timer_queue_arm(shard->tq, timer);
		} else {
			ledger_remove(timer);
		}
		group = timer->task.group;
		task_schedule(shard, &timer->task);
	}
	if (n >= param_batch) {
		mn_task_init(&shard->timers_ran, batch_ran);
		shard->timers_ran.group = group;
		task_schedule(shard, &shard->timers_ran);
	}
	stats_add(shard, STAT_TIMERS, n);
	return n;
}
