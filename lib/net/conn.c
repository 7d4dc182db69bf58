// SPDX-License-Identifier: MIT
/*
 * One connection of a server. With on_conn it has a fiber for life; with
 * on_input it borrows one while input is pending, and between requests it
 * has neither stack nor buffer.
 */
#include <errno.h>

#include <miniss/log.h>

#include "lib/mem/slab.h"
#include "core/sched.h"
#include "lib/net/idle.h"
#include "lib/net/passing.h"
#include "lib/net/server.h"
#include "lib/net/socket.h"

BUILD_BUG_ON(sizeof(struct conn) > 448 && !IS_ENABLED(CONFIG_DEBUG));

static struct conn *conn_new(struct server *server)
{
	struct slab *slab = &mn_self->conns;
	struct conn *conn;

	if (!slab->size)
		slab_init(slab, sizeof(*conn));
	conn = slab_alloc(slab);
	if (conn)
		conn->server = server;
	return conn;
}

void conn_drop(struct conn *conn)
{
	idle_drop(&conn->stream);
	slab_free(&mn_self->conns, conn);
}

static void conn_free(struct conn *conn)
{
	struct server *server = conn->server;

	/* The last event may have queued it behind the fiber that ends here. */
	task_unqueue(mn_self, &conn->input);
	list_del(&conn->entry);
	conn_drop(conn);
	server_ended(server);
}

/* The handler is done with it; an error closes without sending the rest. */
static void conn_end(struct conn *conn, int err)
{
	if (err < 0)
		stream_abort(&conn->stream, err);
	stream_end(&conn->stream);
	conn_free(conn);
}

/* What a connection's fiber does; copied to its stack. */
struct run {
	struct conn *conn;
	mn_conn_fn fn;
	void *arg;
};

static int conn_fiber(void *arg)
{
	const struct run *run = arg;

	run->conn->fiber = mn_fiber_self();
	conn_end(run->conn, run->fn(&run->conn->stream, run->arg));
	return 0;
}

/* Hand the handler what has arrived, until it is done or nothing is left. */
static int input_fiber(void *arg)
{
	struct conn *conn = arg;
	const struct mn_server *conf = &conn->server->serve->conf;
	struct mn_buf in;
	int64_t res;
	int err = 0;

	conn->fiber = mn_fiber_self();
	while ((res = mn_stream_try_read(&conn->stream, &in)) > 0) {
		err = conf->on_input(&conn->stream, &in, conf->arg);
		if (err)
			break;
	}
	if (!err && res == -EAGAIN && !mn_fiber_canceled()) {
		conn->fiber = NULL;
		return 0;
	}
	if (!err && res == 0) {
		in = (struct mn_buf){ .len = 0 };
		err = conf->on_input(&conn->stream, &in, conf->arg);
	}
	conn_end(conn, err ? err : (int)res);
	return 0;
}

static int conn_spawn(struct conn *conn, mn_conn_fn fn, void *arg)
{
	struct run run = { conn, fn, arg };

	return fiber_spawn(mn_self, conn_fiber, &run, sizeof(run), NULL);
}

static void input_arrived(struct mn_task *task)
{
	struct conn *conn = container_of(task, struct conn, input);

	if (conn->fiber)
		return;
	/* Without memory for a stack: next turn, perhaps. */
	if (fiber_spawn(mn_self, input_fiber, conn, 0, NULL))
		task_schedule(mn_self, task);
}

static void conn_enter(struct conn *conn, struct server *server)
{
	conn->server = server;
	conn->stream.served = true;
	list_add_tail(&server->conns, &conn->entry);
	server->nr_conns++;
	mn_task_init(&conn->input, input_arrived);
	mn_task_group(&conn->input, server->group);
}

void conn_start(struct conn *conn)
{
	struct server *server = conn->server;
	const struct mn_server *conf = &server->serve->conf;
	unsigned int old = group_swap(mn_self, server->group);
	int err = conf->on_conn ? conn_spawn(conn, conf->on_conn, conf->arg) : 0;

	group_swap(mn_self, old);
	list_del(&conn->entry);
	if (err) {
		conn_refuse(server, conn->stream.fd);
		conn_drop(conn);
		return;
	}
	conn_enter(conn, server);
	if (conf->on_input)
		conn->stream.reader = &conn->input;
	stream_begin(&conn->stream);
}

int conn_adopt(const struct move *move)
{
	struct server *server = server_part(move->serve);
	const struct mn_server *conf = &move->serve->conf;
	mn_conn_fn fn = move->fn ? move->fn : conf->on_conn;
	struct conn *conn;
	int err;

	if (server->stopping)
		return -ESHUTDOWN;
	if (server->nr_conns >= conf->conns_max)
		return -EBUSY;
	conn = conn_new(server);
	if (!conn)
		return -ENOMEM;
	stream_init(&conn->stream, move->from->fd);
	err = out_reserve(&conn->stream, move->from);
	if (!err)
		err = idle_take(&conn->stream, move->from);
	if (!err && fn)
		err = conn_spawn(conn, fn, move->fn ? move->arg : conf->arg);
	if (err) {
		out_drop(&conn->stream);
		conn_drop(conn);
		return err;
	}
	conn_enter(conn, server);
	place_enter(server);
	if (!fn)
		conn->stream.reader = &conn->input;
	stream_take(&conn->stream, move->from);
	return 0;
}

void conn_refuse(struct server *server, int fd)
{
	mn_warn("no memory for a connection: it is closed");
	socket_close(fd);
	place_leave(server);
}

int conn_accepted(struct server *server, int fd)
{
	struct conn *conn = conn_new(server);

	if (!conn)
		return -ENOMEM;
	stats_add(mn_self, STAT_ACCEPTS, 1);
	stream_init(&conn->stream, fd);
	if (idle_set(&conn->stream, server->serve->conf.idle_timeout_ns)) {
		conn_drop(conn);
		return -ENOMEM;
	}
	conn->stream.passing = passing_wanted(fd, server->serve->conf.opt);
	list_add_tail(&server->waiting, &conn->entry);
	if (server->nr_conns < server->serve->conf.conns_max)
		conn_start(conn);
	return 0;
}

void conn_cancel(struct conn *conn)
{
	stream_abort(&conn->stream, -ECANCELED);
	if (conn->fiber)
		mn_fiber_cancel(conn->fiber);
}
