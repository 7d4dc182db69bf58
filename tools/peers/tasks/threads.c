// SPDX-License-Identifier: MIT
/* The tasks with a thread for each thing that goes on. */
#include <pthread.h>
#include <sched.h>

#include "tasks.h"

static pthread_t begin(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		errx(EXIT_FAILURE, "no thread");
	return thread;
}

static void *nothing(void *arg)
{
	return NULL;
}

static void spawn_run(uint64_t n)
{
	for (; n; n--)
		pthread_join(begin(nothing, NULL), NULL);
}

static void *yields(void *arg)
{
	for (uint64_t left = *(uint64_t *)arg; left; left--)
		sched_yield();
	return NULL;
}

/* On one CPU, in turns. */
static void yield_run(uint64_t n)
{
	uint64_t half = n / 2, rest = n - half;
	pthread_t thread = begin(yields, &half);

	yields(&rest);
	pthread_join(thread, NULL);
}

/* ---- a place for one message, and back ---- */

struct slot {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t nr;
};

static struct slot there = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
static struct slot back = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static void put(struct slot *slot, uint64_t n)
{
	pthread_mutex_lock(&slot->lock);
	slot->nr += n;
	pthread_cond_signal(&slot->changed);
	pthread_mutex_unlock(&slot->lock);
}

static uint64_t take(struct slot *slot)
{
	uint64_t n;

	pthread_mutex_lock(&slot->lock);
	while (!slot->nr)
		pthread_cond_wait(&slot->changed, &slot->lock);
	n = slot->nr;
	slot->nr = 0;
	pthread_mutex_unlock(&slot->lock);
	return n;
}

static void *resolver(void *arg)
{
	put(arg, 1);
	return NULL;
}

static void oneshot_run(uint64_t n)
{
	for (; n; n--) {
		pthread_t thread = begin(resolver, &back);

		take(&back);
		pthread_join(thread, NULL);
	}
}

static void *answering(void *arg)
{
	for (;;)
		put(&back, take(&there));
	return NULL;
}

static void threads_prepare(void)
{
	begin(answering, NULL);
}

static void ask(uint64_t n, uint64_t window)
{
	uint64_t first = n < window ? n : window, unasked = n - first;

	put(&there, first);
	while (n) {
		uint64_t got = take(&back), more = got < unasked ? got : unasked;

		n -= got;
		unasked -= more;
		if (more)
			put(&there, more);
	}
}

static void roundtrip_run(uint64_t n)
{
	ask(n, 1);
}

static void pipelined_run(uint64_t n)
{
	ask(n, WINDOW);
}

/* ---- files: as many threads as reads; one at a time is pread() alone, in epoll.c ---- */

static int fd;

static void read_prepare(void)
{
	fd = file_to_read();
}

static void *reads(void *arg)
{
	char buf[BLOCK];

	for (uint64_t n = *(uint64_t *)arg; n; n--) {
		off_t offset = random_offset();

		block_check(buf, pread(fd, buf, BLOCK, offset), offset);
	}
	return NULL;
}

static void read32_run(uint64_t n)
{
	pthread_t thread[DEPTH];
	uint64_t share = n / DEPTH + 1;

	for (int i = 0; i < DEPTH; i++)
		thread[i] = begin(reads, &share);
	for (int i = 0; i < DEPTH; i++)
		pthread_join(thread[i], NULL);
}

static const struct task tasks[] = {
	{ "spawn", spawn_run, NULL },
	{ "yield", yield_run, NULL },
	{ "oneshot", oneshot_run, NULL },
	{ "roundtrip", roundtrip_run, threads_prepare },
	{ "pipelined", pipelined_run, threads_prepare },
	{ "read32", read32_run, read_prepare },
	{ .name = NULL },
};

int main(int argc, char **argv)
{
	return tasks_main(argc, argv, "POSIX", tasks);
}
