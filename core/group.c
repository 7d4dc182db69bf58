// SPDX-License-Identifier: MIT
/*
 * Scheduling groups as programs see them. Shard 0 gives out the numbers; then
 * every shard hears of the group, and only then does who asked.
 */
#include <errno.h>
#include <string.h>

#include "core/reactor.h"
#include "core/sched.h"
#include "smp/call.h"

struct creation {
	const char *name;
	struct mn_group_options options;
	unsigned int id;
};

static bool group_exists(const struct shard *s, unsigned int group)
{
	return group == MN_GROUP_DEFAULT || sched_has(s->sched, group);
}

static int create_here(void *arg)
{
	const struct creation *c = arg;
	int err = sched_open(mn_self);

	if (!err)
		sched_add(mn_self, c->id, c->name, &c->options);
	return err;
}

static bool options_are_fine(const struct shard *s, const struct mn_group_options *options)
{
	unsigned int parent = options->parent;

	if (options->shares < 1 || options->shares > MN_SHARES_MAX)
		return false;
	if (parent == MN_GROUP_DEFAULT)
		return true;
	return !options->latency && group_exists(s, parent) &&
	       s->sched->group[parent].top == parent;
}

static int close_here(void *arg)
{
	const unsigned int *id = arg;

	return sched_has(mn_self->sched, *id) ? sched_close_group(mn_self, *id) : 0;
}

static int reopen_here(void *arg)
{
	const unsigned int *id = arg;

	sched_reopen_group(mn_self, *id);
	return 0;
}

/* On shard 0. One that failed on some shard is forgotten on the others. */
static int create(void *arg)
{
	struct mn_world *world = mn_self->world;
	struct creation *c = arg;
	uint64_t used = world->groups | 1;	/* the default one */
	int err;

	if (!options_are_fine(mn_self, &c->options))
		return -EINVAL;
	if (!~used)
		return -ENOSPC;
	c->id = (unsigned int)__builtin_ctzll(~used);
	world->groups |= UINT64_C(1) << c->id;
	err = shard_call_all(create_here, c);
	if (err) {
		shard_call_all(close_here, &c->id);
		world->groups &= ~(UINT64_C(1) << c->id);
	}
	return err;
}

int mn_group_create_with(const char *name, const struct mn_group_options *options,
			 unsigned int *group)
{
	struct creation c = { .name = name, .options = *options };
	int err;

	if (!name[0] || strlen(name) >= MN_GROUP_NAME_MAX)
		return -EINVAL;
	if (!c.options.shares)
		c.options.shares = MN_SHARES_DEFAULT;
	err = shard_call(0, create, &c);
	if (!err)
		*group = c.id;
	return err;
}

int mn_group_create(const char *name, unsigned int shares, unsigned int *group)
{
	if (!shares)
		return -EINVAL;
	return mn_group_create_with(name, &(struct mn_group_options){ .shares = shares }, group);
}

/*
 * On shard 0. What is begun in it while the shards are asked, on one that has
 * said yes, is of the default group; where one says no, all is as before.
 */
static int destroy(void *arg)
{
	struct mn_world *world = mn_self->world;
	unsigned int *id = arg;
	uint64_t bit;
	int err;

	if (!sched_has(mn_self->sched, *id))
		return -EINVAL;
	bit = UINT64_C(1) << *id;
	if (world->groups_ending & bit)
		return -EINVAL;
	world->groups_ending |= bit;
	err = shard_call_all(close_here, id);
	if (err)
		shard_call_all(reopen_here, id);
	else
		world->groups &= ~bit;
	world->groups_ending &= ~bit;
	return err;
}

int mn_group_destroy(unsigned int group)
{
	if (group == MN_GROUP_DEFAULT)
		return -EINVAL;
	return shard_call(0, destroy, &group);
}

struct change {
	unsigned int group;
	unsigned int shares;
};

static int change_here(void *arg)
{
	const struct change *change = arg;
	int err = sched_open(mn_self);

	if (err)
		return err;
	sched_charge(mn_self);	/* what was used so far was used with the old ones */
	sched_change(mn_self, change->group, change->shares);
	return 0;
}

int mn_group_set_shares(unsigned int group, unsigned int shares)
{
	struct change change = { .group = group, .shares = shares };

	if (!group_exists(mn_self, group) || shares < 1 || shares > MN_SHARES_MAX)
		return -EINVAL;
	return shard_call_all(change_here, &change);
}

int mn_group_enter(unsigned int group)
{
	struct mn_fiber *fiber = mn_self->fiber;

	if (!group_exists(mn_self, group))
		return -EINVAL;
	BUG_ON(!fiber);
	mn_task_group(&fiber->task, group);
	mn_yield();
	return 0;
}

unsigned int mn_group_self(void)
{
	return mn_self->group;
}

int(mn_spawn_in)(unsigned int group, mn_fiber_fn fn, void *arg, struct mn_fiber **fiber)
{
	struct shard *s = mn_self;
	unsigned int old;
	int err;

	if (!group_exists(s, group))
		return -EINVAL;
	old = group_swap(s, group);
	err = fiber_spawn_here(fn, arg, fiber, FIBER_FROM);
	group_swap(s, old);
	return err;
}

static int64_t cycles_ns(const struct shard *s, uint64_t cycles)
{
	uint64_t rate = s->cycles_per_us;

	return (int64_t)(cycles / rate * MN_USEC + cycles % rate * MN_USEC / rate);
}

int mn_group_stats(unsigned int group, struct mn_group_stats *stats)
{
	struct shard *s = mn_self;
	const struct group *g;
	const struct share *share;

	if (!s->sched || !group_exists(s, group))
		return -EINVAL;
	if (s->tasks_max)	/* a task asks */
		sched_charge(s);
	g = &s->sched->group[group];
	share = g->top == group ? s->sched->outer : s->sched->inner;
	*stats = (struct mn_group_stats){
		.shares = share[group].shares,
		.parent = g->top == group ? MN_GROUP_DEFAULT : g->top,
		.latency = g->latency,
		.run_ns = cycles_ns(s, g->run),
		.wait_ns = cycles_ns(s, g->wait),
		.tasks = g->tasks,
	};
	memcpy(stats->name, g->name, sizeof(stats->name));
	return 0;
}
