// SPDX-License-Identifier: MIT
/*
 * Not for ever, and not at once: with_timeout and retry.
 *
 * When a timer runs, what is waited for may be resolved, with the task that
 * takes it still in the queue: then that wins. So who wins depends on what was
 * resolved before the timer ran, and on nothing else.
 */
#include "backends/backend.h"
#include "core/random.h"
#include "lib/future/combine.h"

/* As for fibers, from a fresh look at the clock. */
static int64_t after(int64_t ns)
{
	int64_t now_ns = backend_now(mn_self->be);

	return ns > MN_NEVER - now_ns ? MN_NEVER : now_ns + ns;
}

/* ---- with_timeout ---- */

static void timed_run(struct mn_task *task)
{
	struct mn_input *wait = wait_of(task);
	struct mn_timed *timed = container_of(wait, struct mn_timed, wait);
	int64_t res = combine_take(wait);

	combine_end(&timed->combine, timed->expired && res == -ECANCELED ? -ETIMEDOUT : res);
}

static void timed_fire(struct mn_task *task)
{
	struct mn_timed *timed = container_of(mn_timer_of(task), struct mn_timed, timer);

	if (timed->combine.canceled)
		return;
	timed->expired = true;
	if (combine_ask(&timed->combine))
		combine_end(&timed->combine, -ETIMEDOUT);
}

struct mn_future *mn_with_timeout(struct mn_timed *timed, struct mn_future *future,
				  int64_t timeout_ns)
{
	mn_timer_init(&timed->timer, timed_fire);
	combine_open(&timed->combine, &timed->wait, 1, timed_run, &timed->timer);
	timed->expired = false;
	combine_wait(&timed->wait, future);
	if (timeout_ns <= 0)
		task_schedule(mn_self, &timed->timer.task);
	else if (timeout_ns != MN_NEVER)
		mn_timer_arm(&timed->timer, after(timeout_ns), 0);
	return &timed->done;
}

/* ---- retry ---- */

static void retry_attempt(struct mn_retry *retry)
{
	struct mn_combine *c = &retry->combine;
	struct mn_future *future;

	if (backend_now(mn_self->be) >= retry->policy.deadline_ns) {
		combine_end(c, retry->nr_attempts ? retry->err : -ETIMEDOUT);
		return;
	}
	retry->nr_attempts++;
	future = retry->start(retry->arg, retry->nr_attempts);
	if (!future) {
		combine_end(c, retry->err);
		return;
	}
	if (retry->policy.deadline_ns != MN_NEVER)
		mn_timer_arm(&retry->timer, retry->policy.deadline_ns, 0);
	combine_wait(&retry->wait, future);
}

/* What doubles does so until it would be too much. */
static int64_t pause_bound(const struct mn_retry *retry)
{
	const struct mn_retry_policy *policy = &retry->policy;
	int64_t bound_ns = policy->base_ns;

	for (unsigned int i = 1; i < retry->nr_attempts && bound_ns < policy->max_ns; i++) {
		if (bound_ns > policy->max_ns / 2)
			return policy->max_ns;
		if (!bound_ns)
			break;
		bound_ns *= 2;
	}
	return min(bound_ns, policy->max_ns);
}

static bool retry_accepts(const struct mn_retry *retry, int64_t err)
{
	const struct mn_retry_policy *policy = &retry->policy;

	if (retry->combine.canceled || retry->expired || retry->nr_attempts == policy->attempts_max)
		return false;
	return policy->accept ? policy->accept(retry->arg, err) : err != -ECANCELED;
}

static void retry_failed(struct mn_retry *retry, int64_t err)
{
	int64_t until_ns;

	if (retry->expired && err == -ECANCELED)
		err = -ETIMEDOUT;
	retry->err = err;
	if (!retry_accepts(retry, err)) {
		combine_end(&retry->combine, err);
		return;
	}
	until_ns = after((int64_t)random_below(mn_self, (uint64_t)pause_bound(retry) + 1));
	if (until_ns >= retry->policy.deadline_ns)
		combine_end(&retry->combine, err);
	else
		mn_timer_arm(&retry->timer, until_ns, 0);
}

/* The first attempt, or the end of one. */
static void retry_run(struct mn_task *task)
{
	struct mn_input *wait = wait_of(task);
	struct mn_retry *retry = container_of(wait, struct mn_retry, wait);
	int64_t res;

	if (!wait->future) {
		retry_attempt(retry);
		return;
	}
	res = combine_take(wait);
	mn_timer_cancel(&retry->timer);
	if (res >= 0)
		combine_end(&retry->combine, res);
	else
		retry_failed(retry, res);
}

/* The end of a pause, or the deadline during an attempt. */
static void retry_fire(struct mn_task *task)
{
	struct mn_retry *retry = container_of(mn_timer_of(task), struct mn_retry, timer);

	if (!retry->wait.future) {
		retry_attempt(retry);
		return;
	}
	if (retry->combine.canceled)
		return;
	retry->expired = true;
	if (combine_ask(&retry->combine))
		combine_end(&retry->combine, -ETIMEDOUT);
}

struct mn_future *mn_retry(struct mn_retry *retry, const struct mn_retry_policy *policy,
			   mn_start_fn fn, void *arg)
{
	mn_timer_init(&retry->timer, retry_fire);
	combine_open(&retry->combine, &retry->wait, 1, retry_run, &retry->timer);
	retry->policy = *policy;
	if (!retry->policy.deadline_ns)
		retry->policy.deadline_ns = MN_NEVER;
	if (!retry->policy.max_ns)
		retry->policy.max_ns = MN_NEVER;
	retry->start = fn;
	retry->arg = arg;
	retry->nr_attempts = 0;
	retry->err = -ECANCELED;
	retry->expired = false;
	combine_again(&retry->wait);
	return &retry->done;
}
