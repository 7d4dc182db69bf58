// SPDX-License-Identifier: MIT
/*
 * Medians, since what disturbs a sample only ever makes it longer; and how
 * far samples are from them, as the median absolute deviation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/bench.h"

#define OUTLIER_MADS	5
#define MAD_MIN		0.005	/* of the median: less is no news, and may be zero */
#define OUTLIERS_NAMED	4

static int compare(const void *left, const void *right)
{
	double l = *(const double *)left, r = *(const double *)right;

	return (l > r) - (l < r);
}

static double median(double *sorted, unsigned int n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double distance(double a, double b)
{
	return a < b ? b - a : a - b;
}

void result_of(struct result *result, const struct bench_case *c, unsigned int nr_samples)
{
	double *sorted = malloc(nr_samples * sizeof(*sorted));

	*result = (struct result){ .min_ns = 0 };
	if (!sorted)
		return;
	memcpy(sorted, c->ns, nr_samples * sizeof(*sorted));
	qsort(sorted, nr_samples, sizeof(*sorted), compare);
	result->min_ns = sorted[0];
	result->median_ns = median(sorted, nr_samples);
	for (unsigned int i = 0; i < nr_samples; i++)
		sorted[i] = distance(sorted[i], result->median_ns);
	qsort(sorted, nr_samples, sizeof(*sorted), compare);
	result->mad_ns = median(sorted, nr_samples);
	free(sorted);
}

double median_of(const double *ns, unsigned int n)
{
	double *sorted = malloc(n * sizeof(*sorted)), mid = 0;

	if (!sorted)
		return 0;
	memcpy(sorted, ns, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	mid = median(sorted, n);
	free(sorted);
	return mid;
}

static void print_outliers(const struct result *result, const struct bench_case *c,
			   unsigned int nr_samples)
{
	double mad_ns = max(result->mad_ns, MAD_MIN * result->median_ns);
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr_samples; i++) {
		if (distance(c->ns[i], result->median_ns) <= OUTLIER_MADS * mad_ns)
			continue;
		if (n++ < OUTLIERS_NAMED)
			printf("%s #%u %.1f", n > 1 ? "," : "", i, c->ns[i]);
	}
	if (n > OUTLIERS_NAMED)
		printf(" and %u more", n - OUTLIERS_NAMED);
}

void report_heading(void)
{
	printf("%-26s %10s %8s %10s %7s  %s\n", "ns per operation", "median", "MAD", "min",
	       "x bare", "outliers (sample, ns)");
}

void report_table(const struct bench_case *c, unsigned int nr_samples,
		  const struct bench_case *bare)
{
	char ratio[16] = "";
	struct result result, base;

	result_of(&result, c, nr_samples);
	if (bare && bare != c) {
		result_of(&base, bare, nr_samples);
		snprintf(ratio, sizeof(ratio), "%.2f", result.median_ns / base.median_ns);
	}
	printf("%-26s %10.2f %8.2f %10.2f %7s ", c->name, result.median_ns, result.mad_ns,
	       result.min_ns, ratio);
	print_outliers(&result, c, nr_samples);
	printf("\n");
	fflush(stdout);
}

void report_json(const struct bench_case *c, unsigned int nr_samples)
{
	struct result result;

	result_of(&result, c, nr_samples);
	printf("{\"name\":\"%s\",\"median_ns\":%.3f,\"mad_ns\":%.3f,\"min_ns\":%.3f,"
	       "\"samples\":%u}\n",
	       c->name, result.median_ns, result.mad_ns, result.min_ns, nr_samples);
	fflush(stdout);
}
