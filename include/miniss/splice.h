/* SPDX-License-Identifier: MIT */
/*
 * Bulk from a file or a stream into another, without looking at it.
 *
 * From --net.splice_min bytes on, where the system can, the data goes through
 * a pipe inside of the kernel; else, and where a descriptor refuses that, through
 * buffers of the pool, many at a time. All are for fibers of the shard of
 * the streams, and suspend. What was written before goes out first, and what
 * somebody writes meanwhile, last.
 */
#ifndef MINISS_SPLICE_H
#define MINISS_SPLICE_H

#include <miniss/stream.h>

/**
 * mn_sendfile - send a part of a file
 * @fd: a descriptor that can be read at an offset; its own is not used
 * @len: UINT64_MAX: to its end
 *
 * Return: how many bytes were handed to the kernel, or are queued: @len; or
 * fewer at the end of the file, or before an error: then the next call
 * reports it. -EIO, -EISDIR, -ESPIPE and so on: of the file; else as
 * mn_stream_write().
 */
MN_API int64_t mn_sendfile(struct mn_stream *to, int fd, uint64_t offset, uint64_t len);

/**
 * mn_recvfile - write what a stream receives into a file
 * @fd: a descriptor that can be written at an offset
 * @len: UINT64_MAX: until the end of the stream
 *
 * Return: how many bytes were written: @len; or fewer at the end of the
 * stream, or before an error, as above: what @from had delivered by then may be
 * lost. -ENOSPC, -EIO and so on; else as mn_stream_read().
 */
MN_API int64_t mn_recvfile(int fd, uint64_t offset, struct mn_stream *from, uint64_t len);

/**
 * mn_splice - pass on what a stream receives to another
 * @from: not @to; nobody else reads from it meanwhile, nor through a struct
 *	mn_reader that holds something: mn_copy() that first
 * @len: UINT64_MAX: until the end of @from, which @to is not told of
 *
 * When it fails, or is cancelled, while bytes are on their way that cannot go
 * back, then @to is aborted, since what it sent has a gap.
 *
 * Return: how many bytes were passed on: @len; or fewer at the end of @from,
 * or before an error: then the next call reports it. Else as
 * mn_stream_read() and mn_stream_write(); -EINVAL: @from is @to.
 */
MN_API int64_t mn_splice(struct mn_stream *to, struct mn_stream *from, uint64_t len);

#endif
