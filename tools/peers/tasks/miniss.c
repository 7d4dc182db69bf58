// SPDX-License-Identifier: MIT
/*
 * The tasks on miniss, with its public API. Each runs in a fiber of each shard;
 * those of two threads in the main fiber, with a second shard.
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

static _Thread_local struct mn_timer *timers;

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

static void timers_check(void)
{
	for (uint64_t i = 0; i < TIMERS; i++)
		if (!mn_timer_cancel(&timers[i]))
			errx(EXIT_FAILURE, "a timer is not set");
}

/* ---- files ---- */

static _Thread_local struct mn_file file;
static _Thread_local char buf[DEPTH][BLOCK];

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
	for (; n; n--) {
		off_t offset = random_offset();

		block_check(buf[0], mn_read(&file, buf[0], BLOCK, offset), offset);
	}
}

static void read32_run(uint64_t n)
{
	static _Thread_local struct mn_op op[DEPTH];
	off_t offset[DEPTH];
	uint64_t begun = 0;

	for (uint64_t ended = 0; ended < n; ended++) {
		uint64_t i = ended % DEPTH;

		for (; begun < n && begun < ended + DEPTH; begun++) {
			uint64_t j = begun % DEPTH;

			offset[j] = random_offset();
			mn_read_start(&op[j], &file, buf[j], BLOCK, offset[j]);
		}
		block_check(buf[i], mn_await(&op[i].done), offset[i]);
	}
}

static const struct task tasks[] = {
	{ .name = "spawn", .run = spawn_run },
	{ .name = "yield", .run = yield_run },
	{ .name = "oneshot", .run = oneshot_run },
	{ .name = "roundtrip", .run = roundtrip_run },
	{ .name = "pipelined", .run = pipelined_run },
	{ .name = "timers", .run = timers_run, .prepare = timers_prepare, .check = timers_check },
	{ .name = "read1", .run = read1_run, .prepare = read_prepare },
	{ .name = "read32", .run = read32_run, .prepare = read_prepare },
	{ .name = NULL },
};

/* ---- on one shard, or the same on two at once ---- */

struct part {
	const struct task *task;
	uint64_t n;	/* 0: prepare */
};

static int part_run(void *arg)
{
	const struct part *part = arg;

	if (part->n)
		part->task->run(part->n);
	else if (part->task->prepare)
		part->task->prepare();
	return 0;
}

static void parts_run(struct part *part, unsigned int shards)
{
	struct mn_call call;

	/* It leaves with the end of the turn: before this part of the work, which gives no way. */
	if (shards > 1 && (mn_call_start(&call, 1, part_run, part) || mn_sleep(1)))
		abort();
	part_run(part);
	if (shards > 1 && mn_await(&call.done))
		abort();
}

static void measure(const struct task *task, unsigned int shards)
{
	struct part part = { .task = task };
	uint64_t from, took;

	parts_run(&part, shards);
	for (uint64_t more = 1; more;) {
		part.n = more;
		from = now_ns();
		parts_run(&part, shards);
		took = now_ns() - from;
		more = next_n(part.n, took);
	}
	if (task->check)
		task->check();
	printf("%.2f\n", (double)took / (double)part.n / shards);
}

static int app(void *arg)
{
	const struct task *task = arg;

	measure(task, task_is_of_two(task) ? 1 : mn_shards());
	return 0;
}

static const struct task *task_named(const char *name)
{
	const struct task *task = tasks;

	while (task->name && strcmp(task->name, name))
		task++;
	return task->name ? task : NULL;
}

int main(int argc, char **argv)
{
	const struct task *task = argc > 1 ? task_named(argv[1]) : NULL;

	if (!task)
		return tasks_main(argc, argv, "this tree", tasks);
	setenv("MINISS_CPUS", task_is_of_two(task) ? "2" : argc > 2 ? argv[2] : "1", 0);
	setenv("MINISS_LOG_LEVEL", "0", 0);
	setenv("MINISS_STALL_MS", "0", 0);
	return mn_run(1, argv, app, (void *)task);
}
