// SPDX-License-Identifier: MIT
/*
 * One connection. Its fiber reads, verifies and records; each answer makes
 * room for a request, which it sends itself, all of a read in one write: one
 * switch of fibers for as many requests as came at once. That would deadlock
 * when more is outstanding than the buffers on the way hold, and cannot wait
 * for the time of the next request: in these cases a second fiber sends.
 *
 * Times are those of the turn, which is free. Answers carry the time just
 * after they were reaped; requests the time of the turn in which they were
 * made, before they were written: latencies err to the long side, by the
 * turn at most.
 */
#include <string.h>

#include "tools/load/load.h"
#include "tools/load/pattern.h"

#define NOBUFS_PAUSE_NS	MN_MSEC

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

#define conn_error(conn, format, ...)					\
	do {								\
		if (!(conn)->failed)					\
			worker_error((conn)->worker, "connection %u: " format, (conn)->id, \
				     __VA_ARGS__);			\
		(conn)->failed = true;					\
	} while (0)

/*
 * With a rate, the time at which a request should go out, whether it can or
 * not: a server that stalls is charged for what it kept from being sent. The
 * connections take turns, so that the requests of all are evenly spread.
 */
static int64_t conn_due_ns(const struct conn *conn, uint64_t request)
{
	const struct load *load = conn->worker->load;
	uint64_t number = request * load->nr_conns + conn->id;
	uint64_t rate = (uint64_t)load->rate;

	return load->start_ns + (int64_t)(number / rate * MN_SEC + number % rate * MN_SEC / rate);
}

static void conn_stamp(struct conn *conn)
{
	int64_t ns = conn->worker->load->rate ? conn_due_ns(conn, conn->sent) : mn_now();

	conn->sent_ns[conn->sent++ & conn->mask] = ns;
}

/*
 * Room for output: the next bytes of the chunk that all connections cut
 * theirs from, so that small requests lie side by side in the cache.
 */
static int output_cut(struct worker *worker, size_t len, struct mn_buf *out)
{
	int err;

	while (worker->spare.len < len && worker->spare.len < worker->chunk_size) {
		mn_buf_free(&worker->spare);
		if (!mn_buf_alloc(&worker->spare)) {
			worker->chunk_size = worker->spare.len;
			break;
		}
		/* All buffers are waiting to be sent: some will be. */
		err = mn_sleep(NOBUFS_PAUSE_NS);
		if (err)
			return err;
	}
	mn_buf_split(&worker->spare, least(len, worker->spare.len), out);
	return 0;
}

/* Write the next @n requests. Suspends in the fiber that only sends, else hardly ever. */
static int conn_send(struct conn *conn, uint64_t n)
{
	struct worker *worker = conn->worker;
	size_t size = worker->load->size, left = n * size, offset = 0, queued = 0;
	struct mn_buf out;
	int err = 0;

	while (left && !err) {
		err = output_cut(worker, left, &out);
		if (err)
			break;
		for (size_t done = 0, part; done < out.len; done += part) {
			if (!offset)
				conn_stamp(conn);
			part = least(size - offset, out.len - done);
			pattern_fill(pattern_seed(conn->key, conn->sent - 1), offset,
				     out.data + done, part);
			offset = offset + part == size ? 0 : offset + part;
		}
		left -= out.len;
		queued += out.len;
		err = mn_stream_write(conn->stream, &out);
		if (!err && conn->paced && queued >= worker->queue_max) {
			err = mn_stream_flush(conn->stream);
			queued = 0;
		}
	}
	return err;
}

/* How many requests may be sent now: those that fit, and are due. */
static uint64_t conn_allowed(const struct conn *conn)
{
	const struct load *load = conn->worker->load;
	uint64_t room = load->pipeline - (conn->sent - conn->answered), n;
	int64_t now_ns;

	if (!load->rate)
		return room;
	now_ns = mn_now();
	for (n = 0; n < room && conn_due_ns(conn, conn->sent + n) <= now_ns; n++)
		;
	return n;
}

static int conn_wait_room(struct conn *conn)
{
	int64_t res;

	mn_future_init(&conn->room);
	conn->waiting = true;
	res = mn_await(&conn->room);
	conn->waiting = false;
	mn_future_drop(&conn->room);
	return (int)res;
}

static int conn_wait_send(struct conn *conn)
{
	const struct load *load = conn->worker->load;
	int64_t due_ns;

	if (conn->sent - conn->answered == load->pipeline)
		return conn_wait_room(conn);
	due_ns = conn_due_ns(conn, conn->sent);
	return mn_sleep((due_ns < load->end_ns ? due_ns : load->end_ns) - mn_now());
}

/* The fiber that only sends. */
static int conn_sender(void *arg)
{
	struct conn *conn = arg;
	uint64_t n;
	int err = 0;

	while (!err && conn->worker->sending && mn_now() < conn->worker->load->end_ns) {
		n = conn_allowed(conn);
		err = n ? conn_send(conn, n) : conn_wait_send(conn);
	}
	/* Who reads would otherwise wait for answers to what was not sent. */
	if (err && err != -ECANCELED) {
		conn->send_err = err;
		mn_stream_abort(conn->stream);
	}
	return 0;
}

static bool conn_mismatch(struct conn *conn, const uint8_t *data)
{
	uint64_t seed = pattern_seed(conn->key, conn->answered);
	size_t offset = conn->offset;

	for (; *data == pattern_byte(seed, offset); offset++)
		data++;
	conn_error(conn, "request %llu: byte %zu is 0x%02x, should be 0x%02x",
		   (unsigned long long)conn->answered, offset, *data, pattern_byte(seed, offset));
	return false;
}

/* Verify what has come, and record the requests that it completes. */
static bool conn_input(struct conn *conn, const struct mn_buf *in)
{
	struct worker *worker = conn->worker;
	size_t size = worker->load->size, len = in->len, part;
	const uint8_t *data = in->data;
	int64_t now_ns = mn_now();
	uint64_t before = conn->answered;

	for (; len; data += part, len -= part) {
		part = least(size - conn->offset, len);
		if (conn_idle(conn)) {
			conn_error(conn, "%zu bytes too many after %llu requests", len,
				   (unsigned long long)conn->answered);
			return false;
		}
		if (!pattern_check(pattern_seed(conn->key, conn->answered), conn->offset, data,
				   part))
			return conn_mismatch(conn, data);
		conn->offset += part;
		if (conn->offset < size)
			break;
		conn->offset = 0;
		hist_record(&worker->hist, now_ns - conn->sent_ns[conn->answered++ & conn->mask]);
	}
	worker->bytes += in->len;
	worker->last_ns = now_ns;
	/* One writer, so that no read-modify-write is needed. */
	atomic_store_explicit(&worker->nr_answered,
			      atomic_load_explicit(&worker->nr_answered, memory_order_relaxed) +
				      conn->answered - before,
			      memory_order_relaxed);
	return true;
}

/* Everything that is there, then the answer to it. Returns what ended it, <= 0; else > 0. */
static int64_t conn_turn(struct conn *conn)
{
	struct mn_buf in;
	int64_t res = mn_stream_read(conn->stream, &in);
	bool right;
	int err;

	while (res > 0) {
		right = conn_input(conn, &in);
		mn_buf_free(&in);
		if (!right)
			return -EBADMSG;
		res = mn_stream_try_read(conn->stream, &in);
	}
	if (res != -EAGAIN)
		return res;
	if (conn->waiting && !mn_future_ready(&conn->room))
		mn_future_resolve(&conn->room, 0);
	if (conn->paced || !conn->worker->sending)
		return 1;
	err = conn_send(conn, conn_allowed(conn));
	return err ? err : 1;
}

static void conn_explain(struct conn *conn, int64_t res)
{
	unsigned long long missing = conn->sent - conn->answered;

	/* The kernel reports a reset once: if to who sends, who reads sees an end. */
	if (conn->send_err)
		conn_error(conn, "write: %s", strerror(-conn->send_err));
	else if (res == -ECANCELED)
		conn_error(conn, "not answered in time: %llu requests", missing);
	else if (res == 0)
		conn_error(conn, "closed by the other side; unanswered: %llu requests", missing);
	else
		conn_error(conn, "%s", strerror((int)-res));
}

static bool conn_finished(const struct conn *conn)
{
	return !conn->worker->sending && conn_idle(conn);
}

int conn_run(void *arg)
{
	struct conn *conn = arg;
	struct worker *worker = conn->worker;
	struct mn_stream *stream = conn->stream;
	int64_t res;

	mn_fiber_name("connection");
	if (conn->paced)
		res = mn_spawn(conn_sender, conn, &conn->sender);
	else
		res = conn_send(conn, conn_allowed(conn));
	if (!res)
		do {
			res = conn_turn(conn);
		} while (res > 0 && !conn_finished(conn));
	if (conn->sender) {
		mn_fiber_cancel(conn->sender);
		mn_join(conn->sender);
	}
	if (res <= 0 && !conn_finished(conn))
		conn_explain(conn, res);
	conn->stream = NULL;
	mn_stream_abort(stream);
	mn_stream_close(stream);
	if (--worker->nr_live == 0 && !mn_future_ready(&worker->over))
		mn_future_resolve(&worker->over, 0);
	return 0;
}
