// SPDX-License-Identifier: MIT
/*
 * Datagrams: whole, in order, and none is lost on the way. What a receiver has
 * no room for is dropped and counted if it is UDP; who sends to a Unix socket
 * waits. A UDP socket is told when nobody has the port that it is connected
 * to. Descriptors do not come along, and nothing is put together.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/un.h>
#include <string.h>

#include "backends/mem/net.h"
#include "backends/packet.h"
#include "lib/mem/mem.h"
#include "lib/mem/pool.h"

#define UNIX_QUEUE	11	/* packets that wait in a Unix socket, as on Linux */
#define BUFFER		212992	/* bytes that wait in any other, and of the largest over Unix */
#define PACKET_COST	256	/* what each takes of that, beside its bytes */
#define UDP_MAX		65507	/* bytes of one, version 4 */
#define UDP6_MAX	65527
#define MEMINFO_DROPS	8	/* the index of it in what SO_MEMINFO says */

struct net_packet {
	struct net_packet *next;
	struct name from;
	uint32_t len;
	uint8_t data[];
};

static bool is_unix(const struct sock *sock)
{
	return sock->family == AF_UNIX;
}

void dgram_init(struct sock *sock)
{
	sock->dgram = true;
	sock->receive_max = sock->send_max = BUFFER;
	sock->packets_last = &sock->packets;
}

/* ---- whom it is for ---- */

static bool is_named(const struct sock *sock)
{
	return sock->dgram && sock->local.len > sizeof(sa_family_t);
}

static bool same_name(const struct name *a, const struct name *b)
{
	return a->len == b->len && !memcmp(&a->sa, &b->sa, a->len);
}

/* The receiver that @skip others come before, and how many there are; one that is connected is alone. */
static struct sock *receiver_after(struct net *net, const struct name *to, const struct name *from,
				   unsigned int skip, unsigned int *nr)
{
	struct sock *found = NULL;

	*nr = 0;
	for (unsigned int i = 0; i < net->fd_end; i++) {
		struct sock *sock = net->fds[i];

		if (!sock || !is_named(sock) || !name_overlaps(&sock->local, to))
			continue;
		if (sock->state != SOCK_CONNECTED) {
			if ((*nr)++ == skip)
				found = sock;
		} else if (is_unix(sock) || name_overlaps(&sock->remote, from)) {
			*nr = 1;
			return sock;
		}
	}
	return found;
}

/* Of several with one address, a sender has always the same one. */
static struct sock *receiver_find(struct net *net, const struct name *to, const struct name *from)
{
	const uint8_t *byte = (const uint8_t *)&from->sa;
	struct sock *found;
	unsigned int nr, sum = 0;

	found = receiver_after(net, to, from, 0, &nr);
	for (socklen_t i = 0; nr > 1 && i < from->len; i++)
		sum += byte[i];
	return nr > 1 ? receiver_after(net, to, from, sum % nr, &nr) : found;
}

static bool is_full(const struct sock *sock)
{
	return is_unix(sock) ? sock->nr_packets >= UNIX_QUEUE :
			       sock->packets_cost >= sock->receive_max;
}

/* ---- into its queue ---- */

static struct net_packet *packet_new(const struct msghdr *hdr, size_t off, size_t len)
{
	struct net_packet *packet = mem_alloc(sizeof(*packet) + len);
	size_t done = 0;

	if (!packet)
		return NULL;
	packet->len = (uint32_t)len;
	for (size_t i = 0; i < hdr->msg_iovlen && done < len; i++) {
		const struct iovec *v = &hdr->msg_iov[i];
		size_t n;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		n = min(v->iov_len - off, len - done);
		memcpy(packet->data + done, (const uint8_t *)v->iov_base + off, n);
		done += n;
		off = 0;
	}
	return packet;
}

static void packet_queue(struct net *net, struct sock *to, struct net_packet *packet)
{
	*to->packets_last = packet;
	to->packets_last = &packet->next;
	to->nr_packets++;
	to->packets_cost += packet->len + PACKET_COST;
	net->kick(&to->waiting);
}

/* Who is connected to one that has room again, or is gone, may wait for that. */
static void senders_kick(struct net *net, const struct sock *to)
{
	for (unsigned int i = 0; i < net->fd_end; i++) {
		struct sock *sock = net->fds[i];

		if (sock && sock->dgram && sock->remote.len && sock != to &&
		    same_name(&sock->remote, &to->local))
			net->kick(&sock->waiting);
	}
}

static struct net_packet *packet_next(struct net *net, struct sock *sock)
{
	struct net_packet *packet = sock->packets;
	bool full = is_unix(sock) && is_full(sock);

	sock->packets = packet->next;
	if (!sock->packets)
		sock->packets_last = &sock->packets;
	sock->nr_packets--;
	sock->packets_cost -= packet->len + PACKET_COST;
	if (full)
		senders_kick(net, sock);
	return packet;
}

void dgram_close(struct net *net, struct sock *sock)
{
	while (sock->packets)
		mem_free(packet_next(net, sock));
	if (is_unix(sock))
		senders_kick(net, sock);
}

/* ---- sending ---- */

static int dgram_error(struct sock *sock)
{
	int err = sock->err;

	sock->err = 0;
	return -err;
}

static int target_of(const struct sock *sock, const struct msghdr *hdr, struct name *to)
{
	if (!hdr->msg_name) {
		if (!sock->remote.len)
			return is_unix(sock) ? -ENOTCONN : -EDESTADDRREQ;
		*to = sock->remote;
		return 0;
	}
	if (name_set(to, hdr->msg_name, hdr->msg_namelen))
		return -EINVAL;
	return to->sa.ss_family == sock->family ? 0 : -EAFNOSUPPORT;
}

/* What the receiver sees: of one that hears all addresses of this host, the one that it has used. */
static struct name name_seen(struct net *net, struct sock *sock, const struct name *to)
{
	struct name from;

	if (!sock->local.len && !is_unix(sock)) {
		from = *to;
		name_port_any(net, &from);
		sock->local = from;
	}
	from = sock->local;
	if (from.len <= sizeof(sa_family_t))
		from.len = 0;
	else if (!is_unix(sock))
		name_host_from(&from, to);
	return from;
}

/* Nobody is there. */
static int unheard(struct net *net, struct sock *sock, const struct msghdr *hdr)
{
	const struct sockaddr_un *un = hdr->msg_name;

	if (!is_unix(sock)) {
		if (!hdr->msg_name) {
			sock->err = ECONNREFUSED;
			net->kick(&sock->waiting);
		}
		return 0;
	}
	if (un)
		return un->sun_path[0] ? -ENOENT : -ECONNREFUSED;
	sock->remote.len = 0;	/* the next one is told that it is not connected */
	sock->state = SOCK_FRESH;
	return -ECONNREFUSED;
}

/* One packet: 0 or -errno. */
static int send_one(struct net *net, struct sock *sock, const struct msghdr *hdr, size_t off,
		    size_t len)
{
	struct net_packet *packet;
	struct name to, from;
	struct sock *receiver;
	int err = target_of(sock, hdr, &to);

	if (err)
		return err;
	if (len > (is_unix(sock) ? sock->send_max : sock->family == AF_INET ? UDP_MAX : UDP6_MAX))
		return -EMSGSIZE;
	from = name_seen(net, sock, &to);
	receiver = receiver_find(net, &to, &from);
	if (!receiver)
		return unheard(net, sock, hdr);
	if (is_unix(sock) && receiver->remote.len && !same_name(&receiver->remote, &from))
		return -EPERM;
	if (is_full(receiver)) {
		receiver->drops += !is_unix(sock);
		return is_unix(sock) ? -EAGAIN : 0;
	}
	packet = packet_new(hdr, off, len);
	if (!packet)
		return -ENOBUFS;
	packet->from = from;
	packet_queue(net, receiver, packet);
	return 0;
}

/* UDP_SEGMENT, or 0; -EOPNOTSUPP for what does not travel here. */
static int segment_of(struct msghdr *hdr)
{
	uint16_t size = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		if (cmsg->cmsg_level != SOL_UDP || cmsg->cmsg_type != UDP_SEGMENT)
			return -EOPNOTSUPP;
		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
	}
	return size;
}

static int send_msg(struct net *net, struct sock *sock, struct mn_mmsg *msg)
{
	size_t len = 0, off = 0;
	int err = dgram_error(sock), size = segment_of(&msg->hdr);

	if (err || size < 0)
		return err ? err : size;
	for (size_t i = 0; i < msg->hdr.msg_iovlen; i++)
		len += msg->hdr.msg_iov[i].iov_len;
	do {
		size_t n = size ? min((size_t)size, len - off) : len;

		err = send_one(net, sock, &msg->hdr, off, n);
		off += n;
	} while (!err && off < len);
	msg->len = (unsigned int)len;
	return err;
}

int64_t dgram_send(struct net *net, struct sock *sock, struct mn_op *op)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < op->packets.n; i++) {
		err = send_msg(net, sock, &op->packets.msg[i]);
		if (err)
			break;
	}
	return i ? (int64_t)i : err;
}

/* ---- receiving ---- */

static int64_t ready_to_receive(struct sock *sock)
{
	if (sock->err)
		return dgram_error(sock);
	return sock->packets ? 1 : NOT_YET;
}

/* As packet_receive() has it: the head, room for a name and for control data, the bytes. */
static int64_t recv_chunk(struct net *net, struct sock *sock, struct pool *pool, struct mn_op *op)
{
	const struct msghdr *room = op->msg.hdr;
	size_t overhead = packet_overhead(room);
	int64_t res = ready_to_receive(sock);
	struct packet_head *head;
	struct net_packet *packet;

	if (res <= 0)
		return res;
	op->chunk = pool_get(pool);
	if (!op->chunk)
		return NO_BUFFER;
	packet = packet_next(net, sock);
	head = (struct packet_head *)(void *)op->chunk->data;
	*head = (struct packet_head){
		.name_len = packet->from.len,
		.len = (uint32_t)min((size_t)packet->len, pool->chunk_size - overhead),
	};
	if (head->len < packet->len)
		head->flags = MSG_TRUNC;
	memcpy(head + 1, &packet->from.sa, min(packet->from.len, room->msg_namelen));
	memcpy(op->chunk->data + overhead, packet->data, head->len);
	op->chunk->len = (uint32_t)overhead + head->len;
	mem_free(packet);
	return op->chunk->len;
}

static int64_t recv_msg(struct net *net, struct sock *sock, struct mn_op *op)
{
	struct msghdr *hdr = op->msg.hdr;
	int64_t res = ready_to_receive(sock);
	struct net_packet *packet;
	size_t done = 0;

	if (res <= 0)
		return res;
	packet = packet_next(net, sock);
	for (size_t i = 0; i < hdr->msg_iovlen && done < packet->len; i++) {
		size_t n = min(hdr->msg_iov[i].iov_len, packet->len - done);

		memcpy(hdr->msg_iov[i].iov_base, packet->data + done, n);
		done += n;
	}
	hdr->msg_flags = done < packet->len ? MSG_TRUNC : 0;
	memcpy(hdr->msg_name, &packet->from.sa, min(packet->from.len, hdr->msg_namelen));
	hdr->msg_namelen = packet->from.len;
	hdr->msg_controllen = 0;
	mem_free(packet);
	return (int64_t)done;
}

/* ---- the rest ---- */

/* A UDP socket may be connected to anybody; of Unix sockets somebody has to be there. */
static int64_t dgram_connect(struct net *net, struct sock *sock, struct mn_op *op)
{
	struct name to;
	int err = name_set(&to, op->addr.sa, op->addr.len);

	if (err)
		return err;
	if (to.sa.ss_family != sock->family)
		return -EAFNOSUPPORT;
	if (is_unix(sock) && !receiver_find(net, &to, &sock->local))
		return ((struct sockaddr_un *)&to.sa)->sun_path[0] ? -ENOENT : -ECONNREFUSED;
	if (!is_unix(sock))
		sock_name_from(net, sock, &to);
	sock->remote = to;
	sock->state = SOCK_CONNECTED;
	return 0;
}

static int64_t dgram_poll(struct net *net, struct sock *sock, uint32_t events)
{
	const struct sock *to = NULL;
	uint32_t now = 0;

	if (is_unix(sock) && sock->remote.len)
		to = receiver_find(net, &sock->remote, &sock->local);
	if (sock->packets)
		now |= POLLIN;
	if (!to || !is_full(to))
		now |= POLLOUT;
	if (sock->err)
		now |= POLLERR | POLLIN | POLLOUT;
	now &= events | POLLERR;
	return now ? now : NOT_YET;
}

int64_t dgram_try(struct net *net, struct sock *sock, struct pool *pool, struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_POLL:
		return dgram_poll(net, sock, op->poll.events);
	case MN_OP_CONNECT:
		return dgram_connect(net, sock, op);
	case MN_OP_RECV_PACKETS:
		return recv_chunk(net, sock, pool, op);
	case MN_OP_RECVMSG:
		return recv_msg(net, sock, op);
	default:
		return -EOPNOTSUPP;
	}
}

void dgram_setopt(struct sock *sock, int name, int value)
{
	uint32_t twice = (uint32_t)min(max(value, 1024), 1 << 30) * 2;	/* as Linux does */

	if (name == SO_RCVBUF)
		sock->receive_max = twice;
	else if (name == SO_SNDBUF)
		sock->send_max = twice;
}

/* SO_MEMINFO alone, and of that what was dropped. */
int64_t dgram_getopt(const struct sock *sock, struct mn_op *op)
{
	uint32_t info[MEMINFO_DROPS + 1] = { [MEMINFO_DROPS] = sock->drops };

	if (op->sockmem.level != SOL_SOCKET || op->sockmem.name != SO_MEMINFO)
		return -ENOPROTOOPT;
	memcpy(op->sockmem.base, info, min((size_t)op->sockmem.len, sizeof(info)));
	return sizeof(info);
}
