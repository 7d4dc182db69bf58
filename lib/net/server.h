/* SPDX-License-Identifier: MIT */
/*
 * A server inside: the part of it on each shard, and its connections.
 *
 *	serve.c		all shards together: bind, listen, wait, drain
 *	server.c	one shard: accepting, limits, the end
 *	place.c		which shard gets a new connection
 *	conn.c		one connection
 *	migrate.c	a connection moves to another shard
 */
#ifndef LIB_NET_SERVER_H
#define LIB_NET_SERVER_H

#include <miniss/addr.h>
#include <miniss/serve.h>

#include "core/log.h"
#include "core/shard.h"
#include "lib/net/stream.h"

/* How many connections a shard has, those on their way to it included. */
struct load {
	_Atomic(unsigned int) nr_conns __cacheline_aligned;
};

/* On the stack of the fiber that serves; read by all shards. */
struct serve {
	struct mn_server conf;		/* with the defaults filled in */
	struct mn_addr addr;		/* with the port that was chosen */
	uint64_t ino;			/* of the file that a Unix socket has; shard 0's */
	struct server **part;		/* one a shard, each touched by its own */
	struct load *load;		/* one a shard; NULL: each keeps what it accepts */
};

/* One shard's part. */
struct server {
	struct serve *serve;
	int fd;				/* that listens, or -1: another shard does */
	struct mn_op accept;
	struct mn_timer retry;		/* accepting failed; try again */
	unsigned int group;		/* of what serves: that of who called mn_serve() */
	struct list conns;		/* being served */
	struct list waiting;		/* accepted beyond the limit */
	unsigned int nr_conns;
	unsigned int nr_handing;	/* on their way to other shards */
	struct mn_fiber *closer;	/* waits for those */
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

/* serve_unix - one listener, on shard 0: such addresses cannot be shared by several */
static inline bool serve_unix(const struct serve *serve)
{
	return serve->addr.sa.sa_family == AF_UNIX;
}

/* server_part - this shard's */
static inline struct server *server_part(struct serve *serve)
{
	return serve->part[mn_self->id];
}

/*
 * In a fiber of each shard, by shard_call(); @arg is the struct serve. A stop
 * has two steps: when the first is done everywhere, nothing is on its way
 * from shard to shard any more, and nothing will be.
 */
int server_bind(void *arg);
int server_listen(void *arg);
int server_quiet(void *arg);
int server_drain(void *arg);
int server_close(void *arg);

/* conn.c */

/* conn_accepted - serve it, or let it wait; -ENOMEM: @fd is still the caller's */
int conn_accepted(struct server *server, int fd);
void conn_refuse(struct server *server, int fd);	/* for want of memory */
void conn_drop(struct conn *conn);	/* its memory */
void conn_start(struct conn *conn);
void conn_cancel(struct conn *conn);

/*
 * A connection that moves: on the stack of the fiber that has it, who waits.
 * The other shard takes over what @from has, or fails and changes nothing.
 */
struct move {
	struct mn_stream *from;
	struct serve *serve;		/* it is a connection of this server, or NULL */
	mn_conn_fn fn;			/* NULL: as the server says */
	void *arg;
};

int conn_adopt(const struct move *move);	/* of a server; on the other shard */

/* place.c */

/* place_new - serve a descriptor that was accepted, elsewhere (true) or here */
bool place_new(struct server *server, int fd);

/* place_full - is no shard left that one accepted here could go to? */
bool place_full(struct server *server);

/* place_waiting - look again for places for those that wait here */
void place_waiting(struct server *server);

/* place_wait - until nothing of ours is on its way; from a fiber */
void place_wait(struct server *server);

/* place_enter, place_leave - count a connection of this shard */
void place_enter(struct server *server);
void place_leave(struct server *server);

/* server_ended - a connection is gone; may start one that waits */
void server_ended(struct server *server);

#endif
