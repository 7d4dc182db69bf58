// SPDX-License-Identifier: MIT
/*
 * Two threads that never sleep and have a ring of numbers each way: the least
 * that a message to another CPU costs, on two CPUs that nobody else may use.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tasks.h"

#define LINE	128	/* two of the processor's, which it fetches together */

struct lane {
	_Alignas(LINE) _Atomic uint64_t end;	/* messages that were sent */
	_Alignas(LINE) uint64_t message[WINDOW];
};

static struct lane there, back;

static uint64_t end_of(struct lane *lane)
{
	return atomic_load_explicit(&lane->end, memory_order_acquire);
}

static void send_until(struct lane *lane, uint64_t end)
{
	atomic_store_explicit(&lane->end, end, memory_order_release);
}

static void *answering(void *arg)
{
	for (uint64_t at = 0;;) {
		uint64_t end = end_of(&there);

		if (at == end)
			continue;
		for (; at != end; at++)
			back.message[at % WINDOW] = there.message[at % WINDOW] + 1;
		send_until(&back, at);
	}
	return NULL;
}

static void threads_prepare(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, answering, NULL))
		errx(EXIT_FAILURE, "no thread");
}

static void ask(uint64_t n, uint64_t window)
{
	uint64_t at = end_of(&back), begun = at, end = at + n;

	while (at != end) {
		uint64_t arrived = end_of(&back);

		for (; at != arrived; at++)
			if (back.message[at % WINDOW] != at + 1)
				errx(EXIT_FAILURE, "a wrong answer");
		if (begun - at < window && begun != end) {
			for (; begun - at < window && begun != end; begun++)
				there.message[begun % WINDOW] = begun;
			send_until(&there, begun);
		}
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

static const struct task tasks[] = {
	{ "roundtrip", roundtrip_run, threads_prepare },
	{ "pipelined", pipelined_run, threads_prepare },
	{ .name = NULL },
};

int main(int argc, char **argv)
{
	return tasks_main(argc, argv, "C11 atomics", tasks);
}
