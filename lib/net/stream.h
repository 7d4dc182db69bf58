/* SPDX-License-Identifier: MIT */
/*
 * Streams inside. Input arrives by itself into a queue of chunks; when that
 * has reached its limit the receive is cancelled, and started again when the
 * queue was emptied by half. Output is gathered into batches: one is in
 * flight, the others fill up.
 */
#ifndef LIB_NET_STREAM_H
#define LIB_NET_STREAM_H

#include <miniss/stream.h>

#include "core/op.h"
#include "lib/list.h"

#define BATCH_SLICES	16

/* Output slices that go out in one send. Exists only while there is output. */
struct batch {
	struct batch *next;
	size_t bytes;
	uint32_t nr_slices;
	struct mn_buf spare;	/* of the buffer of the last copy, what is free */
	struct mn_buf slice[BATCH_SLICES];
	struct msghdr hdr;
	struct iovec iov[BATCH_SLICES];

	/* while it is sent without a copy; see zerocopy.h */
	struct mn_op op;
	struct mn_stream *stream;	/* whose send it is, or was; NULL: it has ended, or moved */
	struct batch *rest;		/* for what of it is not sent after all */
	uint32_t nr_pinned;		/* slices at first */
	struct list entry;		/* of the shard's */
};

struct mn_stream {
	/* input */
	struct mn_op recv;
	struct mn_chunk *in_head;
	struct mn_chunk **in_tail;
	uint32_t in_bytes;
	bool in_paused;		/* the receive is stopped, or being stopped, for the limit */
	uint8_t zc;		/* enum zc_proof, zerocopy.h */
	uint16_t in_fds;	/* descriptors that wait in the queue */
	bool in_ended;		/* @in_err is final: nothing comes after what is queued */
	bool aborted;
	bool moving;		/* what ends now goes on later, here or on another shard */
	bool unsent;		/* it is in that list of the shard */
	bool sent;		/* something went out since the idle timer looked */
	bool passing : 1;	/* descriptors may come along: see lib/net/passing.c */
	bool in_eof : 1;	/* of such a one: it came as a packet of nothing */
	bool shut : 1;		/* for writing */
	bool served : 1;	/* it is in a struct conn */
	bool away : 1;		/* another shard looks at it; see lib/net/migrate.c */
	bool corked : 1;
	bool held : 1, lent : 1; /* input, output is somebody's who splices: see lib/net/splice.c */
	uint16_t nr_pinned;	/* batches that the kernel holds still, or sends: see zerocopy.h */
	int away_err;		/* why it was aborted meanwhile */
	int in_err, out_err;
	int fd;
	struct mn_task *reader;	/* scheduled when there is input, or the end */

	/* output */
	struct mn_op send;
	struct batch *sending;	/* in flight; the rest is queued behind it */
	struct batch *queued, **queued_tail;
	struct batch *filling;	/* the last of them */
	size_t out_bytes;	/* in all of them */
	struct mn_stream *unsent_next;	/* to be sent when the tasks of this turn have run */
	struct mn_task *writer;	/* scheduled when output shrank, or failed */

	struct mn_stream_limits limits;

	/* life */
	struct idle_limit *idle;	/* idle.h; NULL: there is none */
	void *user;
};

/* stream_init - zeroed memory becomes a stream over a connected descriptor */
void stream_init(struct mn_stream *stream, int fd);

/* stream_begin - start to receive */
void stream_begin(struct mn_stream *stream);

/* stream_end - mn_stream_close() for a stream that is part of something */
int stream_end(struct mn_stream *stream);

/*
 * A stream that moves: stream_quiet(), from a fiber, ends what is in flight,
 * and stream_resume() goes on. On the other shard, one with descriptor and
 * batches takes over all that it has; it itself is then moved: nothing is left.
 */
void stream_quiet(struct mn_stream *stream);
void stream_resume(struct mn_stream *stream);
void stream_take(struct mn_stream *to, struct mn_stream *from);
void stream_moved(struct mn_stream *stream);

/*
 * stream_in_fail - the connection turned out to be dead: end the input with
 * @err, after what has arrived
 */
void stream_in_fail(struct mn_stream *stream, int err);

/*
 * Input that is held arrives no more: stream_in_stop(), from a fiber, and
 * stream_in_go(). stream_in_over() - meanwhile it has ended, with 0 or an
 * error. stream_unread() - put back the rest of the slice that was read last.
 */
void stream_in_stop(struct mn_stream *stream);
void stream_in_go(struct mn_stream *stream);
void stream_in_over(struct mn_stream *stream, int err);
void stream_unread(struct mn_stream *stream, struct mn_buf *rest);

/* stream_in_wait - from a fiber, until there may be input: 0, or why the fiber is to stop */
int stream_in_wait(struct mn_stream *stream);

/* stream_abort - mn_stream_abort() with a reason */
void stream_abort(struct mn_stream *stream, int err);

/* in.c: a chunk, or a view, is the stream's from now on; and none of them any more */
void in_add(struct mn_stream *stream, struct mn_chunk *chunk);
void in_drop(struct mn_stream *stream);

/* out.c */
void out_init(struct mn_stream *stream);
void out_drop(struct mn_stream *stream);
void out_start(struct mn_stream *stream);
void out_resume(struct mn_stream *stream);	/* it is not lent any more */
void out_quiet(struct mn_stream *stream);	/* it moves, or ends: nothing is to be sent any more */
void out_cancel(struct mn_stream *stream);	/* the send that is in flight, if any */
void out_cancel_wait(struct mn_stream *stream);	/* until there is none; from a fiber */

/* batch_get - an empty one, or NULL; batch_put - with the slices that are left in it */
struct batch *batch_get(void);
void batch_put(struct batch *batch);

/* batch_prepare - its slices as a message */
void batch_prepare(struct batch *batch);

/* out_ended - how the send of stream->sending ended; after -ECANCELED, @n bytes of it went out */
void out_ended(struct mn_stream *stream, int64_t res, size_t n);

/* out_reserve - as many batches as another stream has; out_take - fill them with its slices */
int out_reserve(struct mn_stream *to, const struct mn_stream *from);
void out_take(struct mn_stream *to, struct mn_stream *from);

/* out_max_default - what --net.out_max says */
uint32_t out_max_default(void);

/* Wait until no more than @limit bytes are queued for output. */
int out_wait(struct mn_stream *stream, size_t limit);

#endif
