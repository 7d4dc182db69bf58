/* SPDX-License-Identifier: MIT */
/*
 * Sends without a copy. The stream goes on when such a send has ended, but the
 * kernel reads the memory until the peer has acknowledged it: so the batch, and
 * not the stream, has the operation, and outlives the stream if need be. It
 * stays on the shard that has sent it.
 */
#ifndef LIB_NET_ZEROCOPY_H
#define LIB_NET_ZEROCOPY_H

#include <stdbool.h>
#include <stdint.h>

#include <miniss/clock.h>

#include "lib/list.h"

struct batch;
struct mn_stream;
struct shard;

/*
 * What a stream knows of the way to its peer. It is tried by one batch at a
 * time; twice copied all the same, and it is over: a connection stays on
 * the device that it goes through.
 */
enum zc_proof { ZC_UNKNOWN, ZC_DOUBTED, ZC_NEVER, ZC_PROVEN };

/* Of a shard. */
struct zerocopy {
	size_t min;		/* bytes of a batch that is worth it; SIZE_MAX: none is */
	struct list batches;	/* that the kernel holds, or sends; the last one first */
	uint32_t nr_pinned;	/* slices of these */
	bool insist;		/* for tests: go on with it, whatever becomes of it */
	uint32_t skip, skipped;	/* so many occasions to try are let pass; and were, since then */
};

void zc_init(struct shard *shard);
void zc_start(struct shard *shard);	/* its backend has started */

/* zc_send - send stream->sending in this way, or return false */
bool zc_send(struct mn_stream *stream, struct batch *batch);

/* zc_split - of what is sent, only @n bytes went out: the rest, as a batch of its own */
struct batch *zc_split(struct batch *batch, size_t n);

/* zc_forget - the stream ends or moves; its batches do not */
void zc_forget(struct mn_stream *stream);

/*
 * At the end of the world, in a fiber of each shard. zc_drain - wait for the
 * kernel to let go, until *@until_ns: 1 if it has not. Then, on all shards, zc_seal - no
 * buffer is used again; and then zc_abandon - what is left is the kernel's.
 */
#define ZC_DRAIN_NS	(50 * MN_MSEC)	/* longer than acknowledgements are delayed */

int zc_drain(void *until_ns);
int zc_seal(void *arg);
int zc_abandon(void *arg);

#endif
