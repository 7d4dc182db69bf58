// SPDX-License-Identifier: MIT
/*
 * Random trees of combinators against a model, which knows from the leaves
 * what the root's result is and when it is there. All trees begin at once; the
 * same trees are then cancelled, and stopped and freed, at random times.
 */
#include <stdlib.h>

#include "core/random.h"
#include "tests/combine.h"
#include "tests/suites.h"
#include "timers/timer_queue.h"

#define TREES		300
#define FANOUT		3
#define DEPTH_MAX	4

enum kind { LEAF, MAP, CATCH, THEN, OR_ELSE, FINALLY, ALL, ANY, TIMED, NR_KINDS };

struct node {
	enum kind kind;
	struct node *child[FANOUT];
	int nr_children;
	struct mn_step step;
	struct mn_when_all all;
	struct mn_when_any any;
	struct mn_timed timed;
	struct mn_input wait[FANOUT];
	struct later leaf;	/* a leaf's; what THEN and others start */
	int64_t ns, result;	/* of that; the limit of TIMED */
};

/* When something is resolved, and with what. */
struct outcome {
	int64_t at_ns, result;
};

static uint64_t below(uint64_t n)
{
	return random_below(mn_self, n);
}

/* Of 2^20 ms: two that meet within a tick are hardly to be had. */
static int64_t random_ns(void)
{
	return (int64_t)(1 + below(UINT64_C(1) << 20)) * MN_MSEC;
}

static struct node *node_new(int levels)
{
	struct node *node = calloc(1, sizeof(*node));

	node->kind = levels ? below(NR_KINDS) : LEAF;
	node->ns = random_ns();
	node->result = below(3) ? (int64_t)below(1000) : -1 - (int64_t)below(100);
	if (node->kind == ALL || node->kind == ANY)
		node->nr_children = 1 + (int)below(FANOUT);
	else
		node->nr_children = node->kind != LEAF;
	for (int i = 0; i < node->nr_children; i++)
		node->child[i] = node_new(levels - 1);
	return node;
}

static int64_t mapped(void *arg, int64_t res)
{
	const struct node *node = arg;

	return node->result + res % 7;
}

static struct mn_future *leaf_start(void *arg, int64_t res)
{
	struct node *node = arg;

	return later_start(&node->leaf, node->ns, node->result);
}

static struct mn_future *node_start(struct node *node)
{
	struct mn_future *f[FANOUT];

	for (int i = 0; i < node->nr_children; i++)
		f[i] = node_start(node->child[i]);
	switch (node->kind) {
	case LEAF:
		return leaf_start(node, 0);
	case MAP:
		return mn_map(&node->step, f[0], mapped, node);
	case CATCH:
		return mn_catch(&node->step, f[0], mapped, node);
	case THEN:
		return mn_then(&node->step, f[0], leaf_start, node);
	case OR_ELSE:
		return mn_or_else(&node->step, f[0], leaf_start, node);
	case FINALLY:
		return mn_finally(&node->step, f[0], leaf_start, node);
	case ALL:
		return mn_when_all(&node->all, node->wait, f, (size_t)node->nr_children);
	case ANY:
		return mn_when_any(&node->any, node->wait, f, (size_t)node->nr_children);
	default:
		return mn_with_timeout(&node->timed, f[0], node->ns);
	}
}

static struct mn_combine *node_combine(struct node *node)
{
	switch (node->kind) {
	case LEAF:
		return NULL;
	case ALL:
		return &node->all.combine;
	case ANY:
		return &node->any.combine;
	case TIMED:
		return &node->timed.combine;
	default:
		return &node->step.combine;
	}
}

/* ---- the model ---- */

static struct outcome model(const struct node *node);

static struct outcome model_all(const struct node *node)
{
	struct outcome all = { 0, 0 };

	for (int i = 0; i < node->nr_children; i++) {
		struct outcome o = model(node->child[i]);

		all.at_ns = max(all.at_ns, o.at_ns);
		if (o.result < 0 && !all.result)
			all.result = o.result;
	}
	return all;
}

static struct outcome model_any(const struct node *node)
{
	struct outcome any = { INT64_MAX, 0 };

	for (int i = 0; i < node->nr_children; i++) {
		struct outcome o = model(node->child[i]);

		if (o.at_ns < any.at_ns)
			any = (struct outcome){ o.at_ns, i };
	}
	return any;
}

static struct outcome model(const struct node *node)
{
	struct outcome own = { node->ns, node->result }, o;

	if (node->kind == LEAF)
		return own;
	if (node->kind == ALL)
		return model_all(node);
	if (node->kind == ANY)
		return model_any(node);
	o = model(node->child[0]);
	if (node->kind == TIMED)
		return o.at_ns <= node->ns ? o : (struct outcome){ node->ns, -ETIMEDOUT };
	if (node->kind == FINALLY)
		return (struct outcome){ o.at_ns + node->ns,
					 o.result >= 0 && own.result < 0 ? own.result : o.result };
	if ((o.result >= 0) != (node->kind == MAP || node->kind == THEN))
		return o;
	if (node->kind == MAP || node->kind == CATCH)
		return (struct outcome){ o.at_ns, mapped((void *)(uintptr_t)node, o.result) };
	return (struct outcome){ o.at_ns + node->ns, own.result };
}

/* ---- the trees ---- */

struct tree {
	struct node *root;
	struct mn_future *done;
	struct mn_task task;
	struct outcome seen;
	int times;
};

static void tree_seen(struct mn_task *task)
{
	struct tree *tree = container_of(task, struct tree, task);

	tree->seen = (struct outcome){ mn_now(), mn_future_take(tree->done) };
	tree->times++;
}

/* From the root on, as who gives one up has to. */
static void node_stop(struct node *node)
{
	struct mn_combine *combine = node_combine(node);

	if (combine) {
		if (mn_future_ready(&combine->done))
			mn_future_take(&combine->done);	/* or a debug build says so of each */
		mn_combine_stop(combine);
	}
	for (int i = 0; i < node->nr_children; i++)
		node_stop(node->child[i]);
	later_stop(&node->leaf);
	free(node);
}

static void trees_start(struct tree *trees)
{
	for (int i = 0; i < TREES; i++) {
		trees[i] = (struct tree){ .root = node_new(1 + i % DEPTH_MAX) };
		trees[i].done = node_start(trees[i].root);
		mn_future_then(trees[i].done, &trees[i].task, tree_seen);
	}
}

static void trees_stop(struct tree *trees)
{
	for (int i = 0; i < TREES; i++)
		if (trees[i].root)
			node_stop(trees[i].root);
	combine_run();
	ck_assert_uint_eq(mn_self->tq->nr_armed, 0);
	free(trees);
}

/* Each timer in its turn, until there is none. */
static void run_to_the_end(int64_t until_ns)
{
	int64_t next_ns;

	combine_run();
	while ((next_ns = timer_queue_next(mn_self->tq)) <= until_ns) {
		mem_clock_set(mn_self->world, next_ns);
		combine_run();
	}
}

START_TEST(random_trees_do_as_the_model_says)
{
	struct tree *trees = malloc(TREES * sizeof(*trees));
	int64_t from_ns = mem_clock_now(mn_self->world);

	random_seed(mn_self, (uint64_t)_i);
	trees_start(trees);
	run_to_the_end(MN_NEVER - 1);
	for (int i = 0; i < TREES; i++) {
		struct outcome expected = model(trees[i].root);

		ck_assert_int_eq(trees[i].times, 1);
		ck_assert_msg(trees[i].seen.result == expected.result,
			      "seed %d, tree %d: %lld, not %lld", _i, i,
			      (long long)trees[i].seen.result, (long long)expected.result);
		ck_assert_int_ge(trees[i].seen.at_ns - from_ns, expected.at_ns);
		ck_assert_int_lt(trees[i].seen.at_ns - from_ns, expected.at_ns + MN_MSEC);
	}
	trees_stop(trees);
}
END_TEST

/* Some hand it on to the next, if that can end. One that was first of several is a value. */
static void node_hook(struct node *node)
{
	struct mn_combine *combine = node_combine(node);
	bool hooks = below(2);

	if (!combine)
		return;
	if (node->kind == MAP || node->kind == CATCH || node->kind == ALL || node->kind == TIMED)
		for (int i = 0; i < node->nr_children; i++)
			hooks &= node->child[i]->kind != LEAF && node->child[i]->kind != ANY;
	else
		hooks = false;
	if (hooks)
		mn_combine_on_cancel(combine, mn_cancel_combine, NULL);
	for (int i = 0; i < node->nr_children; i++)
		node_hook(node->child[i]);
}

START_TEST(random_trees_end_when_they_are_cancelled)
{
	struct tree *trees = malloc(TREES * sizeof(*trees));

	random_seed(mn_self, (uint64_t)_i);
	trees_start(trees);
	for (int i = 0; i < TREES; i++) {
		struct mn_combine *combine = node_combine(trees[i].root);
		int before;

		node_hook(trees[i].root);
		run_to_the_end(mem_clock_now(mn_self->world) + (int64_t)below(4000) * MN_MSEC);
		before = trees[i].times;
		if (combine)
			mn_combine_cancel(combine);
		combine_run();
		if (combine && !before && trees[i].times)
			ck_assert(trees[i].seen.result == -ECANCELED);
	}
	run_to_the_end(MN_NEVER - 1);
	for (int i = 0; i < TREES; i++)
		ck_assert_int_eq(trees[i].times, 1);
	trees_stop(trees);
}
END_TEST

START_TEST(random_trees_can_be_stopped_and_freed_at_any_time)
{
	struct tree *trees = malloc(TREES * sizeof(*trees));

	random_seed(mn_self, (uint64_t)_i);
	trees_start(trees);
	for (int i = 0; i < TREES; i++) {
		struct tree *tree = &trees[i];
		struct mn_combine *combine = node_combine(tree->root);

		if (below(4) == 0 && combine)
			mn_combine_cancel(combine);
		for (uint64_t steps = below(4); steps; steps--)
			shard_step(mn_self, false);
		if (!mn_future_ready(tree->done))	/* we wait for it: that goes first */
			tree->done->waiter = NULL;
		task_unqueue(mn_self, &tree->task);
		node_stop(tree->root);
		tree->root = NULL;
		run_to_the_end(mem_clock_now(mn_self->world) + (int64_t)below(4000) * MN_MSEC);
		ck_assert_int_le(tree->times, 1);
	}
	trees_stop(trees);
}
END_TEST

TCase *tcase_combine_model(void)
{
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, combine_setup, combine_teardown);
	tcase_add_loop_test(tc, random_trees_do_as_the_model_says, 0, 20);
	tcase_add_loop_test(tc, random_trees_end_when_they_are_cancelled, 0, 20);
	tcase_add_loop_test(tc, random_trees_can_be_stopped_and_freed_at_any_time, 0, 20);
	return tc;
}
