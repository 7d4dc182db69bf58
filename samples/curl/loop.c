// SPDX-License-Identifier: MIT
/*
 * The two callbacks of libcurl's multi interface and what they ask for. What
 * is ready is told to libcurl by tasks; it may then change or forget any
 * socket, also the one that was ready.
 */
#include <stdlib.h>

#include "loop.h"

struct sock {
	struct mn_watch watch;	/* first: a watch is a sock */
	struct mn_task gone;
	struct curl_loop *loop;
	curl_socket_t fd;
};

struct transfer {
	struct mn_future done;	/* a CURLcode */
};

/* ---- what libcurl is told ---- */

static void transfers_end(struct curl_loop *loop)
{
	struct transfer *transfer;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(loop->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
		mn_future_resolve(&transfer->done, msg->data.result);
	}
}

static void sock_ready(struct mn_watch *watch, int ready)
{
	struct sock *sock = (struct sock *)watch;
	struct curl_loop *loop = sock->loop;
	int events = 0, running;

	if (ready < 0 || ready & (POLLERR | POLLHUP))
		events |= CURL_CSELECT_ERR;
	if (ready > 0 && ready & (POLLIN | POLLHUP))
		events |= CURL_CSELECT_IN;
	if (ready > 0 && ready & POLLOUT)
		events |= CURL_CSELECT_OUT;
	curl_multi_socket_action(loop->multi, sock->fd, events, &running);
	transfers_end(loop);
}

static void timed_out(struct mn_task *task)
{
	struct curl_loop *loop =
		(struct curl_loop *)((char *)mn_timer_of(task) - offsetof(struct curl_loop, timer));
	int running;

	curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	transfers_end(loop);
}

/* ---- what libcurl asks for ---- */

static void sock_gone(struct mn_task *task)
{
	struct sock *sock = (struct sock *)((char *)task - offsetof(struct sock, gone));
	struct curl_loop *loop = sock->loop;

	free(sock);
	loop->nr_socks--;
}

static void sock_forget(struct curl_loop *loop, struct sock *sock)
{
	curl_multi_assign(loop->multi, sock->fd, NULL);
	mn_watch_remove_start(&sock->watch);
	mn_future_then(&sock->watch.removed, &sock->gone, sock_gone);
}

static struct sock *sock_new(struct curl_loop *loop, curl_socket_t fd)
{
	struct sock *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return NULL;
	sock->loop = loop;
	sock->fd = fd;
	mn_watch_init(&sock->watch, fd, sock_ready);
	curl_multi_assign(loop->multi, fd, sock);
	loop->nr_socks++;
	return sock;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct curl_loop *loop = arg;
	struct sock *sock = socket_arg;

	if (what == CURL_POLL_REMOVE) {
		if (sock)
			sock_forget(loop, sock);
		return 0;
	}
	if (!sock)
		sock = sock_new(loop, fd);
	if (!sock)
		return -1;
	mn_watch_set(&sock->watch,
		     (what & CURL_POLL_IN ? POLLIN : 0u) | (what & CURL_POLL_OUT ? POLLOUT : 0u));
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *loop = arg;

	if (timeout_ms < 0)
		mn_timer_cancel(&loop->timer);
	else
		mn_timer_arm(&loop->timer, mn_now() + timeout_ms * MN_MSEC, MN_SLACK_FINE);
	return 0;
}

/* ---- for the application ---- */

int curl_loop_open(struct curl_loop *loop)
{
	*loop = (struct curl_loop){ .multi = curl_multi_init() };
	if (!loop->multi)
		return -ENOMEM;
	mn_timer_init(&loop->timer, timed_out);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	return 0;
}

void curl_loop_close(struct curl_loop *loop)
{
	curl_multi_cleanup(loop->multi);	/* closes connections that were kept */
	mn_timer_cancel(&loop->timer);
	while (loop->nr_socks)	/* for a turn or two, until the backend has let go */
		mn_yield();
}

int curl_loop_perform(struct curl_loop *loop, CURL *easy, int64_t timeout_ns, CURLcode *code)
{
	struct transfer transfer;
	int64_t res;

	mn_future_init(&transfer.done);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
	if (curl_multi_add_handle(loop->multi, easy) != CURLM_OK)
		return -EIO;
	res = mn_await_timeout(&transfer.done, timeout_ns);
	/* It ends here, whatever it is at; nobody resolves the future any more. */
	curl_multi_remove_handle(loop->multi, easy);
	if (res < 0) {
		mn_future_drop(&transfer.done);
		return (int)res;
	}
	*code = (CURLcode)res;
	return *code == CURLE_OK ? 0 : -EIO;
}
