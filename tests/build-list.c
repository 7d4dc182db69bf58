// SPDX-License-Identifier: MIT
/*
 * A sorted list: the driver that tests/build.c adds from outside, as
 * Documentation/drivers.md says. In a copy of the tree it is timers/list.c.
 */
#include "timers/timer_queue.h"

struct list_queue {
	struct timer_queue tq;
	struct mn_timer *first;
};

static inline struct list_queue *to_list(struct timer_queue *tq)
{
	return container_of(tq, struct list_queue, tq);
}

static int64_t due_ns(const struct mn_timer *timer)
{
	return timer_due(timer->deadline_ns, timer->slack_ns);
}

static void list_arm(struct timer_queue *tq, struct mn_timer *timer)
{
	struct mn_timer **at = &to_list(tq)->first;

	while (*at && due_ns(*at) <= due_ns(timer))
		at = &(*at)->next;
	timer->next = *at;
	timer->pprev = at;
	if (*at)
		(*at)->pprev = &timer->next;
	*at = timer;
	timer->armed = true;
	tq->nr_armed++;
}

static void list_cancel(struct timer_queue *tq, struct mn_timer *timer)
{
	*timer->pprev = timer->next;
	if (timer->next)
		timer->next->pprev = timer->pprev;
	timer->armed = false;
	tq->nr_armed--;
}

static int64_t list_next(struct timer_queue *tq)
{
	return tq->nr_armed ? due_ns(to_list(tq)->first) : MN_NEVER;
}

static struct mn_timer *list_advance(struct timer_queue *tq, int64_t now_ns, unsigned int n_max)
{
	struct mn_timer *expired = NULL, **tail = &expired;

	for (; n_max && list_next(tq) <= now_ns && list_next(tq) != MN_NEVER; n_max--) {
		*tail = to_list(tq)->first;
		list_cancel(tq, *tail);
		tail = &(*tail)->next;
	}
	*tail = NULL;
	return expired;
}

static int list_open(struct timer_queue *tq, int64_t now_ns)
{
	return 0;
}

static void list_close(struct timer_queue *tq)
{
}

static const struct timer_queue_ops list_ops = {
	.arm		= list_arm,
	.cancel		= list_cancel,
	.advance	= list_advance,
	.next		= list_next,
	.open		= list_open,
	.close		= list_close,
	.state_size	= sizeof(struct list_queue),
	.drv		= { .name = "list", .rating = 110 },
};
timer_queue_driver(list_ops);
