// SPDX-License-Identifier: MIT
/*
 * A shard's share of the load. Connections are made a few at a time, so that
 * no backlog overflows and costs a second; the clock starts when all are up.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/load/load.h"
#include "tools/load/pattern.h"

#define CONNECTING_MAX		64
#define CONNECT_TIMEOUT_NS	(10 * MN_SEC)
#define COLLECT_NS		MN_SEC		/* for answers, after the end */
#define QUEUE_BYTES		(16 << 20)	/* of a shard's buffers, for output: half of them */
#define QUEUE_CONN_MIN		(4 << 10)
#define QUEUE_CONN_MAX		(64 << 10)

void worker_error(struct worker *worker, const char *format, ...)
{
	va_list args;

	if (worker->nr_errors++)
		return;
	va_start(args, format);
	vsnprintf(worker->reason, sizeof(worker->reason), format, args);
	va_end(args);
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static struct conn *conn_new(struct worker *worker, uint32_t id)
{
	const struct load *load = worker->load;
	uint32_t slots = power_of_two(load->pipeline);
	struct conn *conn = calloc(1, sizeof(*conn) + slots * sizeof(conn->sent_ns[0]));

	if (!conn)
		return NULL;
	conn->worker = worker;
	conn->id = id;
	conn->key = pattern_key(id);
	conn->mask = slots - 1;
	conn->paced = load->rate || load->pipeline * load->size > worker->queue_max;
	return conn;
}

/* One of the fibers that connect: takes the next connection until there is none. */
static int connector(void *arg)
{
	struct worker *worker = arg;
	const struct load *load = worker->load;

	while (worker->nr_begun < worker->nr_conns && !worker->bad_addr) {
		unsigned int i = worker->nr_begun++;
		uint32_t id = mn_shard() + i * load->nr_workers;
		struct conn *conn = conn_new(worker, id);
		int err = -ENOMEM;

		worker->conns[i] = conn;
		if (conn)
			err = mn_connect(load->addr, CONNECT_TIMEOUT_NS, &conn->stream);
		if (!err) {
			worker->nr_up++;
			continue;
		}
		if (conn)
			conn->stream = NULL;
		worker_error(worker, "connection %u: connect to %s: %s", id, load->addr,
			     strerror(-err));
		worker->bad_addr = err == -EINVAL || err == -ENAMETOOLONG;
	}
	return 0;
}

static struct worker *worker_new(const struct load *load)
{
	unsigned int rest = load->nr_conns % load->nr_workers;
	struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) & ~(size_t)63);
	size_t share;

	if (!worker)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->load = load;
	worker->nr_conns = load->nr_conns / load->nr_workers + (mn_shard() < rest);
	worker->conns = calloc(worker->nr_conns + 1, sizeof(worker->conns[0]));
	if (!worker->conns) {
		free(worker);
		return NULL;
	}
	worker->chunk_size = SIZE_MAX;
	share = QUEUE_BYTES / (worker->nr_conns + 1);
	worker->queue_max = share < QUEUE_CONN_MIN ? QUEUE_CONN_MIN :
			    share > QUEUE_CONN_MAX ? QUEUE_CONN_MAX :
						     share;
	return worker;
}

int worker_connect(void *arg)
{
	const struct load *load = arg;
	struct mn_fiber *fibers[CONNECTING_MAX];
	struct worker *worker = worker_new(load);
	unsigned int n;
	int err = 0;

	if (!worker)
		return -ENOMEM;
	load->workers[mn_shard()] = worker;
	for (n = 0; n < CONNECTING_MAX && n < worker->nr_conns && !err;) {
		err = mn_spawn(connector, worker, &fibers[n]);
		n += !err;
	}
	while (n)
		mn_join(fibers[--n]);
	return err;
}

static void conns_start(struct worker *worker)
{
	for (unsigned int i = 0; i < worker->nr_conns; i++) {
		struct conn *conn = worker->conns[i];

		if (!conn || !conn->stream)
			continue;
		if (mn_spawn(conn_run, conn, &conn->fiber)) {
			worker_error(worker, "connection %u: no memory for its fiber", conn->id);
			mn_stream_close(conn->stream);
			conn->stream = NULL;
			continue;
		}
		worker->nr_live++;
	}
}

/* End the waits of connections: of those that wait for nothing, or of all. */
static void conns_abort(struct worker *worker, bool all)
{
	for (unsigned int i = 0; i < worker->nr_conns; i++) {
		struct conn *conn = worker->conns[i];

		if (conn && conn->stream && (all || conn_idle(conn)))
			mn_stream_abort(conn->stream);
	}
}

static void conns_join(struct worker *worker)
{
	for (unsigned int i = 0; i < worker->nr_conns; i++)
		if (worker->conns[i] && worker->conns[i]->fiber)
			mn_join(worker->conns[i]->fiber);
}

int worker_run(void *arg)
{
	const struct load *load = arg;
	struct worker *worker = load->workers[mn_shard()];

	mn_future_init(&worker->over);
	worker->sending = true;
	conns_start(worker);
	if (worker->nr_live)
		mn_await_timeout(&worker->over, load->end_ns - mn_now());
	worker->sending = false;
	worker->stop_ns = mn_now();
	mn_future_reset(&worker->over);
	conns_abort(worker, false);
	if (worker->nr_live)
		mn_await_timeout(&worker->over, COLLECT_NS);
	conns_abort(worker, true);
	conns_join(worker);
	mn_future_drop(&worker->over);
	worker->ended = true;
	return 0;
}

int worker_stop(void *arg)
{
	const struct load *load = arg;
	struct worker *worker = load->workers[mn_shard()];

	if (!worker->ended && !mn_future_ready(&worker->over))
		mn_future_resolve(&worker->over, 0);
	return 0;
}

int worker_close(void *arg)
{
	const struct load *load = arg;
	struct worker *worker = load->workers[mn_shard()];

	if (!worker)
		return 0;
	for (unsigned int i = 0; i < worker->nr_conns; i++) {
		/* One that was never driven, since it was not to be. */
		if (worker->conns[i] && worker->conns[i]->stream)
			mn_stream_close(worker->conns[i]->stream);
		free(worker->conns[i]);
	}
	mn_buf_free(&worker->spare);
	free(worker->conns);
	free(worker);
	return 0;
}
