/* SPDX-License-Identifier: MIT */
/* Options of sockets, and who is at the other end of one. */
#ifndef MINISS_SOCKET_H
#define MINISS_SOCKET_H

#include <miniss/addr.h>

enum mn_switch { MN_DEFAULT, MN_ON, MN_OFF };

/**
 * struct mn_sockopt - options of a socket; zero means the default
 * @keepalive_idle_s: when a connection was silent for so long, ask the peer
 *	whether it is still there. Default: never
 * @keepalive_interval_s: ask again after so long. Default: the system's
 * @keepalive_count: unanswered, so many times: the connection fails with
 *	-ETIMEDOUT. Default: the system's
 * @user_timeout_ms: so does one whose data is not acknowledged for so long.
 *	Default: the system's, some 15 minutes
 * @receive_buffer: bytes, of the kernel. Default: it adapts them
 * @send_buffer: likewise. Linux takes twice what is asked for, up to a limit
 * @nodelay: send small segments at once. Default: on
 * @v6only: an IPv6 address is not for IPv4, too. Default: the system's
 * @defer_accept_s: a server accepts a connection when data has come, or after
 *	about so long. Default: at once
 * @fds: descriptors may come along with the bytes of a stream (Unix sockets):
 *	see miniss/passing.h
 * @creds: the kernel says with the bytes of a stream, too, who sent them (likewise)
 * @fastopen: TCP Fast Open: of a server, how many may wait; of a client, any
 *	number: the first data goes out with the request. Default: off
 *
 * What a kind of socket does not have is left out: a Unix socket has buffers,
 * @fds and @creds only. What the system refuses fails with its error.
 */
struct mn_sockopt {
	unsigned int keepalive_idle_s;
	unsigned int keepalive_interval_s;
	unsigned int keepalive_count;
	unsigned int user_timeout_ms;
	unsigned int receive_buffer;
	unsigned int send_buffer;
	enum mn_switch nodelay;
	enum mn_switch v6only;
	unsigned int defer_accept_s;
	unsigned int fastopen;
	bool fds;
	bool creds;
};

/** struct mn_cred - a process at the other end of a Unix socket, as the kernel knows it */
struct mn_cred {
	int32_t pid;		/* 0: not known */
	uint32_t uid, gid;
};

#endif
