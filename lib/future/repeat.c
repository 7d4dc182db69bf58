// SPDX-License-Identifier: MIT
/* One round after the other: each comes from the run queue, and leaves no frame behind. */
#include "lib/future/combine.h"

static void repeat_run(struct mn_task *task)
{
	struct mn_input *wait = wait_of(task);
	struct mn_combine *c = wait->owner;
	struct mn_repeat *repeat = container_of(c, struct mn_repeat, combine);
	struct mn_future *future;

	if (wait->future)
		repeat->result = combine_take(wait);
	if (repeat->result < 0 || (repeat->until && repeat->until(repeat->arg, repeat->result))) {
		combine_end(c, repeat->result);
		return;
	}
	if (c->canceled) {
		combine_end(c, -ECANCELED);
		return;
	}
	future = repeat->start(repeat->arg, repeat->result);
	if (future)
		combine_wait(wait, future);
	else if (repeat->until)
		combine_again(wait);
	else
		combine_end(c, repeat->result);
}

struct mn_future *mn_do_until(struct mn_repeat *repeat, mn_until_fn until, mn_start_fn fn,
			      void *arg)
{
	combine_open(&repeat->combine, &repeat->wait, 1, repeat_run, NULL);
	repeat->until = until;
	repeat->start = fn;
	repeat->arg = arg;
	repeat->result = 0;
	combine_again(&repeat->wait);
	return &repeat->done;
}

struct mn_future *mn_repeat(struct mn_repeat *repeat, mn_start_fn fn, void *arg)
{
	return mn_do_until(repeat, NULL, fn, arg);
}
