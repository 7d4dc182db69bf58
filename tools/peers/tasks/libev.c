// SPDX-License-Identifier: MIT
/* The tasks on libev: callbacks for descriptors, timers, and other threads. */
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "tasks.h"

/* ---- two threads: ev_async ---- */

struct side {
	struct ev_loop *loop;
	ev_async async;
	_Atomic uint64_t nr;
	uint64_t left, unasked;		/* of who asks */
};

static struct side asks, answers;

static void send_to(struct side *side, uint64_t n)
{
	atomic_fetch_add(&side->nr, n);
	ev_async_send(side->loop, &side->async);
}

static void on_question(struct ev_loop *loop, ev_async *async, int what)
{
	uint64_t n = atomic_exchange(&answers.nr, 0);

	if (n)
		send_to(&asks, n);
}

static void on_answer(struct ev_loop *loop, ev_async *async, int what)
{
	uint64_t n = atomic_exchange(&asks.nr, 0), more = n < asks.unasked ? n : asks.unasked;

	asks.left -= n;
	asks.unasked -= more;
	if (more)
		send_to(&answers, more);
	if (!asks.left)
		ev_break(loop, EVBREAK_ALL);
}

static void *answering(void *arg)
{
	ev_run(answers.loop, 0);
	return NULL;
}

static void side_begin(struct side *side, void (*fn)(struct ev_loop *, ev_async *, int))
{
	side->loop = ev_loop_new(EVFLAG_AUTO);
	ev_async_init(&side->async, fn);
	ev_async_start(side->loop, &side->async);
}

static void threads_prepare(void)
{
	pthread_t thread;

	side_begin(&asks, on_answer);
	side_begin(&answers, on_question);
	if (pthread_create(&thread, NULL, answering, NULL))
		errx(EXIT_FAILURE, "no thread");
}

static void ask(uint64_t n, uint64_t window)
{
	uint64_t first = n < window ? n : window;

	asks.left = n;
	asks.unasked = n - first;
	send_to(&answers, first);
	ev_run(asks.loop, 0);
}

static void roundtrip_run(uint64_t n)
{
	ask(n, 1);
}

static void pipelined_run(uint64_t n)
{
	ask(n, WINDOW);
}

/* ---- timers: started anew by ev_timer_again(), which its manual advises ---- */

static struct ev_loop *loop;
static ev_timer *timers;

static void expired(struct ev_loop *l, ev_timer *timer, int what)
{
}

static void timers_prepare(void)
{
	loop = ev_default_loop(0);
	timers = calloc(TIMERS, sizeof(*timers));
	if (!timers)
		abort();
	for (int i = 0; i < TIMERS; i++) {
		ev_timer_init(&timers[i], expired, 0, (double)random_timeout_ms() / 1000);
		ev_timer_again(loop, &timers[i]);
	}
}

static void timers_run(uint64_t n)
{
	for (; n; n--) {
		ev_timer *timer = &timers[next_random() % TIMERS];

		timer->repeat = (double)random_timeout_ms() / 1000;
		ev_timer_again(loop, timer);
	}
}

static void timers_check(void)
{
	for (int i = 0; i < TIMERS; i++)
		if (!ev_is_active(&timers[i]) || ev_timer_remaining(loop, &timers[i]) <= 0)
			errx(EXIT_FAILURE, "a timer is not set");
}

static const struct task tasks[] = {
	{ "roundtrip", roundtrip_run, threads_prepare },
	{ "pipelined", pipelined_run, threads_prepare },
	{ "timers", timers_run, timers_prepare, timers_check },
	{ .name = NULL },
};

/* ---- echo ---- */

struct conn {
	ev_io io;
	size_t len, sent;
	char buf[65536];
};

static void conn_wants(struct conn *conn, int what)
{
	if (conn->io.events & what)
		return;
	ev_io_stop(loop, &conn->io);
	ev_io_set(&conn->io, conn->io.fd, what);
	ev_io_start(loop, &conn->io);
}

static void conn_end(struct conn *conn)
{
	ev_io_stop(loop, &conn->io);
	close(conn->io.fd);
	free(conn);
}

static void on_ready(struct ev_loop *l, ev_io *io, int what)
{
	struct conn *conn = (struct conn *)io;
	ssize_t n;

	if (conn->sent == conn->len) {
		n = recv(io->fd, conn->buf, sizeof(conn->buf), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_end(conn);
			return;
		}
		conn->len = (size_t)n;
		conn->sent = 0;
	}
	n = send(io->fd, conn->buf + conn->sent, conn->len - conn->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		conn_end(conn);
		return;
	}
	conn->sent += n > 0 ? (size_t)n : 0;
	conn_wants(conn, conn->sent == conn->len ? EV_READ : EV_WRITE);
}

static void on_conn(struct ev_loop *l, ev_io *listener, int what)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(listener->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *conn;
	int one = 1;

	if (fd < 0)
		return;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ev_io_init(&conn->io, on_ready, fd, EV_READ);
	ev_io_start(l, &conn->io);
}

static void echo(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(sa);
	int one = 1;
	ev_io listener;

	loop = ev_default_loop(0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len))
		err(EXIT_FAILURE, "cannot listen");
	ev_io_init(&listener, on_conn, fd, EV_READ);
	ev_io_start(loop, &listener);
	printf("listening on 127.0.0.1:%u\n", ntohs(sa.sin_port));
	fflush(stdout);
	ev_run(loop, 0);
}

int main(int argc, char **argv)
{
	int port = echo_port(argc, argv);
	char version[32];

	if (port >= 0)
		echo(port);
	snprintf(version, sizeof(version), "%d.%d", ev_version_major(), ev_version_minor());
	return tasks_main(argc, argv, version, tasks);
}
