/* SPDX-License-Identifier: MIT */
/* Child processes in tests: of the shell, mostly. */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <check.h>

#include <miniss/process.h>

#include "tests/run.h"
#include "tests/world.h"

/*
 * The loop variable of these tests counts combinations of a backend, 1 or 2
 * shards, and whether processes are waited for by pidfd or by SIGCHLD.
 */
int process_worlds(void);

/*
 * process_run - run a fiber on the last shard; afterwards no child is left
 * Over mem, where there are no processes, nothing happens.
 */
void process_run(int i, mn_fiber_fn fn);

/* process_run_left - the same, and one may be left */
void process_run_left(int i, mn_fiber_fn fn);

/* shell - the options to run a script */
struct shell {
	const char *argv[4];
	struct mn_process_options options;
};

struct shell *shell_for(struct shell *shell, const char *script);

/* shell_start - with its output, and input, as pipes if so */
struct mn_process *shell_start(const char *script, bool in, bool out);

/* output_of - what it writes until the end, in text; then it is waited for: exit code 0 */
const char *output_of(struct mn_process *process, char *text, size_t size);

/* is_gone - no such process, not even a zombie */
bool is_gone(int pid);

TCase *tcase_process_end(void);
TCase *tcase_process_sample(void);

#endif
