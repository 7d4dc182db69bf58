/* SPDX-License-Identifier: MIT */
/*
 * Files read and written from one end to the other: with some reads ahead of
 * who wants the data, and some writes behind who had it. Both work on memory of
 * their own, taken when they are opened, and on the file's shard; one fiber at a
 * time uses one. What has been read can be written elsewhere without a copy.
 */
#ifndef MINISS_FILESTREAM_H
#define MINISS_FILESTREAM_H

#include <miniss/file.h>

/* ---- reading ---- */

struct mn_file_reader;

/**
 * struct mn_file_reader_options - zero: from the start to the end, as is good for most
 * @off: where to begin
 * @len: read no further than that; 0: to the end, wherever that is then
 * @chunk: bytes of a read, 4 KiB to 16 MiB, a multiple of 4 KiB; 0: 128 KiB
 * @depth: reads ahead, at most, 1 to 256; 0: 8
 */
struct mn_file_reader_options {
	int64_t off;
	int64_t len;
	size_t chunk;
	unsigned int depth;
};

/** struct mn_span - bytes in the memory of a reader, lent to whoever took them */
struct mn_span {
	uint8_t *data;		/* may be changed, too */
	size_t len;
	void *owner;
};

/**
 * mn_file_reader_open - read a file in order
 * @reader: gets it; ended by mn_file_reader_close()
 * @file: stays open, and where it is; O_DIRECT or not
 * @options: NULL: all zero
 *
 * Begins to read. Who reads on finds that the next data is there, or else that more
 * is read ahead from then on, up to @depth.
 *
 * Does not suspend. Return: 0; -EINVAL; -ENOMEM.
 */
MN_API int mn_file_reader_open(struct mn_file_reader **reader, struct mn_file *file,
			       const struct mn_file_reader_options *options);

/**
 * mn_file_reader_take - the next bytes, in place
 * @span: lent to the caller when the result is > 0, until mn_span_give(). Of
 *	those that are lent at a time there may be as many as @depth; who takes one
 *	more waits until one comes back
 *
 * From a fiber; suspends.
 *
 * Return: how many; 0 at the end, for now; what mn_read() says; -ECANCELED,
 * -ETIMEDOUT. Who goes on after any of these tries again, at the same place.
 */
MN_API int64_t mn_file_reader_take(struct mn_file_reader *reader, struct mn_span *span);

/** mn_span_give - give it back, in any order; @span becomes empty. Does not suspend */
MN_API void mn_span_give(struct mn_span *span);

/**
 * mn_file_reader_read - the next bytes, copied
 *
 * Return: @len; fewer at the end; else as mn_file_reader_take(), and then nothing
 * is lost: reading on continues where it was.
 */
MN_API int64_t mn_file_reader_read(struct mn_file_reader *reader, void *buf, size_t len);

/**
 * mn_file_reader_seek - go on elsewhere
 * @off: >= 0
 *
 * What was read ahead is dropped, unless it is what comes next. Reads ahead begin
 * anew, with one. Does not suspend. Return: 0 or -EINVAL.
 */
MN_API int mn_file_reader_seek(struct mn_file_reader *reader, int64_t off);

/** mn_file_reader_ahead - how many reads it keeps ahead by now */
MN_API unsigned int mn_file_reader_ahead(const struct mn_file_reader *reader);

/**
 * mn_file_reader_close - end it
 *
 * Waits for reads that are under way and spans that have not come back. From a
 * fiber; suspends; cancellation does not end it. The file stays open.
 */
MN_API void mn_file_reader_close(struct mn_file_reader *reader);

/* ---- writing ---- */

struct mn_file_writer;

/**
 * struct mn_file_writer_options - zero: from the start, as is good for most
 * @off: where to begin; with O_DIRECT aligned
 * @chunk: bytes of a write, as of struct mn_file_reader_options; 0: 128 KiB
 * @depth: writes behind, at most, 1 to 256; 0: 8. So @chunk * @depth is what
 *	may wait to be written
 * @sync_bytes: have the system begin to write to the disk each time that it was
 *	given so many; 0: when it likes. Then a sync at the end has less to do
 */
struct mn_file_writer_options {
	int64_t off;
	size_t chunk;
	unsigned int depth;
	int64_t sync_bytes;
};

/**
 * mn_file_writer_open - write a file in order
 * @writer: gets it; ended by mn_file_writer_close()
 * @file: stays open, and where it is. With O_DIRECT the last block is filled up
 *	with zeros, and cut off again by mn_file_writer_flush()
 *
 * Does not suspend. Return: 0; -EINVAL; -ENOMEM.
 */
MN_API int mn_file_writer_open(struct mn_file_writer **writer, struct mn_file *file,
			       const struct mn_file_writer_options *options);

/**
 * mn_file_writer_write - write the next bytes, later
 *
 * Copies them; suspends while there is too much to be written already.
 *
 * Return: 0; the failure of an earlier write, which is final: nothing more is
 * begun, and every later call returns the same; -ECANCELED, -ETIMEDOUT: final,
 * too, if a part had been taken by then.
 */
MN_API int mn_file_writer_write(struct mn_file_writer *writer, const void *data, size_t len);

/**
 * mn_file_writer_splice - the same with bytes of a reader, without copying them
 * @span: consumed, on failure too; goes back to its reader when it is written
 */
MN_API int mn_file_writer_splice(struct mn_file_writer *writer, struct mn_span *span);

/**
 * mn_file_writer_flush - wait until all of it was written
 *
 * To the file; not yet to the disk: for that, mn_file_sync() after it. Return: as
 * mn_file_writer_write(); an end by cancellation is not final here.
 */
MN_API int mn_file_writer_flush(struct mn_file_writer *writer);

/**
 * mn_file_writer_close - write what is left, and end it
 *
 * From a fiber; suspends; of a fiber that was cancelled, what was not begun is not
 * written. The file stays open. Return: 0, or why not all was written.
 */
MN_API int mn_file_writer_close(struct mn_file_writer *writer);

/** mn_file_writer_pos - where the next byte will be written */
MN_API int64_t mn_file_writer_pos(const struct mn_file_writer *writer);

#endif
