// SPDX-License-Identifier: MIT
/*
 * --doctor: what of the kernel can be used, what the limits are, what is
 * chosen, and what it costs to wake a shard.
 *
 * What whoever runs this machine can mend is marked and counted: a limit, a
 * filter, a sysctl. What only another kernel would have is not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "backends/backend.h"
#include "core/log.h"
#include "core/report.h"
#include "core/shard.h"
#include "smp/topology.h"
#include "smp/wake-cost.h"

#define FDS_OWN		16	/* of a shard, without connections */
#define FDS_LOW		256	/* so few that it is mostly an oversight */
#define THREADS_OWN	4	/* that are no shards: watching, what blocks */
#define MAPS_LOW	65530	/* the kernel's default */

static unsigned int nr_bad;

#define OK	' '
#define BAD	'!'

static void line(char mark, const char *name, const char *value, const char *what)
{
	nr_bad += mark == BAD;
	print_out("%c %-16s %-10s %s\n", mark, name, value, what);
}

/* ---- the kernel ---- */

/* The first line of a small file, or "". */
static void file_line(const char *path, char *text, int size)
{
	FILE *file = fopen(path, "re");

	text[0] = '\0';
	if (file && fgets(text, size, file))
		text[strcspn(text, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void report_denied(const struct driver *drv, int err)
{
	bool forbidden = err == -EPERM || err == -EACCES || err == -ENOSYS;
	char text[160], sysctl[32];

	file_line("/proc/sys/kernel/io_uring_disabled", sysctl, sizeof(sysctl));
	if (forbidden && drv->hint)
		snprintf(text, sizeof(text), "%s: %s (kernel.io_uring_disabled is %s)",
			 strerror(-err), drv->hint, *sysctl ? sysctl : "unknown");
	else
		snprintf(text, sizeof(text), "%s", strerror(-err));
	line(forbidden || err == -ENOMEM ? BAD : OK, drv->name, "refused", text);
	print_out("  %-16s %-10s the next best backend takes its place, with more system calls\n",
		  "", "");
}

void doctor_kernel(void)
{
	const struct driver *const *drv;
	struct utsname name;

	uname(&name);
	print_out("kernel: %s %s\n", name.sysname, name.release);
	for (drv = backend_kind.start; drv < backend_kind.stop; drv++) {
		const struct backend_ops *ops = container_of(*drv, struct backend_ops, drv);
		int err = ops->features ? (*drv)->probe(NULL) : 0;

		if (!ops->features)
			continue;
		if (!err)
			err = ops->features();
		if (err)
			report_denied(*drv, err);
	}
}

/* ---- limits ---- */

static const char *limit_text(rlim_t n, char *text, size_t size)
{
	if (n == RLIM_INFINITY)
		snprintf(text, size, "none");
	else
		snprintf(text, size, "%llu", (unsigned long long)n);
	return text;
}

static void limit_line(int resource, const char *name, unsigned long long needed, const char *what)
{
	struct rlimit limit;
	char now[32], text[160], most[32];

	if (getrlimit(resource, &limit))
		return;
	snprintf(text, sizeof(text), "(at most %s) %s",
		 limit_text(limit.rlim_max, most, sizeof(most)), what);
	line(limit.rlim_cur < needed ? BAD : OK, name, limit_text(limit.rlim_cur, now, sizeof(now)),
	     text);
}

static void maps_line(void)
{
	char maps[32];

	file_line("/proc/sys/vm/max_map_count", maps, sizeof(maps));
	if (*maps)
		line(strtoll(maps, NULL, 10) < MAPS_LOW ? BAD : OK, "max_map_count", maps,
		     "two for each stack of a fiber, where madvise cannot guard it (before Linux 6.13)");
}

static void quota_line(const struct topology *topology)
{
	struct cpu_mask cpuset;
	uint64_t quota;
	char text[32] = "none";

	cgroup_limits("/sys/fs/cgroup", "/proc/self/cgroup", &cpuset, &quota);
	if (quota != QUOTA_NONE)
		snprintf(text, sizeof(text), "%.1f CPUs", (double)quota / 1000);
	line(OK, "cpu.max", text,
	     topology->shared ? "shards share CPUs, or have less than whole ones: no spinning" :
				"");
}

static void limits(const struct mn_world *world, const struct topology *topology)
{
	char slack[32];

	print_out("limits:\n");
	limit_line(RLIMIT_MEMLOCK, "memlock", 0,
		   "bytes; the rings of users without privilege count");
	limit_line(RLIMIT_NOFILE, "nofile", FDS_LOW + (rlim_t)FDS_OWN * world->nr_shards,
		   "one for each connection and file");
	limit_line(RLIMIT_NPROC, "nproc", world->nr_shards + THREADS_OWN,
		   "of the user: a thread for each shard, and those of mn_blocking()");
	maps_line();
	quota_line(topology);
	snprintf(slack, sizeof(slack), "%d ns", prctl(PR_GET_TIMERSLACK));
	line(OK, "timer slack", slack, "of this thread; that of shards is 1 ns");
}

/* ---- waking ---- */

static void report_wake(const struct mn_world *world, const int *cpus, const struct driver *driver,
			const char *waker)
{
	const struct driver_choice choice = { .driver = driver, .arg = waker };
	int err = driver->probe ? driver->probe(waker) : 0;
	struct wake_cost cost;
	char name[32];

	if (!err)
		err = wake_cost_measure(world, &choice, cpus, &cost);
	snprintf(name, sizeof(name), "%s%s%s", driver->name, waker ? ":" : "", waker ? waker : "");
	if (err)
		print_out("  %-23s %s\n", name, strerror(-err));
	else
		print_out("  %-23s %.1f us until it runs; the sender's turn is %.2f us longer\n",
			  name, (double)cost.run_ns / MN_USEC, (double)cost.send_ns / MN_USEC);
}

/* Each backend and waker that has real time. With one CPU there is nobody to wake. */
static void report_wakes(const struct mn_world *world, const struct topology *topology)
{
	const struct driver *const *drv;

	if (topology->nr_shards < 2 || topology->shared)
		return;
	print_out("waking a shard that sleeps:\n");
	for (drv = backend_kind.start; drv < backend_kind.stop; drv++) {
		const struct backend_ops *ops = container_of(*drv, struct backend_ops, drv);

		if (ops->virtual_time)
			continue;
		if (!ops->wakers)
			report_wake(world, topology->cpus, *drv, NULL);
		for (int i = 0; ops->wakers && ops->wakers[i]; i++)
			report_wake(world, topology->cpus, *drv, ops->wakers[i]);
	}
}

/* ---- the whole ---- */

static void chosen(const struct mn_world *world, const struct topology *topology)
{
	const struct backend_ops *ops =
		container_of(world->backend.driver, struct backend_ops, drv);

	print_out("chosen:\n");
	report_chosen(world);
	if (ops->shrunk && ops->shrunk(world->shards[0]->be))
		line(BAD, "rings", "smaller", "than asked for: raise RLIMIT_MEMLOCK");
	print_out("  %-12s %-10u %s\n", "shards", world->nr_shards, topology->reason);
	topology_report(topology);
	print_out("  %-12s %s\n", "fiber stacks", stack_guard_kind(&world->shards[0]->fibers));
	print_out("  %-12s %s\n", "spin",
		  world->shared_cpus ? "off: shards share CPUs" :
		  world->spin_ns < 0 ? "up to the measured cost of a sleep" :
		  world->spin_ns     ? "for a fixed time" :
				       "off");
}

void doctor_world(const struct mn_world *world, const struct topology *topology)
{
	report_drivers();
	limits(world, topology);
	chosen(world, topology);
	report_wakes(world, topology);
}

unsigned int doctor_verdict(void)
{
	if (nr_bad)
		print_out("to mend: %u, marked with !\n", nr_bad);
	else
		print_out("to mend: nothing\n");
	return nr_bad;
}
