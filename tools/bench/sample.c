// SPDX-License-Identifier: MIT
/*
 * Samples: so many operations that they take a few milliseconds. No bench
 * sleeps, so what counts is the time on a CPU, that of the kernel included: a
 * neighbour's turns on it are not ours. Reading it takes a system call, 0.02%.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "tools/bench/bench.h"

#define SAMPLE_NS	(2 * MN_MSEC)
#define WARM_UP_NS	(20 * MN_MSEC)

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * MN_SEC + ts.tv_nsec;
}

/* How long @n operations took. */
static int64_t run_ns(struct bench_case *c, uint64_t n)
{
	struct shard *home = mn_self;
	int64_t from_ns, to_ns;

	mn_self = c->shard;
	if (c->bench->prepare)
		c->bench->prepare(c, n);
	c->aside_ns = 0;
	from_ns = cpu_ns();
	c->bench->run(c, n);
	to_ns = cpu_ns();
	mn_self = home;
	return to_ns - from_ns - c->aside_ns;
}

/* What is not the time of a CPU: how late something was, how long it took. */
static double measured_ns(struct bench_case *c)
{
	struct shard *home = mn_self;
	double ns;

	mn_self = c->shard;
	ns = c->bench->measure(c);
	mn_self = home;
	return ns;
}

int sample_start(struct bench_case *c, unsigned int nr_samples)
{
	int64_t spent_ns = 0, ns;
	uint64_t n = max(c->bench->n, 1);

	c->ns = calloc(nr_samples, sizeof(*c->ns));
	if (!c->ns)
		return -ENOMEM;
	c->n = 1;
	if (c->bench->measure) {
		measured_ns(c);
		return 0;
	}
	while (spent_ns < WARM_UP_NS) {
		ns = max(run_ns(c, n), 1);
		spent_ns += ns;
		if (c->bench->n)
			continue;
		if (ns < SAMPLE_NS / 2)
			n *= 2;
		else
			n = max((uint64_t)((double)n * SAMPLE_NS / (double)ns), 1);
	}
	c->n = n;
	return 0;
}

void sample_take(struct bench_case *c, unsigned int i)
{
	c->ns[i] = c->bench->measure ? measured_ns(c) : (double)run_ns(c, c->n) / (double)c->n;
}
