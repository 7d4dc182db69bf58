// SPDX-License-Identifier: MIT
/*
 * mn-shares: three scheduling groups on every shard. Two compute all the time,
 * with 100 and 300 shares; the third is woken every millisecond. Prints who
 * ran for how long, and how late the third one was.
 *
 *	mn-shares [--seconds=N] [--latency=off] [runtime options]
 *
 * Exit codes: 0, 1 failed, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>

#include <miniss/miniss.h>

#define SAMPLES_MAX	100000

MN_APP_PARAM(uint, seconds, 2, 1, 60, "how long to run");
MN_APP_PARAM(bool, latency, true, 0, 0, "the third group is a latency group");

static unsigned int small, large, prompt;

static int compute(void *until_ns)
{
	volatile unsigned int work = 0;

	do {
		for (int i = 0; i < 10000; i++)
			work++;
		if (mn_need_preempt())
			mn_yield();
	} while (mn_now() < *(int64_t *)until_ns);
	return 0;
}

static int order(const void *l, const void *r)
{
	int64_t a = *(const int64_t *)l, b = *(const int64_t *)r;

	return a < b ? -1 : a > b;
}

/* How late it was, each time that it asked to be woken. */
static int be_woken(void *until_ns)
{
	int64_t *late_ns = malloc(SAMPLES_MAX * sizeof(*late_ns));
	size_t n = 0;

	if (!late_ns)
		return -ENOMEM;
	while (mn_now() < *(int64_t *)until_ns && n < SAMPLES_MAX) {
		int64_t due_ns = mn_now() + MN_MSEC;
		int err = mn_sleep(MN_MSEC);

		if (err) {
			free(late_ns);
			return err;
		}
		late_ns[n++] = mn_now() - due_ns;
	}
	qsort(late_ns, n, sizeof(*late_ns), order);
	printf("shard %u: late by %.3f ms (median), %.3f ms (99%%), %.3f ms (max)\n", mn_shard(),
	       (double)late_ns[n / 2] / MN_MSEC, (double)late_ns[n * 99 / 100] / MN_MSEC,
	       (double)late_ns[n - 1] / MN_MSEC);
	free(late_ns);
	return 0;
}

static int on_shard(void *arg)
{
	int64_t until_ns = mn_now() + param_seconds * MN_SEC;
	struct mn_fiber *fiber[3];
	int err = 0;
	int n = 0;

	if (!mn_spawn_in(small, compute, &until_ns, &fiber[n]))
		n++;
	if (!mn_spawn_in(large, compute, &until_ns, &fiber[n]))
		n++;
	if (!mn_spawn_in(prompt, be_woken, &until_ns, &fiber[n]))
		n++;
	for (int i = 0; i < n; i++) {
		int ret = mn_join(fiber[i]);

		if (!err)
			err = ret;
	}
	return n < 3 ? -ENOMEM : err;
}

static int app(void *arg)
{
	struct mn_group_options soon = { .shares = 100, .latency = param_latency };
	int err = mn_args_end(arg, 0);

	if (!err)
		err = mn_group_create("small", 100, &small);
	if (!err)
		err = mn_group_create("large", 300, &large);
	if (!err)
		err = mn_group_create_with("prompt", &soon, &prompt);
	if (!err)
		err = mn_call_all(on_shard, NULL);
	return err ? err : mn_print_stats();
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
