// SPDX-License-Identifier: MIT
/* Something of everything that suspends. */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/cancel.h"
#include "tests/site.h"
#include "tests/world.h"

#define SHORT_NS	(100 * MN_USEC)

static unsigned int last(void)
{
	return mn_shards() - 1;
}

static int nap(void *arg)
{
	return mn_sleep(SHORT_NS);
}

static int sleeps(void *arg)
{
	int err = mn_sleep(0);

	for (int i = 0; i < 3 && !err; i++)
		err = mn_sleep(SHORT_NS);
	mn_yield();
	return err;
}

/* --- futures --- */

struct later {
	struct mn_timer timer;
	struct mn_future future;
};

static void resolve(struct mn_task *task)
{
	mn_future_resolve(&container_of(mn_timer_of(task), struct later, timer)->future, 0);
}

static void later_start(struct later *later)
{
	mn_future_init(&later->future);
	mn_timer_init(&later->timer, resolve);
	mn_timer_arm(&later->timer, mn_now() + SHORT_NS, 0);
}

static int awaits(void *arg)
{
	struct later a, b;
	struct mn_future *both[] = { &a.future, &b.future };
	int err;

	later_start(&a);
	later_start(&b);
	err = (int)mn_await(&a.future);
	mn_timer_cancel(&a.timer);
	if (!err) {
		later_start(&a);
		err = mn_await_all(both, 2);
	}
	mn_timer_cancel(&a.timer);
	mn_timer_cancel(&b.timer);
	later_start(&a);
	later_start(&b);
	if (!err)
		err = mn_await_any(both, 2);
	if (err >= 0)
		err = (int)mn_await_timeout(both[0], MN_SEC);
	if (!err)
		err = (int)mn_await_timeout(both[1], MN_SEC);
	mn_timer_cancel(&a.timer);
	mn_timer_cancel(&b.timer);
	return err;
}

/* --- operations --- */

/* One that does not end by itself: what its limit returns is what is expected. */
static int signal_wait(struct mn_op *op)
{
	int64_t res;

	start_endless(op);
	res = mn_op_await(op, SHORT_NS);
	ck_assert(!mn_op_in_flight(op));
	return res == -ETIMEDOUT ? mn_self->fiber->stop : (int)res;
}

static int ops(void *arg)
{
	struct mn_op op;
	int err = signal_wait(&op);

	mn_nop_start(&op);
	if (!err)
		err = (int)mn_op_await(&op, MN_NEVER);
	else	/* nor may it be left */
		mn_op_await(&op, MN_NEVER);
	ck_assert(!mn_op_in_flight(&op));
	return err ? err : signal_wait(&op);
}

/* --- streams --- */

static struct site site;

static void site_setup(void)
{
	site = (struct site){ .conf.addr = NULL };
	ck_assert_int_eq(site_open(&site), 0);
}

static void site_teardown(void)
{
	ck_assert_int_eq(site_close(&site), 0);
}

#define EXCHANGE	100000	/* bytes, more than a stream sends at once */

static int write_all(void *arg)
{
	static const uint8_t bytes[EXCHANGE];

	return mn_stream_write_copy(arg, bytes, sizeof(bytes));
}

static int read_all(struct mn_stream *stream)
{
	int64_t left = EXCHANGE, res = 0;
	struct mn_buf in;

	while (left > 0 && (res = mn_stream_read(stream, &in)) > 0) {
		left -= res;
		mn_buf_free(&in);
	}
	return res < 0 ? (int)res : left ? -EIO : 0;
}

/* Written by a child, so that both sides can be full. */
static int exchange(struct mn_stream *stream)
{
	struct mn_scope scope;
	int err, written;

	mn_scope_open(&scope, NULL);
	err = mn_scope_spawn(&scope, write_all, stream);
	if (!err)
		err = read_all(stream);
	written = mn_scope_join(&scope);
	return err ? err : written;
}

static int streams(void *arg)
{
	struct mn_stream *stream;
	int err = mn_connect(site.addr, 10 * MN_SEC, &stream);

	if (err)
		return err;
	err = exchange(stream);
	if (!err)
		err = mn_stream_write_copy(stream, "x", 1);
	if (!err)
		err = mn_stream_flush(stream);
	if (!err)
		err = mn_stream_shutdown(stream);
	mn_stream_close(stream);
	return err;
}

static int goes_on(struct mn_stream *stream, void *arg)
{
	return exchange(stream);
}

static int moves(void *arg)
{
	struct mn_stream *stream;
	int err = mn_connect(site.addr, 10 * MN_SEC, &stream);

	if (err)
		return err;
	err = mn_stream_write_copy(stream, "x", 1);
	if (!err)
		err = mn_stream_migrate(stream, last(), goes_on, NULL);
	mn_stream_close(stream);
	return err;
}

/* --- other shards --- */

static int call_back(void *arg)
{
	int err = mn_call(0, nap, NULL);

	return err ? err : nap(NULL);
}

static int calls(void *arg)
{
	struct mn_call_options urgent = { .urgent = true, .timeout_ns = 3600 * MN_SEC };
	int err = mn_call(last(), nap, NULL);

	if (!err)
		err = mn_call_with(last(), call_back, NULL, &urgent);
	return err ? err : mn_call(last(), call_back, NULL);
}

static int map_nap(void *arg, int64_t *value)
{
	*value = 1;
	return mn_sleep(SHORT_NS);
}

static void add(void *sum, int64_t value)
{
	*(int64_t *)sum += value;
}

static int calls_to_all(void *arg)
{
	int64_t sum = 0;
	int err = mn_call_all(call_back, NULL);

	return err ? err : mn_map_reduce(map_nap, add, &sum);
}

static int call_nap(void *arg)
{
	return mn_call(last(), nap, NULL);
}

/* More than there are credits: some wait for one. */
static int crowd(void *arg)
{
	struct mn_scope scope;
	int err = 0, ret;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 300 && !err; i++)
		err = mn_scope_spawn(&scope, call_nap, NULL);
	mn_yield();
	if (!err)
		err = call_nap(NULL);
	if (!err)
		err = mn_call_all(nap, NULL);
	ret = mn_scope_join(&scope);
	return err ? err : ret;
}

static int start(void *self, void *arg)
{
	return mn_sleep(SHORT_NS);
}

static void stop(void *self)
{
	struct mn_scope scope;

	mn_scope_open(&scope, &(struct mn_scope_options){ .shield = true });
	ck_assert_int_eq(mn_sleep(SHORT_NS), 0);
	mn_scope_join(&scope);
}

static int serve(void *self, void *arg)
{
	return mn_sleep(SHORT_NS);
}

static int services(void *arg)
{
	static const struct mn_service service = { .size = 64, .start = start, .stop = stop };
	struct mn_sharded sharded;
	int err = mn_sharded_start(&sharded, &service, NULL);

	if (err)
		return err;
	err = mn_sharded_call(&sharded, last(), serve, NULL);
	if (!err)
		err = mn_sharded_call_all(&sharded, serve, NULL);
	mn_sharded_stop(&sharded);
	return err;
}

/* --- scopes --- */

static int fails(void *arg)
{
	int err = mn_sleep(SHORT_NS);

	return err ? err : -EPIPE;
}

static int for_long(void *arg)
{
	return mn_sleep(3600 * MN_SEC);
}

static int branch(void *left)
{
	struct mn_scope scope;
	int err = 0, ret;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 3 && !err && left; i++)
		err = mn_scope_spawn(&scope, branch, (void *)((intptr_t)left - 1));
	if (!err)
		err = mn_sleep(SHORT_NS);
	ret = mn_scope_join(&scope);
	return err ? err : ret;
}

/* A failure that ends the others, and a deadline that ends one: neither is this fiber's. */
static int scope_that(mn_fiber_fn fn, int64_t timeout_ns, int expected)
{
	struct mn_scope scope;
	int err, ret;

	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = timeout_ns });
	err = mn_scope_spawn(&scope, for_long, NULL);
	if (!err)
		err = mn_scope_spawn(&scope, fn, NULL);
	ret = mn_scope_join(&scope);
	if (mn_self->fiber->stop)
		return mn_self->fiber->stop;
	return err ? err : ret == expected ? 0 : -EIO;
}

static int scopes(void *arg)
{
	struct mn_scope shielded;
	int err = branch((void *)3);

	if (!err)
		err = scope_that(fails, 0, -EPIPE);
	if (!err)
		err = scope_that(nap, 5 * SHORT_NS, -ETIMEDOUT);
	mn_scope_open(&shielded,
		      &(struct mn_scope_options){ .shield = true, .timeout_ns = MN_SEC });
	ck_assert_int_eq(mn_sleep(SHORT_NS), 0);
	ck_assert_int_eq(mn_call(last(), nap, NULL), 0);
	ck_assert_int_eq(mn_scope_spawn(&shielded, branch, (void *)1), 0);
	ck_assert_int_eq(mn_scope_join(&shielded), 0);
	return err;
}

/* --- threads --- */

static int block(void *arg)
{
	usleep(100);
	return 0;
}

static int call_block(void *arg)
{
	return mn_blocking(block, NULL);
}

static int blocks(void *arg)
{
	struct mn_scope scope;
	int err = call_block(NULL), ret;

	mn_scope_open(&scope, NULL);
	for (int i = 0; i < 20 && !err; i++)
		err = mn_scope_spawn(&scope, call_block, NULL);
	mn_yield();
	if (!err)
		err = call_block(NULL);
	ret = mn_scope_join(&scope);
	return err ? err : ret;
}

/* --- datagrams --- */

#define AT_NAME	"unix:@mn-cancel"

/* Until the other side has no room, and back. */
static int packets_go(struct mn_dgram *from, struct mn_dgram *to)
{
	struct mn_packet packet;
	int err = 0;

	for (int i = 0; i < 3 && !err; i++) {
		err = mn_dgram_send_copy(from, NULL, "packet", 6);
		if (!err)
			err = min(mn_dgram_recv(to, &packet, 1), 0);
		if (!err)
			mn_packet_free(&packet);
	}
	return err;
}

static int packets_connected(struct mn_dgram *listener)
{
	struct mn_dgram *client, *server;
	int err = mn_dgram_open(&(struct mn_dgram_conf){ .connect = AT_NAME, .seqpacket = true },
				&client);

	if (err)
		return err;
	err = mn_dgram_accept(listener, &server);
	if (!err) {
		err = packets_go(client, server);
		mn_dgram_close(server);
	}
	mn_dgram_close(client);
	return err;
}

static int datagrams(void *arg)
{
	struct mn_dgram *d;
	int err;

	if (mn_self->virtual_time)
		return mn_sleep(SHORT_NS);
	ck_assert_int_eq(
		mn_dgram_open(&(struct mn_dgram_conf){ .bind = AT_NAME, .seqpacket = true }, &d),
			 0);
	err = packets_connected(d);
	mn_dgram_close(d);
	return err;
}

const struct scenario scenarios[NR_SCENARIOS] = {
	{ "sleeps", sleeps, NULL, NULL },
	{ "awaits", awaits, NULL, NULL },
	{ "ops", ops, NULL, NULL },
	{ "streams", streams, site_setup, site_teardown },
	{ "moves", moves, site_setup, site_teardown },
	{ "calls", calls, NULL, NULL },
	{ "calls to all", calls_to_all, NULL, NULL },
	{ "crowd", crowd, NULL, NULL },
	{ "services", services, NULL, NULL },
	{ "scopes", scopes, NULL, NULL },
	{ "blocks", blocks, NULL, NULL },
	{ "datagrams", datagrams, NULL, NULL },
	{ "locks", scenario_locks, NULL, NULL },
	{ "lines", scenario_lines, NULL, NULL },
	{ "far", scenario_far, scenario_far_setup, scenario_far_teardown },
	{ "signals", scenario_signals, NULL, NULL },
	{ "processes", scenario_processes, NULL, NULL },
	{ "combinators", scenario_combinators, NULL, NULL },
	{ "parts", scenario_parts, NULL, NULL },
	{ "groups", scenario_groups, NULL, NULL },
};
