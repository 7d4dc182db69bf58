/* SPDX-License-Identifier: MIT */
/*
 * A server inside: the part of it on each shard, and its connections.
 *
 *	serve.c		all shards together: bind, listen, wait, drain
 *	server.c	one shard: accepting, limits, the end
 *	conn.c		one connection
 */
#ifndef LIB_NET_SERVER_H
#define LIB_NET_SERVER_H

#include <miniss/serve.h>

#include "core/log.h"
#include "core/shard.h"
#include "lib/net/addr.h"
#include "lib/net/stream.h"

/* On the stack of the fiber that serves; read by all shards. */
struct serve {
	struct mn_server conf;		/* with the defaults filled in */
	struct addr addr;		/* with the port that was chosen */
	struct server **part;		/* one a shard, each touched by its own */
};

/* One shard's part. */
struct server {
	struct serve *serve;
	int fd;
	struct mn_op accept;
	struct mn_timer retry;		/* accepting failed; try again */
	struct list conns;		/* being served */
	struct list waiting;		/* accepted beyond the limit */
	unsigned int nr_conns;
	bool stopping;
	struct log_limit limit;		/* of warnings about accepting */
	struct mn_future drained;	/* the last connection ended, while stopping */
};

struct conn {
	struct mn_stream stream;
	struct list entry;
	struct server *server;
	struct mn_fiber *fiber;		/* that runs the handler, or NULL */
	struct mn_task input;		/* on_input: borrow a fiber */
};

/* In a fiber of each shard, by shard_call(); @arg is the struct serve. */
int server_bind(void *arg);
int server_listen(void *arg);
int server_stop(void *arg);
int server_close(void *arg);

/* conn.c */
void conn_accepted(struct server *server, int fd);
void conn_start(struct conn *conn);
void conn_cancel(struct conn *conn);

/* server_ended - a connection is gone; may start one that waits */
void server_ended(struct server *server);

#endif
