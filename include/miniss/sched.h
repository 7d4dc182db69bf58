/* SPDX-License-Identifier: MIT */
/*
 * Scheduling groups: who gets how much of a shard's time.
 *
 * Every task and every fiber is of a group. While several groups have
 * something to run, each gets time in proportion to its shares; what one does
 * not use the others get. A group that has slept has not saved anything up.
 *
 * A group is the same on every shard; each shard divides its own time. What a
 * fiber spawns, calls on other shards and serves is of its group. All is of
 * MN_GROUP_DEFAULT until something else is said, and until the first group is
 * created, nothing of this costs anything.
 *
 * Groups nest once. A group divides what it gets among the groups in it and
 * its own tasks, which have MN_SHARES_DEFAULT there.
 *
 * Nothing is interrupted: a task that computes for long gives way by
 * mn_yield(), when mn_need_preempt() says so.
 */
#ifndef MINISS_SCHED_H
#define MINISS_SCHED_H

#include <miniss/fiber.h>

#define MN_GROUP_DEFAULT	0
#define MN_GROUPS_MAX		64	/* the default one included */
#define MN_GROUP_NAME_MAX	32	/* with the NUL */
#define MN_SHARES_DEFAULT	100
#define MN_SHARES_MAX		10000

/**
 * struct mn_group_options - what kind of group; zero is an ordinary one
 * @shares: 1 to MN_SHARES_MAX; 0: MN_SHARES_DEFAULT
 * @parent: the group that it is in; MN_GROUP_DEFAULT: none
 * @latency: it goes first, before the others have had their quota, but for no
 *	more than half of the time; beyond that it has its shares, like any
 *	other. For what is short and must be soon. Not within a parent
 */
struct mn_group_options {
	unsigned int shares;
	unsigned int parent;
	bool latency;
};

/**
 * mn_group_create - make a scheduling group on every shard
 * @name: for reports and statistics; copied
 * @shares: as in struct mn_group_options
 * @group: gets its number, the same on every shard
 *
 * From a fiber of any shard; suspends; cancellation does not end it. A group
 * lasts until it is destroyed, or as long as the program.
 *
 * Return: 0; -EINVAL for shares, a parent or a name that cannot be; -ENOSPC
 * if there are MN_GROUPS_MAX; -ENOMEM.
 */
MN_API int mn_group_create(const char *name, unsigned int shares, unsigned int *group);
MN_API int mn_group_create_with(const char *name, const struct mn_group_options *options,
				unsigned int *group);

/**
 * mn_group_destroy - end a scheduling group, on every shard
 * @group: one that was created; its number may be given out again
 *
 * From a fiber of any shard; suspends; cancellation does not end it. What is
 * of the group and neither a fiber nor queued, such as the task of a timer,
 * or a call that is on its way, is of the default group from then on.
 *
 * Return: 0; -EBUSY while on any shard a fiber is of the group (the caller
 * too), tasks of it are queued, or groups are in it; -EINVAL if there is no
 * such group, or it is MN_GROUP_DEFAULT; -ENOMEM.
 */
MN_API int mn_group_destroy(unsigned int group);

/**
 * mn_group_set_shares - change the shares of a group, on every shard
 * @group: any, MN_GROUP_DEFAULT too
 * @shares: 1 to MN_SHARES_MAX
 *
 * From a fiber of any shard; suspends. What was used before is not counted
 * again. Return: 0, -EINVAL, or -ENOMEM.
 */
MN_API int mn_group_set_shares(unsigned int group, unsigned int shares);

/**
 * mn_group_enter - let the running fiber go on in a group
 * @group: what it spawns from now on is of this group, too
 *
 * Suspends as mn_yield() does. Return: 0, or -EINVAL if there is no such group.
 */
MN_API int mn_group_enter(unsigned int group);

/** mn_group_self - the group of the running task or fiber */
MN_API unsigned int mn_group_self(void);

/** mn_spawn_in - mn_spawn() into another group than the caller's; also -EINVAL */
MN_API int mn_spawn_in(unsigned int group, mn_fiber_fn fn, void *arg, struct mn_fiber **fiber);
#ifdef CONFIG_DEBUG
#define mn_spawn_in(...)	(mn__origin(MN__HERE), mn_spawn_in(__VA_ARGS__))
#endif

/**
 * mn_task_group - say of which group a task is
 * @task: initialised, not queued; that of a timer or an operation, too
 * @group: one that exists
 *
 * Without this a task is of the default group, and what mn_future_then()
 * schedules is of the group of who said so.
 */
static inline void mn_task_group(struct mn_task *task, unsigned int group)
{
	task->group = (uint16_t)group;
}

/**
 * struct mn_group_stats - what a group did on one shard since the first group was created
 * @run_ns: time that its tasks ran
 * @wait_ns: time that it had tasks to run, and others ran
 * @tasks: how many ran
 */
struct mn_group_stats {
	char name[MN_GROUP_NAME_MAX];
	unsigned int shares;
	unsigned int parent;
	bool latency;
	int64_t run_ns;
	int64_t wait_ns;
	uint64_t tasks;
};

/**
 * mn_group_stats - look at a group of this shard
 *
 * For another shard's, mn_call(). Does not suspend.
 *
 * Return: 0; -EINVAL if there is no such group, or none was created yet.
 */
MN_API int mn_group_stats(unsigned int group, struct mn_group_stats *stats);

#endif
