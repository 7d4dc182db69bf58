// SPDX-License-Identifier: MIT
#include "lib/file/disk-limit.h"

#include "core/compiler.h"

#define ONE		256			/* as a stretch */
#define WINDOW_MIN	16			/* completions */
#define CROWDED		2			/* times its floor: that long is too long */
#define EPOCH_NS	(5 * MN_SEC)		/* from one look at the floors to the next */
#define SETTLE_NS	(20 * MN_MSEC)		/* for the crowd to go */
#define LOOK_NS		(20 * MN_MSEC)
#define LOOK_MIN	4			/* completions, at least */
#define LIMIT_MIN	(DISK_COST_REQUEST + 1)	/* one request of 4 KiB */

uint32_t disk_cost(uint64_t len)
{
	uint64_t pages = (len + (UINT64_C(1) << DISK_COST_SHIFT) - 1) >> DISK_COST_SHIFT;

	return DISK_COST_REQUEST + (uint32_t)min(pages, DISK_COST_MAX);
}

/* 4 KiB and less, 8 KiB, ... 8 MiB and more. */
unsigned int disk_class(uint64_t len, bool write)
{
	uint64_t pages = len ? (len - 1) >> DISK_COST_SHIFT : 0;
	unsigned int size = pages ? 64 - (unsigned int)__builtin_clzll(pages) : 0;

	return 2 * min(size, DISK_CLASSES / 2 - 1) + write;
}

void disk_limit_init(struct disk_limit *l, uint32_t limit_max, int64_t goal_ns)
{
	*l = (struct disk_limit){
		.limit = LIMIT_MIN,
		.limit_max = limit_max,
		.goal_ns = goal_ns,
		.want = WINDOW_MIN,
		.epoch = -1,
		.growing = true,
	};
}

static void window_begin(struct disk_limit *l, uint32_t in_flight)
{
	l->skip = in_flight;
	l->want = max(l->growing ? WINDOW_MIN / 2 : WINDOW_MIN, in_flight);
	l->n = 0;
	l->cost = 0;
	l->full = false;
	for (unsigned int i = 0; i < DISK_CLASSES; i++)
		l->class[i].n = 0, l->class[i].sum_ns = 0;
}

/* Means, since the quickest of all may have been in the device's cache. */
static void floors_take(struct disk_limit *l, bool anew)
{
	for (unsigned int i = 0; i < DISK_CLASSES; i++) {
		struct disk_class *class = &l->class[i];
		int64_t mean_ns;

		if (!class->n)
			continue;
		mean_ns = max(class->sum_ns / class->n, 1);
		if (anew || !class->floor_ns)
			class->floor_ns = mean_ns;
		else if (mean_ns < class->floor_ns)	/* a bit: the least of many is chance */
			class->floor_ns -= (class->floor_ns - mean_ns) / 4;
	}
}

static uint32_t stretch_of(const struct disk_limit *l)
{
	double sum = 0;

	for (unsigned int i = 0; i < DISK_CLASSES; i++) {
		const struct disk_class *class = &l->class[i];
		int64_t target_ns = l->goal_ns ? l->goal_ns : CROWDED * class->floor_ns;

		if (class->n)
			sum += (double)class->sum_ns / (double)target_ns;
	}
	return (uint32_t)min(sum * ONE / l->n, 1e6);
}

static void limit_set(struct disk_limit *l, uint64_t limit)
{
	l->limit = (uint32_t)max(min(limit, l->limit_max), LIMIT_MIN);
}

/* Neither timid, or shards would not become alike, nor for one slow request. */
static uint32_t cut(uint32_t stretch)
{
	return max(min(ONE * ONE / stretch, ONE * 7 / 8), ONE / 2);
}

/*
 * Additive increase, multiplicative decrease: so that shards which share a
 * device, and do not know of each other, come to have alike.
 */
static void limit_adapt(struct disk_limit *l)
{
	uint64_t mean = max(l->cost / l->n, 1);

	l->stretch = stretch_of(l);
	if (l->stretch > ONE) {
		l->growing = false;
		l->cuts++;
		limit_set(l, (uint64_t)l->limit * cut(l->stretch) / ONE);
	} else if (l->full) {
		/* One request may always go, so that much it was. */
		limit_set(l, max(l->limit, mean) + (l->growing ? max(l->limit, mean) : mean));
	}
}

static void window_end(struct disk_limit *l, uint32_t in_flight)
{
	l->windows++;
	floors_take(l, false);
	limit_adapt(l);
	window_begin(l, in_flight);
}

/* ---- floors ---- */

/* By the clock, so that all shards do it together; unless there was nothing to do by then. */
static void look_begin(struct disk_limit *l, int64_t now_ns)
{
	int64_t since_ns = now_ns % EPOCH_NS;

	l->look_ns = since_ns < SETTLE_NS ? now_ns - since_ns : now_ns;
	l->limit_saved = l->limit;
	limit_set(l, l->limit / 4);
	window_begin(l, 0);
}

static void look_end(struct disk_limit *l, uint32_t in_flight)
{
	floors_take(l, true);
	limit_set(l, l->limit_saved);
	l->limit_saved = 0;
	window_begin(l, in_flight);
}

void disk_limit_done(struct disk_limit *l, unsigned int class, uint32_t cost, int64_t took_ns,
		     int64_t now_ns, uint32_t in_flight)
{
	if (now_ns / EPOCH_NS != l->epoch) {
		if (l->epoch >= 0 && !l->limit_saved)
			look_begin(l, now_ns);
		l->epoch = now_ns / EPOCH_NS;
	}
	if (l->limit_saved && now_ns < l->look_ns + SETTLE_NS)
		return;
	if (l->skip) {
		l->skip--;
		return;
	}
	l->class[class].n++;
	l->class[class].sum_ns += took_ns;
	l->n++;
	l->cost += cost;
	if (l->limit_saved) {
		if (now_ns >= l->look_ns + SETTLE_NS + LOOK_NS && l->n >= LOOK_MIN)
			look_end(l, in_flight);
	} else if (l->n >= l->want) {
		window_end(l, in_flight);
	}
}
