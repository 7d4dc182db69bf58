/* SPDX-License-Identifier: MIT */
/*
 * The libev backend: one event loop for each shard.
 *
 *	libev.c	submitting, waiting, the loop and its timer
 *	recv.c	streams that receive
 *	packets.c	sockets that receive datagrams
 *	try.c	what an operation does when its descriptor may be ready
 */
#ifndef BACKENDS_LIBEV_LIBEV_H
#define BACKENDS_LIBEV_LIBEV_H

#include <ev.h>

#include "backends/backend.h"
#include "core/op.h"
#include "core/shard.h"

#define SLAB_WATCHES	64

struct watch {
	ev_io io;
	struct mn_op *op;
	struct list link;	/* free, starved or ready, or empty */
	uint64_t done;		/* SEND, SENDMSG: bytes; CONNECT: was it begun; packets: see packets.c */
	uint32_t life;		/* which of its operations this is */
	bool delivering;	/* several packets: who cancels it ends it after the last */
	bool canceled;		/* has done so */
};

struct watch_slab {
	struct watch_slab *next;
	struct watch watch[SLAB_WATCHES];
};

struct libev {
	struct backend be;
	struct ev_loop *loop;
	unsigned int nr_done;		/* completions and deliveries since the last turn */
	unsigned int nr_watches;	/* operations that wait */
	unsigned int nr_received;	/* streams that did, this turn */
	int64_t timer_ns;		/* what the timer is set to; MN_NEVER: not set */
	struct list ready;		/* streams that receive in the next turn */
	struct list starved;		/* streams that wait for free buffers */
	struct list free;

	int timer_fd;			/* or -ENOSYS: libev's own timer has to do */
	ev_io timer_io;
	ev_timer timer;
	ev_async waker;
	ev_periodic never;
	struct watch_slab *slabs;
};

static inline void count_syscalls(struct libev *ev, unsigned int n)
{
	stats_add(ev->be.shard, STAT_SYSCALLS, n);
}

/* libev_finish - the operation of a watch is over: it completes, the watch goes back to the pool */
void libev_finish(struct libev *ev, struct watch *w, int64_t res);

/* recv.c */

/* libev_stream_ready - a stream may receive: now, or in the next turn */
void libev_stream_ready(struct libev *ev, struct watch *w, int revents);

/* libev_streams_go_on - some of those that were to receive in the next turn: this one */
void libev_streams_go_on(struct libev *ev);

/* libev_stream_starve - no buffer: look away from it until some come back to the pool */
void libev_stream_starve(struct libev *ev, struct watch *w);

/* packets.c */

/* libev_packets_receive - some datagrams; true: there are probably more, and they are wanted */
bool libev_packets_receive(struct libev *ev, struct watch *w, int revents);

/* libev_starved_resume - buffers came back: as many streams may look for data again */
void libev_starved_resume(struct libev *ev);

#endif
