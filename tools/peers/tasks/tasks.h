/* SPDX-License-Identifier: MIT */
/*
 * What all peers do: PEER TASK prints how many ns one operation of the task
 * took, over as many as take a tenth of a second. Exit status: 0; 1 it could
 * not; 2 usage; 3 this peer has no such thing. Header only: each peer is one file.
 */
#ifndef TASKS_H
#define TASKS_H

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE	2
#define EXIT_HAS_NOT	3

#define ENOUGH_NS	100000000
#define TIMERS		1000000
#define WINDOW		32		/* messages under way, where many may be */
#define BLOCK		4096
#define BLOCKS		4096		/* of the file that is read: 16 MiB, in the page cache */
#define DEPTH		32

struct task {
	const char *name;
	void (*run)(uint64_t n);	/* n operations */
	void (*prepare)(void);		/* or NULL: once, not timed */
};

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* xorshift64* */
static inline uint64_t next_random(void)
{
	static uint64_t state = 1;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

/* From one second to a minute, ms. */
static inline uint64_t random_timeout_ms(void)
{
	return 1000 + next_random() % 59000;
}

static inline off_t random_offset(void)
{
	return (off_t)(next_random() % BLOCKS) * BLOCK;
}

/* A file without a name, written. */
static inline int file_to_read(void)
{
	static char block[BLOCK];
	char name[] = "/tmp/tasks-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		err(EXIT_FAILURE, "%s", name);
	unlink(name);
	for (int i = 0; i < BLOCKS; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			err(EXIT_FAILURE, "write");
	return fd;
}

static inline void task_run(const struct task *task)
{
	uint64_t n = 1, from, took;

	if (task->prepare)
		task->prepare();
	for (;;) {
		from = now_ns();
		task->run(n);
		took = now_ns() - from;
		if (took >= ENOUGH_NS)
			break;
		n = took < ENOUGH_NS / 100 ? n * 10 : n * ENOUGH_NS / took + n / 8 + 1;
	}
	printf("%.2f\n", (double)took / (double)n);
}

/* With "list", their names. */
static inline int tasks_main(int argc, char **argv, const struct task *tasks)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s TASK|list\n", argv[0]);
		return EXIT_USAGE;
	}
	for (const struct task *task = tasks; task->name; task++) {
		if (!strcmp(argv[1], "list")) {
			puts(task->name);
		} else if (!strcmp(argv[1], task->name)) {
			task_run(task);
			return 0;
		}
	}
	return strcmp(argv[1], "list") ? EXIT_HAS_NOT : 0;
}

#endif
