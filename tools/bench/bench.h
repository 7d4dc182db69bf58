/* SPDX-License-Identifier: MIT */
/*
 * mn-bench: what one operation costs, in nanoseconds.
 *
 * A bench does an operation n times; how often makes a sample of a few
 * milliseconds is found by trying, so that reading the clock costs nothing.
 * Each bench runs in a world of its own with one shard, which it steps
 * itself: a bench is a task, as it were, that can wait for a whole turn.
 *
 * Benches that are to be compared form a family: their samples are taken in
 * turns, so that what disturbs the machine disturbs them all.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <pthread.h>
#include <stdint.h>

#include "core/section.h"
#include "core/shard.h"

#define CASE_NAME_MAX	48

struct bench_case;

struct bench {
	const char *name;
	const char *family;			/* NULL: its own name */
	const struct driver_kind *kind;		/* once with each driver of a kind; NULL: once */
	bool wakers;				/* once with each waker of each backend, too */
	const char *bare_of;			/* the bare form of the family with this driver; *: any */

	/* All with mn_self set to the case's shard. All but @run or @measure may be NULL. */
	int (*open)(struct bench_case *c);	/* 0 or -errno: cannot be done here */
	void (*prepare)(struct bench_case *c, uint64_t n);	/* before each sample */
	void (*run)(struct bench_case *c, uint64_t n);		/* this is what is timed */
	void (*close)(struct bench_case *c);
	double (*measure)(struct bench_case *c);	/* in place of @run: a sample, ns of any clock */

	uint64_t n;				/* operations in a sample; 0: some milliseconds */
	bool on_request;			/* by a filter that says scale: it takes much */
};

/* A bench with the drivers that it runs on. */
struct bench_case {
	const struct bench *bench;
	const struct driver *driver;		/* of bench->kind; or a backend, if bench->wakers */
	const char *arg;			/* the driver's, or NULL */
	char name[CASE_NAME_MAX];

	struct mn_world world;
	struct shard *shard;
	void *state;				/* the bench's own */

	uint64_t n;				/* operations in a sample */
	int64_t aside_ns;			/* what @run spent on something else, this time */
	double *ns;				/* per operation, a sample each */
};

/* The last line of a bench. */
#define bench_register(bench)	section_entry(mn_benches, bench, bench)
section_declare(mn_benches, struct bench);

/* case.c */
struct bench_case *case_new(const struct bench *bench, const struct driver_choice *choice,
			    const char *suffix);
void case_free(struct bench_case *c);
const char *case_family(const struct bench_case *c);
int case_open(struct bench_case *c);
void case_close(struct bench_case *c);

/* case_step - one turn of the case's shard, from a bench */
static inline bool case_step(struct bench_case *c)
{
	return shard_step(c->shard, false);
}

/* sample.c */
int sample_start(struct bench_case *c, unsigned int nr_samples);	/* warm up, find n */
void sample_take(struct bench_case *c, unsigned int i);

/* count.c */
int count_possible(void);				/* 0 or -errno: not under callgrind */
void count_case(struct bench_case *c, uint64_t n);	/* of n operations; twice as many */

/* other-cpu.c */

/*
 * other_cpu_start - start a thread on a CPU that is not ours, and stay on this one
 * Return: 0, -ENODEV where there is one CPU only, or another -errno.
 */
int other_cpu_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

/* report.c */
struct result {
	double median_ns, mad_ns, min_ns;
};

void result_of(struct result *result, const struct bench_case *c, unsigned int nr_samples);
double median_of(const double *ns, unsigned int n);
void report_heading(void);
void report_table(const struct bench_case *c, unsigned int nr_samples,
		  const struct bench_case *bare);
void report_json(const struct bench_case *c, unsigned int nr_samples);

/* compare.c: each sample of a run, in a file, and the next run beside them */
struct saved;

/*
 * saved_read - what an earlier run has saved; NULL after a message that says what is wrong
 * saved_write_begin, saved_write, saved_write_end - 0 or -errno, likewise
 */
struct saved *saved_read(const char *path);
int saved_write_begin(const char *path);
void saved_write(const struct bench_case *c, unsigned int nr_samples);
int saved_write_end(const char *path);
void saved_free(struct saved *saved);

void compare_heading(const struct saved *saved, const char *path);
void compare_case(struct saved *saved, const struct bench_case *c, unsigned int nr_samples);

/* compare_end - one line of summary; how many are slower */
unsigned int compare_end(const struct saved *saved);

/* bench_keep - let the compiler believe that a value is used */
#define bench_keep(value)	__asm__ volatile("" : : "r"(value) : "memory")

/* bench_random - xorshift64*: a nanosecond */
static inline uint64_t bench_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
