/* SPDX-License-Identifier: MIT */
/* Descriptors and credentials of streams, for the stream that they come to. */
#ifndef LIB_NET_PASSING_H
#define LIB_NET_PASSING_H

#include "lib/net/stream.h"

#define PASSING_ROOM	1032	/* of each chunk, at its end */
#define PASSING_QUEUE	253	/* with so many waiting, nothing is received */

/* passing_wanted - does a stream over this socket, with these options or NULL, take descriptors? */
bool passing_wanted(int fd, const struct mn_sockopt *opt);

/* passing_prepare - its receive is an MN_OP_RECV_PACKETS with this */
void passing_prepare(struct mn_op *op);

/* passing_unpack - a chunk is as that has delivered it: make it a stream's; false: it is the end */
bool passing_unpack(struct mn_stream *stream, struct mn_chunk *chunk);

/* passing_any - something came along: these bytes do not belong behind others */
bool passing_any(const struct mn_chunk *chunk);

/* passing_drop - the chunk is read, or dropped, without what came along */
void passing_drop(struct mn_stream *stream, const struct mn_chunk *chunk);

#endif
