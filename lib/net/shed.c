// SPDX-License-Identifier: MIT
/*
 * Clients that never read their answers hold a buffer each, and there is no
 * other way to get it back than to give one of them up. So when buffers are
 * nearly used up, those go that have made no progress for the longest time,
 * --net.stuck_ms at least. Fibers that wait for output to shrink are in a list,
 * in the order of their last progress: nothing of that is on the path of who
 * does not wait.
 */
#include <errno.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "core/log.h"
#include "core/shard.h"
#include "lib/net/shed.h"
#include "lib/net/stream.h"

MN_PARAM(
	uint, stuck_ms, 5000, 0, 3600000,
	 "when buffers run out, time without progress after which a connection is given up; 0: never");

#define CRITICAL	16	/* less than this part is left: connections are given up, */
#define ENOUGH		4	/* for as many as this */
#define AGAIN_NS	(10 * MN_MSEC)	/* what was given up comes back by and by */

static bool critical(const struct pool *pool)
{
	return pool_left(pool) < pool->chunks_max / CRITICAL;
}

/* When the first one has been stuck for long enough, but not before @from_ns. */
static void shed_arm(struct shard *self, int64_t from_ns)
{
	const struct stuck *first = list_first(&self->stuck, struct stuck, entry);
	int64_t due_ns = first->since_ns + param_stuck_ms * MN_MSEC;

	mn_timer_arm(&self->shed, max(due_ns, from_ns), MN_MSEC);
}

/*
 * As many as it takes, if each has one buffer. Some more than one, as others
 * who wait for that one would be there first, and be stuck next.
 */
static void shed(struct mn_task *task)
{
	struct shard *self = mn_self;
	int64_t until_ns = mn_now() - param_stuck_ms * MN_MSEC;
	unsigned int nr_shed = 0, n = 0;

	if (critical(&self->pool))
		n = self->pool.chunks_max / ENOUGH - pool_left(&self->pool);
	while (nr_shed < n && !list_empty(&self->stuck)) {
		struct stuck *first = list_first(&self->stuck, struct stuck, entry);

		if (first->since_ns > until_ns)
			break;
		list_del(&first->entry);
		stream_abort(first->stream, -ENOBUFS);
		nr_shed++;
	}
	stats_add(self, STAT_SHED, nr_shed);
	if (nr_shed)
		mn_warn("buffers ran out: %u connections were given up whose peers do not read",
			nr_shed);
	/* Buffers may run out later, in other hands: look again as long as anybody is stuck. */
	if (!list_empty(&self->stuck))
		shed_arm(self, mn_now() + (n ? AGAIN_NS : param_stuck_ms * MN_MSEC));
}

void shed_init(struct shard *shard)
{
	list_init(&shard->stuck);
	mn_timer_init(&shard->shed, shed);
}

void stuck_enter(struct stuck *stuck, struct mn_stream *stream)
{
	struct shard *self = mn_self;

	stuck->stream = stream;
	stuck->since_ns = mn_now();
	list_add_tail(&self->stuck, &stuck->entry);
	if (param_stuck_ms && !mn_timer_armed(&self->shed))
		shed_arm(self, 0);
}

void stuck_leave(struct stuck *stuck)
{
	list_del(&stuck->entry);
	if (list_empty(&mn_self->stuck))
		mn_timer_cancel(&mn_self->shed);
}
