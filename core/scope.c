// SPDX-License-Identifier: MIT
/*
 * Scopes, and how a stop spreads.
 *
 * Scopes and fibers are a tree. A fiber has opened a stack of scopes, each in
 * the one before, the first in the scope that it was started in, its home; a
 * scope has the fibers that were started in it. The links point outwards, so
 * that opening a scope writes to nothing but the scope and its fiber.
 *
 * Each level of that stack has its reason to stop: the bottom fiber->asked,
 * the others scope->stop; fiber->stop is that of the top one, and all that
 * waits look at. A level that stops stops those above it in the same fiber up
 * to a shield, and each of these scopes stops its children, at the bottom of
 * their own stacks, and has its parts told, by a task each. What has a reason
 * keeps it: all inside of it has one.
 *
 * Deadlines wait in a list until the tasks of the turn have run: what is over by
 * then has not seen the timer queue.
 */
#include <errno.h>

#include "backends/backend.h"
#include "core/scope.h"
#include "core/shard.h"
#include "smp/call.h"

/* ---- stopping ---- */

static void scope_mark(struct mn_scope *scope, int why, struct mn_scope **work)
{
	if (scope->stop)
		return;
	scope->stop = why;
	scope->work = *work;
	*work = scope;
}

/* What of a fiber's stack is above @level (its home: all of it) and has no shield below. */
static struct mn_scope *scope_exposed(const struct mn_fiber *fiber, const struct mn_scope *level)
{
	struct mn_scope *top = fiber->scope;

	for (struct mn_scope *scope = fiber->scope; scope != level; scope = scope->parent)
		if (scope->shield)
			top = scope->parent;
	return top;
}

static void fiber_spread(struct mn_fiber *fiber, struct mn_scope *level, int why,
			 struct mn_scope **work)
{
	struct mn_scope *top = scope_exposed(fiber, level);

	for (struct mn_scope *scope = top; scope != level; scope = scope->parent)
		scope_mark(scope, why, work);
	if (top == fiber->scope)
		fiber_stop(fiber, why);
}

/* No recursion: a tree may be deeper than a stack. Nothing here runs a fiber, starts or ends one. */
static void spread(struct mn_scope *work, int why)
{
	while (work) {
		struct mn_scope *scope = work;

		work = scope->work;
		for (struct mn_fiber *child = scope->children; child; child = child->sibling) {
			child->asked = child->asked ? child->asked : why;
			fiber_spread(child, scope, why, &work);
		}
		for (struct mn_scope_part *part = scope->parts; part; part = part->next)
			task_schedule(mn_self, &part->stop);
	}
}

void scope_stop(struct mn_scope *scope, int why)
{
	struct mn_scope *work = NULL;

	if (scope->stop)
		return;
	scope_mark(scope, why, &work);
	fiber_spread(scope->owner, scope, why, &work);
	spread(work, why);
}

void fiber_cancel(struct mn_fiber *fiber, int why)
{
	struct mn_scope *work = NULL;

	fiber->asked = fiber->asked ? fiber->asked : why;
	fiber_spread(fiber, fiber->home, why, &work);
	spread(work, why);
}

static int cancel_here(void *scope)
{
	scope_stop(scope, -ECANCELED);
	return 0;
}

void mn_scope_cancel(struct mn_scope *scope)
{
	if (scope->shard == mn_self->id)
		scope_stop(scope, -ECANCELED);
	else
		while (shard_call(scope->shard, cancel_here, scope))
			mn_yield();	/* it had no memory for a stack */
}

/* ---- deadlines ---- */

static void scope_due(struct mn_task *task)
{
	scope_stop(container_of(mn_timer_of(task), struct mn_scope, timer), -ETIMEDOUT);
}

static void unarmed_add(struct shard *shard, struct mn_scope *scope)
{
	scope->unarmed = shard->scopes_unarmed;
	if (scope->unarmed)
		scope->unarmed->punarmed = &scope->unarmed;
	scope->punarmed = &shard->scopes_unarmed;
	shard->scopes_unarmed = scope;
}

static void unarmed_del(struct mn_scope *scope)
{
	*scope->punarmed = scope->unarmed;
	if (scope->unarmed)
		scope->unarmed->punarmed = scope->punarmed;
	scope->punarmed = NULL;
}

void scopes_arm(struct shard *shard)
{
	struct mn_scope *scope;

	while ((scope = shard->scopes_unarmed)) {
		unarmed_del(scope);
		mn_timer_init(&scope->timer, scope_due);
		mn_timer_arm(&scope->timer, scope->deadline_ns, 0);
	}
}

static int64_t deadline_of(const struct mn_scope_options *options)
{
	int64_t deadline_ns = options->deadline_ns ? options->deadline_ns : MN_NEVER, now_ns;

	if (!options->timeout_ns)
		return deadline_ns;
	now_ns = backend_now(mn_self->be);
	if (options->timeout_ns > MN_NEVER - now_ns)
		return deadline_ns;
	return min(deadline_ns, now_ns + options->timeout_ns);
}

/* One that is not before the deadline around it needs no timer: that one stops it, too. */
static void deadline_begin(struct mn_scope *scope, const struct mn_scope_options *options)
{
	int64_t own_ns = deadline_of(options);

	scope->timed = own_ns < scope->deadline_ns;
	if (!scope->timed)
		return;
	scope->deadline_ns = own_ns;
	unarmed_add(mn_self, scope);
}

static void deadline_end(struct mn_scope *scope)
{
	if (scope->punarmed)
		unarmed_del(scope);
	else
		mn_timer_cancel(&scope->timer);
}

/* ---- life ---- */

static const struct mn_scope_options usual;

void mn_scope_open_at(struct mn_scope *scope, const struct mn_scope_options *options,
		      const char *where)
{
	struct mn_fiber *fiber = mn_self->fiber;

	if (!options)
		options = &usual;
	BUG_ON(!fiber);
	scope->parent = fiber->scope;
	scope->owner = fiber;
	scope->children = NULL;
	scope->parts = NULL;
	scope->where = where;
	scope->stop = options->shield ? 0 : fiber->stop;
	scope->err = 0;
	scope->shard = mn_self->id;
	scope->keep_going = options->keep_going;
	scope->shield = options->shield;
	scope->joining = false;
	scope->timed = false;
	scope->deadline_ns = scope->parent && !scope->shield ? scope->parent->deadline_ns :
							       MN_NEVER;
	if (options->deadline_ns || options->timeout_ns)
		deadline_begin(scope, options);
	fiber->scope = scope;
	fiber->stop = scope->stop;
	fiber->where = where;
}

/* Only debug builds look. */
static bool inside(const struct mn_fiber *fiber, const struct mn_scope *scope)
{
	const struct mn_scope *at = fiber ? fiber->scope : NULL;

	while (at && at != scope)
		at = at->parent;
	return at;
}

int scope_spawn(struct mn_scope *scope, mn_fiber_fn fn, void *arg, struct mn_fiber **handle,
		const void *from)
{
	struct mn_fiber *fiber;
	int err;

	if (scope->stop)
		return scope->stop;
	err = fiber_spawn_from(mn_self, fn, arg, 0, &fiber, from);
	if (err)
		return err;
	fiber->scope = fiber->home = scope;
	fiber->detached = !handle;
	fiber->sibling = scope->children;
	if (fiber->sibling)
		fiber->sibling->psibling = &fiber->sibling;
	fiber->psibling = &scope->children;
	scope->children = fiber;
	if (handle)
		*handle = fiber;
	return 0;
}

int(mn_scope_spawn)(struct mn_scope *scope, mn_fiber_fn fn, void *arg)
{
	if (IS_ENABLED(CONFIG_DEBUG) && !inside(mn_self->fiber, scope))
		bug("a fiber is started in a scope from outside of it, opened", scope->where);
	return scope_spawn(scope, fn, arg, NULL, FIBER_FROM);
}

/* A child or a part has left: was it the last that was waited for? */
static inline void scope_left(struct mn_scope *scope)
{
	if (!scope->children && scope->joining && !scope->parts)
		task_schedule(mn_self, &scope->owner->task);
}

static inline void scope_result(struct mn_scope *scope, int res)
{
	if (res >= 0 || scope->err)
		return;
	scope->err = res;
	if (!scope->keep_going)
		scope_stop(scope, -ECANCELED);
}

int scope_ends(struct mn_fiber *fiber, int res)
{
	struct mn_scope *scope = fiber->scope;

	/* The scope itself may be gone, with the frame that it was in. */
	if (scope != fiber->home)
		bug("a fiber has ended inside of the scope that it opened", fiber->where);
	*fiber->psibling = fiber->sibling;
	if (fiber->sibling)
		fiber->sibling->psibling = fiber->psibling;
	scope_left(scope);
	if (!fiber->detached)
		return res;
	scope_result(scope, res);
	return 0;
}

int mn_scope_begin(struct mn_scope *scope, struct mn_scope_part *part, mn_task_fn stop)
{
	BUG_ON(scope->shard != mn_self->id);
	if (scope->stop)
		return scope->stop;
	mn_task_init(&part->stop, stop);
	part->stop.group = mn_self->group;
	part->scope = scope;
	part->next = scope->parts;
	if (part->next)
		part->next->pnext = &part->next;
	part->pnext = &scope->parts;
	scope->parts = part;
	return 0;
}

void mn_scope_end(struct mn_scope_part *part, int res)
{
	struct mn_scope *scope = part->scope;

	BUG_ON(scope->shard != mn_self->id);
	task_unqueue(mn_self, &part->stop);
	*part->pnext = part->next;
	if (part->next)
		part->next->pnext = part->pnext;
	scope_left(scope);
	scope_result(scope, res);
}

int mn_scope_join(struct mn_scope *scope)
{
	struct mn_fiber *fiber = mn_self->fiber;
	struct mn_scope *parent = scope->parent;

	if (scope->owner != fiber)
		bug("a fiber leaves a scope of another, opened", scope->where);
	if (fiber->scope != scope)
		bug("a fiber leaves a scope around one that is still open, opened", fiber->where);
	while (scope->children || scope->parts) {
		scope->joining = true;
		fiber_park(NULL, NULL);
	}
	if (scope->timed)
		deadline_end(scope);
	fiber->scope = parent;
	if (parent == fiber->home) {
		fiber->stop = fiber->asked;
	} else {
		fiber->stop = parent->stop;
		fiber->where = parent->where;
	}
	return scope->err;
}
