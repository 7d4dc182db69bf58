// SPDX-License-Identifier: MIT
#include "backends/packet.h"
#include "backends/platform.h"
#include "lib/mem/pool.h"

void packet_prepare(const struct msghdr *room, struct mn_chunk *chunk, uint32_t size,
		    struct iovec *iov, struct msghdr *hdr)
{
	struct packet_head *head = (struct packet_head *)(void *)chunk->data;
	size_t overhead = packet_overhead(room);

	*iov = (struct iovec){ chunk->data + overhead, size - overhead };
	*hdr = (struct msghdr){
		.msg_name = head + 1,
		.msg_namelen = room->msg_namelen,
		.msg_control = (uint8_t *)(head + 1) + room->msg_namelen,
		.msg_controllen = room->msg_controllen,
		.msg_iov = iov,
		.msg_iovlen = 1,
	};
}

int packet_complete(const struct msghdr *room, struct mn_chunk *chunk, const struct msghdr *hdr,
		    uint32_t len)
{
	struct packet_head *head = (struct packet_head *)(void *)chunk->data;

	*head = (struct packet_head){
		.name_len = hdr->msg_namelen,
		.control_len = (uint32_t)hdr->msg_controllen,
		.len = len,
		.flags = (uint32_t)hdr->msg_flags,
	};
	return (int)(packet_overhead(room) + len);
}

int packet_receive(int fd, const struct msghdr *room, struct mn_chunk *chunk, uint32_t size)
{
	struct msghdr hdr;
	struct iovec iov;
	ssize_t n;

	packet_prepare(room, chunk, size, &iov, &hdr);
	n = recvmsg(fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	return n < 0 ? -errno : packet_complete(room, chunk, &hdr, (uint32_t)n);
}
