/* SPDX-License-Identifier: MIT */
/*
 * mn-load inside: a worker on each shard, a connection's number tells whose
 * it is. A worker's run is the same everywhere: make the connections, then,
 * when all shards have theirs, drive them until the end.
 *
 *	main.c		options, the order of events
 *	worker.c	a shard's share: connect, start, stop, collect
 *	conn.c		one connection: send, verify, record
 *	report.c	progress, table, JSON
 *	hist.[ch]	the latency record
 *	pattern.h	what requests consist of
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdatomic.h>

#include <miniss/miniss.h>

#include "tools/load/hist.h"

/* What is asked for. Read-only while shards run. */
struct load {
	const char *addr;
	uint32_t nr_conns;
	uint32_t pipeline;
	size_t size;		/* of a request */
	int64_t rate;		/* requests/s of all connections; 0: as fast as answers come */
	int64_t seconds;
	int64_t start_ns;
	int64_t end_ns;
	unsigned int nr_workers;
	struct worker **workers;
};

struct conn {
	/* every request */
	struct mn_stream *stream;	/* NULL: not connected, or ended */
	struct worker *worker;
	uint64_t key;			/* of its pattern */
	uint64_t sent;			/* requests, the one that is being written included */
	uint64_t answered;
	size_t offset;			/* bytes that have come of the answer that is next */
	uint32_t mask;			/* of @sent_ns */
	bool paced;			/* has a fiber that sends; else sends what was answered */
	bool waiting;			/* that fiber, for @room */

	struct mn_fiber *fiber, *sender;
	struct mn_future room;
	int send_err;
	uint32_t id;
	bool failed;
	int64_t sent_ns[];		/* from when a request's latency counts */
};

struct worker {
	/* every request */
	const struct load *load;
	bool sending;			/* until the end of the run */
	struct mn_buf spare;		/* the rest of the chunk that requests are cut from */
	size_t chunk_size;
	size_t queue_max;		/* bytes that a connection may have in output buffers */
	uint64_t bytes;			/* that came back and were right */
	int64_t last_ns;		/* when the last of them came */
	_Atomic uint64_t nr_answered;	/* written here, read by shard 0's progress line */

	/* life */
	unsigned int nr_conns;		/* mine */
	unsigned int nr_begun;		/* of them, for which a connect was begun */
	unsigned int nr_up;		/* that were connected */
	unsigned int nr_live;
	struct mn_future over;		/* resolved when none is live, or by worker_stop() */
	int64_t stop_ns;		/* when sending ended */
	bool ended;
	struct conn **conns;
	uint64_t nr_errors;
	bool bad_addr;
	char reason[160];		/* of the first error */

	struct hist hist;
};

/* worker.c: called on every shard, with the load */
int worker_connect(void *arg);
int worker_run(void *arg);
int worker_stop(void *arg);	/* end the run early */
int worker_close(void *arg);
void worker_error(struct worker *worker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* conn.c: the fiber of a connection, with the connection */
int conn_run(void *arg);

static inline bool conn_idle(const struct conn *conn)
{
	return conn->answered == conn->sent;
}

/* report.c */
int report_progress(void *arg);
int report_print(const struct load *load, bool json);

#endif
