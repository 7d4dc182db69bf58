// SPDX-License-Identifier: MIT
/* The contract of backends: bytes, back-pressure, and how connections end. */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

#include "tests/backend.h"

static void start_send(struct track *t, int fd, void *base, size_t len)
{
	track_init(t, MN_OP_SEND, fd);
	t->op.buf.base = base;
	t->op.buf.len = len;
	op_start(&t->op);
}

static uint8_t *pattern_new(size_t len)
{
	uint8_t *base = malloc(len);

	ck_assert_ptr_nonnull(base);
	pattern_fill(base, 0, len);
	return base;
}

/* Wait until something can be read. */
static void arrived(int fd)
{
	struct track t;

	track_init(&t, MN_OP_POLL, fd);
	t.op.poll.events = POLLIN;
	op_start(&t.op);
	ck_assert_int_ge(track_finish(&t), POLLIN);
}

BACKEND_TEST(a_stream_delivers_exactly_the_bytes_until_the_end)
{
	struct pair pair = connected(0);
	size_t len = 300001;
	uint8_t *data = pattern_new(len);
	struct track in, out;

	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	start_send(&out, pair.client, data, len);
	ck_assert_int_eq(track_finish(&out), (int64_t)len);
	do_call(MN_OP_CLOSE, pair.client, 0);
	ck_assert_int_eq(track_finish(&in), 0);
	ck_assert_uint_eq(in.len, len);
	ck_assert_uint_eq(in.wrong, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	free(data);
}

BACKEND_TEST(what_came_before_the_stream_began_is_delivered)
{
	struct pair pair = connected(0);
	uint8_t *data = pattern_new(1000);
	struct track in;

	ck_assert_int_eq(do_send(pair.client, data, 1000), 1000);
	do_call(MN_OP_CLOSE, pair.client, 0);
	arrived(pair.server);
	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	ck_assert_int_eq(track_finish(&in), 0);
	ck_assert_uint_eq(in.len, 1000);
	ck_assert_uint_eq(in.wrong, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	free(data);
}

BACKEND_TEST(a_big_send_to_a_slow_reader_goes_out_whole)
{
	struct pair pair = connected(65536);
	size_t len = 1 << 20, got = 0;
	uint8_t *data = pattern_new(len), *in = malloc(len);
	struct track out;

	start_send(&out, pair.client, data, len);
	settle();
	ck_assert_uint_eq(out.ends, 0); /* it does not fit the buffers */
	while (got < len) {
		int64_t n = do_recv(pair.server, in + got, min((size_t)3001, len - got));

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_int_eq(track_finish(&out), (int64_t)len);
	ck_assert_mem_eq(in, data, len);
	ck_assert_uint_eq(out.ends, 1);
	close_pair(&pair);
	free(data);
	free(in);
}

#define SLICES 100

BACKEND_TEST(a_message_of_many_slices_goes_out_whole)
{
	struct pair pair = connected(65536);
	size_t len = 0;
	uint8_t *data = pattern_new(1 << 20);
	struct iovec iov[SLICES];
	struct msghdr hdr = { .msg_iov = iov, .msg_iovlen = SLICES };
	struct track in, out;

	for (unsigned int i = 0; i < SLICES; i++) {
		iov[i] = (struct iovec){ data + len, i % 7 ? i * 200 : i % 2 };
		len += iov[i].iov_len;
	}
	track_init(&out, MN_OP_SENDMSG, pair.client);
	out.op.msg.hdr = &hdr;
	op_start(&out.op);
	settle();
	ck_assert_uint_eq(out.ends, 0);
	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	ck_assert_int_eq(track_finish(&out), (int64_t)len);
	do_call(MN_OP_CLOSE, pair.client, 0);
	ck_assert_int_eq(track_finish(&in), 0);
	ck_assert_uint_eq(in.len, len);
	ck_assert_uint_eq(in.wrong, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	free(data);
}

BACKEND_TEST(segments_of_one_byte_arrive_in_order)
{
	struct pair pair = connected(0);
	struct track in;

	do_setsockopt(pair.client, IPPROTO_TCP, TCP_NODELAY, 1);
	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	for (unsigned int i = 0; i < 2000; i++) {
		uint8_t byte = pattern(i);

		ck_assert_int_eq(do_send(pair.client, &byte, 1), 1);
	}
	do_call(MN_OP_CLOSE, pair.client, 0);
	ck_assert_int_eq(track_finish(&in), 0);
	ck_assert_uint_eq(in.len, 2000);
	ck_assert_uint_eq(in.wrong, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
}

BACKEND_TEST(one_direction_may_end_before_the_other)
{
	struct pair pair = connected(0);
	uint8_t *data = pattern_new(5);
	struct track in;
	char reply[4];

	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	ck_assert_int_eq(do_send(pair.client, data, 5), 5);
	ck_assert_int_eq(do_call(MN_OP_SHUTDOWN, pair.client, SHUT_WR), 0);
	ck_assert_int_eq(track_finish(&in), 0);
	ck_assert_uint_eq(in.len, 5);
	ck_assert_int_eq(do_send(pair.client, data, 5), -EPIPE);
	ck_assert_int_eq(do_send(pair.server, "okay", 4), 4);
	ck_assert_int_eq(do_recv(pair.client, reply, 4), 4);
	ck_assert_mem_eq(reply, "okay", 4);
	do_call(MN_OP_CLOSE, pair.server, 0);
	ck_assert_int_eq(do_recv(pair.client, reply, 4), 0);
	do_call(MN_OP_CLOSE, pair.client, 0);
	free(data);
}

/* Who closes with bytes unread resets the connection. */
static void reset_by_server(const struct pair *pair)
{
	ck_assert_int_eq(do_send(pair->client, "unread", 6), 6);
	arrived(pair->server);
	ck_assert_int_eq(do_call(MN_OP_CLOSE, pair->server, 0), 0);
}

BACKEND_TEST(a_reset_ends_a_stream_with_econnreset)
{
	struct pair pair = connected(0);
	struct track in;

	track_start(&in, MN_OP_RECV_STREAM, pair.client);
	settle();
	reset_by_server(&pair);
	ck_assert_int_eq(track_finish(&in), -ECONNRESET);
	ck_assert_int_eq(do_send(pair.client, "x", 1), -EPIPE);
	do_call(MN_OP_CLOSE, pair.client, 0);
}

/* The kernel may tell of both at once, and a multishot receive then misses the second. */
BACKEND_TEST(a_reset_right_behind_data_ends_a_stream)
{
	struct pair pair = connected(0);
	uint8_t *data = pattern_new(5);
	struct track in;

	ck_assert_int_eq(do_send(pair.server, "unread", 6), 6);
	arrived(pair.client);
	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	settle();
	/* Past the shard, which must not see one before the other; only mem has no such descriptor. */
	if (send(pair.client, data, 5, MSG_NOSIGNAL) != 5)
		ck_assert_int_eq(do_send(pair.client, data, 5), 5);
	ck_assert_int_eq(do_call(MN_OP_CLOSE, pair.client, 0), 0);
	ck_assert_int_eq(track_finish(&in), -ECONNRESET);
	ck_assert(in.len == 5 || in.len == 0);
	ck_assert_uint_eq(in.wrong, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	free(data);
}

BACKEND_TEST(a_reset_ends_a_receive_with_econnreset)
{
	struct pair pair = connected(0);
	struct track in;
	char byte;

	track_init(&in, MN_OP_RECV, pair.client);
	in.op.buf.base = &byte;
	in.op.buf.len = 1;
	op_start(&in.op);
	settle();
	reset_by_server(&pair);
	ck_assert_int_eq(track_finish(&in), -ECONNRESET);
	do_call(MN_OP_CLOSE, pair.client, 0);
}

BACKEND_TEST(a_reset_ends_a_send)
{
	struct pair pair = connected(65536);
	size_t len = 4 << 20;
	uint8_t *data = pattern_new(len);
	struct track out;

	start_send(&out, pair.client, data, len);
	settle();
	ck_assert_uint_eq(out.ends, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	track_finish(&out);
	ck_assert(out.res == -ECONNRESET || out.res == -EPIPE);
	ck_assert_int_eq(do_send(pair.client, "x", 1), -EPIPE);
	do_call(MN_OP_CLOSE, pair.client, 0);
	free(data);
}

/* Without a SIGPIPE: this process would be gone. */
BACKEND_TEST(sending_to_a_closed_peer_fails_in_the_end)
{
	struct pair pair = connected(0);
	int64_t res = 1;

	do_call(MN_OP_CLOSE, pair.server, 0);
	for (int i = 0; i < 1000 && res == 1; i++) {
		res = do_send(pair.client, "x", 1);
		settle();
	}
	ck_assert_int_eq(res, -EPIPE);
	do_call(MN_OP_CLOSE, pair.client, 0);
}

/*
 * A stream whose buffers are all held pauses, without an error and without
 * losing a byte; the sender feels it.
 */
BACKEND_TEST(a_stream_without_buffers_pauses_and_goes_on)
{
	struct pair pair = connected(65536);
	struct pool *pool = &mn_self->pool;
	struct track in, out;
	size_t len;
	uint8_t *data;

	pool->chunks_max = pool->nr_chunks;
	len = (size_t)pool->nr_chunks * pool->chunk_size + (2 << 20);
	data = pattern_new(len);
	for (int round = 0; round < 2; round++) {
		track_init(&in, MN_OP_RECV_STREAM, pair.server);
		in.hold = true;
		op_start(&in.op);
		start_send(&out, pair.client, data, len);
		settle();
		ck_assert_uint_eq(in.ends, 0);
		ck_assert_uint_eq(out.ends, 0);
		ck_assert_ptr_nonnull(in.held);
		ck_assert_uint_lt(in.len, len);
		if (IS_ENABLED(CONFIG_STATS))
			ck_assert_uint_ge(mn_self->stats[STAT_STARVED], 1);
		track_release(&in);
		ck_assert_int_eq(track_finish(&out), (int64_t)len);
		while (in.len < len)
			shard_step(mn_self, true);
		ck_assert_uint_eq(in.wrong, 0);
		mn_op_cancel(&in.op);
		ck_assert_int_eq(track_finish(&in), -ECANCELED);
	}
	close_pair(&pair);
	free(data);
}

BACKEND_TEST(a_paused_stream_can_be_cancelled)
{
	struct pair pair = connected(65536);
	struct pool *pool = &mn_self->pool;
	struct track in, out;
	size_t len;
	uint8_t *data;

	pool->chunks_max = pool->nr_chunks;
	len = (size_t)pool->nr_chunks * pool->chunk_size + (2 << 20);
	data = pattern_new(len);
	track_init(&in, MN_OP_RECV_STREAM, pair.server);
	in.hold = true;
	op_start(&in.op);
	start_send(&out, pair.client, data, len);
	settle();
	mn_op_cancel(&in.op);
	mn_op_cancel(&out.op);
	ck_assert_int_eq(track_finish(&in), -ECANCELED);
	ck_assert_int_eq(track_finish(&out), -ECANCELED);
	track_release(&in);
	settle();
	ck_assert_uint_eq(in.ends, 1);
	ck_assert_uint_eq(in.wrong, 0);
	close_pair(&pair);
	free(data);
}

/* One of the two kinds; the caller keeps @hdr and @iov until it ended. */
static void start_part(struct track *t, int fd, bool message, struct msghdr *hdr, struct iovec *iov)
{
	if (!message) {
		start_send(t, fd, iov[0].iov_base, iov[0].iov_len + iov[1].iov_len);
		return;
	}
	*hdr = (struct msghdr){ .msg_iov = iov, .msg_iovlen = 2 };
	track_init(t, MN_OP_SENDMSG, fd);
	t->op.msg.hdr = hdr;
	op_start(&t->op);
}

/* What went out is known, so that somebody else can send the rest. */
BACKEND_TEST(a_cancelled_send_says_how_much_went_out)
{
	struct pair pair = connected(65536);
	size_t len = 8 << 20, at = 0;
	uint8_t *data = pattern_new(len);
	struct track in, out;
	unsigned int partial = 0;

	track_start(&in, MN_OP_RECV_STREAM, pair.server);
	for (int round = 0; at < len; round++) {
		size_t n = min(len - at, (size_t)1 << 20), first = min(n, (size_t)70001);
		struct iovec iov[2] = { { data + at, first }, { data + at + first, n - first } };
		struct msghdr hdr;
		int64_t res;

		start_part(&out, pair.client, round % 2, &hdr, iov);
		for (int i = round / 2 % 10; i > 0 && !out.ends; i--)
			shard_step(mn_self, false);
		mn_op_cancel(&out.op);
		res = track_finish(&out);
		ck_assert(res == -ECANCELED || res == (int64_t)n);
		partial += res < 0 && out.op.be.num;
		at += res < 0 ? out.op.be.num : (size_t)res;
	}
	ck_assert_uint_gt(partial, 0);
	do_call(MN_OP_CLOSE, pair.client, 0);
	ck_assert_int_eq(track_finish(&in), 0);
	ck_assert_uint_eq(in.len, len);
	ck_assert_uint_eq(in.wrong, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	free(data);
}

#define CONNS 200

struct many {
	struct track connect[CONNS], in[CONNS], out[CONNS];
	int client[CONNS], server[CONNS];
};

static void many_connect(struct many *m, struct track *accept, const struct sockaddr_in *sa)
{
	for (unsigned int i = 0; i < CONNS; i++) {
		m->client[i] = do_socket();
		ck_assert_int_ge(m->client[i], 0);
		track_init(&m->connect[i], MN_OP_CONNECT, m->client[i]);
		m->connect[i].op.addr.sa = (const struct sockaddr *)sa;
		m->connect[i].op.addr.len = sizeof(*sa);
		op_start(&m->connect[i].op);
	}
	for (unsigned int i = 0; i < CONNS; i++)
		ck_assert_int_eq(track_finish(&m->connect[i]), 0);
	while (accept->items < CONNS)
		shard_step(mn_self, true);
}

BACKEND_TEST(many_connections_at_once)
{
	struct many *m = calloc(1, sizeof(*m));
	uint8_t *data = pattern_new(CONNS * 50);
	struct sockaddr_in sa;
	int fd = listener(&sa, 2 * CONNS);
	struct track accept;

	track_init(&accept, MN_OP_ACCEPT_STREAM, fd);
	accept.fds = m->server;
	accept.fds_max = CONNS;
	op_start(&accept.op);
	many_connect(m, &accept, &sa);
	for (unsigned int i = 0; i < CONNS; i++) {
		track_start(&m->in[i], MN_OP_RECV_STREAM, m->server[i]);
		start_send(&m->out[i], m->client[i], data, (i + 1) * 50);
	}
	for (unsigned int i = 0; i < CONNS; i++) {
		ck_assert_int_eq(track_finish(&m->out[i]), (i + 1) * 50);
		do_call(MN_OP_CLOSE, m->client[i], 0);
	}
	for (unsigned int i = 0; i < CONNS; i++) {
		ck_assert_int_eq(track_finish(&m->in[i]), 0);
		ck_assert_uint_eq(m->in[i].wrong, 0);
		accept.len += m->in[i].len;
		do_call(MN_OP_CLOSE, m->server[i], 0);
	}
	ck_assert_uint_eq(accept.len, 50 * CONNS * (CONNS + 1) / 2);
	mn_op_cancel(&accept.op);
	ck_assert_int_eq(track_finish(&accept), -ECANCELED);
	do_call(MN_OP_CLOSE, fd, 0);
	free(data);
	free(m);
}

TCase *tcase_backend_stream(void)
{
	TCase *tc = tcase_create("streams");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	backend_test(tc, a_stream_delivers_exactly_the_bytes_until_the_end);
	backend_test(tc, what_came_before_the_stream_began_is_delivered);
	backend_test(tc, a_big_send_to_a_slow_reader_goes_out_whole);
	backend_test(tc, a_message_of_many_slices_goes_out_whole);
	backend_test(tc, segments_of_one_byte_arrive_in_order);
	backend_test(tc, one_direction_may_end_before_the_other);
	backend_test(tc, a_reset_ends_a_stream_with_econnreset);
	backend_test(tc, a_reset_right_behind_data_ends_a_stream);
	backend_test(tc, a_reset_ends_a_receive_with_econnreset);
	backend_test(tc, a_reset_ends_a_send);
	backend_test(tc, sending_to_a_closed_peer_fails_in_the_end);
	backend_test(tc, a_stream_without_buffers_pauses_and_goes_on);
	backend_test(tc, a_paused_stream_can_be_cancelled);
	backend_test(tc, a_cancelled_send_says_how_much_went_out);
	backend_test(tc, many_connections_at_once);
	return tc;
}
