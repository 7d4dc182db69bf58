// SPDX-License-Identifier: MIT
/* The tasks on libevent: callbacks for descriptors, timers, and other threads. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tasks.h"

/* ---- two threads: event_active() under its locks ---- */

struct side {
	struct event_base *base;
	struct event *event;
	_Atomic uint64_t nr;
	uint64_t left, unasked;		/* of who asks */
};

static struct side asks, answers;

static void send_to(struct side *side, uint64_t n)
{
	atomic_fetch_add(&side->nr, n);
	event_active(side->event, EV_READ, 0);
}

static void on_question(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n = atomic_exchange(&answers.nr, 0);

	if (n)
		send_to(&asks, n);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n = atomic_exchange(&asks.nr, 0), more = n < asks.unasked ? n : asks.unasked;

	asks.left -= n;
	asks.unasked -= more;
	if (more)
		send_to(&answers, more);
	if (!asks.left)
		event_base_loopbreak(asks.base);
}

static void *answering(void *arg)
{
	event_base_loop(answers.base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void side_begin(struct side *side, event_callback_fn fn)
{
	side->base = event_base_new();
	side->event = event_new(side->base, -1, EV_PERSIST, fn, NULL);
}

static void threads_prepare(void)
{
	pthread_t thread;

	evthread_use_pthreads();
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
	event_base_loop(asks.base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void roundtrip_run(uint64_t n)
{
	ask(n, 1);
}

static void pipelined_run(uint64_t n)
{
	ask(n, WINDOW);
}

/* ---- timers ---- */

static struct event_base *timers_base;
static struct event *timers;

static void expired(evutil_socket_t fd, short what, void *arg)
{
}

static void timer_set(struct event *timer)
{
	uint64_t ms = random_timeout_ms();
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
			      .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(timer, &tv);
}

static void timers_prepare(void)
{
	timers_base = event_base_new();
	timers = calloc(TIMERS, sizeof(*timers));
	if (!timers_base || !timers)
		abort();
	for (int i = 0; i < TIMERS; i++) {
		evtimer_assign(&timers[i], timers_base, expired, NULL);
		timer_set(&timers[i]);
	}
}

static void timers_move(evutil_socket_t fd, short what, void *arg)
{
	for (uint64_t n = *(uint64_t *)arg; n; n--) {
		struct event *timer = &timers[next_random() % TIMERS];

		evtimer_del(timer);
		timer_set(timer);
	}
}

/* In a callback, where it knows the time and need not ask. */
static void timers_run(uint64_t n)
{
	event_base_once(timers_base, -1, EV_TIMEOUT, timers_move, &n, NULL);
	event_base_loop(timers_base, EVLOOP_ONCE);
}

static void timers_check(void)
{
	for (int i = 0; i < TIMERS; i++)
		if (!evtimer_pending(&timers[i], NULL))
			errx(EXIT_FAILURE, "a timer is not set");
}

static const struct task tasks[] = {
	{ "roundtrip", roundtrip_run, threads_prepare },
	{ "pipelined", pipelined_run, threads_prepare },
	{ "timers", timers_run, timers_prepare, timers_check },
	{ .name = NULL },
};

/* ---- echo: on its events, which is quicker than its bufferevents ---- */

struct conn {
	struct event event;
	size_t len, sent;
	char buf[65536];
};

static void conn_end(struct conn *conn)
{
	event_del(&conn->event);
	close(event_get_fd(&conn->event));
	free(conn);
}

static void conn_wants(struct conn *conn, short what)
{
	struct event_base *base = event_get_base(&conn->event);
	int fd = event_get_fd(&conn->event);
	event_callback_fn fn = event_get_callback(&conn->event);

	if (event_get_events(&conn->event) & what)
		return;
	event_del(&conn->event);
	event_assign(&conn->event, base, fd, (short)(what | EV_PERSIST), fn, conn);
	event_add(&conn->event, NULL);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;
	ssize_t n;

	if (conn->sent == conn->len) {
		n = recv(fd, conn->buf, sizeof(conn->buf), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_end(conn);
			return;
		}
		conn->len = (size_t)n;
		conn->sent = 0;
	}
	n = send(fd, conn->buf + conn->sent, conn->len - conn->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		conn_end(conn);
		return;
	}
	conn->sent += n > 0 ? (size_t)n : 0;
	conn_wants(conn, conn->sent == conn->len ? EV_READ : EV_WRITE);
}

static void on_conn(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
		    int len, void *arg)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int one = 1;

	if (!conn)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event_assign(&conn->event, evconnlistener_get_base(listener), fd, EV_READ | EV_PERSIST,
		     on_ready, conn);
	event_add(&conn->event, NULL);
}

static void echo(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct event_base *base = event_base_new();
	socklen_t len = sizeof(sa);
	struct evconnlistener *listener =
		evconnlistener_new_bind(base, on_conn, NULL, LEV_OPT_REUSEABLE_PORT, 4096,
					(struct sockaddr *)&sa, sizeof(sa));

	if (!listener || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&sa, &len))
		errx(EXIT_FAILURE, "cannot listen");
	printf("listening on 127.0.0.1:%u\n", ntohs(sa.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
}

int main(int argc, char **argv)
{
	int port = echo_port(argc, argv);

	if (port >= 0)
		echo(port);
	return tasks_main(argc, argv, event_get_version(), tasks);
}
