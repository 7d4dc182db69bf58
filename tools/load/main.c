// SPDX-License-Identifier: MIT
/*
 * mn-load: requests to an echo server, every byte of the answers verified.
 *
 *	mn-load ADDR:PORT|unix:PATH [--connections=N] [--seconds=S] [--size=B]
 *		[--pipeline=P] [--rate=R] [--json] [--progress] [runtime options]
 *
 * Each connection keeps P requests of B bytes outstanding, for S seconds from
 * when all connections are up. With --rate, R requests are sent a second, of
 * all connections together, and latency counts from when a request should have
 * been sent, also if the server kept it from being sent. A connection that
 * cannot be made, ends early, answers wrongly or has not answered one second
 * after the end is an error; the others go on. Exit codes: 0; 1 an error, or no
 * connection; 2 usage. SIGINT and SIGTERM end the run early.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "smp/call.h"
#include "tools/load/load.h"

MN_APP_PARAM(uint, connections, 64, 1, 1000000, "connections, shared out to the shards");
MN_APP_PARAM(uint, seconds, 5, 1, 86400, "how long to send");
MN_APP_PARAM(uint, size, 64, 1, 64 << 20, "bytes of a request");
MN_APP_PARAM(uint, pipeline, 1, 1, 65536, "requests outstanding on a connection");
MN_APP_PARAM(int64, rate, 0, 0, 1000000000, "requests/s of all connections; 0: as many as can be");
MN_APP_PARAM(bool, json, false, 0, 0, "print the result as one JSON object");
MN_APP_PARAM(bool, progress, false, 0, 0, "print a line a second, as on a terminal");

#define OTHER_FILES	64	/* what the runtime may have open beside connections */

/* The one thing that is not public API yet; becomes mn_call_all(). */
static int on_every_shard(mn_fiber_fn fn, struct load *load)
{
	return shard_call_all(fn, load);
}

/* As many descriptors as connections, if it may; connect() says if it may not. */
static void files_raise(unsigned int nr_conns)
{
	rlim_t wanted = (rlim_t)nr_conns + OTHER_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Ctrl-C ends the run, not the program: what was measured so far is printed. */
static int stopper(void *arg)
{
	return mn_stop_wait() ? 0 : on_every_shard(worker_stop, arg);
}

static void helper_end(struct mn_fiber *fiber)
{
	if (!fiber)
		return;
	mn_fiber_cancel(fiber);
	mn_join(fiber);
}

static int load_drive(struct load *load)
{
	bool progress = param_origin_progress ? param_progress : isatty(STDERR_FILENO);
	struct mn_fiber *stop = NULL, *printer = NULL;
	int err;

	load->start_ns = mn_now();
	load->end_ns = load->start_ns + load->seconds * MN_SEC;
	err = mn_spawn(stopper, load, &stop);
	if (!err && progress)
		err = mn_spawn(report_progress, load, &printer);
	if (!err)
		err = on_every_shard(worker_run, load);
	helper_end(printer);
	helper_end(stop);
	return err ? err : report_print(load, param_json);
}

static bool load_addr_bad(const struct load *load)
{
	bool bad = false;

	for (unsigned int i = 0; i < load->nr_workers; i++)
		bad |= load->workers[i] && load->workers[i]->bad_addr;
	if (bad)
		mn_err("%s: not an ADDRESS:PORT nor unix:PATH", load->addr);
	return bad;
}

static int app(void *arg)
{
	char **argv = arg;
	struct load load = {
		.addr = argv[1],
		.nr_conns = param_connections,
		.pipeline = param_pipeline,
		.size = param_size,
		.rate = param_rate,
		.seconds = param_seconds,
		.nr_workers = mn_shards(),
	};
	int err = mn_args_end(argv, 1);

	if (err)
		return err;
	if (!load.addr) {
		mn_err("where to? usage: mn-load ADDRESS:PORT|unix:PATH [options]; see --help");
		return MN_EXIT_USAGE;
	}
	files_raise(load.nr_conns);
	load.workers = calloc(load.nr_workers, sizeof(load.workers[0]));
	if (!load.workers)
		return -ENOMEM;
	err = on_every_shard(worker_connect, &load);
	if (load_addr_bad(&load))
		err = MN_EXIT_USAGE;
	if (!err)
		err = load_drive(&load);
	on_every_shard(worker_close, &load);
	free(load.workers);
	return err;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
