/* SPDX-License-Identifier: MIT */
/*
 * The contract kit: a script is a fiber in an empty directory of its own that
 * notes down every result that it gets. It runs on each backend, and on io_uring
 * without all of the features that it can do without (and without each of them,
 * with MN_TEST_MASKS set), with one shard and with two (then on the second); what
 * it notes must be the same.
 */
#ifndef TESTS_SCRIPT_H
#define TESTS_SCRIPT_H

#include <check.h>

#include <miniss/run.h>
#include <miniss/smp.h>

#include "core/shard.h"

struct script {
	const char *name;
	mn_fiber_fn fn;		/* gets the script; RUN_SKIPPED: not on this backend */
};

/* script_run - on all of these, and compare */
void script_run(const struct script *script, unsigned int nr_shards);

/* note - a result that has to be the same everywhere; returns it */
int64_t note(int64_t res);

/* note_bytes - the same for contents */
void note_bytes(const void *base, size_t len);

/* in_dir - the path of a name in the directory of the script; valid for a few more calls */
const char *in_dir(const char *name);

/* own_name - "unix:@..." with something of this process in it: tests run beside each other */
const char *own_name(const char *text);

/* Must succeed, and is noted. */
#define ok(call)	ck_assert_int_eq(note(call), 0)
#define is(call, res)	ck_assert_int_eq(note(call), res)

/* The test of a table of scripts: the loop variable counts scripts and numbers of shards. */
#define SCRIPT_TEST(name, scripts)					\
	START_TEST(name)						\
	{								\
		script_run(&(scripts)[_i / 2], 1 + (unsigned int)_i % 2); \
	}								\
	END_TEST

#define script_test(tc, name, scripts)					\
	tcase_add_loop_test(tc, name, 0, 2 * (int)ARRAY_SIZE(scripts))

#endif
