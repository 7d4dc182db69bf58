/* SPDX-License-Identifier: MIT */
/*
 * What all peers do: PEER TASK [1|2] prints how many ns one operation of the
 * task took, over as many as take a twentieth of a second; with 2, on two CPUs
 * at once, which of what has no more than a loop means a process on each, and
 * all operations of both count. PEER echo [1|2 [PORT]] serves. PEER version
 * says of what. Exit status: 0; 1 it could not, or did it wrong; 2 usage;
 * 3 this peer has no such thing. Header only: each peer is one file.
 */
#ifndef TASKS_H
#define TASKS_H

#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE	2
#define EXIT_HAS_NOT	3

#define ENOUGH_NS	50000000
#define ENOUGH_N	100		/* fewer may be nothing but what disturbed them */
#define TIMERS		1000000
#define WINDOW		32		/* messages under way, where many may be */
#define BLOCK		4096
#define BLOCKS		4096		/* of the file that is read: 16 MiB, in the page cache */
#define DEPTH		32

struct task {
	const char *name;
	void (*run)(uint64_t n);	/* n operations */
	void (*prepare)(void);		/* or NULL: once, not timed */
	void (*check)(void);		/* or NULL: was it done? Not timed */
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
	static __thread uint64_t state = 1;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Ten seconds to a minute, in ms: no timer expires while it is measured. */
static inline uint64_t random_timeout_ms(void)
{
	return 10000 + next_random() % 50000;
}

static inline off_t random_offset(void)
{
	return (off_t)(next_random() % BLOCKS) * BLOCK;
}

/* A file without a name; each block begins and ends with its offset. */
static inline int file_to_read(void)
{
	static __thread uint64_t block[BLOCK / sizeof(uint64_t)];
	char name[] = "/tmp/tasks-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		err(EXIT_FAILURE, "%s", name);
	unlink(name);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		block[0] = block[BLOCK / sizeof(*block) - 1] = i * BLOCK;
		if (write(fd, block, sizeof(block)) != sizeof(block))
			err(EXIT_FAILURE, "write");
	}
	return fd;
}

/* What a read of so many bytes brought from there. */
static inline void block_check(const void *data, int64_t res, off_t offset)
{
	uint64_t first, last;

	memcpy(&first, data, sizeof(first));
	memcpy(&last, (const char *)data + BLOCK - sizeof(last), sizeof(last));
	if (res != BLOCK || first != (uint64_t)offset || last != (uint64_t)offset)
		errx(EXIT_FAILURE, "wrong data was read");
}

/* ---- on two CPUs: a process each, which go together ---- */

struct pace {
	uint64_t n;		/* operations of the next run */
	unsigned int begun;	/* runs */
	unsigned int ready;	/* ends of them, with that of the preparation */
};

static inline void pace_wait(unsigned int *what, unsigned int until)
{
	while (__atomic_load_n(what, __ATOMIC_ACQUIRE) != until)
		;
}

static inline void pin_to_nth(int n)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		err(EXIT_FAILURE, "sched_getaffinity");
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !n--)
			CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		errx(EXIT_FAILURE, "two CPUs are needed");
}

static inline void pace_follow(const struct task *task, struct pace *pace)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin_to_nth(1);
	if (task->prepare)
		task->prepare();
	for (unsigned int i = 1;; i++) {
		__atomic_store_n(&pace->ready, i, __ATOMIC_RELEASE);
		pace_wait(&pace->begun, i);
		task->run(pace->n);
	}
}

static inline struct pace *pace_begin(const struct task *task)
{
	struct pace *pace = (struct pace *)mmap(NULL, sizeof(*pace), PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (pace == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	pid = fork();
	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid)
		pace_follow(task, pace);
	pin_to_nth(0);
	return pace;
}

/* n operations here, and as many there. */
static inline void pace_run(const struct task *task, struct pace *pace, uint64_t n)
{
	pace->n = n;
	__atomic_store_n(&pace->begun, pace->begun + 1, __ATOMIC_RELEASE);
	task->run(n);
	pace_wait(&pace->ready, pace->begun + 1);
}

/* ---- the measurement ---- */

/* The next number of operations, or 0: these were enough. */
static inline uint64_t next_n(uint64_t n, uint64_t took)
{
	if (took >= ENOUGH_NS && n >= ENOUGH_N)
		return 0;
	return took < ENOUGH_NS / 100 || n < ENOUGH_N ? n * 10 : n * ENOUGH_NS / took + n / 8 + 1;
}

static inline void task_run(const struct task *task, int cpus)
{
	struct pace *pace = cpus > 1 ? pace_begin(task) : NULL;
	uint64_t n = 1, from, took;

	if (task->prepare)
		task->prepare();
	if (pace)
		pace_wait(&pace->ready, 1);
	for (;;) {
		uint64_t more;

		from = now_ns();
		if (pace)
			pace_run(task, pace, n);
		else
			task->run(n);
		took = now_ns() - from;
		more = next_n(n, took);
		if (!more)
			break;
		n = more;
	}
	if (task->check)
		task->check();
	printf("%.2f\n", (double)took / (double)n / (pace ? 2 : 1));
}

/* The tasks of two threads are what they are. */
static inline int task_is_of_two(const struct task *task)
{
	return !strcmp(task->name, "roundtrip") || !strcmp(task->name, "pipelined");
}

static inline int tasks_main(int argc, char **argv, const char *version, const struct task *tasks)
{
	int cpus = argc == 3 ? atoi(argv[2]) : 1;

	if (argc < 2 || argc > 3 || cpus < 1 || cpus > 2) {
		fprintf(stderr, "usage: %s TASK [1|2], or version\n", argv[0]);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "version")) {
		puts(version);
		return 0;
	}
	for (const struct task *task = tasks; task->name; task++)
		if (!strcmp(argv[1], task->name)) {
			task_run(task, task_is_of_two(task) ? 1 : cpus);
			return 0;
		}
	return EXIT_HAS_NOT;
}

/* PEER echo [1|2 [PORT]]: the port, or -1 if this is none of that. */
static inline int echo_port(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "echo"))
		return -1;
	return argc > 3 ? atoi(argv[3]) : 0;
}

#endif
