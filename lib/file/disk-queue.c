// SPDX-License-Identifier: MIT
/*
 * Whose request is next: that of the group which has had least, by its shares.
 * Two levels, and latency groups first for half of what is done, as it is
 * with the shard's time in core/sched.c.
 */
#include "lib/file/disk.h"

#define BIT(n)		(UINT64_C(1) << (n))
#define SCALE		1024		/* of a cost, so that shares divide it finely */
#define BUDGET_MAX	1024		/* two requests of a megabyte, or a hundred of 4 KiB */

void disk_queue_init(struct disk_queue *q)
{
	*q = (struct disk_queue){ .ready = 0 };
	for (unsigned int i = 0; i < MN_GROUPS_MAX; i++)
		q->group[i].last = &q->group[i].first;
}

/* Who of @mask has had least. */
static unsigned int least(const struct share *share, uint64_t mask)
{
	unsigned int best = (unsigned int)__builtin_ctzll(mask);

	for (; mask; mask &= mask - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(mask);

		if (share[i].vtime < share[best].vtime)
			best = i;
	}
	return best;
}

/* Groups are made and changed at any time; each request brings what is true then. */
static void group_look(struct disk_queue *q, const struct sched *sched, unsigned int id)
{
	struct disk_group *group = &q->group[id];

	if (!group->first)	/* the number may be another group's now */
		group->top = sched ? sched->group[id].top : MN_GROUP_DEFAULT;
	group->latency = sched && sched->group[id].latency;
	q->inner[id].shares = sched ? sched->inner[id].shares : MN_SHARES_DEFAULT;
	q->outer[group->top].shares = sched ? sched->outer[group->top].shares : MN_SHARES_DEFAULT;
	q->group[group->top].latency = sched && sched->group[group->top].latency;
}

static void group_wake(struct disk_queue *q, unsigned int id)
{
	struct disk_group *top = &q->group[q->group[id].top];

	if (!top->ready) {
		q->ready |= BIT(q->group[id].top);
		q->outer[q->group[id].top].vtime = max(q->outer[q->group[id].top].vtime, q->floor);
	}
	top->ready |= BIT(id);
	q->inner[id].vtime = max(q->inner[id].vtime, top->floor);
}

static void group_rest(struct disk_queue *q, unsigned int id)
{
	struct disk_group *top = &q->group[q->group[id].top];

	top->ready &= ~BIT(id);
	if (!top->ready)
		q->ready &= ~BIT(q->group[id].top);
}

void disk_queue_push(struct disk_queue *q, const struct sched *sched, struct disk_slot *slot)
{
	struct disk_group *group = &q->group[slot->group];

	group_look(q, sched, slot->group);
	if (!group->first)
		group_wake(q, slot->group);
	slot->next = NULL;
	slot->pprev = group->last;
	*group->last = slot;
	group->last = &slot->next;
	group->nr_queued++;
	q->nr_queued++;
}

void disk_queue_take_out(struct disk_queue *q, struct disk_slot *slot)
{
	struct disk_group *group = &q->group[slot->group];

	*slot->pprev = slot->next;
	if (slot->next)
		slot->next->pprev = slot->pprev;
	else
		group->last = slot->pprev;
	slot->pprev = NULL;
	group->nr_queued--;
	q->nr_queued--;
	if (!group->first)
		group_rest(q, slot->group);
}

static uint64_t latency_ready(const struct disk_queue *q)
{
	uint64_t mask = 0;

	for (uint64_t ready = q->ready; ready; ready &= ready - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(ready);

		if (q->group[i].latency)
			mask |= BIT(i);
	}
	return mask;
}

struct disk_slot *disk_queue_first(struct disk_queue *q, bool *first)
{
	uint64_t soon = q->budget > 0 ? latency_ready(q) : 0;
	unsigned int top;

	if (!q->ready)
		return NULL;
	*first = soon != 0;
	top = least(q->outer, soon ? soon : q->ready);
	return q->group[least(q->inner, q->group[top].ready)].first;
}

void disk_queue_pop(struct disk_queue *q, struct disk_slot *slot, bool first)
{
	unsigned int id = slot->group, top = q->group[id].top;
	int64_t cost = (int64_t)slot->cost;

	/* Who goes first for other reasons says nothing about what all have had. */
	if (!first)
		q->floor = max(q->floor, q->outer[top].vtime);
	q->group[top].floor = max(q->group[top].floor, q->inner[id].vtime);
	share_charge(&q->inner[id], slot->cost * (uint64_t)SCALE);
	share_charge(&q->outer[top], slot->cost * (uint64_t)SCALE);
	q->budget = min(q->budget + cost, BUDGET_MAX) - (first ? 2 * cost : 0);
	disk_queue_take_out(q, slot);
}
