// SPDX-License-Identifier: MIT
/* What mn-load's figures rest on: its latency record, and the pattern it checks. */
#include <stdlib.h>

#include "tests/suites.h"
#include "tools/load/hist.c"	/* under test: its program is not linked here */
#include "tools/load/pattern.h"

#define REQUEST	200

/* In long loops: Check writes to its parent for each ck_assert() that passes. */
#define assert_quietly(cond)						\
	do {								\
		if (!(cond))						\
			ck_abort_msg("%s", #cond);			\
	} while (0)

static struct hist hist, other;

static void reset(void)
{
	hist = other = (struct hist){ .count = 0 };
}

/* The precision that is promised: three significant digits. */
static void assert_near(int64_t found, int64_t value)
{
	int64_t off = found > value ? found - value : value - found;

	if (off * 1000 > value)
		ck_abort_msg("%lld for %lld", (long long)found, (long long)value);
}

START_TEST(small_values_are_exact)
{
	for (int64_t v = 0; v < 2 * HIST_SUB; v++)
		assert_quietly(hist_index(v) == (unsigned int)v);
}
END_TEST

START_TEST(buckets_are_in_order_and_without_gaps)
{
	unsigned int index = 0;

	for (int64_t v = 0; v < 1 << 20; v++) {
		assert_quietly(hist_index(v) == index || hist_index(v) == index + 1);
		index = hist_index(v);
	}
	ck_assert_uint_eq(hist_index(HIST_MAX), HIST_BUCKETS - 1);
}
END_TEST

START_TEST(each_value_is_kept_to_three_digits)
{
	for (int64_t v = 1; v < HIST_MAX / 2; v += v / 97 + 1) {
		reset();
		hist_record(&hist, v);
		hist_record(&hist, HIST_MAX);
		assert_near(hist_quantile(&hist, 0.5), v);
	}
}
END_TEST

START_TEST(quantiles_are_those_of_the_values)
{
	const double q[] = { 0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999 };

	for (int64_t v = 100000; v > 0; v--)
		hist_record(&hist, v * 1000);
	for (size_t i = 1; i < sizeof(q) / sizeof(q[0]); i++)
		assert_near(hist_quantile(&hist, q[i]), (int64_t)(q[i] * 1e8));
	assert_near(hist_quantile(&hist, 0.0), 1000);
	ck_assert_int_eq(hist_quantile(&hist, 1.0), 100000000);
}
END_TEST

START_TEST(a_quantile_is_a_rank_that_is_rounded_up)
{
	for (int64_t v = 1; v <= 10; v++)
		hist_record(&hist, v);
	ck_assert_int_eq(hist_quantile(&hist, 0.5), 5);
	ck_assert_int_eq(hist_quantile(&hist, 0.51), 6);
	ck_assert_int_eq(hist_quantile(&hist, 0.9), 9);
	ck_assert_int_eq(hist_quantile(&hist, 0.99), 10);
}
END_TEST

START_TEST(no_quantile_exceeds_the_maximum)
{
	hist_record(&hist, 1000001);
	hist_record(&hist, 1000001);
	hist_record(&hist, 1000002);
	ck_assert_int_le(hist_quantile(&hist, 0.5), 1000002);
	ck_assert_int_eq(hist_quantile(&hist, 1.0), 1000002);
}
END_TEST

START_TEST(an_empty_record_says_zero)
{
	ck_assert_int_eq(hist_quantile(&hist, 0.5), 0);
	ck_assert_int_eq(hist_quantile(&hist, 1.0), 0);
}
END_TEST

START_TEST(values_out_of_range_are_counted_at_its_ends)
{
	hist_record(&hist, -5);
	hist_record(&hist, INT64_MAX);
	ck_assert_uint_eq(hist.count, 2);
	ck_assert_uint_eq(hist.bucket[0], 1);
	ck_assert_uint_eq(hist.bucket[HIST_BUCKETS - 1], 1);
	ck_assert_int_eq(hist_quantile(&hist, 1.0), INT64_MAX);
}
END_TEST

START_TEST(merged_records_are_one_record)
{
	for (int64_t v = 1; v <= 5000; v++) {
		hist_record(&hist, v);
		hist_record(&other, v + 5000);
	}
	hist_merge(&hist, &other);
	ck_assert_uint_eq(hist.count, 10000);
	ck_assert_int_eq(hist.max, 10000);
	assert_near(hist_quantile(&hist, 0.5), 5000);
	assert_near(hist_quantile(&hist, 0.99), 9900);
}
END_TEST

/* However a request is cut up, the pieces are those of the whole. */
START_TEST(pattern_does_not_depend_on_how_it_is_cut)
{
	uint64_t seed = pattern_seed(pattern_key(3), 17);
	uint8_t whole[REQUEST], cut[REQUEST + 1];

	pattern_fill(seed, 0, whole, REQUEST);
	for (size_t i = 0; i < REQUEST; i++)
		assert_quietly(whole[i] == pattern_byte(seed, i));
	for (size_t from = 0; from < 24; from++)
		for (size_t len = 0; from + len <= REQUEST; len++) {
			memset(cut, 0x5a, sizeof(cut));
			pattern_fill(seed, from, cut, len);
			assert_quietly(!memcmp(cut, whole + from, len));
			assert_quietly(cut[len] == 0x5a);
			assert_quietly(pattern_check(seed, from, whole + from, len));
		}
}
END_TEST

START_TEST(pattern_sees_each_wrong_bit)
{
	uint64_t seed = pattern_seed(pattern_key(0), 0);
	uint8_t data[REQUEST];

	for (size_t from = 0; from < 9; from++) {
		size_t len = REQUEST - 2 * from;

		pattern_fill(seed, from, data, len);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_quietly(!pattern_check(seed, from, data, len));
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}
END_TEST

START_TEST(pattern_differs_between_connections_and_requests)
{
	uint8_t data[8];

	for (uint64_t conn = 0; conn < 30; conn++)
		for (uint64_t request = 0; request < 30; request++) {
			pattern_fill(pattern_seed(pattern_key(conn), request), 0, data, 8);
			for (uint64_t i = 0; i < 900; i++) {
				uint64_t seed = pattern_seed(pattern_key(i / 30), i % 30);

				assert_quietly(pattern_check(seed, 0, data, 8) ==
					       (i == conn * 30 + request));
			}
		}
}
END_TEST

Suite *suite_histogram(void)
{
	Suite *suite = suite_create("histogram");
	TCase *record = tcase_create("record"), *pattern = tcase_create("pattern");

	tcase_add_checked_fixture(record, reset, NULL);
	tcase_add_test(record, small_values_are_exact);
	tcase_add_test(record, buckets_are_in_order_and_without_gaps);
	tcase_add_test(record, each_value_is_kept_to_three_digits);
	tcase_add_test(record, quantiles_are_those_of_the_values);
	tcase_add_test(record, a_quantile_is_a_rank_that_is_rounded_up);
	tcase_add_test(record, no_quantile_exceeds_the_maximum);
	tcase_add_test(record, an_empty_record_says_zero);
	tcase_add_test(record, values_out_of_range_are_counted_at_its_ends);
	tcase_add_test(record, merged_records_are_one_record);
	tcase_add_test(pattern, pattern_does_not_depend_on_how_it_is_cut);
	tcase_add_test(pattern, pattern_sees_each_wrong_bit);
	tcase_add_test(pattern, pattern_differs_between_connections_and_requests);
	suite_add_tcase(suite, record);
	suite_add_tcase(suite, pattern);
	return suite;
}
