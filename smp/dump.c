// SPDX-License-Identifier: MIT
/*
 * Who waits for what: on SIGQUIT, every fiber of every shard. The handler
 * only wakes the printing thread, which leaves something at the door of each
 * shard; the shard gathers some of its fibers at a time and goes on. If one
 * does not come to its door, its thread is asked by a signal what it runs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "core/log.h"
#include "lib/mem/mem.h"
#include "lib/time/clock.h"
#include "smp/blocking.h"
#include "smp/dump.h"
#include "smp/thread.h"
#include "smp/topology.h"

MN_PARAM(bool, quit_report, true, 0, 0, "SIGQUIT prints where all fibers are, and ends nothing");

#define ANSWER_NS	MN_SEC		/* for a shard to come to its door */
#define LOOK_NS		MN_MSEC

/*
 * A signal belongs to the process, and its handler may be running when a
 * world is gone: so this is never taken down. One world at a time has it.
 */
static sem_t wake;
static _Atomic(bool) quit;
static _Atomic(struct dump *) owner;

void dump_wake(void)
{
	sem_post(&wake);
}

static void on_quit(int sig)
{
	int saved_errno = errno;

	atomic_store_explicit(&quit, true, memory_order_relaxed);
	dump_wake();
	errno = saved_errno;
}

/* ---- printing ---- */

static void address_print(const char *before, uintptr_t address, bool returned_to)
{
	/* The call is before where it returns to, and may be the last thing of its function. */
	void *code = (void *)(address - returned_to);
	const char *slash;
	Dl_info info;

	if (!dladdr(code, &info) || !info.dli_fname) {
		dprintf(STDERR_FILENO, "%s[%#lx]\n", before, (unsigned long)address);
		return;
	}
	slash = strrchr(info.dli_fname, '/');
	if (info.dli_sname)
		dprintf(STDERR_FILENO, "%s%s(%s+%#lx) [%#lx]\n", before,
			slash ? slash + 1 : info.dli_fname, info.dli_sname,
			(unsigned long)(address - (uintptr_t)info.dli_saddr),
			(unsigned long)address);
	else
		dprintf(STDERR_FILENO, "%s%s(+%#lx) [%#lx]\n", before,
			slash ? slash + 1 : info.dli_fname,
			(unsigned long)(address - (uintptr_t)info.dli_fbase),
			(unsigned long)address);
}

void where_print(const struct where *where, const char *head)
{
	char state[96] = "";

	if (where->ready)
		snprintf(state, sizeof(state), ", ready to run");
	else if (where->wait)
		snprintf(state, sizeof(state), ", waits in %s for %.3f s", where->wait,
			 (double)where->for_ns / MN_SEC);
	if (where->fiber)
		dprintf(STDERR_FILENO, "%sfiber %s, group %s%s\n", head,
			where->name[0] ? where->name : "(unnamed)", where->group, state);
	else
		dprintf(STDERR_FILENO, "%sno fiber, group %s\n", head, where->group);
	if (where->fn)
		address_print("    spawned as ", (uintptr_t)where->fn, false);
	if (where->origin)
		dprintf(STDERR_FILENO, "    spawned at %s\n", where->origin);
	if (where->from)
		address_print("    spawned by ", where->from, true);
	for (unsigned int i = 0; i < where->nr_frames; i++)
		address_print("    ", where->frame[i], i > 0);
}

/* ---- the shards' side ---- */

static void fibers_gather(struct shard *self, struct door_item *item)
{
	struct dump_shard *d = container_of(item, struct dump_shard, item);
	struct mn_fiber *fiber;

	shard_clock_read(self);
	d->nr_fibers = 0;
	while (d->nr_fibers < DUMP_FIBERS && (fiber = fiber_next(&self->fibers, &d->at)))
		if (!fiber->ended)
			where_fiber(self, fiber, &d->fiber[d->nr_fibers++]);
	d->more = d->nr_fibers == DUMP_FIBERS;
	/* Release: it was written before it is printed. Pairs with fibers_print(). */
	atomic_store_explicit(&d->state, DUMP_ANSWERED, memory_order_release);
}

void dump_enter(struct shard *shard)
{
	struct dump *dump = shard->world->dump;
	struct dump_shard *d = &dump->shard[shard->id];

	d->stack_high = thread_stack_high();
	stall_enter(d);
	pthread_mutex_lock(&dump->lock);
	d->thread = pthread_self();
	d->present = true;
	pthread_mutex_unlock(&dump->lock);
}

void dump_leave(struct shard *shard)
{
	struct dump *dump = shard->world->dump;
	struct dump_shard *d = &dump->shard[shard->id];

	pthread_mutex_lock(&dump->lock);
	d->present = false;
	pthread_mutex_unlock(&dump->lock);
	stall_leave(d);
}

/* ---- the thread ---- */

static bool answered(struct dump *dump, _Atomic(int) *state, int64_t wait_ns)
{
	int64_t until_ns = thread_deadline(wait_ns);

	/* Acquire: what was gathered is read after that. */
	while (atomic_load_explicit(state, memory_order_acquire) != DUMP_ANSWERED) {
		if (thread_deadline(0) >= until_ns || atomic_load(&dump->closing))
			return false;
		thread_pause(LOOK_NS);
	}
	return true;
}

/* Under the lock, while the shard is present: it cannot be gone before it has been asked. */
static void fibers_ask(struct dump_shard *d)
{
	atomic_store_explicit(&d->state, DUMP_ASKED, memory_order_relaxed);
	door_push(d->shard, &d->item);
}

static bool shard_ask(struct dump *dump, struct dump_shard *d, bool anew)
{
	bool asked;

	pthread_mutex_lock(&dump->lock);
	asked = d->present;
	/* One that has not come since the last report still has it at its door. */
	if (asked && atomic_load(&d->state) != DUMP_ASKED) {
		if (anew)
			d->at = (struct fiber_cursor){ .begun = false };
		fibers_ask(d);
	}
	pthread_mutex_unlock(&dump->lock);
	return asked;
}

void stuck_print(struct dump *dump, struct dump_shard *d, int sig, unsigned int for_ms,
		 int64_t wait_ns)
{
	char head[128];

	if (atomic_load(&dump->closing))
		return;
	snprintf(head, sizeof(head),
		 "%s[%u]: is stuck: it has not been in its reactor for %u ms: ", log_program_name(),
		 d->shard->id, for_ms);
	pthread_mutex_lock(&dump->lock);
	if (d->present) {
		atomic_store(&d->running_state, DUMP_ASKED);
		pthread_kill(d->thread, sig);
	}
	pthread_mutex_unlock(&dump->lock);
	if (atomic_load(&dump->closing))
		return;
	if (answered(dump, &d->running_state, wait_ns))
		where_print(&d->running, head);
	else
		dprintf(STDERR_FILENO, "%sand its thread does not say where it is\n", head);
	atomic_store(&d->running_state, DUMP_IDLE);
}

static void fibers_print(struct dump *dump, struct dump_shard *d)
{
	char head[96];

	snprintf(head, sizeof(head), "%s[%u]: ", log_program_name(), d->shard->id);
	for (;;) {
		if (!answered(dump, &d->state, ANSWER_NS)) {
			stuck_print(dump, d, STALL_SIGNAL, ANSWER_NS / MN_MSEC, ANSWER_NS);
			return;
		}
		for (unsigned int i = 0; i < d->nr_fibers; i++)
			where_print(&d->fiber[i], head);
		if (!d->more || !shard_ask(dump, d, false))
			return;
	}
}

static void quit_print(struct dump *dump)
{
	dprintf(STDERR_FILENO, "%s: SIGQUIT: where all fibers are\n", log_program_name());
	for (unsigned int i = 0; i < dump->nr_shards; i++)
		if (shard_ask(dump, &dump->shard[i], true))
			fibers_print(dump, &dump->shard[i]);
	dprintf(STDERR_FILENO, "%s: SIGQUIT: that was all\n", log_program_name());
}

static void *dump_thread(void *arg)
{
	struct dump *dump = arg;

	thread_name("dump");
	topology_confine(&dump->world->blocking->cpus);
	while (!atomic_load(&dump->closing)) {
		thread_sem_wait(&wake, atomic_load(&dump->watching) ? dump->look_ns : MN_NEVER);
		for (unsigned int i = 0; i < dump->nr_shards; i++)
			stall_print(&dump->shard[i]);
		if (atomic_exchange(&quit, false))
			quit_print(dump);
		if (atomic_load(&dump->watching))
			watch_look(dump);
	}
	return NULL;
}

/* ---- the world's side ---- */

static void quit_catch(void)
{
	struct sigaction sa = { .sa_handler = on_quit, .sa_flags = SA_RESTART }, old;

	/* Who handles or ignores it already goes on to do so. */
	if (param_quit_report && !sigaction(SIGQUIT, NULL, &old) && old.sa_handler == SIG_DFL)
		sigaction(SIGQUIT, &sa, NULL);
}

static void quit_restore(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL }, old;

	if (!sigaction(SIGQUIT, NULL, &old) && old.sa_handler == on_quit)
		sigaction(SIGQUIT, &sa, NULL);
}

void dump_begin(struct mn_world *world)
{
	struct dump *dump = world->dump, *nobody = NULL;
	int err;

	if (!atomic_compare_exchange_strong(&owner, &nobody, dump))
		return;
	sem_init(&wake, 0, 0);
	err = thread_start(&dump->thread, dump_thread, dump);
	dump->begun = !err;
	if (err) {
		mn_warn("nobody reports stalls, SIGQUIT and stuck stops: %s", strerror(-err));
		atomic_store(&owner, NULL);
		return;
	}
	quit_catch();
}

void dump_end(struct mn_world *world)
{
	struct dump *dump = world->dump;

	if (!dump->begun)
		return;
	quit_restore();
	atomic_store(&dump->closing, true);
	dump_wake();
	pthread_join(dump->thread, NULL);
	dump->begun = false;
	atomic_store(&owner, NULL);
}

int dump_open(struct mn_world *world)
{
	unsigned int n = world->nr_shards;
	struct dump *dump = mem_alloc(sizeof(*dump) + n * sizeof(dump->shard[0]));

	if (!dump)
		return -ENOMEM;
	pthread_mutex_init(&dump->lock, NULL);
	dump->nr_shards = n;
	dump->world = world;
	for (unsigned int i = 0; i < n; i++) {
		dump->shard[i].shard = world->shards[i];
		dump->shard[i].item.receive = fibers_gather;
		dump->shard[i].pulse.receive = pulse_fetch;
		atomic_init(&dump->shard[i].fetched, true);
	}
	world->dump = dump;
	return 0;
}

void dump_close(struct mn_world *world)
{
	if (!world->dump)
		return;
	pthread_mutex_destroy(&world->dump->lock);
	mem_free(world->dump);
	world->dump = NULL;
}
