// SPDX-License-Identifier: MIT
/*
 * Synchronisation between fibers: what it costs when nobody waits.
 */
#include <miniss/sync.h>

#include "tools/bench/bench.h"

/* Each time as if it could have been changed: nothing stays in registers. */
static void sem_run(struct bench_case *c, uint64_t n)
{
	struct mn_sem sem;

	mn_sem_init(&sem, 1);
	for (; n; n--) {
		if (mn_sem_take(&sem, 1))
			return;
		bench_keep(&sem);
		mn_sem_give(&sem, 1);
		bench_keep(&sem);
	}
}

static const struct bench sem_fast = {
	.name = "sem.fast",
	.run = sem_run,
};
bench_register(sem_fast);

static void mutex_run(struct bench_case *c, uint64_t n)
{
	struct mn_mutex mutex;

	mn_mutex_init(&mutex);
	for (; n; n--) {
		if (mn_mutex_lock(&mutex))
			return;
		bench_keep(&mutex);
		mn_mutex_unlock(&mutex);
		bench_keep(&mutex);
	}
}

static const struct bench mutex_fast = {
	.name = "mutex.fast",
	.run = mutex_run,
};
bench_register(mutex_fast);
