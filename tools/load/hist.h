/* SPDX-License-Identifier: MIT */
/*
 * A record of latencies, as HdrHistogram keeps one: each power of two is cut
 * into the same number of equal buckets, so that what is read back is within
 * 0.1% of what was recorded (three significant digits), whether that was
 * microseconds or minutes, and recording costs a shift and an increment.
 * Values up to 2 * HIST_SUB ns are exact. One writer; merged at the end.
 */
#ifndef LOAD_HIST_H
#define LOAD_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS	9
#define HIST_SUB	(1 << HIST_SUB_BITS)	/* buckets of a power of two */
#define HIST_BITS	37			/* up to 137 s; more is counted as that */
#define HIST_MAX	((INT64_C(1) << HIST_BITS) - 1)
#define HIST_BUCKETS	((HIST_BITS - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

struct hist {
	uint64_t count;
	int64_t max;		/* exact, also beyond HIST_MAX */
	uint64_t bucket[HIST_BUCKETS];
};

/*
 * The bucket of a value from 0 to HIST_MAX: its HIST_SUB_BITS + 1 leading bits
 * tell it apart from others of its power of two. The first two rows have a
 * bucket for each value, and so begin where the formula puts them.
 */
static inline unsigned int hist_index(int64_t value)
{
	unsigned int bits = 63 - (unsigned int)__builtin_clzll((uint64_t)value | HIST_SUB);
	unsigned int shift = bits - HIST_SUB_BITS;

	return (shift << HIST_SUB_BITS) + (unsigned int)(value >> shift);
}

/* hist_record - count a value; a negative one (a clock that went back) is 0 */
static inline void hist_record(struct hist *hist, int64_t value)
{
	if (value < 0)
		value = 0;
	if (value > hist->max)
		hist->max = value;
	hist->count++;
	hist->bucket[hist_index(value < HIST_MAX ? value : HIST_MAX)]++;
}

/* hist_merge - add what @from has to @hist */
void hist_merge(struct hist *hist, const struct hist *from);

/*
 * hist_quantile - the value that a share @q of all does not exceed
 * @q: 0.5 is the median; >= 1 the maximum, which is exact
 *
 * Return: the middle of the value's bucket, no more than the maximum; 0 if
 * nothing was recorded.
 */
int64_t hist_quantile(const struct hist *hist, double q);

#endif
