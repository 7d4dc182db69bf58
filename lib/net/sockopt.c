// SPDX-License-Identifier: MIT
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "core/compiler.h"
#include "lib/net/socket.h"
#include "lib/net/sockopt.h"

struct choice {
	int level, name;
	int value;
	bool wanted;
};

static int choices_set(int fd, const struct choice *choice, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		if (choice[i].wanted)
			err = socket_set(fd, choice[i].level, choice[i].name, choice[i].value);
	return err;
}

static int value(unsigned int n)
{
	return (int)min(n, (unsigned int)INT32_MAX);
}

static int tcp_apply(int fd, const struct mn_sockopt *opt, bool server)
{
	unsigned int idle = opt->keepalive_idle_s;
	const struct choice choices[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1, opt->nodelay != MN_OFF },
		{ SOL_SOCKET, SO_KEEPALIVE, 1, idle },
		{ IPPROTO_TCP, TCP_KEEPIDLE, value(idle), idle },
		{ IPPROTO_TCP, TCP_KEEPINTVL, value(opt->keepalive_interval_s),
		  idle && opt->keepalive_interval_s },
		{ IPPROTO_TCP, TCP_KEEPCNT, value(opt->keepalive_count),
		  idle && opt->keepalive_count },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, value(opt->user_timeout_ms),
		  opt->user_timeout_ms },
		{ IPPROTO_TCP, TCP_DEFER_ACCEPT, value(opt->defer_accept_s),
		  server && opt->defer_accept_s },
		{ IPPROTO_TCP, server ? TCP_FASTOPEN : TCP_FASTOPEN_CONNECT,
		  server ? value(opt->fastopen) : 1, opt->fastopen },
	};

	return choices_set(fd, choices, ARRAY_SIZE(choices));
}

int sockopt_apply(int fd, int family, enum sockopt_use use, const struct mn_sockopt *opt)
{
	static const struct mn_sockopt none;
	const struct mn_sockopt *o = opt ? opt : &none;
	const struct choice choices[] = {
		{ SOL_SOCKET, SO_RCVBUF, value(o->receive_buffer), o->receive_buffer },
		{ SOL_SOCKET, SO_SNDBUF, value(o->send_buffer), o->send_buffer },
		{ IPPROTO_IPV6, IPV6_V6ONLY, o->v6only == MN_ON,
		  family == AF_INET6 && o->v6only != MN_DEFAULT },
		{ SOL_SOCKET, SO_PASSCRED, 1,
		  family == AF_UNIX && use != SOCKOPT_DGRAM && o->creds },
	};
	int err = choices_set(fd, choices, ARRAY_SIZE(choices));

	if (!err && family != AF_UNIX && use != SOCKOPT_DGRAM)
		err = tcp_apply(fd, o, use == SOCKOPT_SERVER);
	return err;
}
