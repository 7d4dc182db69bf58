// SPDX-License-Identifier: MIT
/*
 * Two runs beside each other. A run is saved as text, a line for each bench
 * with all of its samples. Whether two sets of samples differ is asked of the
 * ranks alone, since samples have no distribution that one knows: by Mann
 * and Whitney's U (Annals of Mathematical Statistics 18, 1947), in its normal
 * approximation. A difference must be unlikely, and large enough to matter.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <miniss/log.h>

#include "tools/bench/bench.h"

#define MAGIC		"miniss-bench 1"
#define UNLIKELY	0.001	/* many benches are asked: one in a thousand runs errs for each */
#define MATTERS		0.02	/* of the median */
#define SAMPLES_MIN	5	/* with fewer nothing is unlikely */

struct saved_case {
	char name[CASE_NAME_MAX];
	double *ns;
	unsigned int n;
};

struct saved {
	char machine[256];
	struct saved_case *cases;
	unsigned int nr_cases, nr_compared, nr_slower, nr_faster;
};

static FILE *out;

static void machine_name(char *name, size_t size)
{
	struct utsname uts;

	if (uname(&uts))
		memset(&uts, 0, sizeof(uts));
	snprintf(name, size, "%s %s %s, %s", uts.sysname, uts.release, uts.machine, __VERSION__);
}

/* ---- writing ---- */

int saved_write_begin(const char *path)
{
	char machine[256];

	out = fopen(path, "we");
	if (!out) {
		mn_err("--save=%s: %s", path, strerror(errno));
		return -errno;
	}
	machine_name(machine, sizeof(machine));
	fprintf(out, MAGIC "\n%s\n", machine);
	return 0;
}

void saved_write(const struct bench_case *c, unsigned int nr_samples)
{
	fprintf(out, "%s", c->name);
	for (unsigned int i = 0; i < nr_samples; i++)
		fprintf(out, " %.4f", c->ns[i]);
	fputc('\n', out);
}

int saved_write_end(const char *path)
{
	bool failed = ferror(out);

	if (!fclose(out) && !failed)
		return 0;
	mn_err("--save=%s: %s", path, strerror(errno));
	return -EIO;
}

/* ---- reading ---- */

void saved_free(struct saved *saved)
{
	for (unsigned int i = 0; saved && i < saved->nr_cases; i++)
		free(saved->cases[i].ns);
	if (saved)
		free(saved->cases);
	free(saved);
}

/* Numbers to the end of the line; false: something else. */
static bool samples_read(struct saved_case *sc, char *text)
{
	unsigned int room = 0;
	char *end;

	for (; *text; text = end) {
		double ns = strtod(text, &end), *grown = sc->ns;

		if (end == text || !(ns >= 0) || !isfinite(ns))
			return false;
		if (sc->n == room) {
			room = room ? 2 * room : 32;
			grown = realloc(sc->ns, room * sizeof(*sc->ns));
		}
		if (!grown)
			return false;
		sc->ns = grown;
		sc->ns[sc->n++] = ns;
	}
	return sc->n > 0;
}

static bool case_read(struct saved *saved, char *line)
{
	size_t len = strcspn(line, " ");
	struct saved_case *grown, *sc;

	if (!len || len >= CASE_NAME_MAX || !line[len])
		return false;
	grown = realloc(saved->cases, (saved->nr_cases + 1) * sizeof(*grown));
	if (!grown)
		return false;
	saved->cases = grown;
	sc = &grown[saved->nr_cases++];
	*sc = (struct saved_case){ .n = 0 };
	memcpy(sc->name, line, len);
	return samples_read(sc, line + len);
}

static bool line_read(struct saved *saved, unsigned int at, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	switch (at) {
	case 1:
		return !strcmp(line, MAGIC);
	case 2:
		snprintf(saved->machine, sizeof(saved->machine), "%s", line);
		return true;
	default:
		return case_read(saved, line);
	}
}

struct saved *saved_read(const char *path)
{
	struct saved *saved = calloc(1, sizeof(*saved));
	FILE *in = fopen(path, "re");
	unsigned int at = 0;
	char *line = NULL;
	size_t size = 0;
	bool good = saved && in;

	if (!in)
		mn_err("--compare=%s: %s", path, strerror(errno));
	while (good && getline(&line, &size, in) > 0) {
		good = line_read(saved, ++at, line);
		if (!good)
			mn_err("--compare=%s: line %u is not what --save writes", path, at);
	}
	if (good && (ferror(in) || !saved->nr_cases)) {
		mn_err("--compare=%s: %s", path,
		       ferror(in) ? strerror(errno) : "there is no bench in it");
		good = false;
	}
	free(line);
	if (in)
		fclose(in);
	if (good)
		return saved;
	saved_free(saved);
	return NULL;
}

/* ---- comparing ---- */

struct ranked {
	double ns;
	bool now;
};

static int by_ns(const void *left, const void *right)
{
	const struct ranked *l = left, *r = right;

	return (l->ns > r->ns) - (l->ns < r->ns);
}

/* The sum of the ranks of one set among both; those that are alike share theirs. */
static double rank_sum(struct ranked *all, unsigned int n, double *ties)
{
	double sum = 0;
	unsigned int from, to;

	qsort(all, n, sizeof(*all), by_ns);
	*ties = 0;
	for (from = 0; from < n; from = to) {
		double alike;

		for (to = from + 1; to < n && all[to].ns <= all[from].ns; to++)
			;
		alike = to - from;
		*ties += alike * alike * alike - alike;
		for (unsigned int i = from; i < to; i++)
			if (all[i].now)
				sum += (from + 1 + to) / 2.0;
	}
	return sum;
}

/* How likely such a difference is between samples of the same. */
static double chance(const double *then, unsigned int n, const double *now, unsigned int m)
{
	struct ranked *all = calloc(n + m, sizeof(*all));
	double mean = m * (n + m + 1.0) / 2, ties, sum, var;

	if (!all)
		return 1;
	for (unsigned int i = 0; i < n + m; i++)
		all[i] = (struct ranked){ i < n ? then[i] : now[i - n], i >= n };
	sum = rank_sum(all, n + m, &ties);
	free(all);
	var = n * (double)m / 12 * (n + m + 1 - ties / ((double)(n + m) * (n + m - 1)));
	return var > 0 ? erfc(fabs(sum - mean) / sqrt(2 * var)) : 1;
}

static struct saved_case *saved_find(struct saved *saved, const char *name)
{
	for (unsigned int i = 0; i < saved->nr_cases; i++)
		if (!strcmp(saved->cases[i].name, name))
			return &saved->cases[i];
	return NULL;
}

void compare_heading(const struct saved *saved, const char *path)
{
	char machine[256];

	machine_name(machine, sizeof(machine));
	if (strcmp(machine, saved->machine))
		mn_warn("--compare=%s: it was made on %s; this is %s", path, saved->machine,
			machine);
	printf("%-26s %10s %10s %7s %9s\n", "ns per operation", "then", "now", "ratio", "chance");
}

void compare_case(struct saved *saved, const struct bench_case *c, unsigned int nr_samples)
{
	struct saved_case *sc = saved_find(saved, c->name);
	double then, now, ratio, p;
	const char *verdict = "";

	now = median_of(c->ns, nr_samples);
	if (!sc) {
		printf("%-26s %10s %10.2f\n", c->name, "-", now);
		return;
	}
	then = median_of(sc->ns, sc->n);
	ratio = now / then;
	p = chance(sc->ns, sc->n, c->ns, nr_samples);
	saved->nr_compared++;
	if (min(sc->n, nr_samples) < SAMPLES_MIN) {
		verdict = "too few samples";
	} else if (p < UNLIKELY && ratio > 1 + MATTERS) {
		verdict = "slower";
		saved->nr_slower++;
	} else if (p < UNLIKELY && ratio < 1 - MATTERS) {
		verdict = "faster";
		saved->nr_faster++;
	}
	printf("%-26s %10.2f %10.2f %7.3f %9.2g  %s\n", c->name, then, now, ratio, p, verdict);
	fflush(stdout);
}

unsigned int compare_end(const struct saved *saved)
{
	printf("%u compared: %u slower, %u faster, %u as they were\n", saved->nr_compared,
	       saved->nr_slower, saved->nr_faster,
	       saved->nr_compared - saved->nr_slower - saved->nr_faster);
	return saved->nr_slower;
}
