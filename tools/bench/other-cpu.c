// SPDX-License-Identifier: MIT
/* A second thread, on a CPU where the bench is not. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>

#include <miniss/miniss.h>

#include "tools/bench/bench.h"

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int other_cpu_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	int here = sched_getcpu(), err = EINVAL;
	pthread_attr_t attr;

	stay_on(here);
	pthread_attr_init(&attr);
	for (int cpu = 0; err == EINVAL && cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t set;

		if (cpu == here)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		err = pthread_create(thread, &attr, fn, arg);
	}
	pthread_attr_destroy(&attr);
	if (err == EINVAL)
		mn_warn("messages between CPUs need a second one");
	return err == EINVAL ? -ENODEV : -err;
}
