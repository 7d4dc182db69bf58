// SPDX-License-Identifier: MIT
/*
 * Where a new connection goes: to the shard with the fewest.
 *
 * Every shard still accepts on a listener of its own, so that none is in the
 * way of the others; whoever accepts looks for the shard that has fewest and
 * hands the descriptor over. Those that are on their way count already where
 * they go: two shards that look at once do not both take the same place, and
 * without connections that end no shard has two more than another.
 *
 * That takes a counter for each shard that the others read and add to, on a
 * cache line of its own, once a connection and never for an operation. It
 * orders nothing: what it counts travels in messages.
 *
 * A hand-over is a call, since only the answer says that the connection has
 * arrived: until then the descriptor is ours, and a stop waits for it.
 */
#include <errno.h>

#include <miniss/smp.h>

#include "lib/mem/mem.h"
#include "lib/net/server.h"

struct handover {
	struct mn_call call;
	struct mn_task answer;
	struct serve *serve;
	unsigned int to;
	int fd;
};

static unsigned int load_get(struct serve *serve, unsigned int shard)
{
	return atomic_load_explicit(&serve->load[shard].nr_conns, memory_order_relaxed);
}

static void load_add(struct serve *serve, unsigned int shard, unsigned int n)
{
	if (serve->load)
		atomic_fetch_add_explicit(&serve->load[shard].nr_conns, n, memory_order_relaxed);
}

/* The shard with the fewest: this one, if it is as good, or the next after it. */
static unsigned int load_least(struct serve *serve, unsigned int *nr_conns)
{
	unsigned int nr_shards = mn_self->world->nr_shards, least = mn_self->id;

	*nr_conns = load_get(serve, least);
	for (unsigned int i = 1; i < nr_shards && *nr_conns; i++) {
		unsigned int shard = (mn_self->id + i) % nr_shards;
		unsigned int n = load_get(serve, shard);

		if (n < *nr_conns) {
			*nr_conns = n;
			least = shard;
		}
	}
	return least;
}

/* Take a place there. Again if others were faster: those have placed theirs. */
static unsigned int load_take(struct serve *serve)
{
	unsigned int shard, nr_conns;

	do {
		shard = load_least(serve, &nr_conns);
	} while (!atomic_compare_exchange_weak_explicit(&serve->load[shard].nr_conns, &nr_conns,
							nr_conns + 1, memory_order_relaxed,
							memory_order_relaxed));
	return shard;
}

bool place_full(struct server *server)
{
	struct serve *serve = server->serve;
	unsigned int nr_conns = server->nr_conns;

	if (serve->load && nr_conns >= serve->conf.conns_max)
		load_least(serve, &nr_conns);
	return nr_conns >= serve->conf.conns_max;
}

void place_enter(struct server *server)
{
	load_add(server->serve, mn_self->id, 1);
}

void place_leave(struct server *server)
{
	load_add(server->serve, mn_self->id, -1u);
}

/* ---- handing over ---- */

/* On the other shard. */
static int conn_arrives(void *arg)
{
	const struct handover *h = arg;

	return conn_accepted(server_part(h->serve), h->fd);
}

/* It stays here, wherever a place was taken. */
static void place_here(struct server *server, unsigned int taken, int fd)
{
	if (taken != mn_self->id) {
		load_add(server->serve, taken, -1u);
		place_enter(server);
	}
	if (conn_accepted(server, fd))
		conn_refuse(server, fd);
}

/* It has arrived, or the other side had no memory: then it is still ours. */
static void answered(struct mn_task *task)
{
	struct handover *h = container_of(task, struct handover, answer);
	struct server *server = server_part(h->serve);

	if (mn_future_take(&h->call.done))
		place_here(server, h->to, h->fd);
	else
		stats_add(mn_self, STAT_HANDED, 1);
	mem_free(h);
	if (--server->nr_handing == 0 && server->closer)
		task_schedule(mn_self, &server->closer->task);
}

static int hand_over(struct server *server, unsigned int to, int fd)
{
	struct handover *h = mem_alloc(sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->serve = server->serve;
	h->to = to;
	h->fd = fd;
	err = mn_call_start(&h->call, to, conn_arrives, h);
	if (err) {
		mem_free(h);
		return err;
	}
	server->nr_handing++;
	mn_future_then(&h->call.done, &h->answer, answered);
	return 0;
}

/* Who stops hands nothing over: the others stop, too. */
bool place_new(struct server *server, int fd)
{
	unsigned int to = mn_self->id;

	if (server->serve->load && !server->stopping)
		to = load_take(server->serve);
	else
		place_enter(server);
	if (to != mn_self->id && !hand_over(server, to, fd))
		return true;
	place_here(server, to, fd);
	return false;
}

void place_waiting(struct server *server)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &server->waiting) {
		struct conn *conn = container_of(pos, struct conn, entry);
		int fd = conn->stream.fd;

		if (place_full(server))
			return;
		list_del(&conn->entry);
		conn_drop(conn);
		place_leave(server);
		if (!place_new(server, fd))
			return;
	}
}

void place_wait(struct server *server)
{
	while (server->nr_handing) {
		server->closer = mn_self->fiber;
		fiber_park(NULL, NULL);
	}
	server->closer = NULL;
}
