/* SPDX-License-Identifier: MIT */
/*
 * The built programs, run as a user runs them: processes of their own, with
 * limits, faults and signals from outside. Whatever waits has a limit, and
 * what a test leaves behind dies with it.
 */
#ifndef TESTS_SPAWN_H
#define TESTS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "tests/suites.h"

#define PATIENCE_MS	20000	/* for what happens at once unless something is wrong */

/* How to start it; zero: as this process is. */
struct spawn {
	const char *const *env;		/* variables to add, NULL at the end */
	const char *inject;		/* for strace -e inject=; see need_strace() */
	rlim_t nofile, memlock;
	bool nobody;			/* as that user; see need_root() */
	bool no_stdio;			/* descriptors 0 to 2 closed */
	int stderr_fd;			/* instead of being caught */
};

struct program {
	pid_t pid;
	bool ended;
	int status;
	int fd[2];			/* files with what it wrote */
	char text[2][65536];
};

#define ARGS(...)	((const char *const[]){ __VA_ARGS__, NULL })

/* program_start - bin/@argv[0]; a test that cannot start it fails */
void program_start(struct program *p, const struct spawn *how, const char *const *argv);

/* What it wrote so far. */
const char *program_out(struct program *p);
const char *program_err(struct program *p);

/* The lines of standard error, but for what debug builds measure at the end. */
int program_nr_lines(struct program *p);

/* program_wait_err - until standard error has @text; false if it never does */
bool program_wait_err(struct program *p, const char *text);

/* program_exit - wait for its end: the exit code, or minus the signal */
int program_exit(struct program *p);
bool program_alive(struct program *p);

/* program_run - start it and wait for its end */
int program_run(struct program *p, const struct spawn *how, const char *const *argv);

/* Of mn-echo: the port, once it listens; 0 if it ended instead. */
unsigned int program_port(struct program *p);

/* program_stop - SIGTERM; it must drain and end with 0 */
void program_stop(struct program *p);

/* What it uses. */
long program_cpu_us(struct program *p);		/* of all its threads, so far */
long program_rss_kib(struct program *p);
int program_nr_fds(struct program *p);
int program_idle_fds(struct program *p);	/* the same, once it has all it needs to serve */

/* Until it has no more than @nr descriptors open; false if it never does. */
bool program_wait_fds(struct program *p, int nr);

int64_t test_now_ms(void);
void test_pause_ms(int ms);
void test_pause_us(int us);
int nr_lines(const char *text);

/* What a test needs of this machine and configuration; without it, it is skipped. */
#define need_strace()							\
	do {								\
		if (!have_strace())					\
			test_skip("strace is missing, or may not trace here"); \
	} while (0)
#define need_root()							\
	do {								\
		if (!have_root())					\
			test_skip("only root can become nobody");	\
	} while (0)
#define need_backend(name)						\
	do {								\
		const char *lack = lacks_backend(name);			\
									\
		if (lack)						\
			test_skip("%s", lack);				\
	} while (0)
#define need_memlock()							\
	do {								\
		if (memlock_is_short())					\
			test_skip("RLIMIT_MEMLOCK is too low for so many rings"); \
	} while (0)

bool have_strace(void);
bool have_root(void);
const char *lacks_backend(const char *name); /* the reason, or NULL */

/* It is built, and the system, or a filter (tests/denied.c), does not let us: programs say so. */
bool io_uring_is_denied(void);

/* Users without privilege may lock too little for several rings: 64 KiB once were usual. */
bool memlock_is_short(void);

/* The backends that serve, for loop tests. */
#define NR_SERVING	2
extern const char *const serving[NR_SERVING];

/* serving_start - mn-echo over a backend on a free port; its port */
unsigned int serving_start(struct program *p, const char *backend, const struct spawn *how,
			   const char *const *args);

#endif
