/* SPDX-License-Identifier: MIT */
/*
 * Datagram sockets inside.
 *
 *	dgram.c		opening, closing, names
 *	dgram-in.c	receiving into the queue, and from it
 *	dgram-out.c	sending
 *	packet.c	from a queued chunk to a packet
 */
#ifndef LIB_NET_DGRAM_H
#define LIB_NET_DGRAM_H

#include <miniss/dgram.h>

#include <miniss/timer.h>

#include "core/op.h"

#define DGRAM_SIZE_MAX	65536

/* packet_head.flags, beside the kernel's: the next chunk is the rest of the datagram */
#define PACKET_MORE	0x80000000u

/* Of a socket with large datagrams, or many at a time: they come here first. */
struct gather {
	struct mn_dgram *dgram;
	struct mn_task again;		/* receive the next */
	struct mn_timer retry;		/* there were no chunks: try again */
	bool some;			/* there is something in @data that is not queued yet */
	size_t pos, end;		/* of it in @data */
	size_t segment;			/* of each datagram in it; 0: it is one */
	struct mn_chunk *first, **last;	/* pieces of a datagram, until it is complete */
	struct msghdr hdr;
	struct iovec iov;
	struct sockaddr_storage name;
	uint8_t control[128] __attribute__((aligned(16)));
	uint8_t data[DGRAM_SIZE_MAX];
};

struct mn_dgram {
	/* input */
	struct mn_op recv;
	struct msghdr room;		/* for names and control data, in each chunk */
	struct gather *gather;		/* or NULL: straight into chunks */
	struct mn_chunk *in_head;
	struct mn_chunk **in_tail;
	uint32_t in_nr;			/* chunks in the queue */
	uint32_t in_max;
	size_t size_max;		/* of a listener: what its connections have */
	bool in_paused;			/* the receive is stopped, or being stopped, for the limit */
	bool in_ended;			/* nothing more comes */
	int in_err;			/* why the receive stopped: told once */
	struct mn_task *reader;		/* scheduled when there is input, or the end */

	/* output */
	bool gso;

	/* life */
	int fd;
	bool closing;
	bool seqpacket;
	bool listening;
	struct mn_addr bound;		/* of a Unix socket with a name, which goes with it */
	uint64_t ino;
	struct mn_dgram_stats stats;
};

/* dgram-in.c */
void dgram_in_open(struct mn_dgram *dgram);	/* zeroed memory: ready to start */
void dgram_in_start(struct mn_dgram *dgram);
void dgram_in_end(struct mn_dgram *dgram);	/* from a fiber */

/* packet.c */

/* packet_take - a chunk of the queue becomes the caller's packet */
void packet_take(const struct mn_dgram *dgram, struct mn_chunk *chunk, struct mn_packet *packet);

/* packet_segment - of what UDP_GRO put together, how large each was; 0: it is one */
uint32_t packet_segment(struct msghdr *hdr);

/* packet_fds_close - close the descriptors that control data carries */
void packet_fds_close(void *control, size_t len);

/* packet_fds - control data that carries descriptors; @size: the room for it. Its length */
size_t packet_fds(const struct mn_packet *packet, void *control, size_t size);

/* packet_segmented - control data that has the kernel divide a message */
size_t packet_segmented(uint16_t size, void *control, size_t room);

/* packet_control_max - room for what may come along */
size_t packet_control_max(int family, bool gro);

#endif
