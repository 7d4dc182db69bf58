// SPDX-License-Identifier: MIT
#include "backends/packet.h"
#include "backends/platform.h"
#include "lib/mem/pool.h"

int packet_receive(int fd, const struct msghdr *room, struct mn_chunk *chunk, uint32_t size)
{
	struct packet_head *head = (struct packet_head *)(void *)chunk->data;
	size_t overhead = packet_overhead(room);
	struct iovec iov = { chunk->data + overhead, size - overhead };
	struct msghdr hdr = {
		.msg_name = head + 1,
		.msg_namelen = room->msg_namelen,
		.msg_control = (uint8_t *)(head + 1) + room->msg_namelen,
		.msg_controllen = room->msg_controllen,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n = recvmsg(fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	*head = (struct packet_head){
		.name_len = hdr.msg_namelen,
		.control_len = (uint32_t)hdr.msg_controllen,
		.len = (uint32_t)n,
		.flags = (uint32_t)hdr.msg_flags,
	};
	return (int)(overhead + (size_t)n);
}
