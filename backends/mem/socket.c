// SPDX-License-Identifier: MIT
/* Sockets, their names and descriptors, and the calls that never wait. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "backends/mem/net.h"
#include "lib/mem/mem.h"

#define PORT_FIRST 32768
#define PORT_LAST 60999

/* ---- names: bytes, of which a port and a wildcard are known ---- */

static uint16_t *name_port(const struct name *name)
{
	switch (name->sa.ss_family) {
	case AF_INET:
		return &((struct sockaddr_in *)&name->sa)->sin_port;
	case AF_INET6:
		return &((struct sockaddr_in6 *)&name->sa)->sin6_port;
	default:
		return NULL;
	}
}

static const void *name_host(const struct name *name, size_t *len)
{
	if (name->sa.ss_family == AF_INET) {
		*len = sizeof(struct in_addr);
		return &((const struct sockaddr_in *)&name->sa)->sin_addr;
	}
	*len = sizeof(struct in6_addr);
	return &((const struct sockaddr_in6 *)&name->sa)->sin6_addr;
}

static bool name_is_any(const struct name *name)
{
	static const uint8_t zero[sizeof(struct in6_addr)];
	size_t len;
	const void *host = name_host(name, &len);

	return !memcmp(host, zero, len);
}

bool name_overlaps(const struct name *a, const struct name *b)
{
	size_t len;
	const void *host = name_host(a, &len);

	if (a->sa.ss_family != b->sa.ss_family)
		return false;
	if (!name_port(a))
		return a->len == b->len && !memcmp(&a->sa, &b->sa, a->len);
	if (*name_port(a) != *name_port(b))
		return false;
	return name_is_any(a) || name_is_any(b) || !memcmp(host, name_host(b, &len), len);
}

int name_set(struct name *name, const struct sockaddr *sa, socklen_t len)
{
	if (len < sizeof(sa->sa_family) || len > sizeof(name->sa))
		return -EINVAL;
	memset(name, 0, sizeof(*name));
	memcpy(&name->sa, sa, len);
	name->len = len;
	return 0;
}

void name_host_from(struct name *name, const struct name *other)
{
	struct name host = *other;

	if (!name_is_any(name))
		return;
	*name_port(&host) = *name_port(name);
	*name = host;
}

static int64_t name_get(const struct name *name, struct mn_op *op)
{
	struct sockaddr *sa = (struct sockaddr *)(uintptr_t)op->addr.sa;

	memcpy(sa, &name->sa, min(name->len, op->addr.len));
	return name->len;
}

/* ---- the table ---- */

static struct sock *net_conflict(struct net *net, struct sock *sock, struct name *name,
				 bool listening)
{
	for (unsigned int i = 0; i < net->fd_end; i++) {
		struct sock *other = net->fds[i];

		if (!other || other == sock || !other->bound || other->dgram != sock->dgram ||
		    !name_overlaps(&other->local, name))
			continue;
		if (sock->reuseport && other->reuseport)
			continue;
		if ((listening || (sock->reuseaddr && other->reuseaddr)) &&
		    other->state != SOCK_LISTENING)
			continue;
		return other;
	}
	return NULL;
}

static bool port_used(struct net *net, struct name *name)
{
	for (unsigned int i = 0; i < net->fd_end; i++)
		if (net->fds[i] && net->fds[i]->local.len &&
		    name_overlaps(&net->fds[i]->local, name))
			return true;
	return false;
}

static int port_assign(struct net *net, struct name *name)
{
	uint16_t *port = name_port(name);

	if (!port || *port)
		return 0;
	for (int i = PORT_FIRST; i <= PORT_LAST; i++) {
		net->port = net->port == PORT_LAST ? PORT_FIRST : net->port + 1;
		*port = htons(net->port);
		if (!port_used(net, name))
			return 0;
	}
	*port = 0;
	return -EADDRINUSE;
}

void name_port_any(struct net *net, struct name *name)
{
	*name_port(name) = 0;
	port_assign(net, name);
}

/* An end that connects is on the same host, at a port of its own. */
void sock_name_from(struct net *net, struct sock *sock, const struct name *remote)
{
	struct name local = *remote;

	sock->remote = *remote;
	if (sock->local.len)
		return;
	if (!name_port(&local))
		local.len = sizeof(sa_family_t);	/* it has no name */
	else
		name_port_any(net, &local);
	sock->local = local;
}

void net_open(struct net *net, void (*kick)(struct op_queue *waiting))
{
	net->fds_max = NET_FDS;
	net->port = PORT_FIRST - 1;
	net->kick = kick;
	op_queue_init(&net->connecting);
}

struct sock *net_sock(struct net *net, int fd)
{
	if (fd < NET_FD_FIRST || fd - NET_FD_FIRST >= NET_FDS)
		return NULL;
	return net->fds[fd - NET_FD_FIRST];
}

static struct sock *sock_alloc(void)
{
	struct sock *sock = mem_alloc(sizeof(*sock));

	if (!sock)
		return NULL;
	sock->fd = -1;
	sock->last = &sock->first;
	op_queue_init(&sock->waiting);
	return sock;
}

struct sock *sock_new(void)
{
	struct sock *sock = sock_alloc();

	if (!sock)
		return NULL;
	sock->data = mem_map(NET_PIPE_BYTES); /* what is not used takes no memory */
	if (!sock->data) {
		mem_free(sock);
		return NULL;
	}
	return sock;
}

void sock_free(struct sock *sock)
{
	if (sock->data)
		mem_unmap(sock->data, NET_PIPE_BYTES);
	mem_free(sock);
}

int sock_install(struct net *net, struct sock *sock)
{
	unsigned int i;

	if (net->nr_fds >= net->fds_max)
		return -EMFILE;
	for (i = net->fd_free; net->fds[i]; i++)
		;
	net->fds[i] = sock;
	net->nr_fds++;
	net->fd_free = i + 1;
	net->fd_end = max(net->fd_end, i + 1);
	sock->fd = NET_FD_FIRST + (int)i;
	return sock->fd;
}

/* The listener there that @skip others come before, and how many listen there. */
static struct sock *listener_after(struct net *net, const struct name *name, unsigned int skip,
				   unsigned int *nr)
{
	struct sock *found = NULL;
	struct name to = *name;

	*nr = 0;
	for (unsigned int i = 0; i < net->fd_end; i++) {
		struct sock *sock = net->fds[i];

		if (!sock || sock->state != SOCK_LISTENING || !name_overlaps(&sock->local, &to))
			continue;
		if ((*nr)++ == skip)
			found = sock;
	}
	return found;
}

/* Of those that listen there, each in its turn. */
struct sock *net_listener(struct net *net, const struct name *name)
{
	struct sock *found;
	unsigned int nr;

	found = listener_after(net, name, 0, &nr);
	return nr > 1 ? listener_after(net, name, net->turn++ % nr, &nr) : found;
}

/* ---- the calls ---- */

static int64_t net_socket(struct net *net, struct mn_op *op)
{
	int type = op->socket.type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct sock *sock;
	int fd;

	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -EPROTONOSUPPORT;
	sock = type == SOCK_DGRAM ? sock_alloc() : sock_new();
	if (!sock)
		return -ENOMEM;
	sock->family = op->socket.family;
	if (type == SOCK_DGRAM)
		dgram_init(sock);
	fd = sock_install(net, sock);
	if (fd < 0)
		sock_free(sock);
	return fd;
}

static int64_t sock_bind(struct net *net, struct sock *sock, struct mn_op *op)
{
	struct name name;
	int err;

	if (sock->local.len)
		return -EINVAL;
	err = name_set(&name, op->addr.sa, op->addr.len);
	if (!err)
		err = port_assign(net, &name);
	if (!err && net_conflict(net, sock, &name, false))
		err = -EADDRINUSE;
	if (err)
		return err;
	sock->local = name;
	sock->bound = true;
	return 0;
}

static int64_t sock_listen(struct net *net, struct sock *sock, int backlog)
{
	if (sock->dgram)
		return -EOPNOTSUPP;
	if (sock->state == SOCK_CONNECTED || !sock->bound)
		return -EINVAL;
	if (sock->state == SOCK_FRESH && net_conflict(net, sock, &sock->local, true))
		return -EADDRINUSE;
	sock->state = SOCK_LISTENING;
	sock->backlog_max = (unsigned int)max(min(backlog, NET_BACKLOG_MAX), 0);
	return 0;
}

static int64_t sock_setopt(struct sock *sock, struct mn_op *op)
{
	if (op->sockopt.level == SOL_SOCKET && op->sockopt.name == SO_REUSEPORT)
		sock->reuseport = op->sockopt.value;
	if (op->sockopt.level == SOL_SOCKET && op->sockopt.name == SO_REUSEADDR)
		sock->reuseaddr = op->sockopt.value;
	if (op->sockopt.level == SOL_SOCKET && sock->dgram)
		dgram_setopt(sock, op->sockopt.name, op->sockopt.value);
	return 0;
}

static int64_t sock_shutdown(struct net *net, struct sock *sock, int how)
{
	if (sock->state != SOCK_CONNECTED || !sock->peer)
		return -ENOTCONN;
	if (how == SHUT_RD || how == SHUT_RDWR) {
		sock->shut_rd = true;
		net->kick(&sock->waiting);
	}
	if (how == SHUT_WR || how == SHUT_RDWR) {
		sock->shut_wr = true;
		sock->peer->eof = true;
		net->kick(&sock->waiting);
		net->kick(&sock->peer->waiting);
	}
	return 0;
}

/* As TCP does: who leaves bytes unread resets the connection. */
static void sock_disconnect(struct net *net, struct sock *sock)
{
	struct sock *peer = sock->peer;

	if (!peer)
		return;
	peer->peer = NULL;
	peer->eof = true;
	if (sock->len || sock->fd < 0) {
		peer->err = ECONNRESET;
		peer->broken = true;
	}
	net->kick(&peer->waiting);
}

static int64_t sock_close(struct net *net, struct sock *sock)
{
	unsigned int i = (unsigned int)(sock->fd - NET_FD_FIRST);
	struct sock *queued;

	BUG_ON(sock->waiting.head);
	while ((queued = sock->first)) {
		sock->first = queued->next;
		sock_disconnect(net, queued);
		sock_free(queued);
	}
	sock_disconnect(net, sock);
	if (sock->dgram)
		dgram_close(net, sock);
	net->fds[i] = NULL;
	net->nr_fds--;
	net->fd_free = min(net->fd_free, i);
	sock_free(sock);
	net->kick(&net->connecting);
	return 0;
}

static void kick_nobody(struct op_queue *waiting)
{
	op_queue_init(waiting);
}

/* A world that hung may leave operations behind: they are forgotten. */
void net_close(struct net *net)
{
	net->kick = kick_nobody;
	for (unsigned int i = 0; i < net->fd_end; i++)
		if (net->fds[i])
			op_queue_init(&net->fds[i]->waiting);
	for (unsigned int i = 0; i < net->fd_end; i++)
		if (net->fds[i])
			sock_close(net, net->fds[i]);
}

/* What would wait as another operation, now or not at all. */
static int64_t try_now(struct net *net, struct mn_op *op, uint8_t code)
{
	int64_t res;
	uint8_t own = op->code;

	op->code = code;
	res = net_try(net, NULL, op);
	op->code = own;
	return res == NOT_YET ? -EAGAIN : res;
}

static int64_t sock_accept(struct net *net, struct mn_op *op)
{
	return try_now(net, op, MN_OP_ACCEPT_STREAM);
}

static int64_t sock_connect_now(struct net *net, struct mn_op *op)
{
	return try_now(net, op, MN_OP_CONNECT);
}

int64_t net_call(struct net *net, struct mn_op *op)
{
	struct sock *sock;

	if (op->code == MN_OP_SOCKET)
		return net_socket(net, op);
	if (op->code == MN_OP_UNIX_UNBIND)	/* there are no files */
		return 0;
	sock = net_sock(net, op->fd);
	if (!sock)
		return -EBADF;
	switch (op->code) {
	case MN_OP_BIND:
		return sock_bind(net, sock, op);
	case MN_OP_UNIX_BIND:
		return sock_bind(net, sock, op);
	case MN_OP_SEND_PACKETS:
		return sock->dgram ? dgram_send(net, sock, op) : -EOPNOTSUPP;
	case MN_OP_GETSOCKOPT:
		return sock->dgram ? dgram_getopt(sock, op) : -EOPNOTSUPP;
	case MN_OP_CONNECT_NOW:
		return sock_connect_now(net, op);
	case MN_OP_LISTEN:
		return sock_listen(net, sock, op->value);
	case MN_OP_ACCEPT:
		return sock_accept(net, op);
	case MN_OP_SETSOCKOPT:
		return sock_setopt(sock, op);
	case MN_OP_GETSOCKNAME:
		return name_get(&sock->local, op);
	case MN_OP_GETPEERNAME:
		return sock->state == SOCK_CONNECTED ? name_get(&sock->remote, op) : -ENOTCONN;
	case MN_OP_SHUTDOWN:
		return sock_shutdown(net, sock, op->value);
	case MN_OP_CLOSE:
		return sock_close(net, sock);
	default:
		return -EOPNOTSUPP;
	}
}
