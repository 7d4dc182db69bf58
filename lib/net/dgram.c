// SPDX-License-Identifier: MIT
/* Datagram sockets: how they are made, and their end. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

#include <miniss/param.h>

#include "backends/packet.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/dgram.h"
#include "lib/net/sockopt.h"
#include "lib/net/socket.h"

MN_PARAM(uint, packets_max, 256, 1, 65536, "received datagrams that a socket may queue");

#define BACKLOG		128
#define MEMINFO_DROPS	8	/* the index of it in what SO_MEMINFO says */

/* The configuration, as far as it had to be read. */
struct setup {
	const struct mn_dgram_conf *conf;
	struct mn_addr bind, connect;
	int family;
};

static int addr_read(const char *text, struct mn_addr *addr, int *family)
{
	int err = text ? mn_addr_parse(text, addr) : 0;

	if (err || !text)
		return err;
	if (*family && *family != addr->sa.sa_family)
		return -EINVAL;
	*family = addr->sa.sa_family;
	return 0;
}

static int setup_read(struct setup *setup, const struct mn_dgram_conf *conf)
{
	int err;

	*setup = (struct setup){ .conf = conf, .family = conf->family };
	err = addr_read(conf->bind, &setup->bind, &setup->family);
	if (!err)
		err = addr_read(conf->connect, &setup->connect, &setup->family);
	if (err)
		return err;
	if (setup->family != AF_INET && setup->family != AF_INET6 && setup->family != AF_UNIX)
		return -EINVAL;
	if (conf->seqpacket && (setup->family != AF_UNIX || !conf->bind == !conf->connect))
		return -EINVAL;
	if (conf->size_max > DGRAM_SIZE_MAX || conf->unix_mode > 0777)
		return -EINVAL;
	return 0;
}

/* Room for what comes with a datagram: its place is aligned, so that it can be used there. */
static void room_set(struct mn_dgram *dgram, int family, bool gro)
{
	socklen_t len = family == AF_INET  ? sizeof(struct sockaddr_in) :
			family == AF_INET6 ? sizeof(struct sockaddr_in6) :
					     sizeof(struct sockaddr_un);

	dgram->room.msg_namelen = (len + 15u) & ~15u;
	dgram->room.msg_controllen = packet_control_max(family, gro);
}

static int dgram_alloc(int family, const struct mn_dgram_conf *conf, struct mn_dgram **dgram)
{
	struct mn_dgram *d = mem_alloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->fd = -1;
	d->in_max = conf->queue_max ? conf->queue_max : param_packets_max;
	d->size_max = conf->size_max;
	d->seqpacket = conf->seqpacket;
	room_set(d, family, conf->gro);
	if (conf->gro ||
	    conf->size_max + packet_overhead(&d->room) > (size_t)mn_self->pool.chunk_size) {
		d->gather = mem_alloc(sizeof(*d->gather));
		if (!d->gather) {
			mem_free(d);
			return -ENOMEM;
		}
	}
	dgram_in_open(d);
	*dgram = d;
	return 0;
}

static void dgram_free(struct mn_dgram *dgram)
{
	if (dgram->fd >= 0) {
		if (dgram->bound.len)
			socket_unbind_unix(&dgram->bound, dgram->ino);
		socket_close(dgram->fd);
	}
	mem_free(dgram);
}

static int options_set(struct mn_dgram *dgram, const struct setup *setup)
{
	const struct mn_dgram_conf *conf = setup->conf;
	bool inet = setup->family != AF_UNIX;
	int fd = dgram->fd;
	int err = sockopt_apply(fd, setup->family, SOCKOPT_DGRAM, conf->opt);

	if (!err && inet && conf->reuseport)
		err = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err && inet && conf->broadcast)
		err = socket_set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (!err && !inet && conf->creds)
		err = socket_set(fd, SOL_SOCKET, SO_PASSCRED, 1);
	if (err || !inet)
		return err;
	/* Where it cannot, it says so here, and then all goes one by one. */
	dgram->gso = !conf->no_gso && !socket_set(fd, SOL_UDP, UDP_SEGMENT, 0);
	if (conf->gro)
		socket_set(fd, SOL_UDP, UDP_GRO, 1);
	return 0;
}

static int address_bind(struct mn_dgram *dgram, const struct setup *setup)
{
	const struct mn_dgram_conf *conf = setup->conf;
	unsigned int backlog = conf->backlog ? conf->backlog : BACKLOG;
	int err;

	if (setup->family != AF_UNIX)
		return socket_bind(dgram->fd, &setup->bind);
	dgram->listening = conf->seqpacket;
	backlog = conf->seqpacket ? min(backlog, (unsigned int)UINT16_MAX) : 0;
	err = socket_bind_unix(dgram->fd, &setup->bind, (uint16_t)conf->unix_mode,
			       (uint16_t)backlog, &dgram->ino);
	if (!err)
		dgram->bound = setup->bind;
	/* A name that is in no directory does not listen yet. */
	if (!err && dgram->listening)
		err = socket_listen(dgram->fd, (int)backlog);
	return err;
}

static int setup_do(struct mn_dgram *dgram, const struct setup *setup)
{
	const struct mn_dgram_conf *conf = setup->conf;
	int err;

	dgram->fd = socket_open_type(setup->family, conf->seqpacket ? SOCK_SEQPACKET : SOCK_DGRAM);
	if (dgram->fd < 0)
		return dgram->fd;
	err = options_set(dgram, setup);
	if (!err && conf->bind)
		err = address_bind(dgram, setup);
	if (!err && conf->connect)
		err = socket_connect(dgram->fd, &setup->connect, MN_NEVER);
	return err;
}

int mn_dgram_open(const struct mn_dgram_conf *conf, struct mn_dgram **dgram)
{
	struct setup setup;
	struct mn_dgram *d;
	int err = setup_read(&setup, conf);

	if (!err)
		err = dgram_alloc(setup.family, conf, &d);
	if (err)
		return err;
	err = setup_do(d, &setup);
	if (err) {
		mem_free(d->gather);
		dgram_free(d);
		return err;
	}
	if (!d->listening)
		dgram_in_start(d);
	*dgram = d;
	return 0;
}

int mn_dgram_accept(struct mn_dgram *listener, struct mn_dgram **dgram)
{
	const struct mn_dgram_conf conf = { .seqpacket = true,
					    .queue_max = listener->in_max,
					    .size_max = listener->size_max };
	struct mn_dgram *d;
	int err;

	if (!listener->listening)
		return -EINVAL;
	err = dgram_alloc(AF_UNIX, &conf, &d);
	if (err)
		return err;
	while ((d->fd = socket_accept(listener->fd)) == -EAGAIN) {
		err = socket_wait(listener->fd, POLLIN);
		if (err)
			break;
	}
	if (d->fd < 0) {
		err = err ? err : d->fd;
		mem_free(d);
		return err;
	}
	dgram_in_start(d);
	*dgram = d;
	return 0;
}

void mn_dgram_close(struct mn_dgram *dgram)
{
	BUG_ON(dgram->reader);
	dgram_in_end(dgram);
	dgram_free(dgram);
}

int mn_dgram_name(struct mn_dgram *dgram, struct mn_addr *addr)
{
	return socket_name(dgram->fd, addr);
}

int mn_dgram_cred(struct mn_dgram *dgram, struct mn_cred *cred)
{
	return socket_cred(dgram->fd, cred);
}

int mn_dgram_join(struct mn_dgram *dgram, const char *group, unsigned int interface)
{
	struct ipv6_mreq v6 = { .ipv6mr_interface = interface };
	struct ip_mreqn v4 = { .imr_ifindex = (int)interface };

	if (inet_pton(AF_INET, group, &v4.imr_multiaddr) == 1)
		return min(socket_set_mem(dgram->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4,
					  sizeof(v4)),
			   0);
	if (inet_pton(AF_INET6, group, &v6.ipv6mr_multiaddr) == 1)
		return min(socket_set_mem(dgram->fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6,
					  sizeof(v6)),
			   0);
	return -EINVAL;
}

void mn_dgram_stats(struct mn_dgram *dgram, struct mn_dgram_stats *stats)
{
	uint32_t info[16];
	int len = socket_get(dgram->fd, SOL_SOCKET, SO_MEMINFO, info, sizeof(info));

	*stats = dgram->stats;
	if (len > (int)(MEMINFO_DROPS * sizeof(info[0])))
		stats->dropped = info[MEMINFO_DROPS];
}
