// SPDX-License-Identifier: MIT
/*
 * mn-timeout: a client that gets its answers from a server that is not always
 * in the mood, and is in the same program.
 *
 *	mn-timeout [--requests=N] [--deadline_ms=N] [--try_ms=N] [--hedge_ms=N]
 *		[runtime options]
 *
 * A request has a deadline. Until then it is tried again and again, each time
 * after a longer pause. A try that has no answer after a while is hedged: the
 * same is asked once more, and the first answer cancels the other. Each of
 * these is a scope. Exit codes: 0, 1 failed, 2 usage.
 */
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

MN_APP_PARAM(uint, requests, 100, 1, 1000000, "requests, ten at a time");
MN_APP_PARAM(uint, deadline_ms, 1000, 1, 1000000, "time for a request with all of its tries");
MN_APP_PARAM(uint, try_ms, 100, 1, 1000000, "time for a try");
MN_APP_PARAM(uint, hedge_ms, 20, 1, 1000000, "time after which a try is hedged");

#define CLIENTS	10

static struct mn_future up;	/* all of this is shard 0's */
static char server_addr[64];
static unsigned int nr_left, nr_answered, nr_late, nr_asked, nr_hedged;

/* What is asked: how much the square of @n is, for the how-many-th time. */
struct question {
	uint64_t n, nr;
};

static int read_all(struct mn_stream *stream, void *data, size_t len)
{
	struct mn_buf in;
	int64_t res;

	for (; len; len -= (size_t)res, data = (char *)data + res) {
		res = mn_stream_read(stream, &in);
		if (res <= 0)
			return res ? (int)res : -ECONNRESET;
		if (in.len <= len)
			memcpy(data, in.data, in.len);
		mn_buf_free(&in);
		if ((size_t)res > len)
			return -EPROTO;
	}
	return 0;
}

static int answer(struct mn_stream *conn, void *arg)
{
	struct question q;
	uint64_t mood;
	int err = read_all(conn, &q, sizeof(q));

	if (err)
		return err;
	mood = (q.n << 32 | q.nr) * 0x9e3779b97f4a7c15u;
	switch ((mood ^ mood >> 32) * 0x9e3779b97f4a7c15u >> 61) {
	case 0:
		return -ECONNRESET;			/* hangs up */
	case 1:
		return read_all(conn, &q, 1);		/* says nothing */
	case 2:
	case 3:
		err = mn_sleep(50 * MN_MSEC);		/* thinks for long */
	}
	q.n *= q.n;
	return err ? err : mn_stream_write_copy(conn, &q.n, sizeof(q.n));
}

static void listening(const char *addr, void *arg)
{
	snprintf(server_addr, sizeof(server_addr), "%s", addr);
	mn_future_resolve(&up, 0);
}

static int serve(void *arg)
{
	return mn_serve_with(&(struct mn_server){
		.addr = "127.0.0.1:0", .on_conn = answer, .on_listening = listening });
}

struct request {
	struct mn_scope race;	/* a try and its hedge */
	struct question q;
	uint64_t answer;	/* 0: none */
};

static int ask(void *arg)
{
	struct request *request = arg;
	struct mn_stream *stream;
	uint64_t n;
	int err = mn_connect(server_addr, MN_NEVER, &stream);

	if (err)
		return err;
	nr_asked++;
	request->q.nr++;
	err = mn_stream_write_copy(stream, &request->q, sizeof(request->q));
	if (!err)
		err = read_all(stream, &n, sizeof(n));
	mn_stream_close(stream);
	if (!err) {
		request->answer = n;
		mn_scope_cancel(&request->race);
	}
	return err;
}

static int hedge(void *request)
{
	int err = mn_sleep(param_hedge_ms * MN_MSEC);

	nr_hedged += !err;
	return err ? err : ask(request);
}

static void try_once(struct request *request)
{
	mn_scope_open(&request->race,
		      &(struct mn_scope_options){ .timeout_ns = param_try_ms * MN_MSEC,
						  .keep_going = true });
	if (!mn_scope_spawn(&request->race, ask, request))
		mn_scope_spawn(&request->race, hedge, request);
	mn_scope_join(&request->race);	/* how many failed, and why, does not matter */
}

static int client(void *arg)
{
	const struct mn_scope_options in_time = { .timeout_ns = param_deadline_ms * MN_MSEC };

	while (nr_left) {
		struct request request = { .q.n = nr_left-- };
		struct mn_scope scope;

		mn_scope_open(&scope, &in_time);
		try_once(&request);
		for (int64_t pause_ns = MN_MSEC; !request.answer && !mn_sleep(pause_ns);
		     pause_ns *= 2)
			try_once(&request);
		mn_scope_join(&scope);
		if (request.answer && request.answer != request.q.n * request.q.n)
			return -EPROTO;
		nr_answered += request.answer != 0;
		nr_late += !request.answer;
	}
	return 0;
}

static int clients(void)
{
	struct mn_scope scope;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < CLIENTS; i++)
		mn_scope_spawn(&scope, client, NULL);
	return mn_scope_join(&scope);
}

/* A server that fails ends the clients; when those are done the server is cancelled. */
static int app(void *arg)
{
	int err = mn_args_end(arg, 0), ret;
	struct mn_scope scope;

	if (err)
		return err;
	nr_left = param_requests;
	mn_future_init(&up);
	mn_scope_open(&scope, NULL);
	err = mn_scope_spawn(&scope, serve, NULL);
	if (!err)
		err = (int)mn_await(&up);
	if (!err)
		err = clients();
	mn_scope_cancel(&scope);
	ret = mn_scope_join(&scope);
	printf("%u answered, %u late; asked %u times, %u of them to hedge\n", nr_answered, nr_late,
	       nr_asked, nr_hedged);
	return ret ? ret : err;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
