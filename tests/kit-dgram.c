// SPDX-License-Identifier: MIT
/*
 * The contract kit, datagrams: over UDP, version 4 and 6, and over Unix
 * sockets, with connections (seqpacket) and without. On every backend the same
 * packets come, as large, from the same, and with the same errors.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/dgram.h"
#include "tests/kit-dgram.h"
#include "tests/suites.h"
#include "tests/world.h"

static uint8_t data[1 << 18], copy[1 << 18];

/* --- two sockets --- */

bool is_udp(const struct dgram_script *s)
{
	return strncmp(s->addr, "unix:", 5) != 0;
}

/* A Unix socket has a file in the directory of the script, or no file at all. */
const char *kit_addr(const struct dgram_script *s)
{
	static char text[MN_ADDR_TEXT_MAX];

	if (is_udp(s))
		return s->addr;
	if (s->addr[5])
		return own_name(s->addr);
	snprintf(text, sizeof(text), "unix:%s", in_dir("socket"));
	return text;
}

void two_open(struct two *t, const struct dgram_script *s, struct mn_dgram_conf server,
	      struct mn_dgram_conf client)
{
	char text[MN_ADDR_TEXT_MAX];

	server.bind = kit_addr(s);
	server.seqpacket = client.seqpacket = s->seqpacket;
	t->listener = NULL;
	t->server = dgram(&server);
	dgram_text(t->server, text);
	client.connect = text;
	if (!is_udp(s) && !s->seqpacket)
		client.bind = own_name("unix:@mn-test-kit-client");
	t->client = dgram(&client);
	if (!s->seqpacket)
		return;
	t->listener = t->server;
	ok(mn_dgram_accept(t->listener, &t->server));
}

void two_close_server(struct two *t)
{
	mn_dgram_close(t->server);
	if (t->listener)
		mn_dgram_close(t->listener);
}

int two_close(struct two *t)
{
	mn_dgram_close(t->client);
	two_close_server(t);
	return 0;
}

static const struct mn_dgram_conf none;

static void plain_open(struct two *t, const struct dgram_script *s)
{
	two_open(t, s, none, none);
}

static void put(struct mn_dgram *d, uint64_t from, size_t len)
{
	pattern_fill(data, from, len);
	ok(mn_dgram_send_copy(d, NULL, data, len));
}

/* The next one, and all that it says of itself; it is the caller's. */
static void get(struct mn_dgram *d, struct mn_packet *packet)
{
	is(mn_dgram_recv(d, packet, 1), 1);
	note((int64_t)packet->buf.len);
	note_bytes(packet->buf.data, packet->buf.len);
	note(packet->truncated);
	note(packet->more);
	note(packet->fds_lost);
	note(packet->nr_fds);
	note(packet->peer.len);
	note(packet->peer.len ? packet->peer.sa.sa_family : 0);
}

static void get_pattern(struct mn_dgram *d, uint64_t from, size_t len)
{
	struct mn_packet packet;

	get(d, &packet);
	ck_assert(packet_is(&packet, from, len));
	mn_packet_free(&packet);
}

/* --- sizes --- */

static int sizes(void *arg)
{
	static const size_t len[] = { 0, 1, 2, 64, 1472, 1473, 3500, 0, 7 };
	const struct dgram_script *s = arg;
	struct mn_packet packet;
	struct two t;

	plain_open(&t, s);
	for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
		if (s->seqpacket && !len[i]) {
			is(mn_dgram_send_copy(t.client, NULL, "", 0), -EINVAL);
			continue;
		}
		put(t.client, i, len[i]);
		get(t.server, &packet);
		ck_assert(packet_is(&packet, i, len[i]));
		is(mn_dgram_send(t.server, &packet, 1), 1);	/* to whom it came from */
		get_pattern(t.client, i, len[i]);
	}
	return two_close(&t);
}

/* More than a buffer holds, up to the largest that there can be. */
static int large(void *arg)
{
	static const size_t len[] = { 3500, 4096, 20000, 65507, 1 };
	struct mn_packet packet = { .more = true };
	struct two t;

	two_open(&t, arg, (struct mn_dgram_conf){ .size_max = 65536 }, none);
	for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
		put(t.client, i, len[i]);
		is(mn_dgram_recv_copy(t.server, copy, sizeof(copy), NULL), (int64_t)len[i]);
		ck_assert(!memcmp(data, copy, len[i]));
	}
	put(t.client, 5, 60000);
	for (size_t at = 0; packet.more; mn_packet_free(&packet)) {
		get(t.server, &packet);
		ck_assert(packet_is(&packet, 5 + at, packet.buf.len));
		at += packet.buf.len;
	}
	put(t.client, 6, 50000);
	is(mn_dgram_recv_copy(t.server, copy, 1000, NULL), 50000);
	return two_close(&t);
}

static int cut(void *arg)
{
	struct mn_packet packet;
	struct two t;

	plain_open(&t, arg);
	put(t.client, 0, 10000);
	put(t.client, 1, 100);
	get(t.server, &packet);
	ck_assert(packet.truncated && packet.buf.len < 10000 && packet.buf.len > 3500);
	ck_assert(packet_is(&packet, 0, packet.buf.len));
	mn_packet_free(&packet);
	get_pattern(t.server, 1, 100);
	return two_close(&t);
}

static int too_long(void *arg)
{
	static const struct mn_sockopt small = { .send_buffer = 16384 };
	struct two t;

	two_open(&t, arg, none, (struct mn_dgram_conf){ .opt = &small });
	is(mn_dgram_send_copy(t.client, NULL, data, 65536), -EMSGSIZE);
	is(mn_dgram_send_copy(t.client, NULL, data, sizeof(data)), -EMSGSIZE);
	put(t.client, 2, 50);
	get_pattern(t.server, 2, 50);
	return two_close(&t);
}

/* --- many at a time --- */

#define BATCH 40

static void batch(const struct two *t, bool same)
{
	struct mn_packet packets[BATCH];
	int n;

	for (unsigned int i = 0; i < BATCH; i++)
		packets[i] = packet_make(i, same ? 1000 : 1 + i * 31 % 1300);
	is(mn_dgram_send(t->client, packets, BATCH), BATCH);
	for (unsigned int done = 0; done < BATCH; done += (unsigned int)n) {
		n = mn_dgram_recv(t->server, packets, BATCH - done);
		ck_assert_int_ge(n, 1);
		for (unsigned int i = 0; i < (unsigned int)n; i++) {
			note((int64_t)packets[i].buf.len);
			ck_assert(packet_is(&packets[i], done + i,
					    same ? 1000 : 1 + (done + i) * 31 % 1300));
			mn_packet_free(&packets[i]);
		}
	}
}

static int batches(void *arg)
{
	for (int i = 0; i < 8; i++) {
		struct mn_dgram_stats stats;
		struct two t;

		two_open(&t, arg, (struct mn_dgram_conf){ .gro = i & 1 },
			 (struct mn_dgram_conf){ .no_gso = i & 2 });
		for (int round = 0; round < 3; round++)
			batch(&t, i & 4);
		mn_dgram_stats(t.client, &stats);
		is((int64_t)stats.sent, 3 * BATCH);
		mn_dgram_stats(t.server, &stats);
		is((int64_t)stats.received, 3 * BATCH);
		is((int64_t)stats.dropped, 0);
		two_close(&t);
	}
	return 0;
}

/* --- to whom, and from whom --- */

static int unconnected(void *arg)
{
	const struct dgram_script *s = arg;
	struct mn_dgram *one = dgram(&(struct mn_dgram_conf){ .bind = kit_addr(s) });
	struct mn_dgram *two = dgram(&(struct mn_dgram_conf){
		.bind = is_udp(s) ? s->addr : own_name("unix:@mn-test-kit-client") });
	struct mn_packet packet;
	struct mn_addr to, peer;

	ok(mn_dgram_name(one, &to));
	is(mn_dgram_send_copy(two, NULL, "x", 1), is_udp(s) ? -EDESTADDRREQ : -ENOTCONN);
	ok(mn_dgram_send_copy(two, &to, "to one", 6));
	get(one, &packet);
	ok(mn_dgram_name(two, &peer));
	ck_assert(packet.peer.len == peer.len && !memcmp(&packet.peer.sa, &peer.sa, peer.len));
	is(mn_dgram_send(one, &packet, 1), 1);
	memset(&peer, 0, sizeof(peer));
	is(mn_dgram_recv_copy(two, copy, sizeof(copy), &peer), 6);
	ck_assert(peer.len == to.len && !memcmp(&peer.sa, &to.sa, to.len));
	note_bytes(copy, 6);
	/* Each packet says for itself whom it is for. */
	ok(mn_dgram_send_copy(one, &to, "to itself", 9));
	is(mn_dgram_recv_copy(one, copy, sizeof(copy), NULL), 9);
	mn_dgram_close(two);
	mn_dgram_close(one);
	return 0;
}

static int taken(void *arg)
{
	const struct dgram_script *s = arg;
	struct mn_dgram *d, *second;
	char text[MN_ADDR_TEXT_MAX];

	for (int i = 0; i < 3; i++) {
		d = dgram(
			&(struct mn_dgram_conf){ .bind = kit_addr(s), .seqpacket = s->seqpacket });
		dgram_text(d, text);
		is(mn_dgram_open(&(struct mn_dgram_conf){ .bind = text, .seqpacket = s->seqpacket },
				 &second),
		   -EADDRINUSE);
		mn_dgram_close(d);
	}
	return 0;
}

/* --- nobody there --- */

static int gone(void *arg)
{
	const struct dgram_script *s = arg;
	struct mn_packet packet;
	struct two t;

	plain_open(&t, s);
	put(t.client, 0, 10);
	get_pattern(t.server, 0, 10);
	two_close_server(&t);
	for (int i = 0; i < 3; i++) {
		int res = mn_dgram_send_copy(t.client, NULL, "x", 1);

		if (is_udp(s)) {
			is(res, 0);
			is(mn_dgram_recv(t.client, &packet, 1), -ECONNREFUSED);
			is(mn_dgram_try_recv(t.client, &packet, 1), -EAGAIN);
		} else if (s->seqpacket) {
			is(res, -EPIPE);
			is(mn_dgram_recv(t.client, &packet, 1), 0);
		} else {
			is(res, i ? -ENOTCONN : -ECONNREFUSED);
		}
	}
	mn_dgram_close(t.client);
	return 0;
}

static int nobody(void *arg)
{
	const struct dgram_script *s = arg;
	struct mn_dgram *d;

	is(mn_dgram_open(&(struct mn_dgram_conf){ .connect = kit_addr(s),
						  .seqpacket = s->seqpacket },
			 &d),
	   s->addr[5] ? -ECONNREFUSED : -ENOENT);
	is(mn_dgram_open(&(struct mn_dgram_conf){ .bind = "nonsense" }, &d), -EINVAL);
	is(mn_dgram_open(&(struct mn_dgram_conf){ .bind = "unix:/none/such" }, &d), -ENOENT);
	return 0;
}

/* A connection has an end, behind what was sent before it. */
static int end(void *arg)
{
	struct mn_packet packet;
	struct two t;

	plain_open(&t, arg);
	for (size_t i = 1; i < 50; i++)
		put(t.client, i, i);
	mn_dgram_close(t.client);
	for (size_t i = 1; i < 50; i++)
		get_pattern(t.server, i, i);
	for (int i = 0; i < 3; i++)
		is(mn_dgram_recv(t.server, &packet, 1), 0);
	is(mn_dgram_send_copy(t.server, NULL, "x", 1), -EPIPE);
	two_close_server(&t);
	return 0;
}

/* --- time --- */

static int recv_fiber(void *arg)
{
	struct mn_packet packet;

	return mn_dgram_recv(arg, &packet, 1);
}

static int in_vain(void *arg)
{
	struct mn_packet packet;
	struct mn_fiber *fiber;
	struct mn_scope scope;
	struct two t;

	plain_open(&t, arg);
	is(mn_dgram_try_recv(t.server, &packet, 1), -EAGAIN);
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + 2 * MN_MSEC });
	is(mn_dgram_recv(t.server, &packet, 1), -ETIMEDOUT);
	is(mn_dgram_recv(t.server, &packet, 1), -ETIMEDOUT);
	ok(mn_scope_join(&scope));
	ok(mn_spawn(recv_fiber, t.server, &fiber));
	mn_yield();
	mn_fiber_cancel(fiber);
	is(mn_join(fiber), -ECANCELED);
	put(t.client, 3, 30);
	get_pattern(t.server, 3, 30);	/* nothing was lost */
	return two_close(&t);
}

/* --- more than is taken --- */

#define MANY 300

static int send_many(void *arg)
{
	for (uint32_t i = 0; i < MANY; i++)
		ck_assert_int_eq(mn_dgram_send_copy(arg, NULL, &i, sizeof(i)), 0);
	return 0;
}

/* Of a Unix socket nothing is lost: who sends waits. */
static int bounded(void *arg)
{
	struct mn_fiber *fiber;
	struct two t;
	uint32_t got;

	two_open(&t, arg, (struct mn_dgram_conf){ .queue_max = 5 }, none);
	ok(mn_spawn(send_many, t.client, &fiber));
	for (uint32_t i = 0; i < MANY; i++) {
		if (i % 64 == 0)
			mn_sleep(MN_MSEC);
		is(mn_dgram_recv_copy(t.server, &got, sizeof(got), NULL), sizeof(got));
		is(got, i);
	}
	ok(mn_join(fiber));
	return two_close(&t);
}

static int left(void *arg)
{
	struct two t;

	plain_open(&t, arg);
	for (size_t i = 1; i < 8; i++)
		put(t.client, i, 500);
	mn_yield();
	return two_close(&t);
}

static int kit_at_addr(void *arg)
{
	const struct dgram_script *s = container_of(arg, struct dgram_script, script);

	if (mn_self->virtual_time && (s->seqpacket || s->real))
		return RUN_SKIPPED;
	return s->fn((void *)(uintptr_t)s);
}

/* clang-format off */
#define OVER_IN(fn, how, where, seq, real)				\
	{ { #fn " over " how, kit_at_addr }, fn, where, seq, real }
#define OVER(fn, how, where, seq)	OVER_IN(fn, how, where, seq, false)
#define OVER_UDP(fn)							\
	OVER(fn, "UDP", "127.0.0.1:0", false),				\
	OVER(fn, "UDP, version 6", "[::1]:0", false)
#define OVER_UNIX(fn)							\
	OVER(fn, "a Unix socket", "unix:@mn-test-kit-dgram", false),	\
	OVER(fn, "a Unix socket with a file", "unix:", false)
#define OVER_REAL(fn)							\
	OVER_IN(fn, "a Unix socket", "unix:@mn-test-kit-dgram", false, true), \
	OVER_IN(fn, "a Unix socket with a file", "unix:", false, true),	\
	OVER_SEQ(fn)
#define OVER_SEQ(fn)							\
	OVER(fn, "seqpacket", "unix:@mn-test-kit-dgram", true),		\
	OVER(fn, "seqpacket with a file", "unix:", true)
#define OVER_ALL(fn)	OVER_UDP(fn), OVER_UNIX(fn), OVER_SEQ(fn)

static const struct dgram_script scripts[] = {
	OVER_ALL(sizes), OVER_ALL(large), OVER_ALL(cut), OVER_ALL(too_long),
	OVER_ALL(batches), OVER_ALL(taken), OVER_ALL(gone), OVER_ALL(in_vain), OVER_ALL(left),
	OVER_UDP(unconnected), OVER_UNIX(unconnected),
	OVER_REAL(nobody), OVER_SEQ(end),
	OVER_UNIX(bounded), OVER_SEQ(bounded),
	OVER_REAL(kit_descriptors),
	OVER_REAL(kit_descriptors_left),
	OVER_REAL(kit_creds),
};
/* clang-format on */

START_TEST(datagrams_are_the_same_on_every_backend)
{
	script_run(&scripts[_i / 2].script, 1 + (unsigned int)_i % 2);
}
END_TEST

Suite *suite_kit_dgram(void)
{
	Suite *s = suite_create("kit_dgram");
	TCase *tc = tcase_create("kit_dgram");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, datagrams_are_the_same_on_every_backend, scripts);
	suite_add_tcase(s, tc);
	return s;
}
