/* SPDX-License-Identifier: MIT */
/*
 * Datagrams in chunks of the pool: what MN_OP_RECV_PACKETS delivers. Behind
 * the head comes the room for the name of who sent it, then that for control
 * data, as large as the operation said; then the datagram.
 */
#ifndef BACKENDS_PACKET_H
#define BACKENDS_PACKET_H

#include <stdint.h>
#include <sys/socket.h>

struct mn_chunk;

/* The kernel writes the same for io_uring. */
struct packet_head {
	uint32_t name_len;
	uint32_t control_len;
	uint32_t len;		/* of the datagram, as far as there was room */
	uint32_t flags;		/* MSG_TRUNC, MSG_CTRUNC */
};

/* packet_overhead - bytes of a chunk that are not the datagram's */
static inline size_t packet_overhead(const struct msghdr *room)
{
	return sizeof(struct packet_head) + room->msg_namelen + room->msg_controllen;
}

/*
 * packet_prepare - a message header to receive into a chunk of @size bytes with
 * packet_complete - it has received @len bytes: the bytes of the chunk that count
 */
void packet_prepare(const struct msghdr *room, struct mn_chunk *chunk, uint32_t size,
		    struct iovec *iov, struct msghdr *hdr);
int packet_complete(const struct msghdr *room, struct mn_chunk *chunk, const struct msghdr *hdr,
		    uint32_t len);

/*
 * packet_receive - one datagram, if it is there, into a chunk of @size bytes
 * Return: the bytes of the chunk that count, or -errno.
 */
int packet_receive(int fd, const struct msghdr *room, struct mn_chunk *chunk, uint32_t size);

#endif
