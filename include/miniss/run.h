/* SPDX-License-Identifier: MIT */
/* The program: options, shards, the main fiber, the exit code. */
#ifndef MINISS_RUN_H
#define MINISS_RUN_H

#include <miniss/fiber.h>
#include <miniss/param.h>
#include <miniss/op.h>
#include <miniss/scope.h>
#include <miniss/timer.h>

#define MN_EXIT_OK	0
#define MN_EXIT_FAILED	1	/* could not: a driver, a port, a limit */
#define MN_EXIT_USAGE	2	/* an unknown name or a bad value */

/*
 * What the application was compiled against. The library refuses to run one
 * that was compiled for another configuration.
 */
#define MN__ABI								\
	(1u * sizeof(struct mn_task) + 101u * sizeof(struct mn_future) +	\
	 10007u * sizeof(struct mn_op) + 1000003u * sizeof(struct mn_timer) +	\
	 7919u * sizeof(struct mn_scope))

struct mn_app {
	unsigned int abi;
	const struct mn_param *const *params_start, *const *params_end;
};

extern const struct mn_param *const __start_mn_app_params[]
	__attribute__((weak, visibility("hidden")));
extern const struct mn_param *const __stop_mn_app_params[]
	__attribute__((weak, visibility("hidden")));

/**
 * mn_run - run a program on every CPU
 * @argc, @argv: of main(); what the runtime and MN_APP_PARAM know is taken
 *	out, the rest stays in order and ends with NULL. After "--" everything
 *	is the application's
 * @fn: the main fiber, on shard 0; when it returns, every shard stops. Its
 *	result: 0, -errno (logged by whoever found it), or an exit code
 * @arg: handed to @fn
 *
 * A stop waits for --stop_timeout_ms at most. Fibers that have not ended by
 * then are named, and the result is 1. A shard that has not been in its
 * reactor all that time (a function that computes or blocks) is named with
 * the fiber that it runs and a backtrace; then the program aborts (SIGABRT).
 *
 * Return: an exit code: that of @fn, 1 for an -errno; 1 if the program could
 * not start; 2 for a usage error. --help, --version and --list-drivers print
 * and return 0 without running @fn; so does --doctor, but 1 if it finds
 * something that can be mended on this machine.
 */
/* clang-format off */
#define mn_run(argc, argv, fn, arg)					\
	mn_run_app(&(const struct mn_app){				\
		.abi = MN__ABI,						\
		.params_start = __start_mn_app_params,			\
		.params_end = __stop_mn_app_params,			\
	}, argc, argv, fn, arg)
/* clang-format on */
MN_API int mn_run_app(const struct mn_app *app, int argc, char **argv, mn_fiber_fn fn, void *arg);

/**
 * mn_args_end - refuse what nobody took out of the command line
 * @argv: as mn_run() left it
 * @positional_max: how many arguments that are not options are fine
 *
 * Return: 0, or MN_EXIT_USAGE after a message that names what is wrong.
 */
MN_API int mn_args_end(char *const *argv, int positional_max);

/** mn_stop - ask the program to stop, as SIGTERM does. Any shard. */
MN_API void mn_stop(void);

/**
 * mn_stop_wait - suspend until the program was asked to stop
 *
 * From a fiber of shard 0 (-EXDEV elsewhere). Return: 0, or -ECANCELED.
 */
MN_API int mn_stop_wait(void);

/** mn_shard - the number of this shard; mn_shards - how many there are */
MN_API unsigned int mn_shard(void);
MN_API unsigned int mn_shards(void);

/**
 * mn_print_stats - print drivers and per-shard counters to standard output
 *
 * From a fiber of shard 0; suspends while the other shards answer.
 */
MN_API int mn_print_stats(void);

#endif
