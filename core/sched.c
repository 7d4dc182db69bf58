// SPDX-License-Identifier: MIT
/*
 * Which group runs. Each has a virtual time: how long it ran, divided by its
 * shares. The one that has had least is next, so that in the long run all
 * have had alike. It runs for its quota, its part of the slice; then the next
 * one, until the slice of the turn is over. The clock is read when groups
 * change and not for each task.
 *
 * A group that was not ready begins at the virtual time that the others have
 * reached: it is next, or soon, but what it has not used is gone. This is
 * what the Linux CFS does (place_entity() in kernel/sched/fair.c, before
 * EEVDF), and Seastar in the same place (task_queue_group::activate() in
 * src/core/reactor.cc); two levels, nesting once, are Seastar's, too.
 *
 * Latency groups go first, from a budget that fills half as fast as time
 * goes by. One that uses more than that is in debt; until it has been paid
 * off, it waits for its virtual time like the others.
 */
#include <errno.h>
#include <stdio.h>

#include "core/reactor.h"
#include "core/sched.h"
#include "lib/mem/mem.h"

#define QUOTA_PART	16	/* of the slice, for whom its shares give less */

#define BIT(n)		(UINT64_C(1) << (n))

BUILD_BUG_ON(MN_GROUPS_MAX > 64);

/* Who of @mask has had least; @total: the shares of all of them. */
static unsigned int least(const struct share *share, uint64_t mask, uint64_t *total)
{
	unsigned int best = (unsigned int)__builtin_ctzll(mask);

	*total = 0;
	for (; mask; mask &= mask - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(mask);

		*total += share[i].shares;
		if (share[i].vtime < share[best].vtime)
			best = i;
	}
	return best;
}

/* ---- getting ready ---- */

static void group_wake(struct shard *s, unsigned int id, uint64_t now)
{
	struct sched *sched = s->sched;
	struct group *group = &sched->group[id], *top = &sched->group[group->top];

	if (!top->ready) {
		s->ready |= BIT(group->top);
		sched->outer[group->top].vtime = max(sched->outer[group->top].vtime, sched->floor);
	}
	top->ready |= BIT(id);
	sched->inner[id].vtime = max(sched->inner[id].vtime, top->floor);
	group->since = now;
}

static void group_rest(struct shard *s, unsigned int id)
{
	struct group *group = &s->sched->group[id], *top = &s->sched->group[group->top];

	top->ready &= ~BIT(id);
	if (!top->ready)
		s->ready &= ~BIT(group->top);
}

static bool group_is_ready(const struct sched *sched, unsigned int id)
{
	return sched->group[sched->group[id].top].ready & BIT(id);
}

void sched_push(struct shard *s, struct mn_task *task)
{
	struct sched *sched = s->sched;
	unsigned int id = task->group;

	BUG_ON(!sched || id >= MN_GROUPS_MAX);
	if (task->queued)
		return;
	/* Of what was destroyed: a timer, or a call that was on its way. */
	if (!sched_has(sched, id))
		task->group = id = MN_GROUP_DEFAULT;
	runq_push(sched_runq(s, id), task);
	if (group_is_ready(sched, id))
		return;
	group_wake(s, id, shard_cycles(s));
	/* The group that runs has had its quota, then. */
	if (sched->group[id].latency && sched->budget > 0 && s->group != id)
		preempt(s);
}

bool sched_remove(struct shard *s, struct mn_task *task)
{
	return runq_remove(&s->sched->group[task->group].runq, task);
}

/* ---- the choice ---- */

struct choice {
	unsigned int id;
	uint64_t quota;		/* cycles */
	bool first;		/* from the budget of the latency groups */
};

static struct choice choose(struct shard *s)
{
	struct sched *sched = s->sched;
	struct choice choice = { .first = (s->ready & sched->latency) && sched->budget > 0 };
	uint64_t outer_total, inner_total;
	unsigned int top = least(sched->outer, choice.first ? s->ready & sched->latency : s->ready,
				 &outer_total);
	struct group *group = &sched->group[top];

	choice.id = least(sched->inner, group->ready, &inner_total);
	choice.quota = choice.first ? (uint64_t)sched->budget :
		s->slice_cycles * sched->outer[top].shares / outer_total *
			sched->inner[choice.id].shares / inner_total;
	choice.quota = max(choice.quota, s->slice_cycles / QUOTA_PART);
	/* Who goes first for other reasons says nothing about what all have had. */
	if (!choice.first)
		sched->floor = max(sched->floor, sched->outer[top].vtime);
	group->floor = max(group->floor, sched->inner[choice.id].vtime);
	return choice;
}

/* ---- running ---- */

void sched_charge(struct shard *s)
{
	struct sched *sched = s->sched;
	struct group *group = &sched->group[s->group];
	uint64_t now = shard_cycles(s), cycles = now - sched->at;

	sched->at = now;
	group->run += cycles;
	share_charge(&sched->inner[s->group], cycles);
	share_charge(&sched->outer[group->top], cycles);
}

/* Half of what went by, and no more than half a slice. */
static void budget_fill(struct shard *s)
{
	struct sched *sched = s->sched;
	int64_t passed = (int64_t)(sched->at - sched->refilled);

	sched->refilled = sched->at;
	sched->budget = min(sched->budget + passed / 2, (int64_t)s->slice_cycles / 2);
}

static unsigned int group_run(struct shard *s, struct choice choice, uint64_t end, int n_max)
{
	struct sched *sched = s->sched;
	struct group *group = &sched->group[choice.id];
	struct runq *runq = sched_runq(s, choice.id);
	uint64_t from = sched->at;
	unsigned int n = 0;

	group->wait += from - min(group->since, from);
	group_swap(s, choice.id);
	s->slice_end = min(end, from + choice.quota);
	if (!runq_empty(runq))	/* tasks may be taken out, too */
		n = runq_run(s, runq, n_max);
	sched_charge(s);
	group_swap(s, MN_GROUP_DEFAULT);
	if (choice.first)
		sched->budget -= (int64_t)(sched->at - from);
	group->tasks += n;
	group->since = sched->at;
	if (runq_empty(runq))
		group_rest(s, choice.id);
	return n;
}

/* What is pushed to the default group's queue passes us by; so look. */
static bool any_ready(struct shard *s)
{
	if (!runq_empty(&s->runq) && !group_is_ready(s->sched, MN_GROUP_DEFAULT))
		group_wake(s, MN_GROUP_DEFAULT, s->sched->at);
	return s->ready;
}

unsigned int sched_run(struct shard *s)
{
	struct sched *sched = s->sched;
	unsigned int n = 0;
	uint64_t end;

	sched->at = shard_cycles(s);
	budget_fill(s);
	end = sched->at + s->slice_cycles;
	s->tasks_max = TASKS_PER_TURN;
	while (n < TASKS_PER_TURN && s->tasks_max != TASKS_CUT && sched->at < end && any_ready(s))
		n += group_run(s, choose(s), end, (int)(TASKS_PER_TURN - n));
	return n;
}

/* ---- the groups of a shard ---- */

void sched_add(struct shard *s, unsigned int id, const char *name,
	       const struct mn_group_options *options)
{
	struct sched *sched = s->sched;
	struct group *group = &sched->group[id];
	bool nested = options->parent != MN_GROUP_DEFAULT;

	*group = (struct group){ .latency = options->latency };
	runq_init(&group->runq);
	group->top = (uint8_t)(nested ? options->parent : id);
	if (options->latency)
		sched->latency |= BIT(id);
	sched->outer[id] = (struct share){ .shares = options->shares };
	sched->inner[id] = (struct share){ .shares = nested ? options->shares : MN_SHARES_DEFAULT };
	snprintf(group->name, sizeof(group->name), "%s", name);
	sched->live |= BIT(id);
}

static bool group_is_busy(struct shard *s, unsigned int id)
{
	const struct sched *sched = s->sched;
	struct fiber_cursor at = { .begun = false };
	struct mn_fiber *fiber;

	if (!runq_empty(&sched->group[id].runq))
		return true;
	for (unsigned int i = 1; i < MN_GROUPS_MAX; i++)
		if (i != id && sched_has(sched, i) && sched->group[i].top == id)
			return true;
	while ((fiber = fiber_next(&s->fibers, &at)))
		if (!fiber->ended && fiber->task.group == id)
			return true;
	return false;
}

int sched_close_group(struct shard *s, unsigned int id)
{
	struct sched *sched = s->sched;

	if (group_is_busy(s, id))
		return -EBUSY;
	if (group_is_ready(sched, id))	/* its tasks were taken out */
		group_rest(s, id);
	sched->live &= ~BIT(id);
	sched->latency &= ~BIT(id);
	return 0;
}

void sched_reopen_group(struct shard *s, unsigned int id)
{
	s->sched->live |= BIT(id);
	if (s->sched->group[id].latency)
		s->sched->latency |= BIT(id);
}

/* It begins anew: a latency group may be far ahead of the others, by its old shares. */
void sched_change(struct shard *s, unsigned int id, unsigned int shares)
{
	struct sched *sched = s->sched;
	unsigned int top = sched->group[id].top;
	struct share *share = top == id ? &sched->outer[id] : &sched->inner[id];

	share->shares = shares;
	share->vtime = top == id ? sched->floor : sched->group[top].floor;
}

int sched_open(struct shard *s)
{
	static const struct mn_group_options options = { .shares = MN_SHARES_DEFAULT };

	if (s->sched)
		return 0;
	s->sched = mem_alloc(sizeof(*s->sched));
	if (!s->sched)
		return -ENOMEM;
	s->sched->at = s->sched->refilled = shard_cycles(s);
	sched_add(s, MN_GROUP_DEFAULT, "default", &options);
	return 0;
}

void sched_close(struct shard *s)
{
	mem_free(s->sched);
	s->sched = NULL;
}

const char *sched_group_name(const struct shard *s, unsigned int group)
{
	return s->sched ? s->sched->group[group].name : "default";
}
