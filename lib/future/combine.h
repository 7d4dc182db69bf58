/* SPDX-License-Identifier: MIT */
/*
 * Combinators inside. A combinator waits for some futures with a task each;
 * it ends once, by combine_end(), after which nothing of it is queued, armed
 * or attached, and it is the caller's again.
 */
#ifndef LIB_FUTURE_COMBINE_H
#define LIB_FUTURE_COMBINE_H

#define MN__COMBINE_INSIDE	/* its functions, not the macros around them */

#include <miniss/combine.h>
#include <miniss/shared.h>

#include "core/future.h"
#include "core/shard.h"

/* combine_open - @wait: of @n, which all run @fn; @timer: initialised, or NULL */
void combine_open(struct mn_combine *c, struct mn_input *wait, size_t n, mn_task_fn fn,
		  struct mn_timer *timer);

/* combine_wait - @wait's task runs when @future is resolved; the last thing that a task does */
void combine_wait(struct mn_input *wait, struct mn_future *future);

/* combine_again - @wait's task runs, with nothing that it waited for */
void combine_again(struct mn_input *wait);

/* combine_ask - the time is up: false if what it waits for is resolved, or was asked to be */
bool combine_ask(struct mn_combine *c);

/* combine_end - with a result; also a @give_up */
void combine_end(struct mn_combine *c, int64_t res);

/* combine_take - the result of what @wait waited for */
static inline int64_t combine_take(struct mn_input *wait)
{
	int64_t res = mn_future_take(wait->future);

	wait->future = NULL;
	return res;
}

static inline struct mn_input *wait_of(struct mn_task *task)
{
	return container_of(task, struct mn_input, task);
}

#endif
