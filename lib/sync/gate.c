// SPDX-License-Identifier: MIT
/* Gates, barriers, and what is done once. */
#include "lib/sync/wait.h"

void mn__gate_left(struct mn_gate *gate)
{
	if (!gate->nr_inside)
		wait_grant_all(&gate->closing, 0);
}

int mn_gate_close_timeout(struct mn_gate *gate, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &gate->closing };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	mn__waitq_check(&gate->closing);
	gate->closed = true;
	return gate->nr_inside ? (int)wait_run(&wait, timeout_ns) : 0;
}

/* ---- barrier ---- */

static void barrier_release(struct mn_barrier *barrier, int res)
{
	barrier->nr_here = 0;
	wait_grant_all(&barrier->waiting, res);
}

static void barrier_left(struct mn_wait *wait)
{
	struct mn_barrier *barrier = container_of(wait->entry->queue, struct mn_barrier, waiting);

	barrier->broken = true;
	barrier_release(barrier, -EPIPE);
}

int mn_barrier_wait_timeout(struct mn_barrier *barrier, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &barrier->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, barrier_left);

	mn__waitq_check(&barrier->waiting);
	if (barrier->broken)
		return -EPIPE;
	if (++barrier->nr_here < barrier->nr_parties)
		return (int)wait_run(&wait, timeout_ns);
	barrier_release(barrier, 0);
	return 1;
}

void mn_barrier_reset(struct mn_barrier *barrier)
{
	mn__waitq_check(&barrier->waiting);
	barrier->broken = false;
	barrier_release(barrier, -EPIPE);
}

/* ---- once ---- */

enum { ONCE_NEW, ONCE_RUNNING, ONCE_IS_DONE };

#define YOUR_TURN	1	/* granted to who waits, after a failure */

BUILD_BUG_ON(ONCE_IS_DONE != MN_ONCE_DONE);

static int once_ended(struct mn_once *once, int res)
{
	if (res >= 0) {
		once->state = ONCE_IS_DONE;
		wait_grant_all(&once->waiting, 0);
		return 0;
	}
	if (once->waiting.first)	/* it is still running: for the next one */
		wait_grant(once->waiting.first, YOUR_TURN);
	else
		once->state = ONCE_NEW;
	return res;
}

int mn__once_run(struct mn_once *once, mn_fiber_fn fn, void *arg, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &once->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int res;

	BUG_ON(once->state == ONCE_RUNNING && once->runner == mn_self->fiber);
	if (once->state == ONCE_RUNNING) {
		res = (int)wait_run(&wait, timeout_ns);
		if (res != YOUR_TURN)
			return res;
	}
	once->state = ONCE_RUNNING;
	once->runner = mn_self->fiber;
	return once_ended(once, fn(arg));
}
