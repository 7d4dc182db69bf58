/* SPDX-License-Identifier: MIT */
/*
 * Scheduling groups inside: one run queue for each group of a shard. That of
 * the default group is the shard's own (shard->runq); while there is no
 * other, shard->sched is NULL and nothing here is ever called.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include <miniss/sched.h>

#include "core/shard.h"

/* What one of several competitors has had, of what they share. */
struct share {
	uint64_t vtime;		/* time that it ran, divided by its shares */
	uint32_t shares;
	uint32_t rest;		/* of the division, so that nothing is ever lost */
};

/* Neither wraps: a virtual time is no more than the cycles that went by. */
static inline void share_charge(struct share *share, uint64_t cycles)
{
	uint64_t sum = cycles + share->rest;

	share->vtime += sum / share->shares;
	share->rest = (uint32_t)(sum % share->shares);
}

struct group {
	struct runq runq;
	uint8_t top;			/* the group that it is in, or itself */
	bool latency;
	uint64_t ready;			/* of a top: which of those in it have tasks, itself too */
	uint64_t floor;			/* of a top: where one that was not ready begins */
	uint64_t since;			/* cycles: it has waited for its turn since then */

	uint64_t run, wait;		/* cycles */
	uint64_t tasks;
	char name[MN_GROUP_NAME_MAX];
};

struct sched {
	uint64_t at;			/* cycles: up to here all time has been charged */
	uint64_t floor;			/* as a group's, among the tops */
	uint64_t live;			/* groups that there are */
	uint64_t latency;		/* tops that go first */
	uint64_t refilled;		/* cycles: when the budget last was */
	int64_t budget;			/* cycles that those may still go first */
	struct share outer[MN_GROUPS_MAX];	/* a top with all that is in it, among the tops */
	struct share inner[MN_GROUPS_MAX];	/* a group's own tasks, among those of its top */
	struct group group[MN_GROUPS_MAX];
};

/* sched_run - run tasks of all groups, for a slice at most; how many */
unsigned int sched_run(struct shard *s);

/* sched_group_name - of a group of this shard; any thread's signal handler may ask its own */
const char *sched_group_name(const struct shard *s, unsigned int group);

/* group_swap - what is spawned from here on is of this group; returns the old one */
static inline unsigned int group_swap(struct shard *s, unsigned int group)
{
	unsigned int old = s->group;

	s->group = (uint16_t)group;
	return old;
}

/* sched_close - free what the shard has of it */
void sched_close(struct shard *s);

/* sched_runq - of a group; what is pushed there by hand must be announced by sched_push() */
static inline struct runq *sched_runq(struct shard *s, unsigned int group)
{
	return group ? &s->sched->group[group].runq : &s->runq;
}

/* sched_has - is there such a group, beside the default one? */
static inline bool sched_has(const struct sched *sched, unsigned int group)
{
	return sched && group < MN_GROUPS_MAX && sched->live >> group & 1;
}

/* core/group.c: creating groups and asking about them; sched.c: what they need */
int sched_open(struct shard *s);
void sched_charge(struct shard *s);	/* the running group, up to now */
void sched_add(struct shard *s, unsigned int id, const char *name,
	       const struct mn_group_options *options);
int sched_close_group(struct shard *s, unsigned int id);	/* 0, or -EBUSY: it goes on */
void sched_reopen_group(struct shard *s, unsigned int id);
void sched_change(struct shard *s, unsigned int id, unsigned int shares);

#endif
