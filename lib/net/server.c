// SPDX-License-Identifier: MIT
/* One shard's part of a server: its listening socket and its connections. */
#include <string.h>

#include <miniss/log.h>

#include "core/future.h"
#include "core/log.h"
#include "lib/mem/mem.h"
#include "lib/net/server.h"
#include "lib/net/socket.h"
#include "lib/net/sockopt.h"

#define RETRY_NS	(50 * MN_MSEC)	/* pause after accepting failed */
#define CANCEL_NS	(5 * MN_SEC)	/* for handlers that were cancelled to return */

static void accepted(struct mn_op *op, int64_t res);

static void accept_start(struct server *server)
{
	if (server->stopping || server->fd < 0 || mn_op_in_flight(&server->accept))
		return;
	if (place_full(server)) {
		/* Of places that come free elsewhere nobody tells us. */
		if (server->serve->load)
			mn_timer_arm(&server->retry, mn_now() + RETRY_NS, 0);
		return;
	}
	mn_timer_cancel(&server->retry);
	op_init(&server->accept, MN_OP_ACCEPT_STREAM, server->fd);
	server->accept.complete = accepted;
	op_start(&server->accept);
}

static void accept_retry(struct mn_task *task)
{
	struct server *server = container_of(mn_timer_of(task), struct server, retry);

	if (server->serve->load)
		place_waiting(server);
	accept_start(server);
}

/*
 * No descriptors or no memory: leave new connections in the kernel's queue
 * for a while, or until one of ours ends.
 */
static void accept_failed(struct server *server, int err)
{
	stats_add(mn_self, STAT_ACCEPT_PAUSES, 1);
	if (log_ratelimit(&server->limit, mn_now()))
		mn_warn("cannot accept: %s; %u connections are open, new ones wait", strerror(-err),
			server->nr_conns);
	mn_timer_arm(&server->retry, mn_now() + RETRY_NS, 0);
}

static void accepted(struct mn_op *op, int64_t res)
{
	struct server *server = container_of(op, struct server, accept);

	if (op->flags & OP_MORE) {
		fds_add(1);
		place_new(server, (int)res);
		if (place_full(server)) {
			stats_add(mn_self, STAT_ACCEPT_PAUSES, 1);
			mn_op_cancel(op);
		}
		return;
	}
	mn_future_resolve(&op->done, 0);
	if (server->stopping)
		return;
	if (res == -ECANCELED)	/* at the limit, unless one ended meanwhile */
		accept_start(server);
	else
		accept_failed(server, (int)res);
}

void server_ended(struct server *server)
{
	server->nr_conns--;
	place_leave(server);
	/* One may fail to start: then the next one gets the place. */
	while (!list_empty(&server->waiting) && server->nr_conns < server->serve->conf.conns_max)
		conn_start(list_first(&server->waiting, struct conn, entry));
	if (list_empty(&server->waiting) && server->fd >= 0)
		accept_start(server);
	if (server->stopping && !server->nr_conns && !mn_future_ready(&server->drained))
		mn_future_resolve(&server->drained, 0);
}

static int unix_socket(struct server *server)
{
	struct serve *serve = server->serve;
	int fd = mn_self->id ? -1 : socket_open(AF_UNIX);
	int err;

	if (mn_self->id || fd < 0)
		return mn_self->id ? 0 : fd;
	err = sockopt_apply(fd, AF_UNIX, SOCKOPT_SERVER, serve->conf.opt);
	if (!err)
		err = socket_bind_unix(fd, &serve->addr, (uint16_t)serve->conf.unix_mode,
			       (uint16_t)min(serve->conf.backlog, UINT16_MAX), &serve->ino);
	if (err)
		socket_close(fd);	/* and the file, if there is one, is another's */
	else
		server->fd = fd;
	return err;
}

static void listener_close(struct server *server)
{
	if (serve_unix(server->serve))
		socket_unbind_unix(&server->serve->addr, server->serve->ino);
	socket_close(server->fd);
	server->fd = -1;
}

/*
 * The first shard binds without SO_REUSEPORT, so that a second server on the
 * port is refused; then sets it, so that the others can join.
 */
static int server_socket(struct server *server, bool first)
{
	struct serve *serve = server->serve;
	int fd = socket_open(serve->addr.sa.sa_family);
	int err;

	if (fd < 0)
		return fd;
	server->fd = fd;
	err = sockopt_apply(fd, serve->addr.sa.sa_family, SOCKOPT_SERVER, serve->conf.opt);
	if (err)
		return err;
	socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!first) {
		err = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		return err ? err : socket_bind(fd, &serve->addr);
	}
	err = socket_bind(fd, &serve->addr);
	if (!err && serve->conf.backlog)
		err = socket_name(fd, &serve->addr);
	if (!err && mn_self->world->nr_shards > 1)
		err = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return err;
}

int server_bind(void *arg)
{
	struct serve *serve = arg;
	struct server *server = mem_alloc(sizeof(*server));

	if (!server)
		return -ENOMEM;
	serve->part[mn_self->id] = server;
	server->serve = serve;
	server->fd = -1;
	server->group = mn_self->group;
	list_init(&server->conns);
	list_init(&server->waiting);
	mn_timer_init(&server->retry, accept_retry);
	mn_future_init(&server->drained);
	return serve_unix(server->serve) ? unix_socket(server) :
					   server_socket(server, mn_self->id == 0);
}

int server_listen(void *arg)
{
	struct server *server = server_part(arg);
	int err = 0;

	if (server->fd >= 0)
		err = socket_listen(server->fd, (int)server->serve->conf.backlog);
	if (!err)
		accept_start(server);
	return err;
}

/* What is queued in the kernel would be reset by closing the socket. */
static void accept_queued(struct server *server)
{
	int fd;

	while ((fd = socket_accept(server->fd)) >= 0)
		place_new(server, fd);
}

static void conns_cancel(struct server *server)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &server->conns)
		conn_cancel(container_of(pos, struct conn, entry));
}

static void waiting_close(struct server *server)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &server->waiting) {
		struct conn *conn = container_of(pos, struct conn, entry);

		list_del(&conn->entry);
		socket_close(conn->stream.fd);
		conn_drop(conn);
	}
}

int server_quiet(void *arg)
{
	struct server *server = server_part(arg);

	server->stopping = true;
	mn_timer_cancel(&server->retry);
	if (server->fd < 0)	/* another shard listens; or asked again, since one could not */
		return 0;
	mn_op_cancel(&server->accept);
	if (mn_op_in_flight(&server->accept))
		fiber_wait(&server->accept.done);
	accept_queued(server);
	place_wait(server);
	listener_close(server);
	return 0;
}

int server_drain(void *arg)
{
	struct server *server = server_part(arg);
	unsigned int nr;

	if (!server->nr_conns)
		return 0;
	if (mn_await_timeout(&server->drained, server->serve->conf.drain_timeout_ns) != -ETIMEDOUT)
		return 0;
	nr = server->nr_conns;
	mn_info("%u connections did not end by themselves: cancelled", nr);
	waiting_close(server);
	conns_cancel(server);
	if (mn_await_timeout(&server->drained, CANCEL_NS) != -ETIMEDOUT)
		return 0;
	mn_err("%u handlers did not return within %d s of being cancelled", server->nr_conns,
	       (int)(CANCEL_NS / MN_SEC));
	return -ETIMEDOUT;
}

int server_close(void *arg)
{
	struct server *server = server_part(arg);

	if (!server)
		return 0;
	if (server->fd >= 0)
		listener_close(server);
	mem_free(server);
	return 0;
}
