// SPDX-License-Identifier: MIT
/*
 * Connections that move from shard to shard: no byte is lost, none comes
 * twice, whatever state they are in and whatever the peer does meanwhile.
 * Every case on every backend with 1, 2 and 8 shards; no descriptor and no
 * buffer may be left.
 */
#include <stdatomic.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/net/socket.h"
#include "lib/net/stream.h"
#include "tests/migrate.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/world.h"

unsigned int after(unsigned int shard)
{
	return (shard + 1) % mn_shards();
}

/* --- round all shards, again and again --- */

static atomic_uint nr_moves;

static bool step(struct mn_stream *conn)
{
	if (mn_stream_migrate(conn, after(mn_shard()), NULL, NULL))
		return false;
	atomic_fetch_add(&nr_moves, 1);
	return true;
}

/* A move after each read. */
int roaming(struct mn_stream *conn, void *arg)
{
	struct mn_buf in;
	int64_t err;

	while ((err = mn_stream_read(conn, &in)) > 0)
		if ((err = mn_stream_write(conn, &in)) < 0 || step(conn))
			break;
	return (int)err;
}

int roaming_input(struct mn_stream *conn, struct mn_buf *in, void *arg)
{
	bool end = !in->len;	/* the next one would be told of it again */
	int err = mn_stream_write(conn, in);

	if (!err && !end)
		step(conn);
	return err;
}

static int flood(void *arg)
{
	send_pattern(arg, 0, 1 << 20);
	return mn_stream_shutdown(arg);
}

/* One direction fills while the other does, and each is checked to the last byte. */
int roamer(void *arg)
{
	struct mn_stream *stream = site_connect(arg);
	struct mn_fiber *writer;

	ck_assert_int_eq(mn_spawn(flood, stream, &writer), 0);
	expect_pattern(stream, 0, 1 << 20);
	expect_end(stream);
	ck_assert_int_eq(mn_join(writer), 0);
	return mn_stream_close(stream);
}

static void roam(struct site *site)
{
	enum { N = 8 };
	struct mn_fiber *fiber[N];

	atomic_store(&nr_moves, 0);
	ck_assert_int_eq(site_open(site), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(roamer, site, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(site_close(site), 0);
	ck_assert_uint_gt(atomic_load(&nr_moves), N);
}

static int roam_fiber(void *arg)
{
	roam(&(struct site){ .conf.on_conn = roaming });
	return 0;
}

static int roam_input_fiber(void *arg)
{
	roam(&(struct site){ .conf = { .on_input = roaming_input, .accept = MN_ACCEPT_LEAST } });
	return 0;
}

START_TEST(every_byte_arrives_in_order_at_each_shard_in_turn)
{
	sharded_run_backend(_i, roam_fiber);
	sharded_run_backend(_i, roam_input_fiber);
}
END_TEST

/* --- what is queued, and what has ended --- */

#define MUCH	200000	/* less than a stream queues for sending, more than it receives */

static struct {
	uint64_t written;	/* by the first shard */
	char peer[64];
	atomic_bool moved, done;
} stuck;

static void ck_same(struct mn_stream *conn)
{
	char peer[64];

	ck_assert_int_eq(mn_stream_peer(conn, peer, sizeof(peer)), 0);
	ck_assert_str_eq(peer, stuck.peer);
	ck_assert_ptr_eq(mn_stream_user(conn), &stuck);
}

/* On the third: both sides have ended. */
static int stuck_third(struct mn_stream *conn, void *arg)
{
	ck_assert_ptr_eq(mn_stream_user(conn), &stuck);
	ck_assert_int_eq(mn_stream_write_copy(conn, "x", 1), -EPIPE);
	expect_end(conn);
	atomic_store(&stuck.done, true);
	return 0;
}

/* On the second: with input that was not read, and output that was not sent. */
static int stuck_second(struct mn_stream *conn, void *arg)
{
	ck_assert_ptr_eq(arg, &stuck);
	/* A kernel that was busy may have taken the rest meanwhile; mem's network does not. */
	if (world_is(mn_self->world, "mem"))
		ck_assert_uint_gt(conn->out_bytes, 0);
	ck_assert_uint_gt(conn->in_bytes, 0);
	ck_same(conn);
	atomic_store(&stuck.moved, true);
	expect_pattern(conn, 0, MUCH);
	send_pattern(conn, stuck.written, MUCH);
	ck_assert_int_eq(mn_stream_shutdown(conn), 0);
	expect_end(conn);
	ck_assert_int_eq(mn_stream_migrate(conn, after(mn_shard()), stuck_third, NULL), 0);
	return 0;
}

static int stuck_first(struct mn_stream *conn, void *arg)
{
	ck_assert_int_eq(mn_stream_peer(conn, stuck.peer, sizeof(stuck.peer)), 0);
	mn_stream_set_user(conn, &stuck);
	ck_assert_int_eq(socket_set(conn->fd, SOL_SOCKET, SO_SNDBUF, 65536), 0);
	/* Until the peer, who does not read, is in the way. */
	for (int calm = 0; calm < 3; calm++) {
		for (; conn->out_bytes < 100000; calm = 0) {
			send_pattern(conn, stuck.written, 50000);
			stuck.written += 50000;
		}
		mn_sleep(2 * MN_MSEC);
	}
	while (!conn->in_paused && !conn->in_ended)
		mn_sleep(MN_MSEC);
	ck_assert_int_eq(mn_stream_migrate(conn, after(mn_shard()), stuck_second, &stuck), 0);
	return 0;
}

static int stuck_fiber(void *arg)
{
	struct site site = { .conf.on_conn = stuck_first };
	struct mn_stream *stream;

	stuck.written = 0;
	atomic_store(&stuck.moved, false);
	atomic_store(&stuck.done, false);
	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	send_pattern(stream, 0, MUCH);
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	while (!atomic_load(&stuck.moved))
		mn_sleep(MN_MSEC);
	expect_pattern(stream, 0, stuck.written + MUCH);
	expect_end(stream);
	while (!atomic_load(&stuck.done))
		mn_sleep(MN_MSEC);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(what_is_queued_and_what_has_ended_goes_along)
{
	sharded_run_backend(_i, stuck_fiber);
}
END_TEST

/* --- what does not move --- */

static int read_one(void *arg)
{
	struct mn_buf in;

	return (int)mn_stream_read(arg, &in);
}

static void ck_gone(struct mn_stream *stream)
{
	struct mn_buf buf = mn_buf_static("x", 1);
	char peer[64];

	ck_assert_int_eq(mn_stream_read(stream, &buf), -ENOTCONN);
	ck_assert_int_eq(mn_stream_try_read(stream, &buf), -ENOTCONN);
	ck_assert_int_eq(mn_stream_write(stream, &buf), -ENOTCONN);
	ck_assert_int_eq(mn_stream_flush(stream), -ENOTCONN);
	ck_assert_int_eq(mn_stream_shutdown(stream), -ENOTCONN);
	ck_assert_int_eq(mn_stream_peer(stream, peer, sizeof(peer)), -ENOTCONN);
	ck_assert_int_eq(mn_stream_migrate(stream, 0, roaming, NULL), -ENOTCONN);
	mn_stream_abort(stream);
}

/* Aborted: it does not move, either. */
static int refused_last(struct mn_stream *conn, void *arg)
{
	mn_stream_abort(conn);
	ck_assert_int_eq(mn_stream_migrate(conn, 0, NULL, NULL), -ECANCELED);
	return 0;
}

/* With a limit of one connection, which this is. */
static int refused(struct mn_stream *conn, void *arg)
{
	struct mn_fiber *reader;

	ck_assert_int_eq(mn_stream_migrate(conn, mn_shards(), NULL, NULL), -EINVAL);
	ck_assert_int_eq(mn_spawn(read_one, conn, &reader), 0);
	mn_yield();
	ck_assert_int_eq(mn_stream_migrate(conn, mn_shard(), NULL, NULL), -EBUSY);
	mn_fiber_cancel(reader);
	ck_assert_int_eq(mn_join(reader), -ECANCELED);
	ck_assert_int_eq(mn_stream_migrate(conn, mn_shard(), NULL, NULL), -EBUSY);
	send_pattern(conn, 0, 5000);
	expect_pattern(conn, 0, 5000);
	if (mn_shards() == 1)
		return refused_last(conn, arg);
	ck_assert_int_eq(mn_stream_migrate(conn, after(mn_shard()), refused_last, NULL), 0);
	ck_gone(conn);
	return -EIO;	/* is nobody's business any more */
}

static int refused_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = refused, .conns_max = 1 } };
	struct mn_stream *stream;
	struct mn_buf in;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_stream_migrate(stream, 0, NULL, NULL), -EINVAL);
	expect_pattern(stream, 0, 5000);
	send_pattern(stream, 0, 5000);
	ck_assert(mn_stream_read(stream, &in) <= 0);	/* the end, or a reset */
	mn_stream_close(stream);
	return site_close(&site);
}

START_TEST(what_cannot_move_goes_on_where_it_is)
{
	sharded_run_backend(_i, refused_fiber);
}
END_TEST

static int doze(void *arg)
{
	mn_sleep(3600 * MN_SEC);
	return 0;
}

static int move_away(void *arg)
{
	return mn_stream_migrate(arg, 1, roaming, NULL);
}

static int credit_fiber(void *arg)
{
	enum { N = 256 };
	static struct mn_call call[N];
	struct site site = { .conf.on_conn = roaming };
	struct mn_stream *stream;
	struct mn_fiber *fiber;
	int n = 0;

	if (mn_shards() == 1)
		return 0;
	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	while (!mn_call_start(&call[n], 1, doze, NULL))
		ck_assert_int_lt(++n, N);
	ck_assert_int_eq(mn_spawn(move_away, stream, &fiber), 0);
	mn_sleep(5 * MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	/* The roaming server waits for credits, too. */
	while (n--) {
		mn_call_cancel(&call[n]);
		ck_assert_int_eq(mn_await(&call[n].done), 0);
	}
	send_pattern(stream, 0, 5000);
	expect_pattern(stream, 0, 5000);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(a_cancelled_wait_for_a_credit_leaves_it_where_it_is)
{
	sharded_run_backend(_i, credit_fiber);
}
END_TEST

/* --- of clients --- */

struct tour {
	uint64_t at;
	unsigned int stops;
	atomic_bool done;
};

/* The last bytes of a shard are echoed to the next. */
static int tour(struct mn_stream *stream, void *arg)
{
	struct tour *t = arg;

	if (t->at)
		expect_pattern(stream, t->at - 3000, 3000);
	if (!t->stops--) {
		atomic_store(&t->done, true);
		return 0;
	}
	send_pattern(stream, t->at, 7000);
	expect_pattern(stream, t->at, 7000);
	send_pattern(stream, t->at + 7000, 3000);
	t->at += 10000;
	return mn_stream_migrate(stream, after(mn_shard()), tour, t);
}

static int tour_fiber(void *arg)
{
	struct site site = { .conf.on_conn = roaming };
	struct mn_stream *stream;
	struct tour t = { .stops = 3 * mn_shards() };

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_stream_migrate(stream, after(0), tour, &t), 0);
	ck_gone(stream);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	while (!atomic_load(&t.done))
		mn_sleep(MN_MSEC);
	return site_close(&site);
}

START_TEST(both_ends_of_a_connection_move)
{
	sharded_run_backend(_i, tour_fiber);
}
END_TEST

Suite *suite_migrate(void)
{
	Suite *s = suite_create("migrate");
	TCase *tc = tcase_create("migrate");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, every_byte_arrives_in_order_at_each_shard_in_turn, 0, n);
	tcase_add_loop_test(tc, what_is_queued_and_what_has_ended_goes_along, 0, n);
	tcase_add_loop_test(tc, what_cannot_move_goes_on_where_it_is, 0, n);
	tcase_add_loop_test(tc, a_cancelled_wait_for_a_credit_leaves_it_where_it_is, 0, n);
	tcase_add_loop_test(tc, both_ends_of_a_connection_move, 0, n);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_migrate_end());
	return s;
}
