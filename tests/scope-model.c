// SPDX-License-Identifier: MIT
/*
 * The tree of scopes against a model of it, at random, in virtual time. Fibers
 * do what the test tells them, one thing at a time; the model is told, too.
 *
 * The implementation sends a stop inwards, along links that point outwards.
 * The model has no links: whenever something stops, it asks each level of the
 * tree whether it is inside of that, by walking outwards until a shield.
 */

#include <miniss/miniss.h>

#include "core/future.h"
#include "core/shard.h"
#include "tests/scope.h"
#include "tests/stress.h"
#include "tests/suites.h"
#include "tests/world.h"

#define FIBERS	20
#define SCOPES	40
#define PARTS	12
#define STEPS	(IS_ENABLED(CONFIG_DEBUG) ? 3000 : 20000)

/* What has a reason of its own to stop: a scope, or a fiber outside of those that it opened. */
struct level {
	bool used, shield;
	int stop;
	struct level *outward;	/* NULL: nothing is around it */
};

struct node_scope {
	struct level level;
	struct mn_scope scope;
	bool keep_going;
	int err;
	unsigned int nr_inside;		/* children and parts */
	int64_t deadline_ns;		/* MN_NEVER: none */
};

enum what { END, OPEN, JOIN, BLOCK, SPAWN, CANCEL, BEGIN, FINISH };

struct node_fiber {
	struct level level;
	struct level *top;		/* the innermost of it */
	enum { IDLE, BLOCKED, JOINING } state;
	unsigned int nr_expected;	/* things that it has done */
	int64_t expected;		/* the result of the last */

	/* what it is to do, and has done */
	struct mn_fiber *fiber;
	struct mn_future order, never;
	enum what what;
	struct node_scope *scope;
	struct mn_scope_options options;
	struct node_fiber *child;
	struct node_part *part;
	unsigned int nr_done;
	int64_t res;
};

struct node_part {
	struct mn_scope_part part;
	struct node_scope *scope;	/* NULL: it is not in use */
	unsigned int nr_told;
};

static struct mn_world world;
static uint64_t seed;
static struct node_fiber fibers[FIBERS];	/* the first is never stopped itself */
static struct node_scope scopes[SCOPES];
static struct node_part parts[PARTS];

static uint64_t any(uint64_t n)
{
	return stress_random(&seed, n);
}

static void settle_all(void)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		bool busy = false;

		for (unsigned int i = world.nr_shards; i-- > 0;)
			busy |= shard_step(world.shards[i], false);
		if (busy)
			quiet = 0;
	}
}

/* ---- the fibers ---- */

static void part_told(struct mn_task *task)
{
	container_of(task, struct node_part, part.stop)->nr_told++;
}

static int fiber_main(void *arg)
{
	struct node_fiber *f = arg;

	f->fiber = mn_fiber_self();
	for (;;) {
		f->res = fiber_wait(&f->order);
		mn_future_init(&f->order);
		switch (f->what) {
		case END:
			f->fiber = NULL;
			return (int)f->res;
		case OPEN:
			mn_scope_open(&f->scope->scope, &f->options);
			break;
		case JOIN:
			f->res = mn_scope_join(&f->scope->scope);
			break;
		case BLOCK:
			f->res = mn_await(&f->never);
			break;
		case SPAWN:
			f->res = mn_scope_spawn(&f->scope->scope, fiber_main, f->child);
			break;
		case CANCEL:
			mn_scope_cancel(&f->scope->scope);
			break;
		case BEGIN:
			f->res = mn_scope_begin(&f->scope->scope, &f->part->part, part_told);
			break;
		case FINISH:
			mn_scope_end(&f->part->part, (int)f->res);
			break;
		}
		f->nr_done++;
	}
}

static void tell(struct node_fiber *f, enum what what, int64_t res)
{
	f->what = what;
	mn_future_resolve(&f->order, res);
	f->expected = res;
	f->nr_expected += what != END;
}

/* ---- the model ---- */

static bool inside(const struct level *level, const struct level *of)
{
	for (; level != of; level = level->outward)
		if (level->shield || !level->outward)
			return false;
	return true;
}

static void model_stop(struct level *at, int why)
{
	if (at->stop)
		return;
	for (int i = 0; i < FIBERS; i++)
		if (fibers[i].level.used && !fibers[i].level.stop && inside(&fibers[i].level, at))
			fibers[i].level.stop = why;
	for (int i = 0; i < SCOPES; i++)
		if (scopes[i].level.used && &scopes[i].level != at && !scopes[i].level.stop &&
		    inside(&scopes[i].level, at))
			scopes[i].level.stop = why;
	at->stop = why;
}

static struct node_scope *scope_of(struct level *level)
{
	for (int i = 0; i < SCOPES; i++)
		if (&scopes[i].level == level)
			return &scopes[i];
	return NULL;
}

static void model_left(struct node_scope *scope, int res)
{
	scope->nr_inside--;
	if (res >= 0 || scope->err)
		return;
	scope->err = res;
	if (!scope->keep_going)
		model_stop(&scope->level, -ECANCELED);
}

/* Waits that are over by now. */
static void model_settle(void)
{
	for (int i = 0; i < FIBERS; i++) {
		struct node_fiber *f = &fibers[i];

		if (f->state == BLOCKED && f->top->stop) {
			f->state = IDLE;
			f->expected = f->top->stop;
		} else if (f->state == JOINING && !f->scope->nr_inside) {
			f->state = IDLE;
			f->expected = f->scope->err;
			f->scope->level.used = false;
			f->top = f->scope->level.outward;
		}
	}
}

static void compare(int step)
{
	settle_all();
	model_settle();
	for (int i = 0; i < FIBERS; i++) {
		const struct node_fiber *f = &fibers[i];
		unsigned int nr_waits = f->state != IDLE;

		ck_assert_msg(f->level.used == !!f->fiber, "step %d: fiber %d lives: %d", step, i,
			      !!f->fiber);
		if (!f->level.used)
			continue;
		ck_assert_msg(f->fiber->stop == f->top->stop,
			      "step %d: fiber %d stops by %d, not %d", step, i, f->fiber->stop,
			      f->top->stop);
		ck_assert_msg(f->nr_done + nr_waits == f->nr_expected,
			      "step %d: fiber %d did %u, not %u, things", step, i, f->nr_done,
			      f->nr_expected - nr_waits);
		ck_assert_msg(nr_waits || f->res == f->expected, "step %d: fiber %d got %d, not %d",
			      step, i, (int)f->res, (int)f->expected);
	}
	for (int i = 0; i < SCOPES; i++)
		if (scopes[i].level.used)
			ck_assert_msg(scopes[i].scope.stop == scopes[i].level.stop &&
					      scopes[i].scope.err == scopes[i].err,
				      "step %d: scope %d stops by %d, not %d; failed by %d, not %d",
				      step, i, scopes[i].scope.stop, scopes[i].level.stop,
				      scopes[i].scope.err, scopes[i].err);
	for (int i = 0; i < PARTS; i++)
		if (parts[i].scope)
			ck_assert_uint_eq(parts[i].nr_told, !!parts[i].scope->level.stop);
}

/* ---- steps ---- */

static bool owns_top(const struct node_fiber *f)
{
	return f->top != &f->level;
}

/* One that this fiber is in, its own or further out, or NULL. */
static struct node_scope *scope_around(const struct node_fiber *f)
{
	struct node_scope *found[SCOPES];
	unsigned int n = 0;

	for (struct level *level = f->top; level; level = level->outward)
		if (scope_of(level))
			found[n++] = scope_of(level);
	return n ? found[any(n)] : NULL;
}

static void do_open(struct node_fiber *f)
{
	struct node_scope *scope = &scopes[any(SCOPES)];
	int64_t now_ns = mem_clock_now(&world), after_ns = (int64_t)any(20) * MN_MSEC + MN_MSEC / 2;

	if (scope->level.used)
		return;
	f->options = (struct mn_scope_options){ .shield = !any(5), .keep_going = !any(3) };
	*scope = (struct node_scope){
		.level = { .used = true, .shield = f->options.shield, .outward = f->top },
		.keep_going = f->options.keep_going,
		.deadline_ns = MN_NEVER,
	};
	if (!any(3)) {
		scope->deadline_ns = now_ns + after_ns;
		if (any(2))
			f->options.deadline_ns = now_ns + after_ns;
		else
			f->options.timeout_ns = after_ns;
	}
	scope->level.stop = scope->level.shield ? 0 : f->top->stop;
	f->scope = scope;
	f->top = &scope->level;
	tell(f, OPEN, 0);
}

static void do_spawn(struct node_fiber *f)
{
	struct node_fiber *child = &fibers[any(FIBERS)];
	struct node_scope *scope = scope_around(f);

	if (!scope || child->level.used)
		return;
	*child = (struct node_fiber){ .state = IDLE };
	mn_future_init(&child->order);
	mn_future_init(&child->never);
	f->scope = scope;
	f->child = child;
	tell(f, SPAWN, 0);
	f->expected = scope->level.stop;
	if (f->expected)
		return;
	child->level = (struct level){ .used = true, .outward = &scope->level };
	child->top = &child->level;
	scope->nr_inside++;
}

static void do_join(struct node_fiber *f)
{
	if (!owns_top(f))
		return;
	f->scope = scope_of(f->top);
	f->state = JOINING;
	tell(f, JOIN, 0);
}

static void do_end(struct node_fiber *f, int res)
{
	struct level *home = f->level.outward;

	if (owns_top(f))
		return;
	tell(f, END, res);
	f->level.used = false;
	if (home)
		model_left(scope_of(home), res);
}

static void do_part(struct node_fiber *f)
{
	struct node_part *part = &parts[any(PARTS)];
	struct node_scope *scope = part->scope;
	int res = any(3) ? 0 : -EPROTO;

	f->part = part;
	if (scope) {
		part->scope = NULL;
		tell(f, FINISH, res);
		model_left(scope, res);
		return;
	}
	f->scope = scope_around(f);
	if (!f->scope)
		return;
	part->nr_told = 0;
	tell(f, BEGIN, 0);
	f->expected = f->scope->level.stop;
	if (f->expected)
		return;
	part->scope = f->scope;
	part->scope->nr_inside++;
}

static int cancel_there(void *scope)
{
	mn_scope_cancel(scope);
	return 0;
}

/* By any fiber, by a task, or from the other shard. */
static void do_cancel(struct node_fiber *f)
{
	struct node_scope *scope = &scopes[any(SCOPES)];

	if (!scope->level.used)
		return;
	switch (any(3)) {
	case 0:
		f->scope = scope;
		tell(f, CANCEL, 0);
		break;
	case 1:
		mn_scope_cancel(&scope->scope);
		break;
	default:
		mn_self = world.shards[world.nr_shards - 1];
		ck_assert_int_eq(fiber_spawn(mn_self, cancel_there, &scope->scope, 0, NULL), 0);
		settle_all();
		break;
	}
	model_stop(&scope->level, -ECANCELED);
}

static void do_cancel_fiber(struct node_fiber *by)
{
	struct node_fiber *f = &fibers[1 + any(FIBERS - 1)];

	if (!f->level.used)
		return;
	mn_fiber_cancel(f->fiber);
	model_stop(&f->level, -ECANCELED);
}

static void do_tick(struct node_fiber *by)
{
	mem_clock_advance(&world, MN_MSEC);
	for (int i = 0; i < SCOPES; i++)
		if (scopes[i].level.used && scopes[i].deadline_ns <= mem_clock_now(&world))
			model_stop(&scopes[i].level, -ETIMEDOUT);
}

static void do_end_somehow(struct node_fiber *f)
{
	if (f != fibers)
		do_end(f, any(4) ? 0 : -EIO);
}

static void do_block(struct node_fiber *f)
{
	f->state = BLOCKED;
	tell(f, BLOCK, 0);
}

static void (*const things[])(struct node_fiber *f) = {
	do_spawn,	do_spawn, do_spawn, do_open,   do_open,		do_join,
	do_end_somehow, do_block, do_part,  do_cancel, do_cancel_fiber, do_tick,
};

/* One that nothing stops is let go on by what it waits for. */
static void unblock(struct node_fiber *f)
{
	mn_future_resolve(&f->never, 0);
	compare(-1);
	mn_future_reset(&f->never);
}

static void wind_down(void)
{
	for (int i = 0; i < PARTS; i++)
		if (parts[i].scope) {
			struct node_scope *scope = parts[i].scope;

			parts[i].scope = NULL;
			mn_scope_end(&parts[i].part, 0);
			model_left(scope, 0);
		}
	compare(-1);
	for (int round = 0; fibers[0].level.used; round++) {
		struct node_fiber *f = &fibers[FIBERS - 1 - round % FIBERS];

		ck_assert_int_lt(round, 100 * FIBERS);
		if (!f->level.used || f->state == JOINING)
			continue;
		if (f->state == BLOCKED) {
			f->state = IDLE;
			f->expected = 0;
			unblock(f);
		}
		if (owns_top(f))
			do_join(f);
		else
			do_end(f, 0);
		compare(-1);
	}
}

START_TEST(the_tree_of_scopes_does_as_its_model)
{
	struct node_fiber *root = &fibers[0];
	int nr_stopped = 0;

	seed = (uint64_t)_i;
	world = (struct mn_world){ .fn = NULL };
	if (!world_begin(&world, "mem", 2))
		return;
	root->level.used = true;
	root->top = &root->level;
	mn_future_init(&root->order);
	mn_future_init(&root->never);
	ck_assert_int_eq(fiber_spawn(mn_self, fiber_main, root, 0, NULL), 0);
	compare(0);
	for (int step = 0; step < STEPS; step++) {
		struct node_fiber *f = &fibers[any(4) ? any(FIBERS) : 0];

		if (!f->level.used || f->state == JOINING)
			continue;
		if (f->state == BLOCKED && !any(8)) {
			f->state = IDLE;
			f->expected = 0;
			unblock(f);
		} else if (f->state == IDLE) {
			things[any(ARRAY_SIZE(things))](f);
			compare(step);
			nr_stopped += f->level.used && f->top->stop;
		}
	}
	ck_assert_int_gt(nr_stopped, STEPS / 100);
	wind_down();
	settle_all();
	ck_assert_uint_eq(world.shards[0]->fibers.nr_live, 0);
	world_end(&world);
}
END_TEST

TCase *tcase_scope_model(void)
{
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, the_tree_of_scopes_does_as_its_model, 1, 7);
	return tc;
}
