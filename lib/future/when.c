// SPDX-License-Identifier: MIT
/* Several at a time: all, any, each of many items; and many who wait for one. */
#include "lib/future/combine.h"

/* ---- all and any ---- */

static struct mn_future *when_open(struct mn_combine *c, struct mn_input *wait,
				   struct mn_future *const *futures, size_t n, mn_task_fn fn)
{
	combine_open(c, wait, n, fn, NULL);
	for (size_t i = 0; i < n; i++)
		combine_wait(&wait[i], futures[i]);
	return &c->done;
}

/* The futures stay where they are until the last has come: then they are taken in order. */
static void all_run(struct mn_task *task)
{
	struct mn_combine *c = wait_of(task)->owner;
	struct mn_when_all *all = container_of(c, struct mn_when_all, combine);
	int64_t first = 0;

	if (--all->nr_left)
		return;
	for (size_t i = 0; i < c->nr_waits; i++) {
		int64_t res = combine_take(&c->wait[i]);

		if (res < 0 && !first)
			first = res;
	}
	combine_end(c, first);
}

struct mn_future *mn_when_all(struct mn_when_all *all, struct mn_input *wait,
			      struct mn_future *const *futures, size_t n)
{
	all->nr_left = n;
	when_open(&all->combine, wait, futures, n, all_run);
	if (!n)
		combine_end(&all->combine, 0);
	return &all->done;
}

static void any_run(struct mn_task *task)
{
	struct mn_combine *c = wait_of(task)->owner;
	size_t i = 0;

	while (!mn_future_ready(c->wait[i].future))
		i++;
	combine_end(c, (int64_t)i);
}

struct mn_future *mn_when_any(struct mn_when_any *any, struct mn_input *wait,
			      struct mn_future *const *futures, size_t n)
{
	when_open(&any->combine, wait, futures, n, any_run);
	if (!n)
		combine_end(&any->combine, -EINVAL);
	return &any->done;
}

/* ---- each of many items ---- */

static void each_run(struct mn_task *task)
{
	struct mn_input *wait = wait_of(task);
	struct mn_combine *c = wait->owner;
	struct mn_for_each *each = container_of(c, struct mn_for_each, combine);
	int64_t res = wait->future ? combine_take(wait) : 0;
	struct mn_future *future;

	if (res < 0 && !each->err)
		each->err = res;
	if (each->next == each->n || each->err || c->canceled) {
		if (!--each->nr_live)
			combine_end(c, each->err || each->next == each->n ? each->err : -ECANCELED);
		return;
	}
	future = each->fn(each->arg, each->next++, (unsigned int)(wait - c->wait));
	if (future)
		combine_wait(wait, future);
	else
		combine_again(wait);
}

/* A failure that came before is the result; what is under way is left. */
static void each_give_up(struct mn_combine *c, int64_t why)
{
	struct mn_for_each *each = container_of(c, struct mn_for_each, combine);

	combine_end(c, each->err ? each->err : why);
}

struct mn_future *mn_parallel_for_each(struct mn_for_each *each, struct mn_input *wait,
				       unsigned int limit, size_t n, mn_each_fn fn, void *arg)
{
	each->fn = fn;
	each->arg = arg;
	each->n = n;
	each->next = 0;
	each->nr_live = (unsigned int)min(n, limit);
	each->err = 0;
	combine_open(&each->combine, wait, each->nr_live, each_run, NULL);
	each->combine.give_up = each_give_up;
	for (unsigned int i = 0; i < each->nr_live; i++)
		combine_again(&wait[i]);
	if (!each->nr_live)
		combine_end(&each->combine, limit ? 0 : -EINVAL);
	return &each->done;
}

/* ---- many who wait for one ---- */

#define SHARED_BATCH	64	/* of those who wait, served at a time */

static void shared_remove(struct mn_shared_wait *wait)
{
	if (!wait->pprev)
		return;
	*wait->pprev = wait->next;
	if (wait->next)
		wait->next->pprev = wait->pprev;
	else
		wait->shared->last = wait->pprev;
	wait->pprev = NULL;
}

static void shared_run(struct mn_task *task)
{
	struct mn_shared *shared = container_of(wait_of(task), struct mn_shared, wait);
	struct mn_shared_wait *wait;

	for (int n = 0; n < SHARED_BATCH && (wait = shared->first); n++) {
		shared_remove(wait);
		mn_future_resolve(&wait->done, mn_future_take(shared->wait.future));
	}
	if (shared->first)
		combine_again(&shared->wait);
}

void mn_shared_init(struct mn_shared *shared, struct mn_future *future)
{
	shared->first = NULL;
	shared->last = &shared->first;
	shared->wait.owner = NULL;
	shared->wait.future = future;
	mn_future_then(future, &shared->wait.task, shared_run);
}

struct mn_future *mn_shared_get(struct mn_shared *shared, struct mn_shared_wait *wait)
{
	mn_future_init(&wait->done);
	wait->shared = shared;
	wait->pprev = NULL;
	if (mn_future_ready(shared->wait.future) && !shared->first) {
		mn_future_resolve(&wait->done, mn_future_take(shared->wait.future));
		return &wait->done;
	}
	wait->next = NULL;
	wait->pprev = shared->last;
	*shared->last = wait;
	shared->last = &wait->next;
	return &wait->done;
}

void mn_shared_leave(struct mn_shared_wait *wait)
{
	shared_remove(wait);
	mn_future_drop(&wait->done);
}

void mn_shared_stop(struct mn_shared *shared)
{
	struct mn_shared_wait *wait;

	future_detach(shared->wait.future, &shared->wait.task);
	task_unqueue(mn_self, &shared->wait.task);
	while ((wait = shared->first)) {
		shared_remove(wait);
		mn_future_resolve(&wait->done, -ECANCELED);
	}
}
