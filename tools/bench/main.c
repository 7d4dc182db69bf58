// SPDX-License-Identifier: MIT
/*
 * mn-bench: which benches to run, and in which order. On one shard, unless
 * the user says otherwise: a neighbour that spins would share caches and heat.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/miniss.h>

#include "backends/backend.h"
#include "tools/bench/bench.h"

MN_APP_PARAM(str, filter, NULL, 0, 256, "only benches whose name matches this regular expression");
MN_APP_PARAM(bool, json, false, 0, 0, "print one JSON object a line");
MN_APP_PARAM(uint, samples, 31, 1, 100000, "samples of each bench");
MN_APP_PARAM(str, save, NULL, 1, 4095, "write all samples to this file, for --compare");
MN_APP_PARAM(str, compare, NULL, 1, 4095,
	     "beside what --save wrote to this file; exit with 1 if any is slower");
MN_APP_PARAM(uint, count, 0, 0, 1000000,
	     "under valgrind --tool=callgrind: count the instructions of so many operations");
MN_APP_PARAM(bool, list, false, 0, 0, "print the names of the benches and exit");

#define ON_REQUEST	"scale"	/* how benches begin that take minutes */
#define RATING_REAL	100	/* drivers below are for tests */

struct plan {
	regex_t filter;
	struct bench_case **cases;
	unsigned int nr_cases;
};

/* plan_room - for one more case: whenever there are as many as a power of two, for twice as many */
static bool plan_room(struct plan *plan)
{
	unsigned int n = plan->nr_cases;
	struct bench_case **more;

	if (n & (n - 1))
		return true;
	more = realloc(plan->cases, 2 * (n + 1) * sizeof(*more));
	if (more)
		plan->cases = more;
	return more;
}

static int plan_add(struct plan *plan, const struct bench *bench, const struct driver *driver,
		    const char *arg, const char *suffix)
{
	const struct driver_choice choice = { .driver = driver, .arg = arg };
	struct bench_case *c = case_new(bench, &choice, suffix);

	if (!c)
		return -ENOMEM;
	if (param_filter && regexec(&plan->filter, c->name, 0, NULL, 0)) {
		case_free(c);
		return 0;
	}
	if (!plan_room(plan)) {
		case_free(c);
		return -ENOMEM;
	}
	plan->cases[plan->nr_cases++] = c;
	return 0;
}

/* With each waker of each backend: smp.wake.io_uring.eventfd, smp.wake.libev. */
static int plan_wakers(struct plan *plan, const struct bench *bench)
{
	const struct driver *const *drv;
	int err = 0;

	for (drv = backend_kind.start; !err && drv < backend_kind.stop; drv++) {
		const struct backend_ops *ops = container_of(*drv, struct backend_ops, drv);

		if ((*drv)->rating < RATING_REAL)
			continue;
		if (!ops->wakers)
			err = plan_add(plan, bench, *drv, NULL, (*drv)->name);
		for (int i = 0; !err && ops->wakers && ops->wakers[i]; i++)
			err = plan_add(plan, bench, *drv, ops->wakers[i], (*drv)->name);
	}
	return err;
}

/*
 * A bench of a kind of drivers appears with the one that the program runs on,
 * by its own name, and with each that was built, by the driver's.
 */
static int plan_bench(struct plan *plan, const struct bench *bench)
{
	const struct mn_world *world = mn_self->world;
	const struct driver *const *drv, *chosen;
	int err;

	if (bench->on_request && !param_list &&
	    (!param_filter || !strstr(param_filter, ON_REQUEST)))
		return 0;
	if (!bench->kind) {
		err = plan_add(plan, bench, NULL, NULL, NULL);
		return err || !bench->wakers ? err : plan_wakers(plan, bench);
	}
	chosen = bench->kind == &backend_kind ? world->backend.driver :
		 bench->kind == &queue_kind   ? world->queue.driver :
						world->timer.driver;
	err = plan_add(plan, bench, chosen, NULL, NULL);
	for (drv = bench->kind->start; !err && drv < bench->kind->stop; drv++)
		if ((*drv)->rating >= RATING_REAL)
			err = plan_add(plan, bench, *drv, NULL, (*drv)->name);
	return err;
}

static int by_name(const void *left, const void *right)
{
	const struct bench_case *l = *(struct bench_case *const *)left;
	const struct bench_case *r = *(struct bench_case *const *)right;
	int order = strcmp(case_family(l), case_family(r));

	return order ? order : strcmp(l->name, r->name);
}

static int plan_make(struct plan *plan)
{
	const struct bench *const *bench;
	char reason[128];
	int err;

	err = param_filter ? regcomp(&plan->filter, param_filter, REG_EXTENDED | REG_NOSUB) : 0;
	if (err) {
		regerror(err, &plan->filter, reason, sizeof(reason));
		mn_err("--filter=%s: %s", param_filter, reason);
		return MN_EXIT_USAGE;
	}
	/* cppcheck-suppress comparePointers ; the linker makes one list of both */
	section_for_each(bench, mn_benches) {
		err = plan_bench(plan, *bench);
		if (err)
			break;
	}
	if (param_filter)
		regfree(&plan->filter);
	if (!err && !plan->nr_cases) {
		mn_err("--filter=%s: no bench has such a name; see --list", param_filter);
		return MN_EXIT_USAGE;
	}
	if (!err)
		qsort(plan->cases, plan->nr_cases, sizeof(plan->cases[0]), by_name);
	return err;
}

/* The bare form of a case, if it has one and that is in the family. */
static const struct bench_case *bare_of(const struct bench_case *c,
					struct bench_case *const *family, unsigned int n)
{
	for (unsigned int i = 0; c->driver && i < n; i++)
		if (family[i]->bench->bare_of && family[i]->ns &&
		    (!strcmp(family[i]->bench->bare_of, "*") ||
		     !strcmp(family[i]->bench->bare_of, c->driver->name)))
			return family[i];
	return NULL;
}

static struct saved *saved;	/* of --compare */

static void report(struct bench_case *const *family, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!family[i]->ns)
			continue;
		if (param_save)
			saved_write(family[i], param_samples);
		if (saved)
			compare_case(saved, family[i], param_samples);
		else if (param_json)
			report_json(family[i], param_samples);
		else
			report_table(family[i], param_samples, bare_of(family[i], family, n));
	}
}

/* A case that cannot be run here is left out, and has no samples. */
static int case_start(struct bench_case *c)
{
	int err = case_open(c);

	if (err) {
		mn_warn("%s: skipped: %s", c->name, strerror(-err));
		return 0;
	}
	if (!param_count)
		return sample_start(c, param_samples);
	count_case(c, param_count);
	case_close(c);
	return 0;
}

/* A round takes a sample of each: so what happens meanwhile happens to all. */
static int family_run(struct bench_case *const *family, unsigned int n)
{
	unsigned int i, round;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = case_start(family[i]);
	for (round = 0; round < param_samples && !err; round++)
		for (i = 0; i < n; i++)
			if (family[i]->ns)
				sample_take(family[i], round);
	for (i = 0; i < n; i++)
		if (family[i]->ns)
			case_close(family[i]);
	if (!err)
		report(family, n);
	mn_yield();	/* let the log out */
	return err;
}

static int plan_run(const struct plan *plan)
{
	unsigned int first, n;
	int err = 0;

	if (saved)
		compare_heading(saved, param_compare);
	else if (!param_json && !param_count)
		report_heading();
	for (first = 0; first < plan->nr_cases && !err; first += n) {
		const char *family = case_family(plan->cases[first]);

		for (n = 1; first + n < plan->nr_cases; n++)
			if (strcmp(family, case_family(plan->cases[first + n])))
				break;
		err = family_run(&plan->cases[first], n);
	}
	return err;
}

/* What is asked for beside the benches: before them, so that nobody waits for an error. */
static int files_begin(void)
{
	if (param_count && count_possible()) {
		mn_err("--count: this is not valgrind --tool=callgrind, or built without its headers");
		return MN_EXIT_FAILED;
	}
	if (param_compare) {
		saved = saved_read(param_compare);
		if (!saved)
			return MN_EXIT_FAILED;
	}
	return param_save ? saved_write_begin(param_save) : 0;
}

static int files_end(int err)
{
	if (param_save && saved_write_end(param_save) && !err)
		err = MN_EXIT_FAILED;
	if (saved && !err && compare_end(saved))
		err = MN_EXIT_FAILED;
	saved_free(saved);
	return err;
}

static int app(void *arg)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	int err = plan ? mn_args_end(arg, 0) : -ENOMEM;

	if (!err)
		err = plan_make(plan);
	if (!err && !param_list) {
		err = files_begin();
		if (!err)
			err = files_end(plan_run(plan));
	}
	for (unsigned int i = 0; plan && i < plan->nr_cases; i++) {
		if (!err && param_list)
			puts(plan->cases[i]->name);
		case_free(plan->cases[i]);
	}
	if (plan)
		free(plan->cases);
	free(plan);
	return err;
}

int main(int argc, char **argv)
{
	setenv("MINISS_CPUS", "1", 0);	/* a default: options and the user's own come first */
	return mn_run(argc, argv, app, argv);
}
