// SPDX-License-Identifier: MIT
/*
 * Bulk over a loopback connection, both ends on one shard: 64 KiB an
 * operation, so that ns / 65.536 is the time of a KB. And the same out of a
 * file: run with --net.splice-min=0 to see what splicing is worth.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include <miniss/splice.h>

#include "core/reactor.h"
#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "tools/bench/bench.h"

#define PIECE		65536
#define FILE_BYTES	(16 << 20)

struct net {
	struct mn_stream *from, *to;
	int fd;			/* a file, in the page cache */
	uint64_t left;		/* bytes that the reader waits for */
	struct mn_fiber *reader;
	bool reading;
};

/* Two ends, made before the backend knows of them. */
static int ends(int *fd)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	fd[1] = -1;
	if (listener < 0 || fd[0] < 0)
		return -errno;
	if (!bind(listener, (struct sockaddr *)&sa, len) && !listen(listener, 1) &&
	    !getsockname(listener, (struct sockaddr *)&sa, &len) &&
	    !connect(fd[0], (struct sockaddr *)&sa, len))
		fd[1] = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK);
	setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
	return fd[1] < 0 ? -errno : 0;
}

static struct mn_stream *stream_of(int fd)
{
	struct mn_stream *stream = mem_alloc(sizeof(*stream));

	if (!stream)
		abort();
	stream_init(stream, fd);
	stream_begin(stream);
	return stream;
}

static int file_of(void)
{
	char name[] = "/tmp/mn-bench-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		return -errno;
	unlink(name);
	for (int i = 0; i < FILE_BYTES; i += PIECE) {
		static const char zeros[PIECE];

		if (pwrite(fd, zeros, PIECE, i) != PIECE) {
			close(fd);
			return -EIO;
		}
	}
	return fd;
}

static int net_make(struct net *net)
{
	int fd[2], err = ends(fd);

	if (err)
		return err;
	net->fd = file_of();
	if (net->fd < 0)
		return net->fd;
	net->from = stream_of(fd[0]);
	net->to = stream_of(fd[1]);
	return 0;
}

static int net_open(struct bench_case *c)
{
	struct net *net;
	int err;

	if (c->shard->virtual_time)
		return -EOPNOTSUPP;
	net = calloc(1, sizeof(*net));
	if (!net)
		return -ENOMEM;
	err = net_make(net);
	if (err)
		free(net);
	c->state = net;
	return err;
}

static int read_fiber(void *arg)
{
	struct net *net = arg;

	while (net->left) {
		struct mn_buf in;
		int64_t res = mn_stream_read(net->to, &in);

		if (res <= 0)
			abort();
		net->left -= (uint64_t)res;
		mn_buf_free(&in);
	}
	net->reading = false;
	return 0;
}

static void net_run(struct bench_case *c, uint64_t n, mn_fiber_fn writer)
{
	struct net *net = c->state;

	net->left = n * PIECE;
	net->reading = true;
	if (mn_spawn(read_fiber, net, NULL) || mn_spawn(writer, &(struct net *){ net }, NULL))
		abort();
	while (net->reading || c->shard->fibers.nr_live)
		case_step(c);
}

static int close_fiber(void *arg)
{
	struct net *net = arg;

	mn_stream_close(net->from);
	mn_stream_close(net->to);
	return 0;
}

static void net_close(struct bench_case *c)
{
	struct net *net = c->state;

	mn_spawn(close_fiber, net, NULL);
	while (c->shard->fibers.nr_live)
		case_step(c);
	close(net->fd);
	free(net);
}

static int write_fiber(void *arg)
{
	static const char zeros[PIECE];
	struct net *net = *(struct net **)arg;

	for (uint64_t left = net->left / PIECE; left; left--) {
		struct mn_buf out = mn_buf_static(zeros, PIECE);

		if (mn_stream_write(net->from, &out))
			abort();
	}
	return 0;
}

static void stream_run(struct bench_case *c, uint64_t n)
{
	net_run(c, n, write_fiber);
}

static const struct bench net_stream = {
	.name = "net.stream",
	.kind = &backend_kind,
	.open = net_open,
	.run = stream_run,
	.close = net_close,
};
bench_register(net_stream);

static int sendfile_fiber(void *arg)
{
	struct net *net = *(struct net **)arg;
	uint64_t left = net->left;

	while (left) {
		int64_t res = mn_sendfile(net->from, net->fd, 0, min(left, FILE_BYTES));

		if (res <= 0)
			abort();
		left -= (uint64_t)res;
	}
	return 0;
}

static void sendfile_run(struct bench_case *c, uint64_t n)
{
	net_run(c, n, sendfile_fiber);
}

static const struct bench net_sendfile = {
	.name = "net.sendfile",
	.kind = &backend_kind,
	.open = net_open,
	.run = sendfile_run,
	.close = net_close,
};
bench_register(net_sendfile);
