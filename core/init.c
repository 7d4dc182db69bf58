// SPDX-License-Identifier: MIT
/*
 * mn_run(): read the options, choose the drivers, make the world, run it.
 *
 * A driver that passed its probe may still not open (a memory limit reached
 * by the fourth ring, say). Then the next one is tried, unless the user asked
 * for this one by name.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <miniss/log.h>
#include <miniss/run.h>

#include "core/driver.h"
#include "core/log.h"
#include "core/report.h"
#include "core/param.h"
#include "core/shard.h"
#include "lib/time/clock.h"
#include "smp/topology.h"

MN_PARAM(str, backend, NULL, 0, 64, "I/O backend, NAME or NAME:ARG (see --list-drivers)");
MN_PARAM(str, timer, NULL, 0, 64, "timer queue, NAME or NAME:ARG");
MN_PARAM(str, queue, NULL, 0, 64, "cross-shard queue, NAME or NAME:ARG");
MN_PARAM(str, spin, "auto", 1, 16,
	 "before sleeping, spin: auto (up to the measured cost of a sleep), off, or microseconds");
MN_PARAM(int64, seed, -1, 0, INT64_MAX,
	 "of random numbers, so that they can be repeated; otherwise from the system");
MN_PARAM(bool, help, false, 0, 0, "print the options and exit");
MN_PARAM(bool, version, false, 0, 0, "print the version and exit");
MN_PARAM(bool, list_drivers, false, 0, 0, "print the drivers and whether they work here, and exit");
MN_PARAM(bool, doctor, false, 0, 0, "print what would be chosen here, and why, and exit");

extern char **environ;

#define SPIN_US_MAX	1000000

static int spin_parse(const char *text, int64_t *spin_ns)
{
	char *end;
	long us;

	if (!strcmp(text, "auto")) {
		*spin_ns = -1;
		return 0;
	}
	if (!strcmp(text, "off")) {
		*spin_ns = 0;
		return 0;
	}
	us = strtol(text, &end, 10);
	if (*end || end == text || us < 0 || us > SPIN_US_MAX) {
		mn_err("%s: must be auto, off, or 0 to %d microseconds", param_origin_spin,
		       SPIN_US_MAX);
		return -EINVAL;
	}
	*spin_ns = us * MN_USEC;
	return 0;
}

static int choose(const struct driver_kind *kind, const struct mn_param *param,
		  const struct driver *after, struct driver_choice *choice)
{
	return driver_choose(kind, *(const char **)param->value, *param->origin, after, choice);
}

/* A parameter that makes no sense is refused, whoever it would have been for. */
static int backends_check(void)
{
	const struct driver *const *drv;
	int err = 0;

	for (drv = backend_kind.start; !err && drv < backend_kind.stop; drv++)
		err = (*drv)->check ? (*drv)->check() : 0;
	return err;
}

static int drivers_choose(struct mn_world *world)
{
	int err = choose(&timer_queue_kind, &param_desc_timer, NULL, &world->timer);

	return err ? err : choose(&queue_kind, &param_desc_queue, NULL, &world->queue);
}

static int world_set_up(struct mn_world *world, const struct topology *topology)
{
	const struct driver *after = NULL;
	int err;

	for (;;) {
		err = choose(&backend_kind, &param_desc_backend, after, &world->backend);
		if (err)
			return err;
		err = world_open(world, topology->nr_shards, topology->cpus);
		if (!err || err == -EINVAL || err == -ENODEV)
			return err;	/* these two: what was asked for cannot be */
		if (param_backend) {
			mn_err("backend %s: %s", world->backend.driver->name, strerror(-err));
			return err;
		}
		mn_warn("backend %s: %s; trying the next", world->backend.driver->name,
			strerror(-err));
		after = world->backend.driver;
	}
}

/* Of timing, not of secrets: where the system has none, the clock does. */
static uint64_t seed(void)
{
	uint64_t random;

	if (param_seed >= 0)
		return (uint64_t)param_seed;
	if (getentropy(&random, sizeof(random)))
		random = (uint64_t)clock_now_ns();
	return random;
}

static int exit_code(int err)
{
	return err == 0 ? MN_EXIT_OK : err == -EINVAL ? MN_EXIT_USAGE : MN_EXIT_FAILED;
}

/* 0: all is well; 1: something is to be mended, or a program would not start. */
static int world_print(struct mn_world *world, const struct topology *topology)
{
	int err;

	doctor_kernel();
	err = world_set_up(world, topology);
	if (err)
		return exit_code(err);
	doctor_world(world, topology);
	world_close(world);
	return doctor_verdict() ? MN_EXIT_FAILED : MN_EXIT_OK;
}

/*
 * Who writes to a peer that has gone is told by EPIPE. A handler that the
 * program has for SIGPIPE, it has for a reason.
 */
static bool sigpipe_ignore(void)
{
	struct sigaction act;

	sigaction(SIGPIPE, NULL, &act);
	return act.sa_handler == SIG_DFL && signal(SIGPIPE, SIG_IGN) == SIG_DFL;
}

/* Back as it was, if that is how it was and nobody else has changed it. */
static void sigpipe_restore(bool ignored)
{
	struct sigaction act;

	sigaction(SIGPIPE, NULL, &act);
	if (ignored && act.sa_handler == SIG_IGN)
		signal(SIGPIPE, SIG_DFL);
}

int mn_run_app(const struct mn_app *app, int argc, char **argv, mn_fiber_fn fn, void *arg)
{
	struct mn_world world = { .fn = fn, .arg = arg };
	struct topology topology;
	bool ignored;
	int err;

	log_program(argc > 0 ? argv[0] : "miniss");
	if (app->abi != MN__ABI) {
		log_now("compiled for another configuration of libminiss than the one that it "
			"runs with: compile it again");
		return MN_EXIT_FAILED;
	}
	err = params_parse(app, &argc, argv, environ);
	if (err)
		return MN_EXIT_USAGE;
	if (param_help || param_version || param_list_drivers) {
		if (param_help)
			params_help(app);
		else if (param_version)
			report_version();
		else
			report_drivers();
		return MN_EXIT_OK;
	}
	err = spin_parse(param_spin, &world.spin_ns);
	if (!err)
		err = backends_check();
	if (!err)
		err = topology_plan(&topology);
	if (!err)
		err = drivers_choose(&world);
	if (err)
		return exit_code(err);
	world.shared_cpus = topology.shared;
	world.numa = topology.numa;
	world.seed = seed();
	if (param_doctor)
		return world_print(&world, &topology);
	err = world_set_up(&world, &topology);
	if (err)
		return exit_code(err);
	ignored = sigpipe_ignore();
	err = world_run(&world);
	err = hygiene_check(&world, err < 0 ? MN_EXIT_FAILED : err);
	world_close(&world);
	sigpipe_restore(ignored);
	return err;
}
