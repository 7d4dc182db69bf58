// SPDX-License-Identifier: MIT
/*
 * Frames are found by frame pointers, and nothing is read that is not on the
 * stack in question: code without frame pointers makes a chain end early, or
 * leaves a caller out, but never reads what is not there.
 */
#include <string.h>

#include "core/future.h"
#include "core/sched.h"
#include "core/where.h"

/* The chain goes up, in steps of whole words, and ends at the top of the stack. */
static __no_sanitize void frames_walk(struct where *where, struct frame_at at, uintptr_t high)
{
	uintptr_t low = at.sp;

	if (!at.pc)
		return;
	where->frame[where->nr_frames++] = frame_code(at.pc);
	/* Without frame pointers, @fp is any number: a sum may wrap. */
	while (where->nr_frames < WHERE_FRAMES && at.fp % sizeof(uintptr_t) == 0 && at.fp >= low &&
	       at.fp < high && high - at.fp >= 2 * sizeof(uintptr_t)) {
		const uintptr_t *frame = (const uintptr_t *)at.fp;

		if (!frame[1])
			return;
		where->frame[where->nr_frames++] = frame_code(frame[1]);
		low = at.fp + 2 * sizeof(uintptr_t);
		at.fp = frame[0];
	}
}

static void where_identify(const struct shard *s, const struct mn_fiber *fiber, unsigned int group,
			   struct where *where)
{
	const char *names[] = { fiber && fiber->name ? fiber->name : "",
				sched_group_name(s, group) };

	*where = (struct where){ .fiber = fiber };
	if (fiber) {
		where->fn = fiber->fn;
		where->from = frame_code((uintptr_t)fiber->from);
		where->origin = fiber->from ? future_origin(&fiber->done) : NULL;
	}
	memcpy(where->name, names[0], strnlen(names[0], sizeof(where->name) - 1));
	memcpy(where->group, names[1], strnlen(names[1], sizeof(where->group) - 1));
}

void where_running(const struct shard *s, struct frame_at at, uintptr_t stack_high,
		   struct where *where)
{
	const struct mn_fiber *fiber = s->fiber;
	uintptr_t low = fiber ? (uintptr_t)fiber->stack_low : at.sp;
	uintptr_t high = fiber ? (uintptr_t)fiber : stack_high;

	where_identify(s, fiber, s->group, where);
	/* In the few instructions of a switch it may still be on the other stack. */
	frames_walk(where, at, at.sp >= low && at.sp < high ? high : 0);
}

void where_fiber(const struct shard *s, const struct mn_fiber *fiber, struct where *where)
{
	where_identify(s, fiber, fiber->task.group, where);
	where->ready = fiber->task.queued;
	if (!where->ready && fiber->wait) {
		where->wait = fiber->wait;
		where->for_ns = s->now_ns - fiber->since_ns;
	}
	frames_walk(where, frame_suspended(fiber->sp), (uintptr_t)fiber);
}
