// SPDX-License-Identifier: MIT
/* What datagrams and Unix sockets cost by hand: system calls on plain sockets. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/bench.h"

#define BATCH	32
#define SMALL	64
#define LARGE	1200
#define GATHER	65536

struct bare_net {
	int from, to;
	struct mmsghdr out[BATCH], in[BATCH];
	struct iovec out_iov[BATCH], in_iov[BATCH];
	char out_data[BATCH][LARGE], in_data[BATCH][2048];
	char gathered[GATHER];
};

static void bare_close(struct bench_case *c)
{
	struct bare_net *net = c->state;

	if (!net)
		return;
	close(net->from);
	close(net->to);
	free(net);
}

static int udp_pair(struct bare_net *net)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	net->to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	net->from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (net->to < 0 || net->from < 0 || bind(net->to, (struct sockaddr *)&sa, len) ||
	    getsockname(net->to, (struct sockaddr *)&sa, &len) ||
	    connect(net->from, (struct sockaddr *)&sa, len))
		return -errno;
	return 0;
}

static int bare_udp_open(struct bench_case *c)
{
	struct bare_net *net = calloc(1, sizeof(*net));

	if (!net)
		return -ENOMEM;
	c->state = net;
	for (int i = 0; i < BATCH; i++) {
		net->out_iov[i] = (struct iovec){ net->out_data[i], SMALL };
		net->in_iov[i] = (struct iovec){ net->in_data[i], sizeof(net->in_data[i]) };
		net->out[i].msg_hdr =
			(struct msghdr){ .msg_iov = &net->out_iov[i], .msg_iovlen = 1 };
		net->in[i].msg_hdr = (struct msghdr){ .msg_iov = &net->in_iov[i], .msg_iovlen = 1 };
	}
	return udp_pair(net);
}

static void bare_udp_run(struct bench_case *c, uint64_t n)
{
	struct bare_net *net = c->state;

	while (n) {
		unsigned int nr = (unsigned int)min(n, (uint64_t)BATCH);

		if (sendmmsg(net->from, net->out, nr, 0) != (int)nr)
			abort();
		n -= nr;
		while (nr) {
			int got = recvmmsg(net->to, net->in, nr, MSG_DONTWAIT, NULL);

			if (got <= 0)
				abort();
			nr -= (unsigned int)got;
		}
	}
}

static const struct bench bare_udp = {
	.name = "net.udp_pps.bare",
	.family = "net.udp_pps",
	.bare_of = "*",
	.open = bare_udp_open,
	.run = bare_udp_run,
	.close = bare_close,
};
bench_register(bare_udp);

static int bare_gso_open(struct bench_case *c)
{
	struct bare_net *net = calloc(1, sizeof(*net));
	int on = 1, size = LARGE, err;

	if (!net)
		return -ENOMEM;
	c->state = net;
	err = udp_pair(net);
	if (!err && (setsockopt(net->to, SOL_UDP, UDP_GRO, &on, sizeof(on)) ||
		     setsockopt(net->from, SOL_UDP, UDP_SEGMENT, &size, sizeof(size))))
		err = -errno;
	return err;
}

/* One call each way for a batch, which arrives in one piece, or in several. */
static void bare_gso_run(struct bench_case *c, uint64_t n)
{
	struct bare_net *net = c->state;

	while (n) {
		ssize_t left = (ssize_t)min(n, (uint64_t)BATCH) * LARGE;

		if (send(net->from, net->out_data, (size_t)left, 0) != left)
			abort();
		n -= (uint64_t)left / LARGE;
		while (left) {
			ssize_t got = recv(net->to, net->gathered, GATHER, MSG_DONTWAIT);

			if (got <= 0)
				abort();
			left -= got;
		}
	}
}

static const struct bench bare_gso = {
	.name = "net.udp_pps.gso.bare",
	.family = "net.udp_pps.gso",
	.bare_of = "*",
	.open = bare_gso_open,
	.run = bare_gso_run,
	.close = bare_close,
};
bench_register(bare_gso);

static int bare_unix_open(struct bench_case *c)
{
	struct bare_net *net = calloc(1, sizeof(*net));
	int fd[2];

	if (!net)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd)) {
		free(net);
		return -errno;
	}
	net->from = fd[0];
	net->to = fd[1];
	c->state = net;
	return 0;
}

static void over(int from, int to, char *data)
{
	if (send(from, data, SMALL, MSG_NOSIGNAL) != SMALL || recv(to, data, SMALL, 0) != SMALL)
		abort();
}

static void bare_unix_run(struct bench_case *c, uint64_t n)
{
	struct bare_net *net = c->state;

	while (n--) {
		over(net->from, net->to, net->gathered);
		over(net->to, net->from, net->gathered);
	}
}

static const struct bench bare_unix = {
	.name = "net.unix.bare",
	.family = "net.unix",
	.bare_of = "*",
	.open = bare_unix_open,
	.run = bare_unix_run,
	.close = bare_close,
};
bench_register(bare_unix);
