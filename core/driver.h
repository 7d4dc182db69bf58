/* SPDX-License-Identifier: MIT */
/*
 * Drivers: one mechanism for backends, timer queues and cross-shard queues.
 *
 * A kind of driver has a contract header, which declares its ops; each
 * driver fills one const ops table, whose first member is a struct driver,
 * and registers it with the last line of its file. Who calls a driver calls
 * ordinary functions, <kind>_<call>(): with several drivers built,
 * dispatch.c defines them as jumps through the table of the object; with a
 * sole driver, the driver's own file defines them, so they fold.
 *
 * Ratings: 0-99 tests only; 100-199 works everywhere; 200-299 good; 300-399
 * best where it works. Nothing is rated higher.
 */
#ifndef CORE_DRIVER_H
#define CORE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/compiler.h"
#include "core/section.h"

struct driver {
	const char *name;
	int rating;
	/*
	 * Can it be used here? 0, or -errno that says why not. Truthful: it
	 * tries, and undoes what it tried. @arg is what followed the colon of
	 * "name:arg", or NULL. NULL means always.
	 */
	int (*probe)(const char *arg);
	/* Do its parameters make sense? Also when it is not chosen. 0, or -EINVAL, logged; or NULL */
	int (*check)(void);
	/* What may have denied it (-EPERM, -EACCES, -ENOSYS): a sysctl, a filter. Or NULL. */
	const char *hint;
};

#define DRIVER_REASON_MAX	128

/* The outcome of a choice: what, and why, for --doctor and the tables. */
struct driver_choice {
	const struct driver *driver;
	const char *arg;
	char reason[DRIVER_REASON_MAX];
};

struct driver_kind {
	const char *title;	/* "backend" */
	const char *option;	/* "--backend" */
	const char *preferred;	/* Kconfig's default, may be "" */
	const struct driver *const *start, *const *stop;
};

/**
 * driver_choose - the best driver of a kind that works here
 * @kind: which
 * @request: "name" or "name:arg" from the user: no substitute then; or NULL
 * @asked_by: "--backend" or "MINISS_BACKEND", for messages; an '=' ends it
 * @after: skip this driver and everything before it in the order of
 *	preference (it passed its probe, but then could not be opened); or NULL
 *
 * Logs one line for each driver that is passed over. Boot only.
 *
 * Return: 0; -EINVAL for an unknown name (a usage error); -ENODEV when the
 * request, or every driver, fails its probe. Each was logged.
 */
int driver_choose(const struct driver_kind *kind, const char *request, const char *asked_by,
		  const struct driver *after, struct driver_choice *choice);

/** driver_list - print every driver of a kind with rating, probe and reason */
void driver_list(const struct driver_kind *kind);

/* The kinds, each defined by the select.c of its directory. */
extern const struct driver_kind backend_kind, timer_queue_kind, queue_kind;

#endif
