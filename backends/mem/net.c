// SPDX-License-Identifier: MIT
/* Transfers, accepting and connecting. Resets and errors are as TCP's on Linux. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "backends/mem/net.h"
#include "lib/mem/pool.h"

/* ---- the pipe into a socket ---- */

static uint32_t pipe_put(struct sock *to, const uint8_t *base, uint64_t len)
{
	uint32_t n = (uint32_t)min(len, (uint64_t)(NET_PIPE_BYTES - to->len));
	uint32_t tail = (to->head + to->len) % NET_PIPE_BYTES;
	uint32_t first = min(n, NET_PIPE_BYTES - tail);

	memcpy(to->data + tail, base, first);
	memcpy(to->data, base + first, n - first);
	to->len += n;
	return n;
}

static uint32_t pipe_get(struct sock *from, uint8_t *base, uint64_t len)
{
	uint32_t n = (uint32_t)min(len, (uint64_t)from->len);
	uint32_t first = min(n, NET_PIPE_BYTES - from->head);

	memcpy(base, from->data + from->head, first);
	memcpy(base + first, from->data, n - first);
	from->len -= n;
	/* An empty pipe begins anew, so that a quiet one touches one page. */
	from->head = from->len ? (from->head + n) % NET_PIPE_BYTES : 0;
	return n;
}

static int error_once(struct sock *sock)
{
	int err = sock->err;

	sock->err = 0;
	return -err;
}

/* ---- receiving ---- */

/* 0 or -errno: the end; NOT_YET: nothing is there; 1: something is */
static int64_t readable(struct sock *sock)
{
	if (sock->state != SOCK_CONNECTED)
		return -ENOTCONN;
	if (sock->len)
		return 1;
	if (sock->err)
		return error_once(sock);
	return sock->eof || sock->shut_rd ? 0 : NOT_YET;
}

static int64_t take(struct net *net, struct sock *sock, void *base, size_t len)
{
	uint32_t n = pipe_get(sock, base, len);

	if (sock->peer)
		net->kick(&sock->peer->waiting);
	return n;
}

static int64_t try_recv(struct net *net, struct sock *sock, struct mn_op *op)
{
	int64_t res = readable(sock);

	return res > 0 ? take(net, sock, op->buf.base, op->buf.len) : res;
}

static int64_t try_stream(struct net *net, struct sock *sock, struct pool *pool, struct mn_op *op)
{
	int64_t res = readable(sock);

	if (res <= 0)
		return res;
	op->chunk = pool_get(pool);
	if (!op->chunk)
		return NO_BUFFER;
	res = take(net, sock, op->chunk->data, pool->chunk_size);
	op->chunk->len = (uint32_t)res;
	return res;
}

/* ---- sending ---- */

static uint64_t msg_len(const struct msghdr *msg)
{
	uint64_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	return len;
}

/* What fits of the slices after the first @skip bytes. */
static uint64_t put_slices(struct sock *to, const struct msghdr *msg, uint64_t skip)
{
	uint64_t total = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		const struct iovec *v = &msg->msg_iov[i];
		uint32_t n;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		n = pipe_put(to, (const uint8_t *)v->iov_base + skip, v->iov_len - skip);
		total += n;
		if (n < v->iov_len - skip)
			break;
		skip = 0;
	}
	return total;
}

/* 0: there is a pipe to write to; else the outcome */
static int64_t writable(struct sock *sock, uint64_t len)
{
	if (sock->state != SOCK_CONNECTED)
		return sock->state == SOCK_LISTENING ? -EPIPE : -ENOTCONN;
	if (sock->err)
		return error_once(sock);
	if (sock->shut_wr || sock->broken)
		return -EPIPE;
	if (sock->peer)
		return 0;
	/* The peer is gone, as this end learns by writing: lost, and fails next time. */
	sock->broken = true;
	return (int64_t)len;
}

static int64_t try_send(struct net *net, struct sock *sock, struct mn_op *op)
{
	struct iovec v = { op->buf.base, op->buf.len };
	struct msghdr plain = { .msg_iov = &v, .msg_iovlen = 1 };
	const struct msghdr *msg = op->code == MN_OP_SEND ? &plain : op->msg.hdr;
	uint64_t len = msg_len(msg), n;
	int64_t res;

	if (sock->sender && sock->sender != op)
		return NOT_YET;
	res = writable(sock, len);
	if (!res) {
		n = put_slices(sock->peer, msg, sock->sent);
		sock->sender = op;
		sock->sent += n;
		if (n)
			net->kick(&sock->peer->waiting);
		res = sock->sent == len ? (int64_t)len : NOT_YET;
	}
	if (res != NOT_YET)
		net_ended(net, op);
	return res;
}

/* The next sender may begin. */
uint64_t net_ended(struct net *net, struct mn_op *op)
{
	struct sock *sock = net_sock(net, op->fd);
	uint64_t sent;

	if (!sock || sock->sender != op)
		return 0;
	sent = sock->sent;
	sock->sender = NULL;
	sock->sent = 0;
	net->kick(&sock->waiting);
	return sent;
}

/* ---- connections ---- */

static int64_t try_accept(struct net *net, struct sock *sock)
{
	struct sock *conn = sock->first;
	int fd;

	if (sock->state != SOCK_LISTENING)
		return -EINVAL;
	if (!conn)
		return NOT_YET;
	fd = sock_install(net, conn);
	if (fd < 0)
		return fd;
	sock->first = conn->next;
	if (!sock->first)
		sock->last = &sock->first;
	sock->nr_backlog--;
	net->kick(&net->connecting);
	return fd;
}

static int connect_to(struct net *net, struct sock *sock, struct sock *listener,
		      const struct name *name)
{
	struct sock *conn = sock_new();

	if (!conn)
		return -ENOMEM;
	sock_name_from(net, sock, name);
	conn->local = *name;
	conn->remote = sock->local;
	conn->state = sock->state = SOCK_CONNECTED;
	conn->peer = sock;
	sock->peer = conn;
	*listener->last = conn;
	listener->last = &conn->next;
	listener->nr_backlog++;
	net->kick(&listener->waiting);
	net->kick(&sock->waiting);
	return 0;
}

/* As on Linux, a backlog of n holds n + 1, and who comes then waits. */
static int64_t try_connect(struct net *net, struct sock *sock, struct mn_op *op)
{
	struct name name = { .len = op->addr.len };
	struct sock *listener;

	if (sock->state != SOCK_FRESH)
		return sock->state == SOCK_CONNECTED ? -EISCONN : -EINVAL;
	if (op->addr.len > sizeof(name.sa))
		return -EINVAL;
	memcpy(&name.sa, op->addr.sa, op->addr.len);
	listener = net_listener(net, &name);
	if (!listener)
		return -ECONNREFUSED;
	if (listener->nr_backlog > listener->backlog_max)
		return NOT_YET;
	return connect_to(net, sock, listener, &name);
}

static int64_t try_poll(struct sock *sock, uint32_t events)
{
	uint32_t now = 0;

	if (sock->first || sock->len || sock->eof || sock->shut_rd)
		now |= POLLIN;
	if (sock->state == SOCK_CONNECTED && (!sock->peer || sock->peer->len < NET_PIPE_BYTES))
		now |= POLLOUT;
	if (sock->err)
		now |= POLLERR | POLLIN | POLLOUT;
	if (sock->state == SOCK_CONNECTED && sock->eof && sock->shut_wr)
		now |= POLLHUP;
	now &= events | POLLERR | POLLHUP;
	return now ? now : NOT_YET;
}

int64_t net_try(struct net *net, struct pool *pool, struct mn_op *op)
{
	struct sock *sock = net_sock(net, op->fd);

	if (!sock)
		return -EBADF;
	if (sock->dgram)
		return dgram_try(net, sock, pool, op);
	switch (op->code) {
	case MN_OP_POLL:
		return try_poll(sock, op->poll.events);
	case MN_OP_RECV:
		return try_recv(net, sock, op);
	case MN_OP_SEND:
	case MN_OP_SENDMSG:
		return try_send(net, sock, op);
	case MN_OP_RECV_STREAM:
		return try_stream(net, sock, pool, op);
	case MN_OP_ACCEPT_STREAM:
		return try_accept(net, sock);
	case MN_OP_CONNECT:
		return try_connect(net, sock, op);
	default:
		return -EOPNOTSUPP;
	}
}
