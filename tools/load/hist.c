// SPDX-License-Identifier: MIT
#include "tools/load/hist.h"

void hist_merge(struct hist *hist, const struct hist *from)
{
	hist->count += from->count;
	if (from->max > hist->max)
		hist->max = from->max;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		hist->bucket[i] += from->bucket[i];
}

/* The inverse of hist_index(): the middle of what falls into a bucket. */
static int64_t bucket_middle(unsigned int index)
{
	unsigned int shift = index >> HIST_SUB_BITS;
	int64_t low;

	if (shift)
		shift--;
	low = (int64_t)(index - (shift << HIST_SUB_BITS)) << shift;
	return low + ((INT64_C(1) << shift) - 1) / 2;
}

int64_t hist_quantile(const struct hist *hist, double q)
{
	double wanted = q * (double)hist->count;
	uint64_t rank = (uint64_t)wanted, seen = 0;
	int64_t value;

	/* The rank of the value, from 1: rounded up, and there is always one. */
	if ((double)rank < wanted || !rank)
		rank++;
	if (rank >= hist->count)
		return hist->max;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->bucket[i];
		if (seen < rank)
			continue;
		value = bucket_middle(i);
		return value < hist->max ? value : hist->max;
	}
	return hist->max;
}
