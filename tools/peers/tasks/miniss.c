// SPDX-License-Identifier: MIT
/*
 * The tasks on miniss, with its public API. Each runs in the main fiber; those
 * of two threads have a second shard.
 */
#include <miniss/file.h>
#include <miniss/miniss.h>
#include <miniss/smp.h>
#include <miniss/timer.h>

#include "tasks.h"

/* ---- spawn, yield, oneshot ---- */

static int child(void *arg)
{
	return 0;
}

static void spawn_run(uint64_t n)
{
	struct mn_fiber *fiber;

	for (; n; n--)
		if (mn_spawn(child, NULL, &fiber) || mn_join(fiber))
			abort();
}

static int yields(void *arg)
{
	for (uint64_t left = *(uint64_t *)arg; left; left--)
		mn_yield();
	return 0;
}

/* This one and another, in turns: n switches of both together. */
static void yield_run(uint64_t n)
{
	struct mn_fiber *fiber;
	uint64_t half = n / 2;

	if (mn_spawn(yields, &half, &fiber))
		abort();
	for (n -= half; n; n--)
		mn_yield();
	mn_join(fiber);
}

static int resolver(void *arg)
{
	mn_future_resolve(arg, 1);
	return 0;
}

static void oneshot_run(uint64_t n)
{
	struct mn_future future;

	for (; n; n--) {
		mn_future_init(&future);
		if (mn_spawn(resolver, &future, NULL) || mn_await(&future) != 1)
			abort();
	}
}

/* ---- two threads ---- */

static int nothing(void *arg)
{
	return 0;
}

static void roundtrip_run(uint64_t n)
{
	for (; n; n--)
		if (mn_call(1, nothing, NULL))
			abort();
}

static void pipelined_run(uint64_t n)
{
	static struct mn_call call[WINDOW];
	uint64_t begun = 0;

	for (; begun < n && begun < WINDOW; begun++)
		if (mn_call_start(&call[begun], 1, nothing, NULL))
			abort();
	for (uint64_t ended = 0; ended < n; ended++) {
		struct mn_call *one = &call[ended % WINDOW];

		if (mn_await(&one->done))
			abort();
		if (begun < n) {
			if (mn_call_start(one, 1, nothing, NULL))
				abort();
			begun++;
		}
	}
}

/* ---- timers ---- */

static struct mn_timer *timers;

static void expired(struct mn_task *task)
{
}

static void timer_set(uint64_t i)
{
	mn_timer_arm(&timers[i], mn_now() + (int64_t)random_timeout_ms() * MN_MSEC, 0);
}

static void timers_prepare(void)
{
	timers = calloc(TIMERS, sizeof(*timers));
	if (!timers)
		abort();
	for (uint64_t i = 0; i < TIMERS; i++) {
		mn_timer_init(&timers[i], expired);
		timer_set(i);
	}
}

static void timers_run(uint64_t n)
{
	for (; n; n--) {
		uint64_t i = next_random() % TIMERS;

		mn_timer_cancel(&timers[i]);
		timer_set(i);
	}
}

/* ---- files ---- */

static struct mn_file file;

static void read_prepare(void)
{
	char name[32];
	int fd = file_to_read();

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (mn_file_open(&file, name, O_RDONLY, 0))
		errx(EXIT_FAILURE, "cannot open %s", name);
	close(fd);
}

static void read1_run(uint64_t n)
{
	static char buf[BLOCK];

	for (; n; n--)
		if (mn_read(&file, buf, BLOCK, random_offset()) != BLOCK)
			abort();
}

static void read32_run(uint64_t n)
{
	static char buf[DEPTH][BLOCK];
	static struct mn_op op[DEPTH];
	uint64_t begun = 0;

	for (; begun < n && begun < DEPTH; begun++)
		mn_read_start(&op[begun], &file, buf[begun], BLOCK, random_offset());
	for (uint64_t ended = 0; ended < n; ended++) {
		uint64_t i = ended % DEPTH;

		if (mn_await(&op[i].done) != BLOCK)
			abort();
		if (begun < n) {
			mn_read_start(&op[i], &file, buf[i], BLOCK, random_offset());
			begun++;
		}
	}
}

static const struct task tasks[] = {
	{ "spawn", spawn_run, NULL },
	{ "yield", yield_run, NULL },
	{ "oneshot", oneshot_run, NULL },
	{ "roundtrip", roundtrip_run, NULL },
	{ "pipelined", pipelined_run, NULL },
	{ "timers", timers_run, timers_prepare },
	{ "read1", read1_run, read_prepare },
	{ "read32", read32_run, read_prepare },
	{ .name = NULL },
};

static int app(void *arg)
{
	char **argv = arg;
	int argc = 0;

	while (argv[argc])
		argc++;
	return tasks_main(argc, argv, tasks);
}

/* A second shard only where it has something to do. */
int main(int argc, char **argv)
{
	bool two = argc == 2 && (!strcmp(argv[1], "roundtrip") || !strcmp(argv[1], "pipelined"));

	setenv("MINISS_CPUS", two ? "2" : "1", 0);
	setenv("MINISS_LOG_LEVEL", "0", 0);
	setenv("MINISS_STALL_MS", "0", 0);
	return mn_run(argc, argv, app, argv);
}
