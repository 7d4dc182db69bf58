/* SPDX-License-Identifier: MIT */
/*
 * A buffered reader: records out of a stream, without copies where that is
 * possible.
 *
 * What is asked for in one piece (peek, read_exactly, read_until) is lent: a
 * pointer into the received buffer when it lies in one, or to memory of the
 * reader's, where the pieces are put together. It is good until the next call
 * with the reader. What is asked for as slices (mn_reader_read()) is given
 * away, and costs no copy either: it can be written to another stream.
 *
 * A reader is embedded and has one user at a time, on the shard of its
 * stream. It is cheap: an idle one holds no memory. Calls that fail or are
 * cancelled take nothing, so that they can be repeated.
 *
 * The plain forms are for fibers, and suspend while not enough has arrived.
 * The try forms never do: they return -EAGAIN then. So they also work in an
 * on_input handler, which feeds what it was handed:
 *
 *	mn_reader_feed(&conn->reader, in);
 *	while ((len = mn_reader_try_read_until(&conn->reader, "\n", 1, 512, &line)) > 0)
 *		...
 *	return len < 0 && len != -EAGAIN ? (int)len : 0;
 */
#ifndef MINISS_READER_H
#define MINISS_READER_H

#include <miniss/stream.h>

/** MN_READER_MAX - the bound of a reader that names none */
#define MN_READER_MAX	65536

struct mn_reader {
	struct mn_stream *stream;
	struct mn_buf cur;	/* the rest of the slice that came last; all of it the reader's */
	struct mn_buf whole;	/* what was put together; it comes before @cur */
	uint8_t *base;		/* of the memory of @whole */
	uint32_t size;		/* and how large that is */
	uint32_t max;
};

/**
 * mn_reader_init - from raw memory
 * @stream: has to outlive the reader, and is not read by others meanwhile
 * @max: the longest piece that can be asked for, in bytes, up to 1 GiB; 0:
 *	MN_READER_MAX. No more than this and one buffer is ever held
 */
MN_API void mn_reader_init(struct mn_reader *reader, struct mn_stream *stream, size_t max);

/** mn_reader_end - free what it holds; bytes that were not read are lost. Idempotent */
MN_API void mn_reader_end(struct mn_reader *reader);

/** mn_reader_held - how many bytes were received and not read yet */
static inline size_t mn_reader_held(const struct mn_reader *reader)
{
	return reader->whole.len + reader->cur.len;
}

/**
 * mn_reader_feed - put in a slice that comes before what the stream has
 * @in: consumed, on failure too; may be empty
 *
 * For on_input handlers. Does not suspend.
 *
 * Return: 0; -EMSGSIZE: it holds as much as it may, unread; -ENOMEM.
 */
MN_API int mn_reader_feed(struct mn_reader *reader, struct mn_buf *in);

/**
 * mn_reader_read - the next bytes, whatever there is
 * @max: no more than so many, at least 1
 * @in: gets a slice that the caller owns, when the result is > 0
 *
 * Return: its length; 0 at the end; -EAGAIN of the try form; what
 * mn_stream_read() returns; -ENOBUFS: no buffer for bytes that were put
 * together before.
 */
MN_API int64_t mn_reader_read(struct mn_reader *reader, size_t max, struct mn_buf *in);
MN_API int64_t mn_reader_try_read(struct mn_reader *reader, size_t max, struct mn_buf *in);

/**
 * mn_reader_peek - look at bytes without taking them
 * @len: how many are wanted in one piece, at least 1
 * @data: where they are, until the next call with the reader
 *
 * Return: how many there are in one piece: @len or more, or fewer at the
 * end of the stream, 0 when nothing is left; -EMSGSIZE: more than the
 * reader's bound; -ENOMEM; what mn_stream_read() returns; -EAGAIN.
 */
MN_API int64_t mn_reader_peek(struct mn_reader *reader, size_t len, const uint8_t **data);
MN_API int64_t mn_reader_try_peek(struct mn_reader *reader, size_t len, const uint8_t **data);

/**
 * mn_reader_read_exactly - take bytes in one piece
 * @len: at least 1
 * @data: where they are, until the next call with the reader
 *
 * Return: @len; 0: the stream has ended, before the first of them; -ENODATA:
 * it ended within them, and they can still be had by mn_reader_read(); else
 * as mn_reader_peek().
 */
MN_API int64_t mn_reader_read_exactly(struct mn_reader *reader, size_t len, const uint8_t **data);
MN_API int64_t mn_reader_try_read_exactly(struct mn_reader *reader, size_t len,
					  const uint8_t **data);

/**
 * mn_reader_read_until - take bytes up to and with a delimiter
 * @delim: @delim_len bytes, 1 or more
 * @limit: of the length with the delimiter; no more than the reader's bound
 * @data: where they are, until the next call with the reader
 *
 * Return: the length, with the delimiter; 0: the stream has ended, and
 * nothing is left; -ENODATA: it ended before a delimiter came; -EMSGSIZE:
 * none is within @limit, or that is beyond the bound; else as
 * mn_reader_peek().
 */
MN_API int64_t mn_reader_read_until(struct mn_reader *reader, const void *delim, size_t delim_len,
				    size_t limit, const uint8_t **data);
MN_API int64_t mn_reader_try_read_until(struct mn_reader *reader, const void *delim,
					size_t delim_len, size_t limit, const uint8_t **data);

/**
 * mn_reader_copy - copy bytes into memory of the caller's, as many as wanted
 * @len: may be beyond the reader's bound
 *
 * From a fiber; suspends. Bytes that were copied before an error are taken.
 *
 * Return: @len, or fewer at the end of the stream; what mn_stream_read() returns.
 */
MN_API int64_t mn_reader_copy(struct mn_reader *reader, void *data, size_t len);

/**
 * mn_reader_skip - drop bytes
 *
 * Return: how many were dropped: @len, or fewer at the end of the stream.
 * The try form drops what there is; -EAGAIN if that is nothing. What
 * mn_stream_read() returns.
 */
MN_API int64_t mn_reader_skip(struct mn_reader *reader, uint64_t len);
MN_API int64_t mn_reader_try_skip(struct mn_reader *reader, uint64_t len);

/**
 * mn_copy - pass bytes on from one stream to another
 * @to: queued as by mn_stream_write(); mn_stream_flush() waits for the rest
 * @from: of this shard, as @to is
 * @len: how many; UINT64_MAX: until the end
 *
 * Buffers are handed on, no byte is copied. From a fiber; suspends while
 * @from has nothing, and while @to has queued as much as it may.
 *
 * Return: how many were queued: @len, or fewer at the end of @from; else the
 * error of either stream, or why the fiber was cancelled. What was taken by
 * then was queued, but for the slice that @to refused.
 */
MN_API int64_t mn_copy(struct mn_stream *to, struct mn_reader *from, uint64_t len);

#endif
