// SPDX-License-Identifier: MIT
/* What is printed: a line a second on standard error, the result on standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/load/load.h"

static uint64_t answered(const struct load *load)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < load->nr_workers; i++)
		n += atomic_load_explicit(&load->workers[i]->nr_answered, memory_order_relaxed);
	return n;
}

/* A fiber of shard 0, until it is cancelled. */
int report_progress(void *arg)
{
	const struct load *load = arg;
	uint64_t before = 0, now;

	for (int64_t second = 1;; second++) {
		if (mn_sleep(load->start_ns + second * MN_SEC - mn_now()))
			return 0;
		now = answered(load);
		fprintf(stderr, "%lld s: %llu requests/s\n", (long long)second,
			(unsigned long long)(now - before));
		before = now;
	}
}

struct totals {
	uint64_t nr_requests, nr_errors, bytes;
	unsigned int nr_up;
	double seconds;
	const char *reason;	/* of an error, if there is one */
	struct hist hist;
};

static struct totals *totals_of(const struct load *load)
{
	struct totals *sum = calloc(1, sizeof(*sum));
	int64_t end_ns = load->start_ns;

	if (!sum)
		return NULL;
	for (unsigned int i = 0; i < load->nr_workers; i++) {
		const struct worker *worker = load->workers[i];

		sum->bytes += worker->bytes;
		sum->nr_errors += worker->nr_errors;
		sum->nr_up += worker->nr_up;
		if (worker->nr_errors && !sum->reason)
			sum->reason = worker->reason;
		if (worker->stop_ns > end_ns)
			end_ns = worker->stop_ns;
		/* What was answered after the end counts, and so does its time. */
		if (worker->last_ns > end_ns)
			end_ns = worker->last_ns;
		hist_merge(&sum->hist, &worker->hist);
	}
	sum->nr_requests = sum->hist.count;
	sum->seconds = (double)(end_ns - load->start_ns) / MN_SEC;
	return sum;
}

static double per_second(const struct totals *sum, uint64_t n)
{
	return sum->seconds > 0 ? (double)n / sum->seconds : 0;
}

static double quantile_us(const struct totals *sum, double q)
{
	return (double)hist_quantile(&sum->hist, q) / MN_USEC;
}

static void print_json(const struct totals *sum)
{
	printf("{\"requests_per_s\": %.1f, \"requests\": %llu, \"seconds\": %.3f, "
	       "\"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, "
	       "\"max_us\": %.3f, \"errors\": %llu, \"bytes\": %llu, \"connections\": %u}\n",
	       per_second(sum, sum->nr_requests), (unsigned long long)sum->nr_requests,
	       sum->seconds, quantile_us(sum, 0.5), quantile_us(sum, 0.9), quantile_us(sum, 0.99),
	       quantile_us(sum, 0.999), quantile_us(sum, 1), (unsigned long long)sum->nr_errors,
	       (unsigned long long)sum->bytes, sum->nr_up);
}

static void print_table(const struct load *load, const struct totals *sum)
{
	printf("%u connections, %zu bytes, pipeline %u, ", sum->nr_up, load->size, load->pipeline);
	if (load->rate)
		printf("rate %lld/s, ", (long long)load->rate);
	printf("%.2f s, %u %s\n", sum->seconds, load->nr_workers,
	       load->nr_workers == 1 ? "shard" : "shards");
	printf("%12s%10s%10s%10s%10s%10s%10s%8s\n", "requests/s", "MB/s", "p50 us", "p90 us",
	       "p99 us", "p99.9 us", "max us", "errors");
	printf("%12.0f%10.2f%10.1f%10.1f%10.1f%10.1f%10.1f%8llu\n",
	       per_second(sum, sum->nr_requests), per_second(sum, sum->bytes) / 1e6,
	       quantile_us(sum, 0.5), quantile_us(sum, 0.9), quantile_us(sum, 0.99),
	       quantile_us(sum, 0.999), quantile_us(sum, 1), (unsigned long long)sum->nr_errors);
}

int report_print(const struct load *load, bool json)
{
	struct totals *sum = totals_of(load);
	bool failed;

	if (!sum)
		return -ENOMEM;
	if (json)
		print_json(sum);
	else
		print_table(load, sum);
	fflush(stdout);
	if (sum->reason)
		fprintf(stderr, "mn-load: errors: %llu; one of them: %s\n",
			(unsigned long long)sum->nr_errors, sum->reason);
	failed = sum->nr_errors || !sum->nr_up;
	free(sum);
	return failed ? MN_EXIT_FAILED : 0;
}
