// SPDX-License-Identifier: MIT
/*
 * The reactor: what a shard does, turn after turn.
 *
 * A turn runs what is ready, hands out and takes in messages, makes one call
 * to the backend, and expires timers. Only the first of these runs code of
 * the application; everything else just makes tasks ready for the next turn.
 * So nothing that happens to a program comes from the depths of something
 * else, and the order of events is the order of one queue.
 *
 * When a turn found nothing to do, the shard is idle. Being woken from a wait
 * in the kernel costs tens of microseconds, a thousand times what a turn
 * costs; so a shard spins first, but only up to what the wait would have
 * cost, and only while idle times have lately been that short. What a wait
 * costs is measured at the start, and whenever a timer ends one.
 */
#include <miniss/log.h>
#include <miniss/run.h>

#include "backends/backend.h"
#include "core/log.h"
#include "core/reactor.h"
#include "core/sched.h"
#include "core/scope.h"
#include "lib/time/clock.h"
#include "smp/mesh.h"
#include "timers/timer.h"

MN_PARAM(uint, slice_us, 500, 10, 1000000, "time that tasks may use before I/O is looked at, us");

#define SPIN_LOOKS	8	/* for work, before one at the clock, which costs as much */
#define GAP_DECAY	4	/* idle times that the moving average remembers */
#define PARK_TRY_NS	(20 * MN_USEC)	/* a wait that tells what waiting costs takes no less */
#define PARK_COST_MAX_NS (100 * MN_USEC) /* later than that: the CPU was somebody else's */
#define BUDGET_DECAY	8	/* waits that the budget remembers */
#define LOG_RETRY_NS	(20 * MN_MSEC)

_Thread_local struct shard *mn_self;

/* The slice begins when somebody first asks: most turns are over before that. */
static bool slice_over(struct shard *s)
{
	uint64_t now = shard_cycles(s);

	if (!s->slice_end)
		s->slice_end = now + s->slice_cycles;
	return now >= s->slice_end;
}

/* Who asks and is told so is going to give way: the loop below, too, then. */
bool mn_need_preempt(void)
{
	struct shard *s = mn_self;

	if (!slice_over(s))
		return false;
	preempt(s);
	return true;
}

/* A task that requeues itself must not starve I/O: leave after a slice. */
unsigned int runq_run(struct shard *s, struct runq *runq, int n_max)
{
	int n = 0;

	s->tasks_max = n_max;
	do {
		struct mn_task *task = runq_pop(runq);

		/* Of many connections' fibers, each has left the cache since it ran. */
		__builtin_prefetch(runq->head);
		task->fn(task);
		n++;
		if (n % CONFIG_TASK_BATCH == 0 && slice_over(s))
			break;
	} while (!runq_empty(runq) && n < s->tasks_max);
	return (unsigned int)n;
}

static unsigned int tasks_run(struct shard *s)
{
	unsigned int n;

	if (!shard_ready(s))
		return 0;
	s->slice_end = 0;
	n = s->sched ? sched_run(s) : runq_run(s, &s->runq, TASKS_PER_TURN);
	s->tasks_max = 0;
	if (s->scopes_unarmed)
		scopes_arm(s);
	if (s->unsent)
		out_flush(s);
	stats_add(s, STAT_TASKS, n);
	return n;
}

void shard_clock_read(struct shard *s)
{
	s->now_ns = backend_now(s->be);
	s->now_stale = false;
}

/* Without a timer nobody may want to know the time: then who asks reads the clock. */
static unsigned int expire(struct shard *s)
{
	s->now_stale = true;
	if (!s->tq->nr_armed)
		return 0;
	shard_clock_read(s);
	return timers_expire(s);
}

/* Watch for work without sleeping; false when the budget is used up. */
static bool idle_spin(struct shard *s, int64_t deadline_ns)
{
	int64_t until_ns = min(s->now_ns + s->idle.budget_ns, deadline_ns);

	if (s->idle.gap_ns >= s->idle.budget_ns)	/* long idle times, or no budget */
		return false;
	do {
		for (int looks = 0; looks < SPIN_LOOKS; looks++) {
			if (backend_turn(s->be, 0) || mesh_drain(s, true)) {
				stats_add(s, STAT_SPINS, 1);
				s->now_stale = true;
				return true;
			}
			cpu_relax();
		}
		mesh_settle(s);
		shard_clock_read(s);
	} while (s->now_ns < until_ns);
	return s->now_ns >= deadline_ns;
}

/* Twice what the wait would cost: an idle time seldom ends just after that. */
static int64_t budget_for(int64_t park_cost_ns)
{
	return 2 * min(max(park_cost_ns, 0), PARK_COST_MAX_NS);
}

/* A wait that a timer ended tells what waiting costs now. */
static void budget_follow(struct idle *idle, int64_t waited_ns, int64_t late_ns)
{
	if (idle->measured && waited_ns >= PARK_TRY_NS && late_ns >= 0)
		idle->budget_ns += (budget_for(late_ns) - idle->budget_ns) / BUDGET_DECAY;
}

/*
 * Sleep until something happens. Who sends to us looks at @asleep after it
 * has made its message visible; we look for messages after we have set it:
 * one of the two sees the other. See smp/mesh.c for the other side.
 */
static unsigned int park(struct shard *s, int64_t deadline_ns)
{
	unsigned int n = 1;

	if (mesh_sleep(s)) {
		int64_t from_ns = s->now_ns;

		stats_add(s, STAT_PARKS, 1);
		n = backend_turn(s->be, deadline_ns);
		shard_clock_read(s);
		budget_follow(&s->idle, deadline_ns - from_ns, s->now_ns - deadline_ns);
	}
	mesh_awake(s);
	return n;
}

/*
 * Who was woken for nothing (a debugger came, a late wake-up) sleeps on; and so
 * does, once, who has slept for long enough to give back memory.
 */
static void idle_park(struct shard *s, int64_t deadline_ns)
{
	int64_t trim_ns = MN_NEVER;
	unsigned int n;

	if (s->log_pending && !log_flush(s))
		deadline_ns = min(deadline_ns, s->now_ns + LOG_RETRY_NS);
	if (heap_stale(&s->heap) && !s->virtual_time)
		trim_ns = s->now_ns + HEAP_TRIM_NS;
	do {
		n = park(s, min(deadline_ns, trim_ns));
		if (!n && s->now_ns >= trim_ns) {
			heap_trim(&s->heap);
			trim_ns = MN_NEVER;
		}
	} while (!n && !s->virtual_time && s->now_ns < deadline_ns && mesh_quiet(s) &&
		 !shard_ready(s));
}

/* A busy shard's lines go out, too, but standard error is not asked too often. */
static void log_turn(struct shard *s)
{
	if (shard_now(s) < s->log_retry_ns)
		return;
	if (!log_flush(s))
		s->log_retry_ns = s->now_ns + LOG_RETRY_NS;
}

static void reactor_idle(struct shard *s)
{
	int64_t deadline_ns = timer_queue_next(s->tq), from_ns, gap_ns;

	shard_clock_read(s);
	from_ns = s->now_ns;
	if (idle_spin(s, deadline_ns)) {
		gap_ns = s->now_ns - from_ns;
	} else {
		idle_park(s, deadline_ns);
		/* How long it would have been, had we spun: less the wake-up. */
		gap_ns = s->now_ns - from_ns - s->idle.budget_ns;
		gap_ns = max(gap_ns, 0);
	}
	/* One long pause must not outweigh many short ones. */
	gap_ns = min(gap_ns, 2 * s->idle.budget_ns);
	s->idle.gap_ns += (gap_ns - s->idle.gap_ns) / GAP_DECAY;
}

static bool reactor_turn(struct shard *s, bool may_wait)
{
	unsigned int n;

	n = tasks_run(s);
	mesh_flush(s);
	n += backend_turn(s->be, 0);
	/* A glance will do for who looks again soon; a virtual clock would move on instead. */
	n += mesh_drain(s, !n && !s->virtual_time);
	n += expire(s);
	s->turns++;
	if (s->log_pending)
		log_turn(s);
	if (n || shard_ready(s))
		return true;
	if (may_wait && !s->stopping)
		reactor_idle(s);
	return false;
}

bool shard_step(struct shard *s, bool may_wait)
{
	mn_self = s;
	return reactor_turn(s, may_wait);
}

bool shard_done(const struct shard *s)
{
	return s->stopping && (s->leaving || (!shard_ready(s) && !mesh_sending(s)));
}

/*
 * What parking costs here: how much later than asked a short wait returns.
 * The least of a few, since the others were disturbed.
 */
static int64_t park_cost_ns(struct shard *s)
{
	int64_t cost_ns = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		int64_t until_ns = backend_now(s->be) + PARK_TRY_NS;

		backend_turn(s->be, until_ns);
		cost_ns = min(cost_ns, backend_now(s->be) - until_ns);
	}
	return cost_ns;
}

int shard_start(struct shard *s)
{
	int err;

	mn_self = s;
	s->cycles_per_us = s->virtual_time ? MN_USEC : clock_cycles_per_us();
	s->slice_cycles = param_slice_us * s->cycles_per_us;
	err = backend_start(s->be);
	if (err)
		return err;
	zc_start(s);
	if (s->idle.measured)
		s->idle.budget_ns = budget_for(park_cost_ns(s));
	shard_clock_read(s);
	return 0;
}

void shard_main(struct shard *s)
{
	int err = shard_start(s);

	s->start_err = err;
	shard_started(s);
	while (!s->start_err && !shard_done(s))
		shard_step(s, true);
	mesh_flush(s);
	if (!err)	/* a wake-up may go out with the turn only */
		backend_turn(s->be, 0);
	log_flush(s);
	mn_self = NULL;
}

unsigned int mn_shard(void)
{
	return mn_self->id;
}

unsigned int mn_shards(void)
{
	return mn_self->world->nr_shards;
}
