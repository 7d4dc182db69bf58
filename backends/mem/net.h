/* SPDX-License-Identifier: MIT */
/*
 * The network of the mem backend: sockets in a table, a bounded pipe into
 * each connected one. All shards of a world share it; one thread steps them,
 * so nothing here is atomic.
 *
 *	socket.c	names, descriptors, the calls that never wait
 *	net.c		transfers, accepting, connecting: what may have to wait
 *	dgram.c		datagrams
 *	mem.c		the backend: queues, turns, the clock
 */
#ifndef BACKENDS_MEM_NET_H
#define BACKENDS_MEM_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/op.h"

struct pool;

#define NOT_YET INT64_MIN /* would block */
#define NET_FD_FIRST 1000 /* so that a real system call on one of these fails */
#define NET_FDS 65536
#define NET_PIPE_BYTES 65536 /* what the kernel would buffer for a connection */
#define NET_BACKLOG_MAX 4096

/* A first-in, first-out queue of operations, linked by next and pprev. */
struct op_queue {
	struct mn_op *head;
	struct mn_op **tail;
	unsigned int nr;
};

struct name {
	socklen_t len; /* 0: none */
	struct sockaddr_storage sa;
};

enum sock_state { SOCK_FRESH, SOCK_LISTENING, SOCK_CONNECTED };

struct net_packet;

struct sock {
	enum sock_state state;
	int fd; /* -1 while in a backlog */
	struct sock *peer; /* NULL once it was closed */
	struct op_queue waiting; /* until something about this socket changes */
	struct mn_op *sender; /* in the midst of its bytes; others wait */
	uint64_t sent; /* by it */

	/* bytes on their way to this socket: a ring */
	uint8_t *data;
	uint32_t head, len;
	bool eof; /* no more will come */
	bool shut_rd, shut_wr;
	bool broken; /* it was reset, or wrote to a closed peer */
	int err; /* reported once */

	struct name local, remote;
	bool bound, reuseaddr, reuseport;

	/* datagrams: those that wait for it; see dgram.c */
	bool dgram;
	int family;
	struct net_packet *packets, **packets_last;
	uint32_t nr_packets, packets_cost;
	uint32_t receive_max, send_max;
	uint32_t drops;

	/* a listener's connections, and the link in it */
	struct sock *first, **last;
	struct sock *next;
	unsigned int nr_backlog, backlog_max;
};

struct net {
	struct sock *fds[NET_FDS]; /* from NET_FD_FIRST on */
	unsigned int nr_fds, fds_max;
	unsigned int fd_free; /* no descriptor below this is free */
	unsigned int fd_end; /* none at or above this was ever used */
	unsigned int turn; /* which listener of a port is next */
	uint16_t port; /* the last that was assigned */
	struct op_queue connecting; /* backlogs are full */
	/* Move what waits in a queue to where its backend will try it again. */
	void (*kick)(struct op_queue *waiting);
};

static inline void op_queue_init(struct op_queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->nr = 0;
}

static inline void op_queue_push(struct op_queue *queue, struct mn_op *op)
{
	op->next = NULL;
	op->pprev = queue->tail;
	*queue->tail = op;
	queue->tail = &op->next;
	queue->nr++;
}

static inline void op_queue_remove(struct op_queue *queue, struct mn_op *op)
{
	*op->pprev = op->next;
	if (op->next)
		op->next->pprev = op->pprev;
	else
		queue->tail = op->pprev;
	queue->nr--;
}

static inline struct mn_op *op_queue_pop(struct op_queue *queue)
{
	struct mn_op *op = queue->head;

	if (op)
		op_queue_remove(queue, op);
	return op;
}

/* socket.c */
void net_open(struct net *net, void (*kick)(struct op_queue *waiting));
void net_close(struct net *net);
struct sock *net_sock(struct net *net, int fd); /* or NULL */
struct sock *sock_new(void);
void sock_free(struct sock *sock);
int sock_install(struct net *net, struct sock *sock); /* its descriptor, or -errno */
struct sock *net_listener(struct net *net, const struct name *name);
void sock_name_from(struct net *net, struct sock *sock, const struct name *remote);
int name_set(struct name *name, const struct sockaddr *sa, socklen_t len);
void name_host_from(struct name *name, const struct name *other); /* if it has none */
void name_port_any(struct net *net, struct name *name); /* one that nobody has */

/* Could what is sent to one of them be meant for the other? */
bool name_overlaps(const struct name *a, const struct name *b);
int64_t net_call(struct net *net, struct mn_op *op); /* those that complete inline */

/* net.c */

/*
 * net_try - do what can be done of an operation; its result, or NOT_YET
 * RECV_STREAM and ACCEPT_STREAM: of the next item, in op->chunk if it is one.
 */
int64_t net_try(struct net *net, struct pool *pool, struct mn_op *op);

/* net_ended - an operation ends without its result; how many bytes it has sent */
uint64_t net_ended(struct net *net, struct mn_op *op);

#define NO_BUFFER (INT64_MIN + 1) /* of RECV_STREAM: the pool is empty */

/* dgram.c: the same for sockets that are for datagrams */
void dgram_init(struct sock *sock);
void dgram_close(struct net *net, struct sock *sock);
int64_t dgram_try(struct net *net, struct sock *sock, struct pool *pool, struct mn_op *op);
int64_t dgram_send(struct net *net, struct sock *sock, struct mn_op *op);
void dgram_setopt(struct sock *sock, int name, int value);
int64_t dgram_getopt(const struct sock *sock, struct mn_op *op);

#endif
