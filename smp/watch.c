// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "core/log.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "smp/backtrace.h"
#include "smp/blocking.h"
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

/* What is left at a shard's door. */
struct pulse {
	struct door_item item;
	struct shard *shard;
	_Atomic(bool) fetched;		/* it is the watch's again */

	/* under the lock */
	pthread_t thread;
	bool present;			/* @thread runs the shard */
	unsigned int missed;		/* steps */
} __cacheline_aligned;

enum { ASKED = 1, SAID, DONE };

struct watch {
	pthread_mutex_t lock;
	pthread_cond_t closed;
	pthread_t thread;
	bool begun, closing;
	unsigned int nr_shards;
	const struct cpu_mask *cpus;

	/* between the watch and the thread that it asked where it is */
	_Atomic(int) report;
	char text[128];

	struct pulse pulse[];
};

int64_t watch_limit_ns(void)
{
	return param_stop_timeout_ms * MN_MSEC;
}

/* ---- the shards' side ---- */

static void pulse_fetch(struct shard *self, struct door_item *item)
{
	/* Release: the item was read before it is pushed again. Pairs with pulses_push(). */
	atomic_store_explicit(&container_of(item, struct pulse, item)->fetched, true,
			      memory_order_release);
}

void watch_enter(struct shard *shard)
{
	struct watch *watch = shard->world->watch;
	struct pulse *pulse = &watch->pulse[shard->id];

	pthread_mutex_lock(&watch->lock);
	pulse->thread = pthread_self();
	pulse->present = true;
	pthread_mutex_unlock(&watch->lock);
}

void watch_leave(struct shard *shard)
{
	struct watch *watch = shard->world->watch;

	pthread_mutex_lock(&watch->lock);
	watch->pulse[shard->id].present = false;
	pthread_mutex_unlock(&watch->lock);
}

/* ---- the report ---- */

static void print(const char *text, const char *before_name, const char *name)
{
	const struct iovec line[] = {
		{ (void *)(uintptr_t)text, strlen(text) },
		{ (void *)(uintptr_t)before_name, strlen(before_name) },
		{ (void *)(uintptr_t)name, strlen(name) },
		{ (void *)(uintptr_t) "\n", 1 },
	};

	if (writev(STDERR_FILENO, line, ARRAY_SIZE(line)) < 0)
		errno = 0;	/* nobody to tell: the core dump has it */
}

/*
 * On the thread that is stuck, in the middle of anything: only that thread
 * may look at what its shard is doing. By SIGABRT, since a shard's thread
 * never blocks it, and sanitizers deliver it at once.
 */
static void report_here(int sig)
{
	struct shard *self = mn_self;
	struct watch *watch = self ? self->world->watch : NULL;
	const struct mn_fiber *fiber = self ? self->fiber : NULL;
	int saved_errno = errno;

	/* Acquire: pairs with report(), which wrote the text. */
	if (!watch || atomic_load_explicit(&watch->report, memory_order_acquire) != ASKED)
		return;
	if (fiber)
		print(watch->text, ", in fiber ", fiber->name ? fiber->name : "(unnamed)");
	else
		print(watch->text, ", in no fiber", "");
	atomic_store_explicit(&watch->report, SAID, memory_order_relaxed);
	backtrace_print();
	atomic_store_explicit(&watch->report, DONE, memory_order_relaxed);
	errno = saved_errno;
}

/* Have a thread say where it is; if it does not, say that. */
static void report(struct watch *watch, struct pulse *pulse)
{
	int64_t until_ns = thread_deadline(REPORT_NS);
	int how;

	snprintf(watch->text, sizeof(watch->text),
		 "%s: bug: shard %u is stuck: it has not been in its reactor for %u ms",
		 log_program_name(), pulse->shard->id, param_stop_timeout_ms);
	/* Release: the text was written before it is printed. Pairs with report_here(). */
	atomic_store_explicit(&watch->report, ASKED, memory_order_release);
	pthread_kill(pulse->thread, SIGABRT);
	do {
		thread_wait(&watch->closed, &watch->lock, thread_deadline(MN_MSEC));
		how = atomic_load_explicit(&watch->report, memory_order_relaxed);
	} while (how != DONE && thread_deadline(0) < until_ns);
	if (how == ASKED)
		print(watch->text, ", and takes no signals", "");
}

/* Names every shard that is stuck, then aborts; under the lock. */
static void stuck(struct watch *watch)
{
	struct sigaction old, sa = { .sa_handler = report_here, .sa_flags = SA_ONSTACK };

	backtrace_prepare();
	sigaction(SIGABRT, &sa, &old);
	for (unsigned int i = 0; i < watch->nr_shards; i++)
		if (watch->pulse[i].missed >= STEPS)
			report(watch, &watch->pulse[i]);
	sigaction(SIGABRT, &old, NULL);
	abort();
}

/* ---- the thread ---- */

static void pulses_push(struct watch *watch)
{
	for (unsigned int i = 0; i < watch->nr_shards; i++) {
		struct pulse *pulse = &watch->pulse[i];

		/* Acquire: pairs with pulse_fetch(). */
		if (!pulse->present || !atomic_load_explicit(&pulse->fetched, memory_order_acquire))
			continue;
		atomic_store_explicit(&pulse->fetched, false, memory_order_relaxed);
		door_push(pulse->shard, &pulse->item);
	}
}

/* Has one missed its last step? Then all have: who may be stuck, too, is waited for as long again. */
static bool pulses_missed(struct watch *watch)
{
	bool any = false, unsure = false, late = false;

	for (unsigned int i = 0; i < watch->nr_shards; i++) {
		struct pulse *pulse = &watch->pulse[i];

		if (!pulse->present || atomic_load_explicit(&pulse->fetched, memory_order_relaxed))
			pulse->missed = 0;
		else
			pulse->missed++;
		any |= pulse->missed >= STEPS;
		unsure |= pulse->missed && pulse->missed < STEPS;
		late |= pulse->missed >= 2 * STEPS;
	}
	return any && (!unsure || late);
}

static void *watch_thread(void *arg)
{
	struct watch *watch = arg;

	thread_name("watch");
	topology_confine(watch->cpus);
	pthread_mutex_lock(&watch->lock);
	while (!watch->closing) {
		int64_t until_ns = thread_deadline(watch_limit_ns() / STEPS);

		pulses_push(watch);
		while (!watch->closing && thread_wait(&watch->closed, &watch->lock, until_ns))
			;
		if (!watch->closing && pulses_missed(watch))
			stuck(watch);
	}
	pthread_mutex_unlock(&watch->lock);
	return NULL;
}

void watch_begin(struct mn_world *world)
{
	struct watch *watch = world->watch;
	int err = 0;

	if (mn_self->virtual_time)	/* one thread, and nobody else's time */
		return;
	pthread_mutex_lock(&watch->lock);
	if (!watch->begun)
		err = thread_start(&watch->thread, watch_thread, watch);
	watch->begun |= !err;
	pthread_mutex_unlock(&watch->lock);
	if (err)
		mn_warn("nobody watches over the stop: %s", strerror(-err));
}

int watch_open(struct mn_world *world)
{
	unsigned int n = world->nr_shards;
	struct watch *watch = mem_alloc(sizeof(*watch) + n * sizeof(watch->pulse[0]));

	if (!watch)
		return -ENOMEM;
	pthread_mutex_init(&watch->lock, NULL);
	thread_cond_init(&watch->closed);
	watch->nr_shards = n;
	watch->cpus = &world->blocking->cpus;
	for (unsigned int i = 0; i < n; i++) {
		watch->pulse[i].item.receive = pulse_fetch;
		watch->pulse[i].shard = world->shards[i];
		atomic_init(&watch->pulse[i].fetched, true);
	}
	world->watch = watch;
	return 0;
}

void watch_close(struct mn_world *world)
{
	struct watch *watch = world->watch;

	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	watch->closing = true;
	pthread_cond_signal(&watch->closed);
	pthread_mutex_unlock(&watch->lock);
	if (watch->begun)
		pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->closed);
	pthread_mutex_destroy(&watch->lock);
	mem_free(watch);
	world->watch = NULL;
}
