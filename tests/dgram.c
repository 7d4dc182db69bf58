// SPDX-License-Identifier: MIT
/*
 * UDP: whole, in order as far as one host keeps it, from whom it says, and
 * never more than fits. Each case on every backend with 1, 2 and 8 shards; no
 * descriptor and no buffer may be left.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "lib/net/dgram.h"
#include "tests/dgram.h"
#include "tests/sharded.h"
#include "tests/suites.h"
#include "tests/world.h"

bool is_virtual(void)
{
	struct mn_dgram *d;

	if (!mn_self->virtual_time)
		return false;
	ck_assert_int_eq(
		mn_dgram_open(&(struct mn_dgram_conf){ .bind = "unix:@none", .seqpacket = true },
			      &d),
		-EPROTONOSUPPORT);
	return true;
}

struct mn_dgram *dgram(const struct mn_dgram_conf *conf)
{
	struct mn_dgram *d = NULL;
	int err = mn_dgram_open(conf, &d);

	ck_assert_msg(!err, "%s %s: %s", conf->bind, conf->connect, strerror(-err));
	return d;
}

void dgram_text(struct mn_dgram *d, char text[MN_ADDR_TEXT_MAX])
{
	struct mn_addr addr;

	ck_assert_int_eq(mn_dgram_name(d, &addr), 0);
	mn_addr_format(&addr, text, MN_ADDR_TEXT_MAX);
}

struct mn_dgram *dgram_to(struct mn_dgram *other)
{
	char text[MN_ADDR_TEXT_MAX];

	dgram_text(other, text);
	return dgram(&(struct mn_dgram_conf){ .connect = text });
}

struct mn_packet packet_make(uint64_t from, size_t len)
{
	struct mn_packet packet = { .nr_fds = 0 };

	ck_assert_int_eq(mn_buf_alloc(&packet.buf), 0);
	ck_assert_uint_le(len, packet.buf.len);
	pattern_fill(packet.buf.data, from, len);
	packet.buf.len = len;
	return packet;
}

bool packet_is(const struct mn_packet *packet, uint64_t from, size_t len)
{
	for (size_t i = 0; i < packet->buf.len; i++)
		if (packet->buf.data[i] != pattern(from + i))
			return false;
	return packet->buf.len == len;
}

void packet_expect(struct mn_dgram *d, uint64_t from, size_t len)
{
	struct mn_packet packet;

	ck_assert_int_eq(mn_dgram_recv(d, &packet, 1), 1);
	ck_assert_uint_eq(packet.buf.len, len);
	ck_assert(packet_is(&packet, from, len));
	ck_assert(!packet.truncated && !packet.more);
	mn_packet_free(&packet);
}

void packet_put(struct mn_dgram *d, uint64_t from, size_t len)
{
	struct mn_packet packet = packet_make(from, len);

	ck_assert_int_eq(mn_dgram_send(d, &packet, 1), 1);
	ck_assert_ptr_null(packet.buf.chunk);
}

/* --- there and back --- */

static const size_t sizes[] = { 0, 1, 64, 1472, 3800, 0, 5 };

static void answer(struct mn_dgram *server, size_t len, struct mn_dgram *client)
{
	struct mn_packet packet;
	struct mn_addr name;

	ck_assert_int_eq(mn_dgram_recv(server, &packet, 1), 1);
	ck_assert(packet_is(&packet, len, len));
	ck_assert_int_eq(mn_dgram_name(client, &name), 0);
	ck_assert_uint_eq(packet.peer.len, name.len);
	ck_assert_int_eq(packet.peer.v4.sin_family, name.v4.sin_family);
	ck_assert_uint_eq(packet.peer.v4.sin_port, name.v4.sin_port);
	ck_assert_int_eq(mn_dgram_send(server, &packet, 1), 1);	/* to whom it came from */
}

static void there_and_back(const char *bind)
{
	struct mn_dgram *server = dgram(&(struct mn_dgram_conf){ .bind = bind });
	struct mn_dgram *client = dgram_to(server);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		packet_put(client, sizes[i], sizes[i]);
		answer(server, sizes[i], client);
		packet_expect(client, sizes[i], sizes[i]);
	}
	mn_dgram_close(client);
	mn_dgram_close(server);
}

static int echo_fiber(void *arg)
{
	there_and_back("127.0.0.1:0");
	there_and_back("[::1]:0");
	return 0;
}

START_TEST(datagrams_come_back_to_whom_they_are_from)
{
	sharded_run_backend(_i, echo_fiber);
}
END_TEST

/* --- many at a time --- */

#define BATCH	48	/* fits any receive buffer */

static size_t size_of(unsigned int i, bool same)
{
	return same ? i % 16 == 15 ? 700 : 1200 : 1 + i * 37 % 1400;
}

static void batch_send(struct mn_dgram *d, unsigned int from, bool same)
{
	struct mn_packet packets[BATCH];

	for (unsigned int i = 0; i < BATCH; i++)
		packets[i] = packet_make(from + i, size_of(from + i, same));
	ck_assert_int_eq(mn_dgram_send(d, packets, BATCH), BATCH);
	for (unsigned int i = 0; i < BATCH; i++)
		ck_assert_ptr_null(packets[i].buf.chunk);
}

static void batch_recv(struct mn_dgram *d, unsigned int from, bool same)
{
	struct mn_packet packets[BATCH];
	unsigned int done = 0;

	while (done < BATCH) {
		int n = mn_dgram_recv(d, packets, BATCH - done);

		ck_assert_int_ge(n, 1);
		for (int i = 0; i < n; i++, done++) {
			if (!packet_is(&packets[i], from + done, size_of(from + done, same)))
				ck_abort_msg("packet %u is not itself", from + done);
			mn_packet_free(&packets[i]);
		}
	}
}

static void batches(const struct mn_dgram_conf *from, bool gro, bool same)
{
	struct mn_dgram *server =
		dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0", .gro = gro });
	struct mn_dgram_conf conf = *from;
	struct mn_dgram_stats stats;
	char text[MN_ADDR_TEXT_MAX];
	struct mn_dgram *client;

	dgram_text(server, text);
	conf.connect = text;
	client = dgram(&conf);
	for (unsigned int i = 0; i < 20; i++) {
		batch_send(client, i * BATCH, same);
		batch_recv(server, i * BATCH, same);
	}
	mn_dgram_stats(client, &stats);
	ck_assert_uint_eq(stats.sent, 20 * BATCH);
	mn_dgram_stats(server, &stats);
	ck_assert_uint_eq(stats.received, 20 * BATCH);
	ck_assert_uint_eq(stats.dropped, 0);
	ck_assert_int_eq(client->gso, !conf.no_gso);	/* it was not given up */
	mn_dgram_close(client);
	mn_dgram_close(server);
}

static int batch_fiber(void *arg)
{
	static const struct mn_dgram_conf gso, no_gso = { .no_gso = true };

	for (int same = 0; same < 2; same++) {
		batches(&gso, false, same);
		batches(&no_gso, false, same);
		batches(&gso, true, same);
		batches(&no_gso, true, same);
	}
	return 0;
}

START_TEST(a_batch_arrives_in_order_however_it_was_put_together)
{
	sharded_run_backend(_i, batch_fiber);
}
END_TEST

static int gso_fiber(void *arg)
{
	struct mn_packet packets[2];
	struct mn_dgram *server, *client;

	if (is_virtual())
		return 0;
	server = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0" });
	client = dgram_to(server);
	ck_assert(client->gso);
	for (unsigned int i = 0; i < 2; i++)
		packets[i] = packet_make(i, 100);
	/* Without checksums the kernel refuses to divide. */
	ck_assert_int_eq(do_setsockopt(client->fd, SOL_SOCKET, SO_NO_CHECK, 1), 0);
	ck_assert_int_eq(mn_dgram_send(client, packets, 2), 2);
	ck_assert(!client->gso);
	packet_expect(server, 0, 100);
	packet_expect(server, 1, 100);
	mn_dgram_close(client);
	mn_dgram_close(server);
	return 0;
}

START_TEST(what_the_kernel_cannot_divide_goes_one_by_one)
{
	sharded_run_backend(_i, gso_fiber);
}
END_TEST

/* --- too large --- */

static uint8_t large[DGRAM_SIZE_MAX], copy[DGRAM_SIZE_MAX];

static void large_put(struct mn_dgram *d, size_t len)
{
	pattern_fill(large, 0, len);
	ck_assert_int_eq(mn_dgram_send_copy(d, NULL, large, len), 0);
}

static void expect_cut(struct mn_dgram *server, struct mn_dgram *client)
{
	size_t room = mn_self->pool.chunk_size - 16 - sizeof(struct sockaddr_in);
	struct mn_packet packet;

	large_put(client, 10000);
	packet_put(client, 7, 7);
	ck_assert_int_eq(mn_dgram_recv(server, &packet, 1), 1);
	ck_assert(packet.truncated && !packet.more);
	ck_assert(packet_is(&packet, 0, room));
	mn_packet_free(&packet);
	packet_expect(server, 7, 7);
	large_put(client, room);
	packet_expect(server, 0, room);
}

static void expect_whole(struct mn_dgram *server, struct mn_dgram *client)
{
	size_t len = 0;
	struct mn_packet packet = { .more = true };
	struct mn_addr peer;

	large_put(client, 60000);
	while (packet.more) {
		ck_assert_int_eq(mn_dgram_recv(server, &packet, 1), 1);
		ck_assert(!packet.truncated);
		ck_assert(packet_is(&packet, len, packet.buf.len));
		ck_assert_int_eq(packet.peer.sa.sa_family, AF_INET);
		len += packet.buf.len;
		mn_packet_free(&packet);
	}
	ck_assert_uint_eq(len, 60000);
	large_put(client, 50000);
	ck_assert_int_eq(mn_dgram_recv_copy(server, copy, sizeof(copy), &peer), 50000);
	ck_assert(!memcmp(copy, large, 50000));
	ck_assert_int_eq(peer.sa.sa_family, AF_INET);
	large_put(client, 50000);
	memset(copy, 0, sizeof(copy));
	ck_assert_int_eq(mn_dgram_recv_copy(server, copy, 5000, NULL), 50000);
	ck_assert(!memcmp(copy, large, 5000) && !copy[5000]);
	packet_put(client, 3, 0);
	ck_assert_int_eq(mn_dgram_recv_copy(server, copy, 5000, NULL), 0);
}

static int size_fiber(void *arg)
{
	struct mn_dgram *small, *whole, *client;

	small = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0" });
	client = dgram_to(small);
	expect_cut(small, client);
	ck_assert_int_eq(mn_dgram_send_copy(client, NULL, large, sizeof(large)), -EMSGSIZE);
	mn_dgram_close(client);
	whole = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0", .size_max = 65536 });
	client = dgram_to(whole);
	expect_whole(whole, client);
	mn_dgram_close(client);
	mn_dgram_close(whole);
	mn_dgram_close(small);
	return 0;
}

START_TEST(a_datagram_without_room_is_cut_and_marked_or_comes_in_pieces)
{
	sharded_run_backend(_i, size_fiber);
}
END_TEST

/* --- errors --- */

static int refused_fiber(void *arg)
{
	struct mn_dgram *server, *client;
	struct mn_packet packet;
	char text[MN_ADDR_TEXT_MAX];

	server = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0" });
	dgram_text(server, text);
	client = dgram_to(server);
	packet_put(client, 0, 10);
	packet_expect(server, 0, 10);
	mn_dgram_close(server);
	for (int i = 0; i < 3; i++) {
		packet_put(client, 0, 10);
		ck_assert_int_eq(mn_dgram_recv(client, &packet, 1), -ECONNREFUSED);
		ck_assert_int_eq(mn_dgram_try_recv(client, &packet, 1), -EAGAIN);
	}
	server = dgram(&(struct mn_dgram_conf){ .bind = text });
	packet_put(client, 10, 10);
	answer(server, 10, client);
	packet_expect(client, 10, 10);
	mn_dgram_close(server);
	mn_dgram_close(client);
	return 0;
}

START_TEST(that_nobody_listens_is_told_once_and_does_not_end_it)
{
	sharded_run_backend(_i, refused_fiber);
}
END_TEST

static int bad_fiber(void *arg)
{
	static const struct mn_dgram_conf bad[] = {
		{ .bind = "nonsense" },
		{ .bind = "127.0.0.1:0", .connect = "[::1]:1" },
		{ .bind = "127.0.0.1:0", .seqpacket = true },
		{ .bind = "unix:@a", .connect = "unix:@b", .seqpacket = true },
		{ .seqpacket = true, .family = AF_UNIX },
		{ .bind = "127.0.0.1:0", .size_max = 65537 },
		{ .bind = "127.0.0.1:0", .family = AF_INET6 },
		{ .queue_max = 1 },
	};
	struct mn_packet packet = { .nr_fds = MN_PACKET_FDS + 1 };
	struct mn_dgram *d, *second;
	char text[MN_ADDR_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(mn_dgram_open(&bad[i], &d), -EINVAL);
	if (is_virtual())
		return 0;
	ck_assert_int_eq(mn_dgram_open(&(struct mn_dgram_conf){ .bind = "192.0.2.1:0" }, &d),
			 -EADDRNOTAVAIL);
	d = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0" });
	dgram_text(d, text);
	ck_assert_int_eq(mn_dgram_open(&(struct mn_dgram_conf){ .bind = text }, &second),
			 -EADDRINUSE);
	ck_assert_int_eq(mn_dgram_send(d, &packet, 1), -EINVAL);
	ck_assert_int_eq(mn_dgram_send_copy(d, NULL, "x", 1), -EDESTADDRREQ);
	ck_assert_int_eq(mn_dgram_recv(d, &packet, 0), -EINVAL);
	ck_assert_int_eq(mn_dgram_accept(d, &second), -EINVAL);
	ck_assert_int_eq(mn_dgram_join(d, "127.0.0.1:80", 0), -EINVAL);
	mn_dgram_close(d);
	return 0;
}

START_TEST(what_cannot_be_is_refused)
{
	sharded_run_backend(_i, bad_fiber);
}
END_TEST

Suite *suite_dgram(void)
{
	Suite *s = suite_create("dgram");
	TCase *tc = tcase_create("udp");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, datagrams_come_back_to_whom_they_are_from, 0, n);
	tcase_add_loop_test(tc, a_batch_arrives_in_order_however_it_was_put_together, 0, n);
	tcase_add_loop_test(tc, what_the_kernel_cannot_divide_goes_one_by_one, 0, n);
	tcase_add_loop_test(tc, a_datagram_without_room_is_cut_and_marked_or_comes_in_pieces, 0, n);
	tcase_add_loop_test(tc, that_nobody_listens_is_told_once_and_does_not_end_it, 0, n);
	tcase_add_loop_test(tc, what_cannot_be_is_refused, 0, n);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_dgram_limit());
	suite_add_tcase(s, tcase_dgram_unix());
	return s;
}
