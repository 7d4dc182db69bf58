// SPDX-License-Identifier: MIT
/* Serving, as the caller sees it: all shards together, or none. */
#include <errno.h>
#include <string.h>

#include <miniss/log.h>
#include <miniss/param.h>
#include <miniss/run.h>

#include "core/boot.h"
#include "lib/mem/mem.h"
#include "lib/mem/static.h"
#include "lib/net/server.h"
#include "smp/call.h"

MN_PARAM(uint, conns_max, 100000, 1, 10000000, "connections that a shard serves at once");
MN_PARAM(str, accept, "reuseport", 1, 16,
	 "who gets a new connection: reuseport (the kernel chooses) or least (who has fewest)");
MN_PARAM(uint, backlog, 4096, 1, 65535, "connections that may wait to be accepted, per shard");
MN_PARAM(uint, idle_timeout_ms, 0, 0, 86400000,
	 "close a connection that is silent for so long; 0: never");
MN_PARAM(uint, drain_timeout_ms, 5000, 0, 3600000,
	 "at the stop, time for connections to end by themselves");

int conns_reserve(struct shard *shard)
{
	slab_init(&shard->conns, sizeof(struct conn));
	return slab_reserve(&shard->conns, param_conns_max);
}

static int accept_parse(enum mn_accept *accept)
{
	if (!strcmp(param_accept, "reuseport")) {
		*accept = MN_ACCEPT_REUSEPORT;
	} else if (!strcmp(param_accept, "least")) {
		*accept = MN_ACCEPT_LEAST;
	} else {
		mn_err("%s: must be reuseport or least", param_origin_accept);
		return -EINVAL;
	}
	return 0;
}

static int conf_defaults(struct mn_server *conf)
{
	if (!conf->conns_max)
		conf->conns_max = param_conns_max;
	if (!conf->backlog)
		conf->backlog = param_backlog;
	if (!conf->idle_timeout_ns)
		conf->idle_timeout_ns = param_idle_timeout_ms ? param_idle_timeout_ms * MN_MSEC :
								MN_NEVER;
	if (!conf->drain_timeout_ns)
		conf->drain_timeout_ns = param_drain_timeout_ms * MN_MSEC;
	return conf->accept ? 0 : accept_parse(&conf->accept);
}

/* It returns 0 where it ran; where there was no memory for a fiber it has to, later. */
static int serve_stop(struct serve *serve)
{
	while (shard_call_all(server_quiet, serve))
		mn_yield();
	return shard_call_all(server_drain, serve);
}

/* Bind everywhere before anybody listens, so that a failure leaves nothing. */
static int serve_start(struct serve *serve)
{
	const char *what = "bind";
	int err = 0;

	for (unsigned int i = 0; !err && i < mn_shards(); i++)
		err = shard_call(i, server_bind, serve);
	if (!err) {
		what = "listen";
		err = shard_call_all(server_listen, serve);
		if (err) {	/* on some shards, others may have connections already */
			serve->conf.drain_timeout_ns = 0;
			serve_stop(serve);
		}
	}
	if (err)
		mn_err("cannot %s %s: %s", what, serve->conf.addr, strerror(-err));
	return err;
}

static int serve_until_stop(struct serve *serve)
{
	char text[MN_ADDR_TEXT_MAX];
	int err = serve_start(serve);

	if (err)
		return err;
	/* Who reads that we listen may stop us at once. */
	stop_listen(mn_self->world);
	mn_addr_format(&serve->addr, text, sizeof(text));
	mn_info("listening on %s, %u shards, %s", text, mn_shards(),
		mn_self->world->backend.driver->name);
	if (serve->conf.on_listening)
		serve->conf.on_listening(text, serve->conf.arg);
	mn_stop_wait();
	return serve_stop(serve);
}

static void parts_close(struct serve *serve)
{
	mem_free(serve->load);
	mem_free(serve->part);
}

static int parts_open(struct serve *serve)
{
	bool least = (serve->conf.accept == MN_ACCEPT_LEAST || serve_unix(serve)) &&
		     mn_shards() > 1;

	serve->part = mem_alloc(mn_shards() * sizeof(*serve->part));
	serve->load = least ? mem_alloc(mn_shards() * sizeof(*serve->load)) : NULL;
	if (serve->part && (serve->load || !least))
		return 0;
	parts_close(serve);
	return -ENOMEM;
}

int mn_serve_with(const struct mn_server *conf)
{
	struct serve serve = { .conf = *conf };
	int err;

	if (mn_self->id)
		return -EXDEV;
	if (!conf->on_conn == !conf->on_input || conf->unix_mode > 0777)
		return -EINVAL;
	err = mn_addr_parse(conf->addr, &serve.addr);
	if (err == -ENAMETOOLONG)
		mn_err("%s: the path of a socket may have 107 bytes", conf->addr);
	else if (err)
		mn_err("%s: not an address: it should be like 127.0.0.1:7777, [::1]:7777 or unix:/path",
		       conf->addr);
	if (!err)
		err = conf_defaults(&serve.conf);
	if (!err)
		err = parts_open(&serve);
	if (err)
		return err;
	err = serve_until_stop(&serve);
	if (err != -ETIMEDOUT) {	/* handlers that hang still use it */
		shard_call_all(server_close, &serve);
		parts_close(&serve);
	}
	return err;
}

int mn_serve(const char *addr, mn_conn_fn on_conn, void *arg)
{
	return mn_serve_with(&(struct mn_server){ .addr = addr, .on_conn = on_conn, .arg = arg });
}

int mn_serve_input(const char *addr, mn_input_fn on_input, void *arg)
{
	return mn_serve_with(&(struct mn_server){ .addr = addr, .on_input = on_input, .arg = arg });
}
