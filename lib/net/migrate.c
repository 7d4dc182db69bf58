// SPDX-License-Identifier: MIT
/*
 * A connection moves to another shard.
 *
 * First it becomes quiet: its receive and its send are cancelled, and have
 * ended, when nobody holds anything of it. What had arrived by then is
 * queued, and what went out of a send is known, so that the other shard can
 * go on with the next byte. Nothing of that depends on the peer.
 *
 * Then the other shard is called. It makes its own stream, batches and
 * fiber, and only when it has all of them takes over what this one has: the
 * descriptor, the queues, the state. The buffers stay those of the shard
 * that they are of, and go home when they are freed. This stream's memory
 * stays here; until the answer only the other shard looks at it.
 */
#include <errno.h>

#include <miniss/run.h>
#include <miniss/smp.h>

#include "lib/mem/mem.h"
#include "lib/net/idle.h"
#include "lib/net/server.h"

static struct conn *conn_of(struct mn_stream *stream)
{
	return container_of(stream, struct conn, stream);
}

/* ---- on the other shard ---- */

struct alone {
	struct mn_stream *stream;
	mn_conn_fn fn;
	void *arg;
};

static int alone_fiber(void *arg)
{
	const struct alone *alone = arg;
	int err = alone->fn(alone->stream, alone->arg);

	if (err < 0)
		stream_abort(alone->stream, err);
	mn_stream_close(alone->stream);
	return 0;
}

/* One that is not a server's. */
static int alone_adopt(const struct move *move)
{
	struct alone alone = { .fn = move->fn, .arg = move->arg };
	int err;

	if (mn_self->ending)
		return -ESHUTDOWN;
	alone.stream = mem_alloc(sizeof(*alone.stream));
	if (!alone.stream)
		return -ENOMEM;
	stream_init(alone.stream, move->from->fd);
	err = out_reserve(alone.stream, move->from);
	if (!err)
		err = idle_take(alone.stream, move->from);
	if (!err)
		err = fiber_spawn(mn_self, alone_fiber, &alone, sizeof(alone), NULL);
	if (err) {
		idle_drop(alone.stream);
		out_drop(alone.stream);
		mem_free(alone.stream);
		return err;
	}
	stream_take(alone.stream, move->from);
	return 0;
}

static int adopt(void *arg)
{
	const struct move *move = arg;
	int err = move->serve ? conn_adopt(move) : alone_adopt(move);

	if (!err)
		stats_add(mn_self, STAT_MIGRATIONS, 1);
	return err;
}

/* ---- on this one ---- */

static int move_check(struct mn_stream *stream, unsigned int shard, mn_conn_fn fn)
{
	struct mn_task *input = stream->served ? &conn_of(stream)->input : NULL;

	if (shard >= mn_shards() || (!fn && !stream->served))
		return -EINVAL;
	if (stream->aborted)
		return stream->in_err;
	if (stream->moving || stream->held || stream->lent || stream->writer ||
	    (stream->reader && stream->reader != input))
		return -EBUSY;
	return mn_self->fiber->stop;
}

/* Who aborts meanwhile has to wait: the other shard looks at the stream. */
static int move_away(struct mn_stream *stream, unsigned int shard, struct move *move)
{
	int err;

	stream->away = true;
	err = mn_call(shard, adopt, move);
	stream->away = false;
	if (err && stream->away_err)
		stream_abort(stream, stream->away_err);
	return err;
}

int mn_stream_migrate(struct mn_stream *stream, unsigned int shard, mn_conn_fn fn, void *arg)
{
	struct move move = { .from = stream, .fn = fn, .arg = arg };
	int err = move_check(stream, shard, fn);

	if (err)
		return err;
	if (stream->served)
		move.serve = conn_of(stream)->server->serve;
	stream_quiet(stream);
	err = stream->aborted ? stream->in_err : move_away(stream, shard, &move);
	if (err)
		stream_resume(stream);
	else
		stream_moved(stream);
	return err;
}
