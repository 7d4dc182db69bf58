// SPDX-License-Identifier: MIT
/* What travels beside the bytes of a datagram: who sent it, descriptors, sizes. */
#include <netinet/udp.h>
#include <string.h>

#include "backends/packet.h"
#include "core/shard.h"
#include "lib/net/dgram.h"
#include "lib/net/socket.h"

#define FDS_SPACE	CMSG_SPACE(MN_PACKET_FDS * sizeof(int))

size_t packet_control_max(int family, bool gro)
{
	if (family == AF_UNIX)
		return FDS_SPACE + CMSG_SPACE(sizeof(struct mn_cred));
	return gro ? CMSG_SPACE(sizeof(int)) : 0;
}

static void *control_put(void *control, size_t room, int level, int type, size_t len)
{
	struct msghdr hdr = { .msg_control = control, .msg_controllen = room };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);

	memset(control, 0, CMSG_SPACE(len));
	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(len);
	return CMSG_DATA(cmsg);
}

size_t packet_fds(const struct mn_packet *packet, void *control, size_t room)
{
	size_t len = packet->nr_fds * sizeof(int);

	memcpy(control_put(control, room, SOL_SOCKET, SCM_RIGHTS, len), packet->fd, len);
	return CMSG_SPACE(len);
}

size_t packet_segmented(uint16_t size, void *control, size_t room)
{
	memcpy(control_put(control, room, SOL_UDP, UDP_SEGMENT, sizeof(size)), &size, sizeof(size));
	return CMSG_SPACE(sizeof(size));
}

uint32_t packet_segment(struct msghdr *hdr)
{
	struct cmsghdr *cmsg;
	int size = 0;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg))
		if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
	return size > 0 ? (uint32_t)size : 0;
}

/* One that there is no room for was not cut off by the kernel: then it is more than we asked for. */
static void fds_take(struct mn_packet *packet, const struct cmsghdr *cmsg)
{
	size_t nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < nr; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
		if (packet->nr_fds < MN_PACKET_FDS) {
			packet->fd[packet->nr_fds++] = fd;
			continue;
		}
		socket_close_foreign(fd);
		packet->fds_lost = true;
	}
}

static void control_take(struct mn_packet *packet, struct msghdr *hdr)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_RIGHTS)
			fds_take(packet, cmsg);
		else if (cmsg->cmsg_type == SCM_CREDENTIALS)
			memcpy(&packet->cred, CMSG_DATA(cmsg), sizeof(packet->cred));
	}
}

void packet_fds_close(void *control, size_t len)
{
	struct msghdr hdr = { .msg_control = control, .msg_controllen = len };
	struct mn_packet packet = { .nr_fds = 0 };

	control_take(&packet, &hdr);
	mn_packet_free(&packet);
}

void packet_take(const struct mn_dgram *dgram, struct mn_chunk *chunk, struct mn_packet *packet)
{
	const struct packet_head *head = (const void *)chunk->data;
	uint8_t *name = chunk->data + sizeof(*head), *control = name + dgram->room.msg_namelen;
	struct msghdr hdr = { .msg_control = control, .msg_controllen = head->control_len };

	*packet = (struct mn_packet){
		.buf = { .data = control + dgram->room.msg_controllen,
			 .len = head->len,
			 .chunk = chunk,
			 .share = chunk->home->chunk_size },
		.truncated = head->flags & MSG_TRUNC,
		.more = head->flags & PACKET_MORE,
		.fds_lost = head->flags & MSG_CTRUNC,
	};
	packet->peer.len = min((socklen_t)head->name_len, dgram->room.msg_namelen);
	memcpy(&packet->peer.sa, name, packet->peer.len);
	control_take(packet, &hdr);
}

void mn_packet_free(struct mn_packet *packet)
{
	for (unsigned int i = 0; i < packet->nr_fds; i++)
		socket_close_foreign(packet->fd[i]);
	packet->nr_fds = 0;
	if (packet->buf.chunk)
		mn_buf_free(&packet->buf);
	packet->buf = (struct mn_buf){ .len = 0 };
}
