// SPDX-License-Identifier: MIT
/*
 * A hierarchical timing wheel.
 *
 * Most timers guard against what does not happen: they are cancelled or
 * armed again long before their time. So both are O(1), and a timer is
 * sorted coarsely while it is far away and moved down as its time comes near.
 *
 * Time is counted in ticks, deadlines rounded up to the next one: never
 * early, late by at most a tick. A unit of level L is 32^L ticks. Each level
 * has 64 slots for the units that come next, which are two units of the
 * level above.
 *
 *	level	a unit		holds what is due within
 *	    0	16.4 us		1.05 ms
 *	    1	524 us		33.6 ms
 *	    2	16.8 ms		1.07 s
 *	    3	537 ms		34.4 s
 *	    4	17.2 s		18.3 min
 *	    5	9.16 min	9.77 h
 *	    6	4.89 h		13.0 days
 *	    7	6.52 days	417 days
 *	    8	209 days	36.6 years
 *	    9	18.3 years	all that int64_t can say
 *
 * Why 64 slots for 32 units: a unit may move down as soon as the one before
 * it has begun, as all of it then fits below. That is a whole unit of time
 * in which to move it, a few timers a turn, so that no turn pays for a level
 * at once and a crowd of timers is not late. Only what is still there when
 * its time has come is moved first, at most @n_max a turn.
 *
 * Time jumps from one occupied slot to the next, found in bitmaps: how far it
 * jumps costs nothing.
 *
 * Timers of one slot are in the order of arming, for as long as a turn can
 * move all of them; across slots the order is that of time.
 */
#include "timers/timer_queue.h"

#define TICK_SHIFT	14
#define LEVEL_SHIFT	5
#define LEVELS		10
#define SLOTS		64	/* of a level: the bits of a word */
#define NEVER_TICK	(UINT64_C(1) << (63 - TICK_SHIFT))	/* the first that cannot be told */
#define NEVER_SLOT	(LEVELS * SLOTS)	/* armed, on no level: never looked at */
#define MOVE_AHEAD_MAX	256	/* a turn, of what is not urgent: some 20 us */

BUILD_BUG_ON(TIMER_TICK_NS != 1 << TICK_SHIFT);
BUILD_BUG_ON(SLOTS != 2 << LEVEL_SHIFT);
/* The top level reaches the last tick from the first. */
BUILD_BUG_ON(63 - TICK_SHIFT > 1 + LEVELS * LEVEL_SHIFT);

struct slot {
	struct mn_timer *first;
	struct mn_timer **last;		/* where the next one is linked */
};

struct wheel {
	struct timer_queue tq;
	uint64_t tick;			/* what came before it has expired */
	uint64_t idle_until;		/* the first tick that advance() must look at */
	int64_t now_ns;			/* of the last advance */
	uint64_t occupied[LEVELS + 1];	/* a bit a slot; the last for NEVER_SLOT */
	struct slot slot[LEVELS * SLOTS + 1];
};

static inline struct wheel *to_wheel(struct timer_queue *tq)
{
	return container_of(tq, struct wheel, tq);
}

/* The tick that is running at a time. */
static inline uint64_t ns_tick(int64_t ns)
{
	return ns < 0 ? 0 : (uint64_t)ns >> TICK_SHIFT;
}

/* The tick at whose beginning the timer expires, if it is not due already. */
static inline uint64_t tick_after(int64_t due_ns)
{
	return ((uint64_t)due_ns + TIMER_TICK_NS - 1) >> TICK_SHIFT;
}

static inline uint64_t timer_tick(const struct mn_timer *timer)
{
	return tick_after(timer_due(timer->deadline_ns, timer->slack_ns));
}

static inline unsigned int slot_index(unsigned int level, uint64_t unit)
{
	return level * SLOTS + unit % SLOTS;
}

/*
 * Which slot a tick belongs to now. On a level above 0 that is at least two
 * units away: a slot that is being moved down gets no new timers.
 */
static inline unsigned int wheel_slot(const struct wheel *w, uint64_t tick)
{
	unsigned int level;

	BUG_ON(tick < w->tick);
	if (tick >= NEVER_TICK)
		return NEVER_SLOT;
	level = (unsigned int)(63 - __builtin_clzll((tick - w->tick) >> 1 | 1)) / LEVEL_SHIFT;
	return slot_index(level, tick >> (level * LEVEL_SHIFT));
}

/* Counting slots is enough to know that something is armed, and 7 of 60 ns cheaper. */
static inline void slot_fill(struct wheel *w, unsigned int index)
{
	w->occupied[index / SLOTS] |= UINT64_C(1) << index % SLOTS;
	w->tq.nr_armed++;
}

static inline void slot_clear(struct wheel *w, unsigned int index)
{
	w->occupied[index / SLOTS] &= ~(UINT64_C(1) << index % SLOTS);
	w->tq.nr_armed--;
}

static inline void wheel_link(struct wheel *w, struct mn_timer *timer, unsigned int index)
{
	struct slot *slot = &w->slot[index];

	timer->armed = index + 1;
	timer->next = NULL;
	timer->pprev = slot->last;
	*slot->last = timer;
	if (slot->last == &slot->first)
		slot_fill(w, index);
	slot->last = &timer->next;
}

static void wheel_arm(struct timer_queue *tq, struct mn_timer *timer)
{
	struct wheel *w = to_wheel(tq);
	int64_t due_ns = timer_due(timer->deadline_ns, timer->slack_ns);
	uint64_t tick;

	BUG_ON(timer->armed);
	if (due_ns > w->now_ns)
		tick = tick_after(due_ns);
	else	/* it need not wait for the end of this tick */
		tick = max(ns_tick(due_ns), w->tick);
	wheel_link(w, timer, wheel_slot(w, tick));
	if (tick < w->idle_until)
		w->idle_until = tick;
}

/* Reads nothing but the timer, and the slot of one that was last. */
static void wheel_cancel(struct timer_queue *tq, struct mn_timer *timer)
{
	struct wheel *w = to_wheel(tq);
	unsigned int index = timer->armed - 1;
	struct slot *slot = &w->slot[index];

	BUG_ON(!timer->armed);
	BUG_ON(index > NEVER_SLOT || *timer->pprev != timer);
	*timer->pprev = timer->next;
	if (timer->next) {
		timer->next->pprev = timer->pprev;
	} else {
		slot->last = timer->pprev;
		if (timer->pprev == &slot->first)
			slot_clear(w, index);
	}
	timer->armed = 0;
}

/* The timers before @rest were taken out. */
static void slot_rest(struct wheel *w, unsigned int index, struct mn_timer *rest)
{
	struct slot *slot = &w->slot[index];

	slot->first = rest;
	if (rest) {
		rest->pprev = &slot->first;
	} else {
		slot->last = &slot->first;
		slot_clear(w, index);
	}
}

/* Takes at most @n_max timers out, to the end of a list. Returns how many. */
static unsigned int slot_expire(struct wheel *w, unsigned int index, struct mn_timer ***tail,
				unsigned int n_max)
{
	struct mn_timer *timer = w->slot[index].first;
	unsigned int n;

	**tail = timer;
	for (n = 0; timer && n < n_max; n++) {
		timer->armed = 0;
		*tail = &timer->next;
		timer = timer->next;
	}
	slot_rest(w, index, timer);
	**tail = NULL;
	return n;
}

/* Moves at most @n_max timers to the levels below. Returns how many. */
static unsigned int slot_move(struct wheel *w, unsigned int from, unsigned int n_max)
{
	struct mn_timer *timer = w->slot[from].first, *next;
	unsigned int n, to;

	for (n = 0; timer && n < n_max; n++, timer = next) {
		next = timer->next;
		to = wheel_slot(w, timer_tick(timer));
		BUG_ON(to / SLOTS >= from / SLOTS);
		wheel_link(w, timer, to);
	}
	slot_rest(w, from, timer);
	return n;
}

/* The first occupied unit of a level that has one. */
static inline uint64_t level_first(const struct wheel *w, unsigned int level)
{
	/* Above level 0, nothing is left in the unit that has begun. */
	uint64_t from = (w->tick >> (level * LEVEL_SHIFT)) + (level > 0);
	unsigned int shift = from % SLOTS;
	uint64_t map = w->occupied[level];

	return from + (unsigned int)__builtin_ctzll(map >> shift | map << (-shift % SLOTS));
}

/* The unit that begins first, and its level; of two, the one to move before the other. */
static uint64_t wheel_first(const struct wheel *w, unsigned int *level)
{
	uint64_t first = UINT64_MAX, begin;
	unsigned int l;

	for (l = 0; l < LEVELS; l++) {
		if (!w->occupied[l])
			continue;
		begin = level_first(w, l) << (l * LEVEL_SHIFT);
		if (begin <= first) {
			first = begin;
			*level = l;
		}
	}
	return first;
}

/* Move down what will have to be soon, while there is time. Returns whether all is done. */
static bool wheel_move_ahead(struct wheel *w, unsigned int n_max)
{
	unsigned int level, index;

	for (level = 1; level < LEVELS && n_max; level++) {
		index = slot_index(level, (w->tick >> (level * LEVEL_SHIFT)) + 1);
		if (w->occupied[level] >> index % SLOTS & 1)
			n_max -= slot_move(w, index, n_max);
	}
	return n_max > 0;
}

static inline uint64_t next_unit(uint64_t tick)
{
	return ((tick >> LEVEL_SHIFT) + 1) << LEVEL_SHIFT;
}

static struct mn_timer *wheel_advance(struct timer_queue *tq, int64_t now_ns, unsigned int n_max)
{
	struct wheel *w = to_wheel(tq);
	struct mn_timer *expired = NULL, **tail = &expired;
	uint64_t now = ns_tick(now_ns), begin;
	unsigned int level = 0, nr_moves = n_max;

	BUG_ON(now_ns < w->now_ns || !n_max);
	w->now_ns = now_ns;
	if (now < w->idle_until)
		return NULL;
	while (n_max && nr_moves) {
		begin = wheel_first(w, &level);
		if (begin > now) {
			w->tick = now;
			/* More can be moved ahead when the next unit begins, on any level. */
			if (wheel_move_ahead(w, min(nr_moves, MOVE_AHEAD_MAX)))
				w->idle_until = min(begin, next_unit(now));
			break;
		}
		if (level) {
			/* Not yet in the unit: nothing may be armed where we take from. */
			w->tick = begin - 1;
			nr_moves -= slot_move(w, slot_index(level, begin >> (level * LEVEL_SHIFT)),
					      nr_moves);
		} else {
			w->tick = begin;
			n_max -= slot_expire(w, slot_index(0, begin), &tail, n_max);
		}
	}
	return expired;
}

static int64_t wheel_next(struct timer_queue *tq)
{
	struct wheel *w = to_wheel(tq);
	uint64_t next = NEVER_TICK, tick, unit;
	const struct mn_timer *timer;
	unsigned int level;

	for (level = 0; level < LEVELS; level++) {
		if (!w->occupied[level])
			continue;
		unit = level_first(w, level);
		timer = w->slot[slot_index(level, unit)].first;
		if (!level)
			tick = unit;
		else if (timer->next)
			tick = (unit - 1) << (level * LEVEL_SHIFT);
		else	/* One alone is soon moved: do not wake up to do it. */
			tick = timer_tick(timer);
		next = min(next, tick);
	}
	return next == NEVER_TICK ? MN_NEVER : (int64_t)(next << TICK_SHIFT);
}

static int wheel_open(struct timer_queue *tq, int64_t now_ns)
{
	struct wheel *w = to_wheel(tq);
	unsigned int i;

	w->now_ns = now_ns;
	w->tick = ns_tick(now_ns);
	for (i = 0; i < ARRAY_SIZE(w->slot); i++)
		w->slot[i].last = &w->slot[i].first;
	return 0;
}

static void wheel_close(struct timer_queue *tq)
{
}

static const struct timer_queue_ops wheel_ops = {
	.arm		= wheel_arm,
	.cancel		= wheel_cancel,
	.advance	= wheel_advance,
	.next		= wheel_next,
	.open		= wheel_open,
	.close		= wheel_close,
	.state_size	= sizeof(struct wheel),
	.drv		= { .name = "wheel", .rating = 300 },
};
timer_queue_driver(wheel_ops);
