/* SPDX-License-Identifier: MIT */
/*
 * Datagrams: UDP, and Unix sockets whose messages keep their bounds. A socket
 * belongs to the shard that opened it. One fiber receives and one sends at a
 * time; they may be two.
 *
 * What arrives is queued by itself, up to a limit. Beyond it the kernel's
 * buffer fills, and then UDP loses what comes, and counts it; who sends to a
 * Unix socket waits.
 *
 * In the virtual world of the mem backend there are no seqpackets
 * (-EPROTONOSUPPORT), no multicast, and no descriptors or credentials that come
 * along (-EOPNOTSUPP).
 */
#ifndef MINISS_DGRAM_H
#define MINISS_DGRAM_H

#include <miniss/buf.h>
#include <miniss/socket.h>

struct mn_dgram;

#define MN_PACKET_FDS	8	/* descriptors that one may carry */

/**
 * struct mn_packet - a datagram, or a piece of a large one
 * @buf: its bytes
 * @peer: who sent it, or whom it is for; len 0: the one that is connected
 * @truncated: it was larger than there was room for; the rest is lost
 * @more: the next packet, which is there already, is the rest of this one: it
 *	is larger than a buffer
 * @fds_lost: descriptors came along that there was no room for; they are closed
 * @nr_fds: how many came along, or are to go along (Unix sockets)
 * @fd: received: the receiver's, close-on-exec. To be sent: still the sender's
 * @cred: who sent it, if the socket asks for that (mn_dgram_conf.creds)
 */
struct mn_packet {
	struct mn_buf buf;
	struct mn_addr peer;
	bool truncated;
	bool more;
	bool fds_lost;
	uint8_t nr_fds;
	int fd[MN_PACKET_FDS];
	struct mn_cred cred;
};

/**
 * struct mn_dgram_conf - which socket; zero means the default
 * @bind: its address (miniss/addr.h). A Unix socket's file is treated as one of
 *	mn_serve(). Default: none, or what the kernel chooses at the first send
 * @connect: the only peer; errors that the network reports of it are then
 *	returned. Default: anybody; then each packet says whom it is for
 * @family: AF_INET, AF_INET6, AF_UNIX; needed without @bind and @connect
 * @seqpacket: a Unix socket with connections: datagrams in order, and an end.
 *	With @connect; or with @bind, for mn_dgram_accept()
 * @backlog: of @seqpacket with @bind. Default: 128
 * @unix_mode: as mn_server's
 * @queue_max: datagrams that are kept until they are received. Default:
 *	--net.packets_max
 * @size_max: the largest that is to come whole; a larger one may be truncated.
 *	Default: what fits one buffer, some 3,800 bytes; more, up to 65,536,
 *	takes a buffer of that size, and a copy
 * @gro: let the kernel hand over many datagrams at a time (UDP_GRO), where it
 *	can: much less work for many of one size, from one peer. Takes a
 *	buffer of 64 KiB, and a copy. What is received is the same
 * @no_gso: do not hand many to the kernel at a time (UDP_SEGMENT)
 * @reuseport: others may bind the same address if they say so, too: a socket
 *	on each shard, among which the kernel shares out the peers
 * @broadcast: allow sending to broadcast addresses
 * @creds: have the kernel say of each packet who sent it (Unix sockets)
 * @opt: buffer sizes and @v6only; or NULL
 */
struct mn_dgram_conf {
	const char *bind;
	const char *connect;
	int family;
	bool seqpacket;
	unsigned int backlog;
	unsigned int unix_mode;
	unsigned int queue_max;
	size_t size_max;
	bool gro;
	bool no_gso;
	bool reuseport;
	bool broadcast;
	bool creds;
	const struct mn_sockopt *opt;
};

/** struct mn_dgram_stats - since it was opened */
struct mn_dgram_stats {
	uint64_t received;
	uint64_t sent;
	uint64_t dropped;	/* by the kernel, for want of room; where it says so (Linux) */
};

/**
 * mn_dgram_open - make a socket, and begin to receive if it can
 * @dgram: closed by the caller with mn_dgram_close()
 *
 * From a fiber; suspends only for a seqpacket peer whose backlog is full.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG for an address or a combination that
 * cannot be; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ECONNREFUSED, -ENOENT,
 * -EMFILE, -ENOMEM, -EPROTONOSUPPORT, and what else the system reports.
 */
MN_API int mn_dgram_open(const struct mn_dgram_conf *conf, struct mn_dgram **dgram);

/**
 * mn_dgram_accept - the next connection of a seqpacket socket
 *
 * From a fiber; suspends. Return: 0, -ECANCELED, -EMFILE, ...
 */
MN_API int mn_dgram_accept(struct mn_dgram *listener, struct mn_dgram **dgram);

/**
 * mn_dgram_recv - the next packets
 * @packets: room for @n, >= 1. Those that come are the caller's:
 *	mn_packet_free(), or each part on its own
 *
 * From a fiber; suspends while there is none, and takes then what is there.
 *
 * Return: how many, 1 to @n; 0 at the end of a seqpacket connection. Errors
 * come after what arrived before them: -ECONNREFUSED, -EHOSTUNREACH, ... once,
 * and it can be received from again; -ECONNRESET; -ECANCELED, -ETIMEDOUT
 * (of the fiber).
 */
MN_API int mn_dgram_recv(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n);

/** mn_dgram_try_recv - the same without waiting: -EAGAIN when nothing is there */
MN_API int mn_dgram_try_recv(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n);

/**
 * mn_dgram_recv_copy - the next one, all of its pieces, into memory of the caller
 * @size: of @data; what does not fit is lost, and the length returned is larger
 * @peer: who sent it, or NULL
 *
 * From a fiber; suspends. Descriptors that come along are closed.
 *
 * Return: its length, which may be 0; of a seqpacket connection 0 is the end.
 * Errors as mn_dgram_recv()'s.
 */
MN_API int64_t mn_dgram_recv_copy(struct mn_dgram *dgram, void *data, size_t size,
				  struct mn_addr *peer);

/** mn_packet_free - give back what a packet has: its buffer, its descriptors */
MN_API void mn_packet_free(struct mn_packet *packet);

/**
 * mn_dgram_send - send packets, each a datagram, in order
 * @packets: the slices of those that were sent are consumed; the others are
 *	still the caller's, as are all descriptors
 *
 * From a fiber; suspends while the kernel has no room. Neighbours with the
 * same peer and size leave in one piece where the kernel can divide it.
 *
 * Return: how many were sent, at least 1; or why the first could not be:
 * -EMSGSIZE, -EHOSTUNREACH, -ECONNREFUSED (of an earlier one), -EDESTADDRREQ,
 * -EPIPE, -EINVAL, -ECANCELED, ...
 */
MN_API int mn_dgram_send(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n);

/**
 * mn_dgram_send_copy - send one datagram from memory of the caller
 * @peer: whom to, or NULL for the one that is connected
 *
 * From a fiber; suspends while the kernel has no room. Return: 0, or as above.
 */
MN_API int mn_dgram_send_copy(struct mn_dgram *dgram, const struct mn_addr *peer, const void *data,
			      size_t len);

/**
 * mn_dgram_join - receive what is sent to a multicast group
 * @group: its address, as text without a port: "239.1.2.3", "ff02::1:2"
 * @interface: its index; 0: the system's choice
 *
 * Does not suspend. Return: 0, -EINVAL, -ENODEV, ...
 */
MN_API int mn_dgram_join(struct mn_dgram *dgram, const char *group, unsigned int interface);

/** mn_dgram_name - the address that it is bound to: 0 or -errno */
MN_API int mn_dgram_name(struct mn_dgram *dgram, struct mn_addr *addr);

/** mn_dgram_cred - who was at the other end of a seqpacket connection when it was made */
MN_API int mn_dgram_cred(struct mn_dgram *dgram, struct mn_cred *cred);

/** mn_dgram_stats - what it counted */
MN_API void mn_dgram_stats(struct mn_dgram *dgram, struct mn_dgram_stats *stats);

/**
 * mn_dgram_close - close it; what was not received is lost
 *
 * From a fiber, while no other waits for it; suspends until the kernel holds
 * nothing of it. Cannot fail.
 */
MN_API void mn_dgram_close(struct mn_dgram *dgram);

#endif
