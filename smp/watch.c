// SPDX-License-Identifier: MIT
#include <signal.h>
#include <string.h>

#include <miniss/param.h>

#include "smp/dump.h"
#include "smp/thread.h"
#include "smp/watch.h"

MN_PARAM(uint, stop_timeout_ms, 5000, 100, 3600000,
	 "how long a stop waits for fibers to end; and for a stuck shard, before it aborts");

/*
 * The limit is waited for in steps, and a shard has to miss all of them: a
 * process that stood still itself (SIGSTOP, a frozen container) has missed one.
 */
#define STEPS		10
#define REPORT_NS	(10 * MN_SEC)	/* for a thread to say where it is */

int64_t watch_limit_ns(void)
{
	return param_stop_timeout_ms * MN_MSEC;
}

void watch_begin(struct mn_world *world)
{
	struct dump *dump = world->dump;

	/* In virtual time nobody can tell. */
	if (dump->begun && !mn_self->virtual_time && !atomic_exchange(&dump->watching, true))
		dump_wake();
}

void pulse_fetch(struct shard *self, struct door_item *item)
{
	/* Release: the item was read before it is pushed again. Pairs with pulses_push(). */
	atomic_store_explicit(&container_of(item, struct dump_shard, pulse)->fetched, true,
			      memory_order_release);
}

static void pulses_push(struct dump *dump)
{
	for (unsigned int i = 0; i < dump->nr_shards; i++) {
		struct dump_shard *d = &dump->shard[i];

		/* Acquire: pairs with pulse_fetch(). */
		if (!d->present || !atomic_load_explicit(&d->fetched, memory_order_acquire))
			continue;
		atomic_store_explicit(&d->fetched, false, memory_order_relaxed);
		door_push(d->shard, &d->pulse);
	}
}

/* Has one missed its last step? Then all have: who may be stuck, too, is waited for as long again. */
static bool pulses_missed(struct dump *dump)
{
	bool any = false, unsure = false, late = false;

	for (unsigned int i = 0; i < dump->nr_shards; i++) {
		struct dump_shard *d = &dump->shard[i];

		if (!d->present || atomic_load_explicit(&d->fetched, memory_order_relaxed))
			d->missed = 0;
		else
			d->missed++;
		any |= d->missed >= STEPS;
		unsure |= d->missed && d->missed < STEPS;
		late |= d->missed >= 2 * STEPS;
	}
	return any && (!unsure || late);
}

/*
 * Names every shard that is stuck, then aborts. They are asked by SIGABRT,
 * since a shard's thread never blocks it, and sanitizers deliver it at once.
 */
static void stuck(struct dump *dump)
{
	struct sigaction old, sa = { .sa_sigaction = dump_signal,
				     .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	sigaction(SIGABRT, &sa, &old);
	for (unsigned int i = 0; i < dump->nr_shards; i++)
		if (dump->shard[i].missed >= STEPS)
			stuck_print(dump, &dump->shard[i], SIGABRT, param_stop_timeout_ms,
				    REPORT_NS);
	sigaction(SIGABRT, &old, NULL);
	bug("a shard that is stuck holds up the stop", HERE);
}

void watch_look(struct dump *dump)
{
	int64_t now_ns = thread_deadline(0);
	bool missed;

	if (now_ns < dump->look_ns)
		return;
	dump->look_ns = now_ns + watch_limit_ns() / STEPS;
	pthread_mutex_lock(&dump->lock);
	missed = pulses_missed(dump);
	pulses_push(dump);
	pthread_mutex_unlock(&dump->lock);
	if (missed)
		stuck(dump);
}
