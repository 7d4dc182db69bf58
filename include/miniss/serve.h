/* SPDX-License-Identifier: MIT */
/* Servers: accept on every shard, run a handler for each connection. */
#ifndef MINISS_SERVE_H
#define MINISS_SERVE_H

#include <miniss/socket.h>
#include <miniss/stream.h>

/**
 * typedef mn_input_fn - what a connection does with input that has arrived
 * @in: the first slice, owned by the function
 *
 * Runs in a borrowed fiber, never twice at a time for one connection; may
 * suspend, and may read on with mn_stream_read(). Returns 0 to wait for more
 * input without a fiber, or an error to close. Called with an empty @in at
 * the end of input; then the return value closes.
 */
typedef int (*mn_input_fn)(struct mn_stream *conn, struct mn_buf *in, void *arg);

/**
 * enum mn_accept - which shard gets a new connection
 * @MN_ACCEPT_DEFAULT: what --net.accept says
 * @MN_ACCEPT_REUSEPORT: the one that the kernel chose, by a hash of the
 *	addresses: no cost, and even where connections are very many
 * @MN_ACCEPT_LEAST: the one that has fewest. The kernel's choice accepts it
 *	and hands it over: one message to each side, for each that moves
 */
enum mn_accept { MN_ACCEPT_DEFAULT, MN_ACCEPT_REUSEPORT, MN_ACCEPT_LEAST };

/**
 * struct mn_server - how to serve; zero means the default
 * @addr: "ADDRESS:PORT"; port 0 lets the kernel choose one for all shards.
 *	Or "unix:/path", "unix:@name" (miniss/addr.h): shard 0 listens, and hands
 *	each connection to the shard that has fewest. A file that a dead server
 *	left is replaced, one that is served is not; at the end it is removed
 * @on_conn: one of these two
 * @on_input: one of these two
 * @arg: handed to every call; shared by all shards, so keep it read-only
 * @accept: which shard gets a new connection. Default: --net.accept
 * @conns_max: connections a shard serves at once; further ones wait in the
 *	kernel's backlog. With MN_ACCEPT_LEAST a shard goes on accepting while
 *	any has room. Default: --net.conns_max
 * @idle_timeout_ns: a connection that received nothing for so long ends with
 *	-ETIMEDOUT. Default: --net.idle_timeout_ms; MN_NEVER: none
 * @drain_timeout_ns: at the stop, how long connections may go on before they
 *	are cancelled. Default: --net.drain_timeout_ms
 * @backlog: of each listening socket. Default: --net.backlog
 * @unix_mode: permissions of a Unix socket's file, as 0660; who may write to
 *	it may connect. Default: what the umask leaves of 0777
 * @opt: options of the listeners, which their connections inherit; or NULL.
 *	Must live as long as the server
 * @on_listening: called on shard 0 when every shard accepts, with the
 *	address and port as text
 */
struct mn_server {
	const char *addr;
	mn_conn_fn on_conn;
	mn_input_fn on_input;
	void *arg;
	enum mn_accept accept;
	unsigned int conns_max;
	unsigned int backlog;
	unsigned int unix_mode;
	const struct mn_sockopt *opt;
	int64_t idle_timeout_ns;
	int64_t drain_timeout_ns;
	void (*on_listening)(const char *addr, void *arg);
};

/**
 * mn_serve_with - serve until the program is asked to stop
 *
 * From a fiber of shard 0; suspends. Every shard listens (SO_REUSEPORT) and accepts, or
 * of a Unix socket shard 0.
 * On SIGTERM, SIGINT, mn_stop() or cancellation: what is queued is accepted,
 * the listeners close, connections drain up to the limit, are then
 * cancelled, and the call returns. A second signal ends the process at once.
 *
 * Return: 0 after a stop; -EXDEV on another shard; -EINVAL for a bad address or --net.accept, -ENAMETOOLONG for a path that
 * is too long; -EADDRINUSE, -EACCES, ...: then nothing listens on any shard, and a message was logged.
 */
MN_API int mn_serve_with(const struct mn_server *server);

/** mn_serve - mn_serve_with() for a handler per connection and defaults */
MN_API int mn_serve(const char *addr, mn_conn_fn on_conn, void *arg);

/** mn_serve_input - the same without a fiber while a connection is idle */
MN_API int mn_serve_input(const char *addr, mn_input_fn on_input, void *arg);

#endif
