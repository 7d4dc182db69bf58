// SPDX-License-Identifier: MIT
/*
 * mn-echo: sends back what it receives, on every CPU.
 *
 *	mn-echo [--listen=ADDR:PORT|unix:PATH] [--mode=fiber|input] [--migrate-every=N]
 *		[runtime options]
 *
 * The two modes are the two ways to serve: a fiber for each connection, or
 * one that is borrowed while input is pending. With --migrate-every each
 * connection goes round all shards, a step after N reads. Prints the address that it
 * listens on, and with --stats its counters at the end. Exit codes: 0, 1 could
 * not serve, 2 usage.
 */
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

MN_APP_PARAM(str, listen, "127.0.0.1:7777", 1, 127,
	     "address and port (0: any free one), or unix:/path");
MN_APP_PARAM(str, mode, "fiber", 1, 8, "fiber: one for each connection; input: borrowed");
MN_APP_PARAM(uint, migrate_every, 0, 0, 1000000,
	     "reads after which a connection moves to the next shard; 0: never");
MN_APP_PARAM(bool, stats, false, 0, 0, "print drivers and counters at the end");

/*
 * After so many reads, move. It then begins anew on the next shard, where the
 * number of reads, which is all that the application knows of it, starts at 0;
 * a move that fails (the server may be stopping) is tried again in its time.
 */
static bool moved(struct mn_stream *conn)
{
	uintptr_t nr_reads = (uintptr_t)mn_stream_user(conn) + 1;

	if (!param_migrate_every)
		return false;
	nr_reads %= param_migrate_every;
	mn_stream_set_user(conn, (void *)nr_reads);
	return !nr_reads && !mn_stream_migrate(conn, (mn_shard() + 1) % mn_shards(), NULL, NULL);
}

static int echo(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t err;

	while ((err = mn_stream_read(conn, &in)) > 0)
		if ((err = mn_stream_write(conn, &in)) < 0 || moved(conn))
			break;
	return (int)err;
}

static int echo_input(struct mn_stream *conn, struct mn_buf *in, void *arg)
{
	bool end = !in->len;	/* the next shard would be told of it again */
	int err = mn_stream_write(conn, in);

	if (!err && !end)
		moved(conn);
	return err;
}

static void listening(const char *addr, void *arg)
{
	printf("listening on %s\n", addr);
	fflush(stdout);
}

static int app(void *arg)
{
	struct mn_server server = { .addr = param_listen, .on_listening = listening };
	int err = mn_args_end(arg, 0);

	if (err)
		return err;
	if (!strcmp(param_mode, "fiber"))
		server.on_conn = echo;
	else if (!strcmp(param_mode, "input"))
		server.on_input = echo_input;
	else
		return fprintf(stderr, "mn-echo: --mode=%s: neither fiber nor input\n", param_mode),
		       MN_EXIT_USAGE;
	err = mn_serve_with(&server);
	if (param_stats && !err)
		mn_print_stats();
	return err == -EINVAL ? MN_EXIT_USAGE : err;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
