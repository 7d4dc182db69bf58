// SPDX-License-Identifier: MIT
/* Files read ahead and written behind, and commits; on every backend alike. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniss/fiber.h>
#include <miniss/filestream.h>
#include <miniss/timer.h>

#include "core/compiler.h"
#include "tests/file-stream.h"
#include "tests/file.h"
#include "tests/suites.h"
#include "tests/world.h"

#define KIB	1024

static bool is_pattern(const uint8_t *data, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != pattern(from + i))
			return false;
	return true;
}

/* Past the page cache where that can be done, else not: what is noted is the same. */
static void open_direct(struct mn_file *file, const char *name, int flags)
{
	if (mn_file_open(file, in_dir(name), flags | O_DIRECT, 0600))
		ck_assert_int_eq(mn_file_open(file, in_dir(name), flags, 0600), 0);
}

/* ---- reading ---- */

/* From @off to the end, and what comes is right. */
static int64_t read_all(struct mn_file *file, const struct mn_file_reader_options *options)
{
	struct mn_file_reader *r;
	struct mn_span span;
	int64_t off = options->off, n;

	ck_assert_int_eq(mn_file_reader_open(&r, file, options), 0);
	while ((n = mn_file_reader_take(r, &span)) > 0) {
		ck_assert_int_eq(n, (int64_t)span.len);
		ck_assert(is_pattern(span.data, (uint64_t)off, span.len));
		off += n;
		mn_span_give(&span);
		ck_assert_ptr_null(span.data);
	}
	ck_assert_int_eq(mn_file_reader_take(r, &span), n);
	mn_file_reader_close(r);
	return n < 0 ? n : off - options->off;
}

static int in_order(void *arg)
{
	enum { LEN = 1000 * KIB + 123 };
	struct mn_file cached, direct;

	file_make(&cached, "a", LEN);
	open_direct(&direct, "a", O_RDONLY);
	for (int i = 0; i < 2; i++) {
		struct mn_file *file = i ? &direct : &cached;

		is(read_all(file, &(struct mn_file_reader_options){ 0 }), LEN);
		is(read_all(file, &(struct mn_file_reader_options){ .chunk = 4 * KIB }), LEN);
		is(read_all(file, &(struct mn_file_reader_options){ .depth = 1 }), LEN);
		is(read_all(file, &(struct mn_file_reader_options){ .off = 12345 }), LEN - 12345);
		is(read_all(file, &(struct mn_file_reader_options){ .off = 7, .len = 5 }), 5);
		is(read_all(file, &(struct mn_file_reader_options){ .off = 4095,
								    .len = 300 * KIB,
								    .chunk = 8 * KIB }),
		   300 * KIB);
		is(read_all(file, &(struct mn_file_reader_options){ .off = LEN }), 0);
		is(read_all(file, &(struct mn_file_reader_options){ .off = LEN + 99999 }), 0);
		is(read_all(file, &(struct mn_file_reader_options){ .len = INT64_MAX }), LEN);
		is(read_all(file,
			    &(struct mn_file_reader_options){ .chunk = 1024 * KIB, .depth = 2 }),
		   LEN);
	}
	ok(mn_file_close(&direct));
	ok(mn_file_close(&cached));
	return 0;
}

static int refused(void *arg)
{
	struct mn_file_reader *r;
	struct mn_file_writer *w;
	struct mn_file file;

	file_make(&file, "a", 1);
	is(mn_file_reader_open(&r, &file, &(struct mn_file_reader_options){ .off = -1 }), -EINVAL);
	is(mn_file_reader_open(&r, &file, &(struct mn_file_reader_options){ .len = -1 }), -EINVAL);
	is(mn_file_reader_open(&r, &file, &(struct mn_file_reader_options){ .chunk = 5000 }),
	   -EINVAL);
	is(mn_file_reader_open(&r, &file, &(struct mn_file_reader_options){ .depth = 257 }),
	   -EINVAL);
	is(mn_file_writer_open(&w, &file, &(struct mn_file_writer_options){ .off = -1 }), -EINVAL);
	is(mn_file_writer_open(&w, &file, &(struct mn_file_writer_options){ .chunk = 1 << 25 }),
	   -EINVAL);
	is(mn_file_writer_open(&w, &file, &(struct mn_file_writer_options){ .sync_bytes = -1 }),
	   -EINVAL);
	ok(mn_file_reader_open(&r, &file, NULL));
	is(mn_file_reader_seek(r, -1), -EINVAL);
	mn_file_reader_close(r);
	ok(mn_file_close(&file));
	return 0;
}

/* Takes, copies, jumps, spans that come back in any order: it is always what is there. */
static int at_random(void *arg)
{
	enum { LEN = 300 * KIB + 77, HELD = 3 };
	struct mn_span held[HELD] = { { .data = NULL } };
	uint64_t from[HELD] = { 0 }, random = 88172645463325252;
	uint8_t *buf = malloc(LEN);
	struct mn_file_reader *r;
	struct mn_file file;
	int64_t pos = 0;

	file_make(&file, "a", LEN);
	ok(mn_file_reader_open(&r, &file,
			       &(struct mn_file_reader_options){ .chunk = 4 * KIB, .depth = 4 }));
	for (int i = 0; i < 2000; i++) {
		unsigned int slot = (unsigned int)(random >> 20) % HELD;
		int64_t n = 0;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (random % 16 == 0) {
			pos = (int64_t)((random >> 30) % (LEN + 100));
			ck_assert_int_eq(mn_file_reader_seek(r, pos), 0);
		} else if (random % 2) {
			size_t len = (size_t)((random >> 30) % (20 * KIB));

			n = mn_file_reader_read(r, buf, len);
			ck_assert_int_eq(n, max(0, min((int64_t)len, LEN - pos)));
			ck_assert(is_pattern(buf, (uint64_t)pos, (size_t)n));
		} else if (held[slot].data) {
			ck_assert(is_pattern(held[slot].data, from[slot], held[slot].len));
			mn_span_give(&held[slot]);
		} else {
			n = mn_file_reader_take(r, &held[slot]);
			ck_assert_int_eq(n > 0, pos < LEN);
			from[slot] = (uint64_t)pos;
		}
		pos += n;
	}
	for (int i = 0; i < HELD; i++)
		mn_span_give(&held[i]);
	mn_file_reader_close(r);
	ok(mn_file_close(&file));
	free(buf);
	return 0;
}

static int ahead(void *arg)
{
	struct mn_file_reader *r;
	struct mn_span span;
	struct mn_file file;

	file_make(&file, "a", 1000 * KIB);
	ok(mn_file_reader_open(&r, &file,
			       &(struct mn_file_reader_options){ .chunk = 4 * KIB, .depth = 6 }));
	is(mn_file_reader_ahead(r), 1);
	is(mn_file_reader_take(r, &span), 4 * KIB);	/* nobody can have read it yet */
	mn_span_give(&span);
	is(mn_file_reader_ahead(r), 2);
	if (mn_self->virtual_time) {	/* a pause is long enough for a read there */
		for (int i = 0; i < 20; i++) {
			mn_sleep(MN_MSEC);
			ck_assert_int_gt(mn_file_reader_take(r, &span), 0);
			mn_span_give(&span);
		}
		ck_assert_uint_eq(mn_file_reader_ahead(r), 2);
	}
	ok(mn_file_reader_seek(r, 500 * KIB));
	is(mn_file_reader_ahead(r), 1);
	while (mn_file_reader_take(r, &span) > 0)
		mn_span_give(&span);
	ck_assert_uint_ge(mn_file_reader_ahead(r), 2);
	ck_assert_uint_le(mn_file_reader_ahead(r), 6);
	mn_file_reader_close(r);
	ok(mn_file_close(&file));
	return 0;
}

/* At the end there may be more later; and who has failed may try again. */
static int goes_on(void *arg)
{
	struct mn_file_reader *r;
	struct mn_file file, dir;
	uint8_t buf[64];

	file_make(&file, "a", 10);
	ok(mn_file_reader_open(&r, &file, NULL));
	is(mn_file_reader_read(r, buf, 64), 10);
	is(mn_file_reader_read(r, buf, 64), 0);
	is(mn_append(&file, "more", 4), 4);
	is(mn_file_reader_read(r, buf, 64), 4);
	ck_assert(!memcmp(buf, "more", 4));
	is(mn_file_reader_read(r, buf, 64), 0);
	mn_file_reader_close(r);
	ok(mn_file_close(&file));
	ok(mn_file_open(&dir, in_dir("."), O_RDONLY, 0));
	ok(mn_file_reader_open(&r, &dir, NULL));
	is(mn_file_reader_read(r, buf, 64), -EISDIR);
	is(mn_file_reader_read(r, buf, 64), -EISDIR);
	mn_file_reader_close(r);
	ok(mn_file_close(&dir));
	return 0;
}

static int take_one(void *arg)
{
	struct mn_span span;
	int64_t n = mn_file_reader_take(arg, &span);

	mn_span_give(&span);
	return n > 0 ? 0 : (int)n;
}

static int canceled(void *arg)
{
	struct mn_file_reader *r;
	struct mn_span span[2];
	struct mn_fiber *fiber;
	struct mn_file file;

	file_make(&file, "a", 100 * KIB);
	ok(mn_file_reader_open(&r, &file,
			       &(struct mn_file_reader_options){ .chunk = 4 * KIB, .depth = 1 }));
	is(mn_file_reader_take(r, &span[0]), 4 * KIB);
	is(mn_file_reader_take(r, &span[1]), 4 * KIB);
	ok(mn_spawn(take_one, r, &fiber));	/* has to wait for one that comes back */
	mn_yield();
	mn_fiber_cancel(fiber);
	is(mn_join(fiber), -ECANCELED);
	ok(mn_spawn(take_one, r, &fiber));
	mn_yield();
	mn_span_give(&span[1]);
	ok(mn_join(fiber));
	mn_span_give(&span[0]);
	ok(mn_file_reader_seek(r, 50 * KIB));
	mn_file_reader_close(r);		/* with a read under way */
	ok(mn_file_close(&file));
	return 0;
}

/* ---- writing ---- */

static void ck_file(const char *name, size_t len)
{
	struct mn_file file;
	struct mn_stat st;

	ok(mn_file_open(&file, in_dir(name), O_RDONLY, 0));
	ok(mn_file_stat(&file, &st));
	is((int64_t)st.size, (int64_t)len);
	is(read_all(&file, &(struct mn_file_reader_options){ 0 }), (int64_t)len);
	ok(mn_file_close(&file));
}

/* Pieces of any length, with flushes in between. */
static size_t write_pieces(struct mn_file *file, size_t chunk, unsigned int depth, int64_t sync)
{
	enum { LEN = 400 * KIB };
	uint64_t random = 88172645463325252 + chunk + depth;
	uint8_t *data = malloc(LEN + 65536);
	struct mn_file_writer *w;
	size_t at = 0;

	pattern_fill(data, 0, LEN + 65536);
	ck_assert_int_eq(
		mn_file_writer_open(&w, file,
					     &(struct mn_file_writer_options){
					    .chunk = chunk, .depth = depth, .sync_bytes = sync }),
			 0);
	while (at < LEN) {
		size_t len = (size_t)(random >> 20) % 65536 >> (random >> 8) % 16;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		ck_assert_int_eq(mn_file_writer_write(w, data + at, len), 0);
		at += len;
		ck_assert_int_eq(mn_file_writer_pos(w), (int64_t)at);
		if (random % 8 == 0) {
			struct mn_stat st;

			ck_assert_int_eq(mn_file_writer_flush(w), 0);
			ck_assert_int_eq(mn_file_stat(file, &st), 0);
			ck_assert_uint_eq(st.size, at);
		}
	}
	ck_assert_int_eq(mn_file_writer_close(w), 0);
	free(data);
	return at;
}

static int behind(void *arg)
{
	static const size_t chunk[] = { 4 * KIB, 16 * KIB, 0 };

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(chunk); i++) {
		struct mn_file file;
		size_t len;

		if (i % 2)
			open_direct(&file, "w", O_RDWR | O_CREAT | O_TRUNC);
		else
			ck_assert_int_eq(mn_file_open(&file, in_dir("w"),
						      O_RDWR | O_CREAT | O_TRUNC, 0600),
					 0);
		len = write_pieces(&file, chunk[i / 2], 1 + i, i == 2 ? 8192 : 0);
		ok(mn_file_close(&file));
		ck_file("w", len);
	}
	return 0;
}

static int fails(void *arg)
{
	static uint8_t data[64 * KIB];
	struct mn_file_writer *w;
	struct mn_file file;
	int err = 0;

	ok(mn_file_open(&file, "/dev/full", O_WRONLY, 0));
	ok(mn_file_writer_open(&w, &file,
			       &(struct mn_file_writer_options){ .chunk = 4 * KIB, .depth = 2 }));
	for (int i = 0; i < 10 && !err; i++)
		err = mn_file_writer_write(w, data, sizeof(data));
	is(err, -ENOSPC);
	is(mn_file_writer_write(w, data, 1), -ENOSPC);
	is(mn_file_writer_flush(w), -ENOSPC);
	is(mn_file_writer_close(w), -ENOSPC);
	ok(mn_file_writer_open(&w, &file, NULL));
	ok(mn_file_writer_write(w, data, 1));
	is(mn_file_writer_close(w), -ENOSPC);	/* nobody would have heard of it else */
	ok(mn_file_close(&file));
	return 0;
}

static int write_much(void *arg)
{
	static uint8_t data[64 * KIB];

	return mn_file_writer_write(arg, data, sizeof(data));
}

static int write_canceled(void *arg)
{
	struct mn_file_writer *w;
	struct mn_fiber *fiber;
	struct mn_file file;

	ok(mn_file_open(&file, in_dir("c"), O_RDWR | O_CREAT, 0600));
	ok(mn_file_writer_open(&w, &file,
			       &(struct mn_file_writer_options){ .chunk = 4 * KIB, .depth = 1 }));
	ok(mn_spawn(write_much, w, &fiber));
	mn_fiber_cancel(fiber);		/* what needs no wait is taken */
	is(mn_join(fiber), -ECANCELED);
	is(mn_file_writer_flush(w), -ECANCELED);
	is(mn_file_writer_close(w), -ECANCELED);
	ok(mn_file_close(&file));
	return 0;
}

/* ---- both ---- */

static int copy_from(struct mn_file *from, struct mn_file *to, int64_t off)
{
	struct mn_file_reader *r;
	struct mn_file_writer *w;
	struct mn_span span;
	int64_t n, err = 0;

	ck_assert_int_eq(mn_file_reader_open(&r, from,
					     &(struct mn_file_reader_options){ .off = off,
									       .chunk = 16 * KIB }),
			 0);
	ck_assert_int_eq(mn_file_writer_open(&w, to, NULL), 0);
	if (off) {
		uint8_t head[777];

		ck_assert_uint_ge(sizeof(head), (size_t)off);
		pattern_fill(head, 0, (size_t)off);
		ck_assert_int_eq(mn_file_writer_write(w, head, (size_t)off), 0);
		ck_assert_int_eq(mn_file_writer_flush(w), 0);
	}
	while (!err && (n = mn_file_reader_take(r, &span)) > 0)
		err = mn_file_writer_splice(w, &span);
	ck_assert_int_eq(mn_file_writer_close(w), 0);
	mn_file_reader_close(r);
	return (int)err;
}

static int copied(void *arg)
{
	enum { LEN = 1234 * KIB + 567 };

	for (int i = 0; i < 6; i++) {
		struct mn_file from, to;

		unlink(in_dir("from"));
		unlink(in_dir("to"));
		file_make(&from, "from", LEN);
		if (i & 1) {
			mn_file_close(&from);
			open_direct(&from, "from", O_RDONLY);
		}
		if (i & 2)
			open_direct(&to, "to", O_RDWR | O_CREAT);
		else
			ck_assert_int_eq(mn_file_open(&to, in_dir("to"), O_RDWR | O_CREAT, 0600),
					 0);
		ok(copy_from(&from, &to, i < 4 ? 0 : 777));
		ok(mn_file_close(&from));
		ok(mn_file_close(&to));
		ck_file("to", LEN);
	}
	return 0;
}

/* A span that cannot be written goes home all the same. */
static int copy_fails(void *arg)
{
	struct mn_file from, full;

	file_make(&from, "from", 300 * KIB);
	ok(mn_file_open(&full, "/dev/full", O_WRONLY, 0));
	for (int i = 0; i < 2; i++) {
		struct mn_file_reader *r;
		struct mn_file_writer *w;
		struct mn_span span;
		int err = 0;

		ok(mn_file_reader_open(&r, &from,
				       &(struct mn_file_reader_options){ .chunk = 4 * KIB }));
		ok(mn_file_writer_open(&w, &full, &(struct mn_file_writer_options){ .depth = 2 }));
		while (!err && mn_file_reader_take(r, &span) > 0)
			err = mn_file_writer_splice(w, &span);
		is(err, -ENOSPC);
		is(mn_file_writer_close(w), -ENOSPC);
		mn_file_reader_close(r);
	}
	ok(mn_file_close(&full));
	ok(mn_file_close(&from));
	return 0;
}

static const struct script scripts[] = {
	{ "in_order", in_order },
	{ "refused", refused },
	{ "at_random", at_random },
	{ "ahead", ahead },
	{ "goes_on", goes_on },
	{ "canceled", canceled },
	{ "behind", behind },
	{ "fails", fails },
	{ "write_canceled", write_canceled },
	{ "copied", copied },
	{ "copy_fails", copy_fails },
};

SCRIPT_TEST(files_are_read_ahead_and_written_behind, scripts)

Suite *suite_file_stream(void)
{
	Suite *s = suite_create("file_stream");
	TCase *tc = tcase_create("file_stream");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, files_are_read_ahead_and_written_behind, scripts);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_commit());
	return s;
}
