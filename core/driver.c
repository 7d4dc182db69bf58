// SPDX-License-Identifier: MIT
/*
 * Choosing drivers. What the user asked for by name is used or refused,
 * never replaced: a benchmark that silently ran on another backend is worse
 * than one that did not run. Otherwise the best that works is taken, and
 * each that had to be passed over is named with the reason.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <miniss/log.h>

#include "core/driver.h"
#include "core/log.h"

#define RATING_TESTS 99 /* up to here: only on request */
#define WHY_MAX 96

static bool is_preferred(const struct driver_kind *kind, const struct driver *driver)
{
	return !strcmp(driver->name, kind->preferred);
}

/* The order of preference. Equal ratings resolve by name, not by link order. */
static bool driver_before(const struct driver_kind *kind, const struct driver *a,
			  const struct driver *b)
{
	if (is_preferred(kind, a) != is_preferred(kind, b))
		return is_preferred(kind, a);
	if (a->rating != b->rating)
		return a->rating > b->rating;
	return strcmp(a->name, b->name) < 0;
}

/* The first in that order, or the one after @prev; NULL at the end. */
static const struct driver *driver_next(const struct driver_kind *kind, const struct driver *prev)
{
	const struct driver *const *d, *next = NULL;

	for (d = kind->start; d < kind->stop; d++) {
		if (prev && !driver_before(kind, prev, *d))
			continue;
		if (!next || driver_before(kind, *d, next))
			next = *d;
	}
	return next;
}

static bool is_automatic(const struct driver_kind *kind, const struct driver *driver)
{
	return driver->rating > RATING_TESTS || is_preferred(kind, driver);
}

static const struct driver *automatic_next(const struct driver_kind *kind,
					   const struct driver *prev)
{
	const struct driver *driver = driver_next(kind, prev);

	while (driver && !is_automatic(kind, driver))
		driver = driver_next(kind, driver);
	return driver;
}

/* 0, or -errno with the reason in @why, and what the driver knows about it. */
static int driver_probe(const struct driver *driver, const char *arg, char why[static WHY_MAX])
{
	int err = driver->probe ? driver->probe(arg) : 0;

	if (driver->hint && (err == -EPERM || err == -EACCES || err == -ENOSYS))
		snprintf(why, WHY_MAX, "%s (%s)", strerror(-err), driver->hint);
	else
		snprintf(why, WHY_MAX, "%s", err ? strerror(-err) : "works");
	return err;
}

static int option_length(const char *asked_by)
{
	return (int)strcspn(asked_by, "=");
}

static int refuse_unknown(const struct driver_kind *kind, const char *request, const char *asked_by)
{
	const struct driver *driver = NULL;
	char known[160] = "";
	size_t used = 0;

	while ((driver = driver_next(kind, driver)) && used < sizeof(known))
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 used ? ", " : "", driver->name);
	mn_err("%.*s=%s: no such %s; known: %s", option_length(asked_by), asked_by, request,
	       kind->title, used ? known : "none");
	return -EINVAL;
}

static int choose_requested(const struct driver_kind *kind, const char *request,
			    const char *asked_by, struct driver_choice *choice)
{
	size_t len = strcspn(request, ":");
	const struct driver *driver = NULL;
	char why[WHY_MAX];

	while ((driver = driver_next(kind, driver)))
		if (!strncmp(driver->name, request, len) && !driver->name[len])
			break;
	if (!driver)
		return refuse_unknown(kind, request, asked_by);
	choice->driver = driver;
	choice->arg = request[len] ? request + len + 1 : NULL;
	if (driver_probe(driver, choice->arg, why)) {
		mn_err("%.*s=%s: cannot be used here: %s", option_length(asked_by), asked_by,
		       request, why);
		return -ENODEV;
	}
	snprintf(choice->reason, sizeof(choice->reason), "asked for by %.*s",
		 option_length(asked_by), asked_by);
	return 0;
}

static void pass_over(const struct driver_kind *kind, const struct driver *driver, const char *why)
{
	const struct driver *next = automatic_next(kind, driver);

	if (next)
		mn_warn("%s %s: %s; trying %s", kind->title, driver->name, why, next->name);
	else
		mn_err("%s %s: %s; there is no other", kind->title, driver->name, why);
}

static int choose_best(const struct driver_kind *kind, const struct driver *after,
		       struct driver_choice *choice)
{
	const struct driver *driver = after;
	char why[WHY_MAX];

	if (!automatic_next(kind, after)) {
		mn_err("there is no %s%s", after ? "other " : "", kind->title);
		return -ENODEV;
	}
	choice->arg = NULL;
	choice->reason[0] = '\0';
	if (after)
		snprintf(choice->reason, sizeof(choice->reason), "%s could not be opened",
			 after->name);
	while ((driver = automatic_next(kind, driver))) {
		if (!driver_probe(driver, NULL, why))
			break;
		pass_over(kind, driver, why);
		snprintf(choice->reason, sizeof(choice->reason), "%s: %s", driver->name, why);
	}
	choice->driver = driver;
	if (!driver)
		return -ENODEV;
	if (!choice->reason[0])
		snprintf(choice->reason, sizeof(choice->reason), "%s",
			 is_preferred(kind, driver) ? "preferred by the configuration" :
						      "the best that works");
	return 0;
}

int driver_choose(const struct driver_kind *kind, const char *request, const char *asked_by,
		  const struct driver *after, struct driver_choice *choice)
{
	if (!request)
		return choose_best(kind, after, choice);
	if (after)
		return -ENODEV;
	return choose_requested(kind, request, asked_by, choice);
}

void driver_list(const struct driver_kind *kind)
{
	const struct driver *driver = NULL;
	char why[WHY_MAX];

	print_out("%s (%s=NAME)\n", kind->title, kind->option);
	while ((driver = driver_next(kind, driver))) {
		driver_probe(driver, NULL, why);
		print_out("  %-12s %3d  %s%s\n", driver->name, driver->rating, why,
			  is_automatic(kind, driver) ? "" : "; only on request");
	}
}
