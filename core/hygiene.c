// SPDX-License-Identifier: MIT
/*
 * What is left at the end. A clean program hears nothing of this: whatever is
 * reported was started, taken or opened, and never ended, freed or closed.
 */
#include <stdio.h>

#include <miniss/log.h>
#include <miniss/run.h>

#include "backends/backend.h"
#include "core/hygiene.h"
#include "core/ledger.h"
#include "core/log.h"
#include "core/shard.h"
#include "timers/timer_queue.h"

MN_PARAM(bool, fail_on_abandoned, false, 0, 0,
	 "exit with 1 if there were failures that nobody took");
MN_PARAM(bool, report_leaks, IS_ENABLED(CONFIG_DEBUG), 0, 0,
	 "say at the end what was not ended, freed or closed");

#define NAMED_MAX	8	/* of a kind and shard, one line each */

void abandoned(struct shard *shard, int64_t result, const char *fiber, const char *origin)
{
	struct hygiene *hygiene = &shard->hygiene;
	char text[sizeof(hygiene->first)];

	stats_add(shard, STAT_ABANDONED, 1);
	if (fiber)
		snprintf(text, sizeof(text), "%lld of the fiber %s%s%s", (long long)result,
			 *fiber ? fiber : "(unnamed)", origin ? " spawned at " : "",
			 origin ? origin : "");
	else
		snprintf(text, sizeof(text), "%lld of %s%s", (long long)result,
			 origin ? "the future made at " : "a future", origin ? origin : "");
	if (!hygiene->nr_abandoned++)
		snprintf(hygiene->first, sizeof(hygiene->first), "%s", text);
	if (IS_ENABLED(CONFIG_DEBUG))
		mn_warn("abandoned failure %s", text);
}

void fds_add(int n)
{
	mn_self->hygiene.nr_fds += n;
}

static int check_abandoned(const struct mn_world *world, int code)
{
	const char *first = NULL;
	uint64_t n = 0;

	for (unsigned int i = 0; i < world->nr_shards; i++) {
		const struct hygiene *hygiene = &world->shards[i]->hygiene;

		n += hygiene->nr_abandoned;
		if (hygiene->nr_abandoned && !first)
			first = hygiene->first;
	}
	if (!n || !param_fail_on_abandoned)
		return code;
	log_now("%llu failures were abandoned; the first: %s", (unsigned long long)n, first);
	return code ? code : MN_EXIT_FAILED;
}

static void leak(const struct shard *shard, uint64_t n, const char *what)
{
	if (n)
		log_now("leak: shard %u: %llu %s", shard->id, (unsigned long long)n, what);
}

/* What the kernel holds of the pool for receiving is not lost. */
static uint64_t chunks_missing(const struct shard *shard)
{
	const struct backend_ops *ops =
		container_of(shard->world->backend.driver, struct backend_ops, drv);
	uint32_t missing = shard->pool.nr_chunks - shard->pool.nr_free;

	return missing - (ops->buffers ? ops->buffers(shard->be) : 0);
}

static void report_leaks(struct shard *shard)
{
	const struct timer_queue *tq = shard->tq;

	leak(shard, shard->fibers.nr_live, "fibers have not ended");
	if (shard->fibers.nr_live)
		fiber_report(shard);
	ledger_report(shard, LEDGER_OP, NAMED_MAX);
	leak(shard, (uint64_t)shard->hygiene.nr_ops, "operations are in flight");
	if (IS_ENABLED(CONFIG_DEBUG))
		leak(shard, ledger_report(shard, LEDGER_TIMER, NAMED_MAX), "timers are armed");
	else if (tq->nr_armed)
		log_now("leak: shard %u: timers are armed", shard->id);
	leak(shard, chunks_missing(shard), "buffers were not freed");
}

int hygiene_check(const struct mn_world *world, int code)
{
	int64_t nr_fds = 0;

	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct shard *shard = world->shards[i];

		nr_fds += shard->hygiene.nr_fds;
		if (param_report_leaks && i < world->nr_up && !shard->start_err)
			report_leaks(shard);
	}
	if (param_report_leaks && nr_fds > 0)
		log_now("leak: %lld descriptors were not closed", (long long)nr_fds);
	return check_abandoned(world, code);
}
