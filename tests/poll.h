/* SPDX-License-Identifier: MIT */
/* What the files of the suite of readiness share. */
#ifndef TESTS_POLL_H
#define TESTS_POLL_H

#include <check.h>

#include <miniss/fiber.h>

/* Two ends: what is put into one makes the other readable. */
struct ends {
	const struct kind *kind;
	int in, out;
};

struct kind {
	const char *name;
	void (*open)(struct ends *e);
	const char *text;
	ssize_t len;
};

/* The loop variable counts combinations of a backend and 1 or 2 shards; on the last of them. */
int poll_worlds(void);
void poll_run(int i, mn_fiber_fn fn);
bool is_mem(void);

/* Of sockets, pipes, terminals and eventfds; in a fiber. */
void ends_open(struct ends *e, unsigned int kind);
void ends_put(const struct ends *e);
void ends_take(const struct ends *e);
void ends_close(const struct ends *e);
void pipe_open(struct ends *e);
int file_open(void);

/* A test of each kind of descriptor that there is over the backend; 0. */
int each_kind(void (*test)(struct ends *e));

TCase *tcase_poll_watch(void);

#endif
