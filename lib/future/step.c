// SPDX-License-Identifier: MIT
/* What comes after one future: map, catch, then, or_else, finally. */
#include "lib/future/combine.h"

enum { STEP_MAP, STEP_CATCH, STEP_THEN, STEP_OR_ELSE, STEP_FINALLY };

static void step_start(struct mn_step *step, int64_t res)
{
	struct mn_future *future = step->start(step->arg, res);

	step->result = res;
	step->started = true;
	if (future)
		combine_wait(&step->wait, future);
	else
		combine_end(&step->combine, res);
}

static bool step_wants(const struct mn_step *step, int64_t res)
{
	switch (step->kind) {
	case STEP_MAP:
	case STEP_THEN:
		return res >= 0;
	case STEP_CATCH:
	case STEP_OR_ELSE:
		return res < 0 && !step->combine.canceled;
	default:
		return true;
	}
}

/* What was started before has a result, or was given up. */
static void step_first(struct mn_combine *c, int64_t res)
{
	struct mn_step *step = container_of(c, struct mn_step, combine);

	/* Cleaning up is not cancelled; nor is it the second time, after giving up. */
	c->shielded = step->kind == STEP_FINALLY;
	if (c->shielded)
		c->give_up = combine_end;
	if (!step_wants(step, res))
		combine_end(c, res);
	else if (step->kind == STEP_MAP || step->kind == STEP_CATCH)
		combine_end(c, step->map(step->arg, res));
	else
		step_start(step, res);
}

static void step_run(struct mn_task *task)
{
	struct mn_input *wait = wait_of(task);
	struct mn_step *step = container_of(wait, struct mn_step, wait);
	int64_t res = combine_take(wait);

	if (!step->started)
		step_first(&step->combine, res);
	else if (step->kind == STEP_FINALLY && (res >= 0 || step->result < 0))
		combine_end(&step->combine, step->result);
	else
		combine_end(&step->combine, res);
}

/* Given up before its first result: what it waited for is left, and then it cleans up. */
static void finally_give_up(struct mn_combine *c, int64_t why)
{
	struct mn_step *step = container_of(c, struct mn_step, combine);

	if (step->wait.future)
		future_detach(step->wait.future, &step->wait.task);
	step->wait.future = NULL;
	step_first(c, why);
}

static struct mn_future *step_open(struct mn_step *step, int kind, struct mn_future *future,
				   void *arg)
{
	combine_open(&step->combine, &step->wait, 1, step_run, NULL);
	step->kind = (uint8_t)kind;
	step->arg = arg;
	step->started = false;
	if (kind == STEP_FINALLY)
		step->combine.give_up = finally_give_up;
	combine_wait(&step->wait, future);
	return &step->done;
}

struct mn_future *mn_map(struct mn_step *step, struct mn_future *future, mn_map_fn fn, void *arg)
{
	step->map = fn;
	return step_open(step, STEP_MAP, future, arg);
}

struct mn_future *mn_catch(struct mn_step *step, struct mn_future *future, mn_map_fn fn, void *arg)
{
	step->map = fn;
	return step_open(step, STEP_CATCH, future, arg);
}

struct mn_future *mn_then(struct mn_step *step, struct mn_future *future, mn_start_fn fn, void *arg)
{
	step->start = fn;
	return step_open(step, STEP_THEN, future, arg);
}

struct mn_future *mn_or_else(struct mn_step *step, struct mn_future *future, mn_start_fn fn,
			     void *arg)
{
	step->start = fn;
	return step_open(step, STEP_OR_ELSE, future, arg);
}

struct mn_future *mn_finally(struct mn_step *step, struct mn_future *future, mn_start_fn fn,
			     void *arg)
{
	step->start = fn;
	return step_open(step, STEP_FINALLY, future, arg);
}
