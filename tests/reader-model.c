// SPDX-License-Identifier: MIT
/*
 * A reader over a stream that this test fills itself: it cuts the pieces,
 * and knows what each call has to return.
 */
#include <string.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "tests/reader.h"
#include "tests/sharded.h"
#include "tests/world.h"

static uint64_t state;

static uint32_t draw(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

bool pattern_is(const uint8_t *data, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != pattern(from + i))
			return false;
	return true;
}

#define BOUND	9000	/* more than two buffers */

struct model {
	struct mn_stream *stream;	/* without a connection: the test puts in what arrives */
	struct mn_reader reader;
	uint64_t total;
	uint64_t in, out;		/* how much came, how much was taken */
};

static struct mn_buf cut(struct model *m)
{
	struct mn_buf buf;
	uint64_t left = m->total - m->in;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	buf.len = draw(4) ? 1 + draw(40) : 1 + draw(4096);
	buf.len = min(buf.len, left);
	pattern_fill(buf.data, m->in, buf.len);
	m->in += buf.len;
	return buf;
}

static void arrive(struct model *m)
{
	struct mn_stream *s = m->stream;
	struct mn_buf buf;

	if (m->in == m->total) {
		s->in_ended = true;
		return;
	}
	if (!s->in_head && mn_reader_held(&m->reader) < BOUND && !draw(3)) {
		buf = cut(m);
		ck_assert_int_eq(mn_reader_feed(&m->reader, &buf), 0);
		return;
	}
	buf = cut(m);
	buf.chunk->len = (uint32_t)buf.len;
	buf.chunk->next = NULL;
	*s->in_tail = buf.chunk;
	s->in_tail = &buf.chunk->next;
	s->in_bytes += buf.len;
}

/* What a call returns that wants @len bytes and cannot have them. */
static int64_t short_of(const struct model *m)
{
	if (!m->stream->in_ended)
		return -EAGAIN;
	return m->in == m->out ? 0 : -ENODATA;
}

static bool try_exactly(struct model *m, size_t len)
{
	const uint8_t *data;
	int64_t res = mn_reader_try_read_exactly(&m->reader, len, &data);

	if (len > BOUND)
		return res == -EMSGSIZE;
	if (m->in - m->out < len)
		return res == short_of(m);
	if (res != (int64_t)len || !pattern_is(data, m->out, len))
		return false;
	m->out += len;
	return true;
}

static bool try_peek(struct model *m, size_t len)
{
	const uint8_t *data;
	int64_t res = mn_reader_try_peek(&m->reader, len, &data);
	uint64_t there = m->in - m->out;

	if (len > BOUND)
		return res == -EMSGSIZE;
	if (there < len && !m->stream->in_ended)
		return res == -EAGAIN;
	if (there < len)
		return res == (int64_t)there && pattern_is(data, m->out, there);
	return res >= (int64_t)len && res <= (int64_t)there &&
	       pattern_is(data, m->out, (size_t)res);
}

static int64_t model_until(const struct model *m, const uint8_t *delim, size_t delim_len,
			   size_t limit)
{
	uint64_t end = min(m->in, m->out + limit);

	for (uint64_t at = m->out; at + delim_len <= end; at++)
		if (pattern_is(delim, at, delim_len))
			return (int64_t)(at + delim_len - m->out);
	return m->in - m->out >= limit ? -EMSGSIZE : short_of(m);
}

static bool try_until(struct model *m, size_t delim_len, size_t limit)
{
	uint8_t delim[4];
	const uint8_t *data;
	int64_t res, right;

	pattern_fill(delim, m->out + draw(6000), delim_len);
	right = model_until(m, delim, delim_len, limit);
	res = mn_reader_try_read_until(&m->reader, delim, delim_len, limit, &data);
	if (limit > BOUND)
		return res == -EMSGSIZE;
	if (res != right || (res > 0 && !pattern_is(data, m->out, (size_t)res)))
		return false;
	m->out += (uint64_t)max(res, 0);
	return true;
}

static bool try_read(struct model *m, size_t len)
{
	struct mn_buf buf;
	int64_t res = mn_reader_try_read(&m->reader, len, &buf);
	bool right;

	if (m->in == m->out)
		return res == short_of(m);
	right = res > 0 && res <= (int64_t)len && buf.len == (size_t)res &&
		pattern_is(buf.data, m->out, buf.len);
	if (res > 0) {
		m->out += (uint64_t)res;
		mn_buf_free(&buf);
	}
	return right;
}

static bool try_skip(struct model *m, size_t len)
{
	int64_t res = mn_reader_try_skip(&m->reader, len);
	uint64_t there = min(m->in - m->out, len);

	m->out += there;
	return res == (there || m->stream->in_ended ? (int64_t)there : -EAGAIN);
}

static bool try_something(struct model *m)
{
	size_t len = draw(8) ? 1 + draw(300) : 1 + draw(BOUND + 10);

	switch (draw(5)) {
	case 0:
		return try_exactly(m, len);
	case 1:
		return try_peek(m, len);
	case 2:
		return try_until(m, 1 + draw(4), len + 3);
	case 3:
		return try_read(m, len);
	default:
		return try_skip(m, 1 + draw(100));
	}
}

static void play(uint64_t seed)
{
	struct model m = { .total = 60000 };
	unsigned int step = 0;

	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	m.stream = mem_alloc(sizeof(*m.stream));
	ck_assert_ptr_nonnull(m.stream);
	stream_init(m.stream, -1);
	mn_reader_init(&m.reader, m.stream, BOUND);
	for (; m.out < m.total || !m.stream->in_ended; step++) {
		if (!draw(3) && mn_reader_held(&m.reader) + m.stream->in_bytes < 3 * BOUND)
			arrive(&m);
		else if (!try_something(&m))
			ck_abort_msg("seed %d, step %u, at byte %d", (int)seed, step, (int)m.out);
	}
	/* Used up, it holds nothing: not even what was lent last. */
	ck_assert(try_read(&m, 1));
	ck_assert(!m.reader.base && !m.reader.cur.chunk);
	mn_reader_end(&m.reader);
	mem_free(m.stream);
}

static int model_fiber(void *arg)
{
	for (uint64_t seed = 1; seed <= 100; seed++)
		play(seed);
	return 0;
}

START_TEST(every_call_returns_what_a_model_says)
{
	sharded_run_backend(_i, model_fiber);
}
END_TEST

/* --- what lies in one slice is not copied --- */

static int lent_fiber(void *arg)
{
	struct model m = { .total = 8192 };
	const uint8_t *first, *second;
	struct mn_buf buf;

	m.stream = mem_alloc(sizeof(*m.stream));
	stream_init(m.stream, -1);
	mn_reader_init(&m.reader, m.stream, 0);
	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	pattern_fill(buf.data, 0, buf.len);
	first = buf.data;
	ck_assert_int_eq(mn_reader_feed(&m.reader, &buf), 0);
	ck_assert_int_eq(mn_reader_try_read_exactly(&m.reader, 100, &second), 100);
	ck_assert_ptr_eq(second, first);
	ck_assert(mn_reader_try_peek(&m.reader, 50, &second) >= 50);
	ck_assert_ptr_eq(second, first + 100);
	ck_assert_int_eq(mn_reader_try_read(&m.reader, 10, &buf), 10);
	ck_assert_ptr_eq(buf.data, first + 100);
	mn_buf_free(&buf);
	ck_assert(!m.reader.base);
	mn_reader_end(&m.reader);
	mn_reader_end(&m.reader);
	mem_free(m.stream);
	return 0;
}

START_TEST(what_lies_in_one_slice_is_lent_from_there)
{
	sharded_run_backend(_i, lent_fiber);
}
END_TEST

TCase *tcase_reader_model(void)
{
	TCase *tc = tcase_create("reader-model");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, every_call_returns_what_a_model_says, 0, n);
	tcase_add_loop_test(tc, what_lies_in_one_slice_is_lent_from_there, 0, n);
	return tc;
}
