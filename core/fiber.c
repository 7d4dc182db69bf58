// SPDX-License-Identifier: MIT
/*
 * Fibers: a life is spawn, any number of park and resume, end. The reactor's
 * stack is in the middle of every switch: a fiber is resumed by running its
 * task and parks by going back to who ran it. So a fiber never meets another
 * one's stack, and the reactor stays the only one to decide what runs.
 *
 * Spawning takes the fiber that ended last, with its stack: the lines that it
 * needs are the ones that were just in use.
 *
 * The processor predicts each return by the calls that it saw, and after a
 * switch those were made on the other stack: every return from a function
 * that was active then is mispredicted, for more than the switch costs. So
 * nothing is left to do after a switch: fiber_park() and fiber_resume() do
 * all of it before, and the compiler makes the switch their last jump.
 */
#include <errno.h>
#include <string.h>

#include <miniss/log.h>

#include "core/future.h"
#include "core/ledger.h"
#include "core/scope.h"
#include "core/shard.h"

/*
 * Stacks are all alike to the cache: without this, the objects and first
 * frames of all fibers would compete for the same few sets of the first level.
 * A hash of the page, since the page itself says already which sets of the
 * second level it uses: a colour that went with it would add none to those.
 */
#define COLOUR_BITS	4
#define COLOUR_LINE	64

#define ALIGN_DOWN(x, a)	((x) & ~(uintptr_t)((a) - 1))

static struct mn_fiber *fiber_at(void *low, size_t size)
{
	uint32_t hash = (uint32_t)((uintptr_t)low / 4096) * UINT32_C(2654435769);	/* Knuth's */
	uint32_t colour = hash >> (32 - COLOUR_BITS);
	uintptr_t top = (uintptr_t)low + size - (size_t)colour * COLOUR_LINE;

	return (struct mn_fiber *)ALIGN_DOWN(top - sizeof(struct mn_fiber), COLOUR_LINE);
}

static __cold struct mn_fiber *fiber_create(struct fiber_pool *pool)
{
	struct mn_fiber *fiber;
	size_t size;
	void *low;

	if (stack_get(pool, &low, &size))
		return NULL;
	if (IS_ENABLED(CONFIG_FIBER_HIGHWATER))
		stack_fill(low, size);
	fiber = fiber_at(low, size);
	fiber->stack_low = low;
	fiber->stack_size = size;
	sanitizer_open(&fiber->sanitizer, low, size);
	return fiber;
}

static __cold void fiber_measure(struct fiber_pool *pool, const struct mn_fiber *fiber)
{
	size_t used = stack_used(fiber->stack_low, fiber->stack_size);
	const char *name = fiber->name ? fiber->name : "(unnamed)";
	size_t i = 0;

	if (used <= pool->deepest)
		return;
	pool->deepest = used;
	/* Copied, since names need not outlive their fibers. */
	for (; name[i] && i < sizeof(pool->deepest_name) - 1; i++)
		pool->deepest_name[i] = name[i];
	pool->deepest_name[i] = '\0';
}

static void fiber_free(struct fiber_pool *pool, struct mn_fiber *fiber)
{
	if (IS_ENABLED(CONFIG_FIBER_HIGHWATER))
		fiber_measure(pool, fiber);
	fiber->next = pool->free;
	pool->free = fiber;
	pool->nr_free++;
}

/* Nobody will join it. */
static __cold void fiber_failed(struct shard *shard, struct mn_fiber *fiber, int64_t err)
{
	mn_future_take(&fiber->done);
	abandoned(shard, err, fiber->name ? fiber->name : "", future_origin(&fiber->done));
}

/*
 * The bottom of every fiber's stack. A detached fiber is in the pool while it
 * takes its last steps, but nobody can take it from there before the switch.
 */
static void fiber_main(void)
{
	struct shard *shard = mn_self;
	struct mn_fiber *fiber = shard->fiber;
	int ret;

	sanitizer_enter(&fiber->sanitizer, &shard->fibers.reactor);
	ret = fiber->fn(fiber->arg);
	ledger_fiber_ends();
	fiber->ended = true;
	if (fiber->scope)
		ret = scope_ends(fiber, ret);
	mn_future_resolve(&fiber->done, ret);
	shard->fibers.nr_live--;
	shard->fiber = NULL;
	if (fiber->detached) {
		if (ret < 0 && ret != fiber->stop)
			fiber_failed(shard, fiber, ret);
		fiber_free(&shard->fibers, fiber);
	}
	sanitizer_leave(&fiber->sanitizer, &shard->fibers.reactor, true);
	fiber_exit(shard->sp);
}

static void fiber_resume(struct mn_task *task)
{
	struct mn_fiber *fiber = container_of(task, struct mn_fiber, task);
	struct shard *shard = mn_self;

	BUG_ON(shard->fiber);
	BUG_ON(fiber->ended);
	fiber->cancel = NULL;
	shard->fiber = fiber;
	sanitizer_reactor(&shard->fibers.reactor);
	sanitizer_leave(&shard->fibers.reactor, &fiber->sanitizer, false);
	fiber_enter(&shard->sp, fiber->sp, shard->fibers.control);
	sanitizer_enter(&shard->fibers.reactor, &fiber->sanitizer);
}

static inline void park(struct shard *shard, struct mn_fiber *fiber)
{
	shard->fiber = NULL;
	sanitizer_leave(&fiber->sanitizer, &shard->fibers.reactor, false);
	fiber_switch(&fiber->sp, shard->sp);
	sanitizer_enter(&fiber->sanitizer, &shard->fibers.reactor);
}

void fiber_park_in(void (*cancel)(void *obj), void *obj, const char *function)
{
	struct shard *shard = mn_self;
	struct mn_fiber *fiber = shard->fiber;

	fiber->wait = function;
	fiber->since_ns = shard->now_ns;
	fiber->cancel = cancel;
	fiber->cancel_obj = obj;
	park(shard, fiber);
}

/* Apart, so that the other one calls nothing and needs no frame. */
static __noinline void yield_in_group(struct shard *shard, struct mn_fiber *fiber)
{
	sched_push(shard, &fiber->task);
	park(shard, fiber);
}

void mn_yield(void)
{
	struct shard *shard = mn_self;
	struct mn_fiber *fiber = shard->fiber;

	if (IS_ENABLED(CONFIG_DEBUG) && !fiber)
		bug("yielding is for fibers; a task was running", HERE);
	if (fiber->task.group) {
		yield_in_group(shard, fiber);
		return;
	}
	runq_push(&shard->runq, &fiber->task);
	park(shard, fiber);
}

int fiber_spawn_from(struct shard *shard, mn_fiber_fn fn, void *arg, size_t copy_size,
		     struct mn_fiber **handle, const void *from)
{
	struct fiber_pool *pool = &shard->fibers;
	struct mn_fiber *fiber = pool->free;
	void *top;

	if (copy_size > FIBER_COPY_MAX)
		return -E2BIG;
	if (fiber) {
		pool->free = fiber->next;
		pool->nr_free--;
	} else {
		fiber = fiber_create(pool);
		if (!fiber)
			return -ENOMEM;
	}
	mn_task_init(&fiber->task, fiber_resume);
	fiber->task.group = shard->group;
	fiber->cancel = NULL;
	fiber->wait = NULL;
	fiber->stop = 0;
	fiber->asked = 0;
	fiber->scope = NULL;
	fiber->home = NULL;
	fiber->detached = !handle;
	fiber->ended = false;
	fiber->fn = fn;
	fiber->from = from;
	fiber->arg = arg;
	fiber->name = NULL;
	fiber->nr_held = 0;
	mn_future_init(&fiber->done);
	future_made(&fiber->done, "a place in the runtime");
	top = fiber;
	if (copy_size) {
		top = (void *)ALIGN_DOWN((uintptr_t)fiber - copy_size, COLOUR_LINE);
		fiber->arg = arg ? memcpy(top, arg, copy_size) : top;
	}
	sanitizer_renew(&fiber->sanitizer);
	fiber->sp = fiber_prepare(top, fiber_main, pool->control);
	pool->nr_live++;
	stats_add(shard, STAT_FIBERS, 1);
	task_schedule(shard, &fiber->task);
	if (handle)
		*handle = fiber;
	return 0;
}

int fiber_spawn_here(mn_fiber_fn fn, void *arg, struct mn_fiber **fiber, const void *from)
{
	struct shard *shard = mn_self;
	struct mn_fiber *self = shard->fiber;

	if (self && self->scope)
		return scope_spawn(self->scope, fn, arg, fiber, from);
	return fiber_spawn_from(shard, fn, arg, 0, fiber, from);
}

int(mn_spawn)(mn_fiber_fn fn, void *arg, struct mn_fiber **fiber)
{
	return fiber_spawn_here(fn, arg, fiber, FIBER_FROM);
}

/* fiber_wait(), inlined: one call less is one mispredicted return less. */
int mn_join(struct mn_fiber *fiber)
{
	struct shard *shard = mn_self;
	struct mn_fiber *self = shard->fiber;
	int ret;

	FUTURE_BUG_ON(&fiber->done, !self, "a task joined a fiber; waiting is for fibers");
	FUTURE_BUG_ON(&fiber->done, fiber->detached, "a fiber was joined that is detached");
	self->wait = __func__;
	self->since_ns = shard->now_ns;
	while (!mn_future_ready(&fiber->done)) {
		future_attach(&fiber->done, &self->task);
		park(shard, self);
	}
	ret = (int)mn_future_take(&fiber->done);
	fiber_free(&shard->fibers, fiber);
	return ret;
}

void fiber_stop(struct mn_fiber *fiber, int why)
{
	void (*cancel)(void *obj) = fiber->cancel;

	fiber->stop = fiber_stopped(fiber, why);
	/* One that will run anyway looks for itself. */
	if (!cancel || fiber->task.queued)
		return;
	fiber->cancel = NULL;
	cancel(fiber->cancel_obj);
}

void mn_fiber_cancel(struct mn_fiber *fiber)
{
	fiber_cancel(fiber, -ECANCELED);
}

/* No list of fibers: adding to one and taking out would touch others' lines each time. */
struct mn_fiber *fiber_next(const struct fiber_pool *pool, struct fiber_cursor *at)
{
	size_t guard = guard_size();

	if (!at->begun)
		*at = (struct fiber_cursor){ .slab = pool->slabs, .begun = true };
	for (; at->slab; at->slab = at->slab->next, at->i = 0)
		if (at->i < at->slab->nr_cut) {
			char *low = at->slab->base + at->i++ * at->slab->stride + guard;

			return fiber_at(low, at->slab->stride - guard);
		}
	return NULL;
}

static void for_each_fiber(struct fiber_pool *pool, void (*fn)(struct mn_fiber *fiber))
{
	struct fiber_cursor at = { .begun = false };
	struct mn_fiber *fiber;

	while ((fiber = fiber_next(pool, &at)))
		fn(fiber);
}

/* Those that were started in a scope hear of it from there, unless a shield keeps it away. */
static void cancel_live(struct mn_fiber *fiber)
{
	if (!fiber->ended && !fiber->home)
		mn_fiber_cancel(fiber);
}

/* Cancelling only schedules tasks, so that no fiber starts or ends meanwhile. */
void fiber_cancel_all(struct shard *shard)
{
	for_each_fiber(&shard->fibers, cancel_live);
}

static void report_fiber(const char *name, const char *origin)
{
	if (origin)
		mn_err("fiber %s has not ended; it was spawned at %s", name, origin);
	else
		mn_err("fiber %s has not ended", name);
}

static void report_live(struct mn_fiber *fiber)
{
	if (!fiber->ended && fiber != mn_fiber_self())
		report_fiber(fiber->name ? fiber->name : "(unnamed)", future_origin(&fiber->done));
}

void fiber_report(struct shard *shard)
{
	for_each_fiber(&shard->fibers, report_live);
}

struct mn_fiber *mn_fiber_self(void)
{
	return mn_self ? mn_self->fiber : NULL;
}

bool mn_fiber_canceled(void)
{
	return mn_self->fiber->stop;
}

void mn_fiber_name(const char *name)
{
	mn_self->fiber->name = name;
}

void fiber_pool_open(struct fiber_pool *pool)
{
	*pool = (struct fiber_pool){ .control = fiber_control(), .guard = GUARD_UNKNOWN };
}

static void fiber_close(struct mn_fiber *fiber)
{
	sanitizer_close(&fiber->sanitizer);
}

void fiber_pool_close(struct fiber_pool *pool)
{
	if (IS_ENABLED(CONFIG_FIBER_HIGHWATER) && pool->deepest)
		mn_info("deepest fiber stack: %zu bytes, by %s", pool->deepest, pool->deepest_name);
	for_each_fiber(pool, fiber_close);
	stack_close(pool);
}
