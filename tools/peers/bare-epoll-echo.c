// SPDX-License-Identifier: MIT
/*
 * An echo server by hand on epoll: what miniss's libev backend is measured
 * against. One thread, level-triggered, one recv() and one send() an event,
 * nothing between them and the system calls.
 *
 * All connections share one buffer. Only when a socket takes less than it was
 * given does a connection own memory: what is left is kept, and the connection
 * waits for EPOLLOUT alone, so that a client which does not read is not read
 * from and costs one buffer at most. Reading stops while output waits, which
 * makes half-close simple: at end of file there is never anything left to send.
 */
#define _GNU_SOURCE
#include "bare-common.h"

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define EVENTS_MAX 512
#define ACCEPT_BATCH 64 /* new connections must not starve old ones */
#define FD_TABLE_MAX (1u << 20)
#define BUF_SIZE (64u << 10)

struct conn {
	char *rest; /* what the socket did not take; NULL if it did */
	uint32_t rest_off;
	uint32_t rest_len;
};

struct server {
	int epoll_fd;
	int listen_fd;
	struct conn *conns; /* by file descriptor */
	unsigned int nr_conns_max;
	bool accept_paused; /* out of descriptors, until one is closed */
	char buf[BUF_SIZE];
};

static struct server server;

static void poll_set(struct server *s, int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(s->epoll_fd, op, fd, &ev))
		err(EXIT_FAILURE, "epoll_ctl");
}

static void conn_close(struct server *s, int fd)
{
	struct conn *c = &s->conns[fd];

	free(c->rest);
	c->rest = NULL;
	close(fd);
	if (unlikely(s->accept_paused)) {
		s->accept_paused = false;
		poll_set(s, EPOLL_CTL_MOD, s->listen_fd, EPOLLIN);
	}
}

/* The socket is full: keep a copy, and wait for room instead of input. */
static void conn_keep(struct server *s, int fd, const char *data, uint32_t len)
{
	struct conn *c = &s->conns[fd];

	c->rest = malloc(len);
	if (!c->rest) {
		conn_close(s, fd);
		return;
	}
	memcpy(c->rest, data, len);
	c->rest_off = 0;
	c->rest_len = len;
	poll_set(s, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void conn_input(struct server *s, int fd)
{
	ssize_t got, sent;

	got = recv(fd, s->buf, sizeof(s->buf), 0);
	if (unlikely(got <= 0)) {
		if (!got || (errno != EAGAIN && errno != EINTR))
			conn_close(s, fd);
		return;
	}

	sent = send(fd, s->buf, (size_t)got, MSG_NOSIGNAL);
	if (likely(sent == got))
		return;
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		conn_close(s, fd);
		return;
	}
	if (sent < 0)
		sent = 0;
	conn_keep(s, fd, s->buf + sent, (uint32_t)(got - sent));
}

static void conn_output(struct server *s, int fd)
{
	struct conn *c = &s->conns[fd];
	ssize_t sent;

	sent = send(fd, c->rest + c->rest_off, c->rest_len, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_close(s, fd);
		return;
	}
	c->rest_off += (uint32_t)sent;
	c->rest_len -= (uint32_t)sent;
	if (c->rest_len)
		return;
	free(c->rest);
	c->rest = NULL;
	poll_set(s, EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void server_accept(struct server *s)
{
	unsigned int n;
	int fd;

	for (n = 0; n < ACCEPT_BATCH; n++) {
		fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		if ((unsigned int)fd >= s->nr_conns_max)
			close(fd);
		else
			poll_set(s, EPOLL_CTL_ADD, fd, EPOLLIN);
	}
	if (n == ACCEPT_BATCH)
		return;
	/* Level-triggered, what cannot be accepted would wake us for ever. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		s->accept_paused = true;
		poll_set(s, EPOLL_CTL_MOD, s->listen_fd, 0);
	}
}

static void server_run(struct server *s)
{
	struct epoll_event events[EVENTS_MAX];
	int i, fd, nr_events;

	for (;;) {
		nr_events = epoll_wait(s->epoll_fd, events, EVENTS_MAX, -1);
		if (nr_events < 0 && errno != EINTR)
			err(EXIT_FAILURE, "epoll_wait");
		/*
		 * A connection is closed by its own event only, so no event
		 * further down the batch can be for a descriptor used anew.
		 */
		for (i = 0; i < nr_events; i++) {
			fd = events[i].data.fd;
			if (unlikely(fd == s->listen_fd))
				server_accept(s);
			else if (unlikely(s->conns[fd].rest))
				conn_output(s, fd);
			else
				conn_input(s, fd);
		}
	}
}

static void server_init(struct server *s, const struct bare_opts *opts)
{
	struct rlimit lim;

	bare_pin(opts->cpu);
	bare_signals();
	if (getrlimit(RLIMIT_NOFILE, &lim))
		err(EXIT_FAILURE, "getrlimit");
	s->nr_conns_max = lim.rlim_cur < FD_TABLE_MAX ? (unsigned int)lim.rlim_cur : FD_TABLE_MAX;
	s->conns = calloc(s->nr_conns_max, sizeof(*s->conns));
	if (!s->conns)
		err(EXIT_FAILURE, "connection table");
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		err(EXIT_FAILURE, "epoll_create1");
	s->listen_fd = bare_listen(opts, SOCK_NONBLOCK);
	poll_set(s, EPOLL_CTL_ADD, s->listen_fd, EPOLLIN);
	bare_announce(s->listen_fd);
}

int main(int argc, char **argv)
{
	struct bare_opts opts = { .listen = "127.0.0.1:7777", .cpu = -1 };
	int i;

	for (i = 1; i < argc; i++) {
		if (!bare_option(&opts, argv[i]))
			errx(EXIT_USAGE,
			     "'%s'? usage: bare-epoll-echo [--listen=ADDR:PORT] [--cpu=N] "
			     "[--reuseport]",
			     argv[i]);
	}
	server_init(&server, &opts);
	server_run(&server);
	return EXIT_SUCCESS;
}
