// SPDX-License-Identifier: MIT
/*
 * Files by way of the buffers of the pool: the same bytes everywhere. What
 * io_uring knows of these buffers is for uring-fixed.c.
 */
#include <string.h>

#include <miniss/miniss.h>

#include "tests/file.h"
#include "tests/world.h"

#define TIMES	300	/* more than what makes it worth while */

static bool is_pattern(const struct mn_buf *buf, size_t at, uint64_t from, size_t len)
{
	uint8_t want[512];

	pattern_fill(want, from, len);
	return !memcmp(buf->data + at, want, len);
}

/* Pieces of a buffer, written and read back; the offset of a piece tells where it has been. */
static int pieces(void *arg)
{
	struct mn_buf in, out;
	struct mn_file file;

	ck_assert_int_eq(mn_buf_alloc(&out), 0);
	ck_assert_int_eq(mn_buf_alloc(&in), 0);
	file_make(&file, "pieces", 0);
	for (unsigned int i = 0; i < TIMES; i++) {
		size_t at = i * 7 % (out.len - 512), to = i * 13 % (in.len - 512);

		pattern_fill(out.data + at, i, 512);
		is(mn_write(&file, out.data + at, 512, (int64_t)i * 100), 512);
		memset(in.data, 0, in.len);
		is(mn_read(&file, in.data + to, 512, (int64_t)i * 100), 512);
		ck_assert(is_pattern(&in, to, i, 512));
		is(mn_read(&file, in.data + to, 512, (int64_t)i * 100 + 500), 12);
		is(mn_read(&file, in.data, 0, 0), 0);
	}
	is(mn_append(&file, out.data, 100), 100);
	is(mn_read(&file, in.data, in.len, (TIMES - 1) * 100 + 512), 100);
	ck_assert(!memcmp(in.data, out.data, 100));
	mn_buf_free(&in);
	mn_buf_free(&out);
	ok(mn_file_close(&file));
	return 0;
}

/* Many buffers at once, of more than one slab, each over and over. */
static int many(void *arg)
{
	enum { N = 600 };
	static struct mn_buf buf[N];
	static struct mn_op op[N];
	struct mn_file file;

	file_make(&file, "many", N * 16);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_buf_alloc(&buf[i]), 0);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++)
			mn_read_start(&op[i], &file, buf[i].data, 16, i * 16);
		for (int i = 0; i < N; i++) {
			is(mn_await(&op[i].done), 16);
			ck_assert(is_pattern(&buf[i], 0, (uint64_t)i * 16, 16));
			buf[i].data[0] ^= 1;
		}
	}
	for (int i = 0; i < N; i++)
		mn_buf_free(&buf[i]);
	ok(mn_file_close(&file));
	return 0;
}

static const struct script scripts[] = { { "pieces", pieces }, { "many", many } };

SCRIPT_TEST(pooled_buffers_are_read_and_written, scripts)

TCase *tcase_file_fixed(void)
{
	TCase *tc = tcase_create("file-fixed");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, pooled_buffers_are_read_and_written, scripts);
	return tc;
}
