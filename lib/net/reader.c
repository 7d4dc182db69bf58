// SPDX-License-Identifier: MIT
/*
 * Buffered readers. What was received and not read is in two places: first
 * @whole, memory of the reader's, which is used only for what did not lie in
 * one slice; then @cur, what is left of the last slice. Pieces are lent from
 * one of them, and what was lent last is freed by the next call.
 */
#include <errno.h>
#include <string.h>

#include <miniss/reader.h>

#include "core/shard.h"
#include "lib/mem/mem.h"

#define BOUND_MAX	(1U << 30)

void mn_reader_init(struct mn_reader *reader, struct mn_stream *stream, size_t max)
{
	*reader = (struct mn_reader){
		.stream = stream,
		.max = max ? (uint32_t)min(max, BOUND_MAX) : MN_READER_MAX,
	};
}

/* ---- the memory of what is put together: a buffer of the pool while one will do ---- */

static void memory_free(struct mn_buf *whole, uint8_t *base)
{
	if (whole->chunk)
		mn_buf_free(whole);
	else
		mem_free(base);
	*whole = (struct mn_buf){ .len = 0 };
}

static void whole_drop(struct mn_reader *reader)
{
	if (!reader->base)
		return;
	memory_free(&reader->whole, reader->base);
	reader->base = NULL;
	reader->size = 0;
}

/* The pool may be at its limit, and its buffers too small. */
static int memory_get(struct mn_reader *reader, size_t len)
{
	struct mn_buf buf;

	if (len <= mn_self->pool.chunk_size && !mn_buf_alloc(&buf)) {
		reader->size = (uint32_t)buf.len;
	} else {
		size_t size = mn_self->pool.chunk_size;

		while (size < len)
			size *= 2;
		buf = mn_buf_static(mem_alloc(size), 0);
		if (!buf.data)
			return -ENOMEM;
		reader->size = (uint32_t)size;
	}
	buf.len = 0;
	reader->whole = buf;
	reader->base = buf.data;
	return 0;
}

/* Make room for @len bytes in all. */
static int whole_reserve(struct mn_reader *reader, size_t len)
{
	struct mn_buf old = reader->whole;
	uint8_t *old_base = reader->base;
	int err;

	if (old_base && (size_t)(old.data - old_base) + len <= reader->size)
		return 0;
	if (old_base && len <= reader->size) {
		memmove(old_base, old.data, old.len);
		reader->whole.data = old_base;
		return 0;
	}
	err = memory_get(reader, len);
	if (err || !old_base)
		return err;
	memcpy(reader->base, old.data, old.len);
	reader->whole.len = old.len;
	memory_free(&old, old_base);
	return 0;
}

static void take(struct mn_buf *buf, size_t len)
{
	if (len)	/* there may be no memory, either */
		buf->data += len;
	buf->len -= len;
}

/* Add the first @len bytes of @cur to @whole: they are in both until they are taken. */
static int whole_append(struct mn_reader *reader, size_t len)
{
	int err = whole_reserve(reader, reader->whole.len + len);

	if (!err) {
		memcpy(reader->whole.data + reader->whole.len, reader->cur.data, len);
		reader->whole.len += len;
	}
	return err;
}

static int whole_move(struct mn_reader *reader, size_t len)
{
	int err = whole_append(reader, len);

	if (!err)
		take(&reader->cur, len);
	return err;
}

void mn_reader_end(struct mn_reader *reader)
{
	mn_buf_free(&reader->cur);
	whole_drop(reader);
}

int mn_reader_feed(struct mn_reader *reader, struct mn_buf *in)
{
	int err = 0;

	if (in->len && mn_reader_held(reader) > reader->max)
		err = -EMSGSIZE;
	else if (in->len && reader->cur.len)
		err = whole_move(reader, reader->cur.len);
	if (err || !in->len) {
		mn_buf_free(in);
		return err;
	}
	mn_buf_free(&reader->cur);
	reader->cur = *in;
	*in = (struct mn_buf){ .len = 0 };
	return 0;
}

/* ---- reading ---- */

/* What was lent is not any more; what is used up goes back. */
static void settle(struct mn_reader *reader)
{
	if (!reader->whole.len)
		whole_drop(reader);
	if (!reader->cur.len)
		mn_buf_free(&reader->cur);
}

/* @cur is used up: the next slice. */
static int64_t cur_next(struct mn_reader *reader, bool wait)
{
	mn_buf_free(&reader->cur);
	return wait ? mn_stream_read(reader->stream, &reader->cur) :
		      mn_stream_try_read(reader->stream, &reader->cur);
}

/* Where what comes next lies. */
static struct mn_buf *piece(struct mn_reader *reader)
{
	return reader->whole.len ? &reader->whole : &reader->cur;
}

/* Have @len bytes in one piece: 1; 0: the stream ended before. */
static int64_t gather(struct mn_reader *reader, size_t len, bool wait)
{
	int64_t res;

	if (len > reader->max)
		return -EMSGSIZE;
	settle(reader);
	while (piece(reader)->len < len) {
		if (!reader->cur.len)
			res = cur_next(reader, wait);
		else
			res = whole_move(reader, min(reader->cur.len, len - reader->whole.len)) ?
				      -ENOMEM :
				      1;
		if (res <= 0)
			return res;
	}
	return 1;
}

static int64_t peek(struct mn_reader *reader, size_t len, const uint8_t **data, bool wait)
{
	int64_t res = gather(reader, len, wait);

	if (res < 0)
		return res;
	*data = piece(reader)->data;
	return (int64_t)piece(reader)->len;
}

int64_t mn_reader_peek(struct mn_reader *reader, size_t len, const uint8_t **data)
{
	return peek(reader, len, data, true);
}

int64_t mn_reader_try_peek(struct mn_reader *reader, size_t len, const uint8_t **data)
{
	return peek(reader, len, data, false);
}

static int64_t lend(struct mn_reader *reader, size_t len, const uint8_t **data)
{
	struct mn_buf *from = piece(reader);

	*data = from->data;
	take(from, len);
	return (int64_t)len;
}

static int64_t ended(const struct mn_reader *reader)
{
	return mn_reader_held(reader) ? -ENODATA : 0;
}

static int64_t exactly(struct mn_reader *reader, size_t len, const uint8_t **data, bool wait)
{
	int64_t res = gather(reader, len, wait);

	if (res < 0)
		return res;
	return res ? lend(reader, len, data) : ended(reader);
}

int64_t mn_reader_read_exactly(struct mn_reader *reader, size_t len, const uint8_t **data)
{
	return exactly(reader, len, data, true);
}

int64_t mn_reader_try_read_exactly(struct mn_reader *reader, size_t len, const uint8_t **data)
{
	return exactly(reader, len, data, false);
}

struct delim {
	const uint8_t *data;
	size_t len;
	size_t limit;
};

/* Where the first delimiter ends that begins at @from or later; 0: there is none. */
static size_t find(const struct mn_buf *in, size_t from, const struct delim *delim)
{
	size_t len = min(in->len, delim->limit);

	while (from + delim->len <= len) {
		const uint8_t *at =
			memchr(in->data + from, delim->data[0], len - from - (delim->len - 1));

		if (!at)
			return 0;
		if (!memcmp(at, delim->data, delim->len))
			return (size_t)(at - in->data) + delim->len;
		from = (size_t)(at - in->data) + 1;
	}
	return 0;
}

/* After @len bytes without a delimiter, where the first one may begin. */
static size_t find_from(size_t len, const struct delim *delim)
{
	return len < delim->len ? 0 : len - (delim->len - 1);
}

/*
 * Add @cur to @whole up to the delimiter, if it is there: its end, or 0. What
 * follows it stays in the slice, to be lent from there.
 */
static int64_t whole_extend(struct mn_reader *reader, const struct delim *delim)
{
	size_t before = reader->whole.len;
	size_t len = min(reader->cur.len, delim->limit - before);
	size_t end;
	int err = whole_append(reader, len);

	if (err)
		return err;
	end = find(&reader->whole, find_from(before, delim), delim);
	if (end)
		reader->whole.len = end;
	take(&reader->cur, end ? end - before : len);
	return (int64_t)end;
}

static int64_t until(struct mn_reader *reader, const struct delim *delim, const uint8_t **data,
		     bool wait)
{
	int64_t end;

	if (delim->limit > reader->max)
		return -EMSGSIZE;
	settle(reader);
	end = (int64_t)find(piece(reader), 0, delim);
	while (!end) {
		if (piece(reader)->len >= delim->limit)
			return -EMSGSIZE;
		if (reader->cur.len) {
			end = whole_extend(reader, delim);
		} else {
			int64_t res = cur_next(reader, wait);

			if (res <= 0)
				return res ? res : ended(reader);
			if (!reader->whole.len)
				end = (int64_t)find(&reader->cur, 0, delim);
		}
	}
	return end < 0 ? end : lend(reader, (size_t)end, data);
}

int64_t mn_reader_read_until(struct mn_reader *reader, const void *delim, size_t delim_len,
			     size_t limit, const uint8_t **data)
{
	return until(reader, &(struct delim){ delim, delim_len, limit }, data, true);
}

int64_t mn_reader_try_read_until(struct mn_reader *reader, const void *delim, size_t delim_len,
				 size_t limit, const uint8_t **data)
{
	return until(reader, &(struct delim){ delim, delim_len, limit }, data, false);
}

/* ---- slices ---- */

/* Memory of the reader's is not given away, only what is in it. */
static int64_t whole_read(struct mn_reader *reader, size_t max, struct mn_buf *in)
{
	int err = mn_buf_alloc(in);

	if (err)
		return err;
	in->len = min(min(in->len, max), reader->whole.len);
	memcpy(in->data, reader->whole.data, in->len);
	take(&reader->whole, in->len);
	return (int64_t)in->len;
}

static int64_t read_slice(struct mn_reader *reader, size_t max, struct mn_buf *in, bool wait)
{
	int64_t res;

	settle(reader);
	if (reader->whole.len)
		return whole_read(reader, max, in);
	if (!reader->cur.len) {
		res = cur_next(reader, wait);
		if (res <= 0)
			return res;
	}
	if (reader->cur.len > max) {
		mn_buf_split(&reader->cur, max, in);
	} else {
		*in = reader->cur;
		reader->cur = (struct mn_buf){ .len = 0 };
	}
	return (int64_t)in->len;
}

int64_t mn_reader_read(struct mn_reader *reader, size_t max, struct mn_buf *in)
{
	return read_slice(reader, max, in, true);
}

int64_t mn_reader_try_read(struct mn_reader *reader, size_t max, struct mn_buf *in)
{
	return read_slice(reader, max, in, false);
}

/* Drop bytes, or copy them to @to. */
static int64_t drain(struct mn_reader *reader, uint64_t len, uint8_t *to, bool wait)
{
	uint64_t left = len;

	settle(reader);
	while (left) {
		struct mn_buf *from = piece(reader);
		size_t n = (size_t)min(from->len, left);
		int64_t res = 1;

		if (n && to) {
			memcpy(to, from->data, n);
			to += n;
		}
		take(from, n);
		left -= n;
		if (!n)
			res = cur_next(reader, wait);
		if (res == -EAGAIN && left < len)
			res = 0;
		if (res <= 0)
			return res ? res : (int64_t)(len - left);
	}
	return (int64_t)len;
}

int64_t mn_reader_copy(struct mn_reader *reader, void *data, size_t len)
{
	return drain(reader, len, data, true);
}

int64_t mn_reader_skip(struct mn_reader *reader, uint64_t len)
{
	return drain(reader, len, NULL, true);
}

int64_t mn_reader_try_skip(struct mn_reader *reader, uint64_t len)
{
	return drain(reader, len, NULL, false);
}

int64_t mn_copy(struct mn_stream *to, struct mn_reader *from, uint64_t len)
{
	uint64_t left = len;

	while (left) {
		struct mn_buf in;
		int64_t res = mn_reader_read(from, (size_t)min(left, SIZE_MAX), &in);
		int err;

		if (res <= 0)
			return res ? res : (int64_t)(len - left);
		err = mn_stream_write(to, &in);
		if (err)
			return err;
		left -= (uint64_t)res;
	}
	return (int64_t)len;
}
