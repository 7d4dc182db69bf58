// SPDX-License-Identifier: MIT
/*
 * Datagrams and Unix sockets, from one fiber to another of the same shard, so
 * that each figure has both sides in it; and the same by hand.
 *
 *	net.udp_pps		64 bytes, 32 at a time: a datagram
 *	net.udp_pps.gso		1,200 bytes, likewise, that the kernel divides and puts together
 *	net.unix		64 bytes there and back over a stream
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "lib/net/stream.h"
#include "tools/bench/bench.h"

#define BATCH	32
#define SMALL	64
#define LARGE	1200

struct udp {
	struct mn_dgram *from, *to;
	size_t size;
	int err;
};

/* Run a fiber to its end. */
static void fiber_run(struct bench_case *c, mn_fiber_fn fn, void *arg)
{
	mn_spawn(fn, arg, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
}

/* ---- UDP ---- */

static int udp_make(void *arg)
{
	struct udp *udp = arg;
	const struct mn_dgram_conf to = { .bind = "127.0.0.1:0", .gro = udp->size == LARGE };
	struct mn_dgram_conf from = { .no_gso = udp->size != LARGE };
	char text[MN_ADDR_TEXT_MAX];
	struct mn_addr addr;

	udp->err = mn_dgram_open(&to, &udp->to);
	if (!udp->err)
		udp->err = mn_dgram_name(udp->to, &addr);
	if (udp->err)
		return 0;
	mn_addr_format(&addr, text, sizeof(text));
	from.connect = text;
	udp->err = mn_dgram_open(&from, &udp->from);
	return 0;
}

static int udp_open(struct bench_case *c, size_t size)
{
	struct udp *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return -ENOMEM;
	udp->size = size;
	c->state = udp;
	fiber_run(c, udp_make, udp);
	return udp->err;
}

static int udp_small_open(struct bench_case *c)
{
	return udp_open(c, SMALL);
}

static int udp_large_open(struct bench_case *c)
{
	return udp_open(c, LARGE);
}

static int udp_break(void *arg)
{
	struct udp *udp = arg;

	if (udp->from)
		mn_dgram_close(udp->from);
	if (udp->to)
		mn_dgram_close(udp->to);
	return 0;
}

static void udp_close(struct bench_case *c)
{
	if (c->state)
		fiber_run(c, udp_break, c->state);
	free(c->state);
}

struct job {
	struct bench_case *c;
	uint64_t n;
};

static unsigned int udp_send(struct udp *udp, uint64_t n)
{
	struct mn_packet packets[BATCH];
	unsigned int nr = (unsigned int)min(n, (uint64_t)BATCH);

	for (unsigned int i = 0; i < nr; i++) {
		packets[i].peer.len = 0;
		packets[i].nr_fds = 0;
		if (mn_buf_alloc(&packets[i].buf))
			abort();
		packets[i].buf.len = udp->size;
	}
	if (mn_dgram_send(udp->from, packets, nr) != (int)nr)
		abort();
	return nr;
}

static int udp_transfer(void *arg)
{
	const struct job *job = arg;
	struct udp *udp = job->c->state;
	struct mn_packet packets[BATCH];

	for (uint64_t left = job->n; left;) {
		unsigned int nr = udp_send(udp, left);

		left -= nr;
		while (nr) {
			int got = mn_dgram_recv(udp->to, packets, nr);

			if (got <= 0)
				abort();
			for (int i = 0; i < got; i++)
				mn_packet_free(&packets[i]);
			nr -= (unsigned int)got;
		}
	}
	return 0;
}

static void udp_run(struct bench_case *c, uint64_t n)
{
	struct job job = { c, n };

	fiber_run(c, udp_transfer, &job);
}

static const struct bench net_udp_pps = {
	.name = "net.udp_pps",
	.kind = &backend_kind,
	.open = udp_small_open,
	.run = udp_run,
	.close = udp_close,
};
bench_register(net_udp_pps);

static const struct bench net_udp_gso = {
	.name = "net.udp_pps.gso",
	.kind = &backend_kind,
	.open = udp_large_open,
	.run = udp_run,
	.close = udp_close,
};
bench_register(net_udp_gso);

/* ---- Unix streams ---- */

struct unix_pair {
	struct mn_stream stream[2];
	uint64_t n;
};

static int unix_open(struct bench_case *c)
{
	struct unix_pair *pair = calloc(1, sizeof(*pair));
	int fd[2], type = SOCK_STREAM | SOCK_CLOEXEC;

	if (!pair)
		return -ENOMEM;
	if (c->shard->virtual_time || socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fd)) {
		free(pair);
		return c->shard->virtual_time ? -EPROTONOSUPPORT : -errno;
	}
	for (int i = 0; i < 2; i++) {
		stream_init(&pair->stream[i], fd[i]);
		stream_begin(&pair->stream[i]);
	}
	c->state = pair;
	return 0;
}

static int unix_break(void *arg)
{
	struct unix_pair *pair = arg;

	for (int i = 0; i < 2; i++)
		stream_end(&pair->stream[i]);
	return 0;
}

static void unix_close(struct bench_case *c)
{
	if (c->state)
		fiber_run(c, unix_break, c->state);
	free(c->state);
}

static void unix_turn(struct mn_stream *stream, bool first)
{
	static const char message[SMALL];
	struct mn_buf buf = mn_buf_static(message, SMALL);

	if (first && mn_stream_write(stream, &buf))
		abort();
	if (mn_stream_read(stream, &buf) != SMALL)
		abort();
	if (first)
		mn_buf_free(&buf);
	else if (mn_stream_write(stream, &buf))
		abort();
}

static int unix_first(void *arg)
{
	struct unix_pair *pair = arg;

	for (uint64_t left = pair->n; left; left--)
		unix_turn(&pair->stream[0], true);
	return 0;
}

static int unix_second(void *arg)
{
	struct unix_pair *pair = arg;

	for (uint64_t left = pair->n; left; left--)
		unix_turn(&pair->stream[1], false);
	return 0;
}

static void unix_run(struct bench_case *c, uint64_t n)
{
	struct unix_pair *pair = c->state;

	pair->n = n;
	mn_spawn(unix_second, pair, NULL);
	fiber_run(c, unix_first, pair);
}

static const struct bench net_unix = {
	.name = "net.unix",
	.kind = &backend_kind,
	.open = unix_open,
	.run = unix_run,
	.close = unix_close,
};
bench_register(net_unix);
