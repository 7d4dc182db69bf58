// SPDX-License-Identifier: MIT
/*
 * Connecting to the first that answers of many, and options of sockets. A hole
 * is a listener whose backlog is full: who connects there waits. Each case on
 * every backend with 1, 2 and 8 shards; times are exact where they are virtual,
 * and nowhere too early. No descriptor may be left.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/net/socket.h"
#include "lib/net/stream.h"
#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

#define STAGGER	(250 * MN_MSEC)
#define TICK	(100 * MN_USEC)

/* ---- places ---- */

struct place {
	struct mn_addr addr;
	int fd, filler;
};

static struct place bound(const char *text)
{
	struct place p = { .filler = -1 };

	ck_assert_int_eq(mn_addr_parse(text, &p.addr), 0);
	p.fd = socket_open(p.addr.sa.sa_family);
	ck_assert_int_ge(p.fd, 0);
	ck_assert_int_eq(socket_bind(p.fd, &p.addr), 0);
	ck_assert_int_eq(socket_name(p.fd, &p.addr), 0);
	return p;
}

static struct place hole(const char *text)
{
	struct place p = bound(text);

	ck_assert_int_eq(socket_listen(p.fd, 0), 0);
	p.filler = socket_open(p.addr.sa.sa_family);
	ck_assert_int_eq(socket_connect(p.filler, &p.addr, MN_SEC), 0);
	return p;
}

static void leave(struct place *p)
{
	if (p->filler >= 0)
		socket_close(p->filler);
	socket_close(p->fd);
}

/* Whoever is in the way of it is let in: one more can connect. */
static void let_in(struct place *p)
{
	int fd = socket_accept(p->fd);

	ck_assert_int_ge(fd, 0);
	socket_close(fd);
}

static struct mn_addr addr_of(const struct site *site)
{
	struct mn_addr addr;

	ck_assert_int_eq(mn_addr_parse(site->addr, &addr), 0);
	return addr;
}

static void took(int64_t from_ns, int64_t ns)
{
	int64_t elapsed_ns = mn_clock_steady() - from_ns;

	ck_assert_int_ge(elapsed_ns, ns);
	if (mn_self->virtual_time)
		ck_assert_int_le(elapsed_ns, ns + TICK);
}

static void connects(const struct mn_addr *addrs, unsigned int n, const struct mn_addr *to,
		     int64_t ns)
{
	char text[MN_ADDR_TEXT_MAX], expected[MN_ADDR_TEXT_MAX];
	int64_t from_ns = mn_clock_steady();
	struct mn_stream *stream;

	ck_assert_int_eq(mn_connect_any(addrs, n, NULL, &stream), 0);
	took(from_ns, ns);
	mn_addr_format(to, expected, sizeof(expected));
	ck_assert_int_eq(mn_stream_peer(stream, text, sizeof(text)), 0);
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(mn_stream_close(stream), 0);
}

static void fails(const struct mn_addr *addrs, unsigned int n, int64_t timeout_ns, int err,
		  int64_t ns)
{
	const struct mn_connect_conf conf = { .timeout_ns = timeout_ns };
	int64_t from_ns = mn_clock_steady();
	struct mn_stream *stream;

	ck_assert_int_eq(mn_connect_any(addrs, n, &conf, &stream), err);
	took(from_ns, ns);
}

/* ---- which one ---- */

static int first_fiber(void *arg)
{
	struct place refuses = bound("127.0.0.1:0"), never = hole("127.0.0.1:0");
	struct place never6 = hole("[::1]:0"), also6 = hole("[::1]:0");
	struct site site = { .last_err = 0 };
	struct mn_addr good;

	ck_assert_int_eq(site_open(&site), 0);
	good = addr_of(&site);
	connects((struct mn_addr[]){ good }, 1, &good, 0);
	connects((struct mn_addr[]){ good, never.addr }, 2, &good, 0);
	connects((struct mn_addr[]){ refuses.addr, refuses.addr, good }, 3, &good, 0);
	connects((struct mn_addr[]){ never.addr, good }, 2, &good, STAGGER);
	connects((struct mn_addr[]){ never.addr, refuses.addr, good }, 3, &good, STAGGER);
	/* In turns: the third is the second. */
	connects((struct mn_addr[]){ never6.addr, also6.addr, good }, 3, &good, STAGGER);
	connects((struct mn_addr[]){ never.addr, never.addr, never6.addr, good }, 4, &good,
		 3 * STAGGER);
	leave(&refuses);
	leave(&never);
	leave(&never6);
	leave(&also6);
	return site_close(&site);
}

START_TEST(the_first_that_answers_wins)
{
	sharded_run_backend(_i, first_fiber);
}
END_TEST

static int late_fiber(void *arg)
{
	struct place slow = hole("127.0.0.1:0"), never = hole("127.0.0.1:0");
	struct mn_addr addrs[] = { slow.addr, never.addr };
	struct mn_stream *stream;
	char text[MN_ADDR_TEXT_MAX], expected[MN_ADDR_TEXT_MAX];

	let_in(&slow);
	/* Full again, by us; then both wait. */
	ck_assert_int_eq(mn_connect_any(addrs, 2, NULL, &stream), 0);
	ck_assert_int_eq(mn_stream_peer(stream, text, sizeof(text)), 0);
	mn_addr_format(&slow.addr, expected, sizeof(expected));
	ck_assert_str_eq(text, expected);
	mn_stream_close(stream);
	leave(&slow);
	leave(&never);
	return 0;
}

START_TEST(one_that_has_room_again_is_connected_to)
{
	sharded_run_backend(_i, late_fiber);
}
END_TEST

/* ---- none ---- */

static int none_fiber(void *arg)
{
	struct place refuses = bound("127.0.0.1:0"), never = hole("127.0.0.1:0");
	struct mn_addr refused[20], hanging[] = { never.addr, never.addr };
	struct mn_stream *stream;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		refused[i] = refuses.addr;
	ck_assert_int_eq(mn_connect_any(refused, 0, NULL, &stream), -EINVAL);
	fails(refused, 1, 0, -ECONNREFUSED, 0);
	fails(refused, 20, 0, -ECONNREFUSED, 0);
	fails(hanging, 2, 400 * MN_MSEC, -ETIMEDOUT, 400 * MN_MSEC);
	fails(hanging, 1, 1, -ETIMEDOUT, 0);
	hanging[0] = refuses.addr;	/* what has failed does not end those that may not */
	fails(hanging, 2, 100 * MN_MSEC, -ETIMEDOUT, 100 * MN_MSEC);
	leave(&refuses);
	leave(&never);
	return 0;
}

START_TEST(when_none_answers_the_error_is_the_last_one)
{
	sharded_run_backend(_i, none_fiber);
}
END_TEST

struct hang {
	struct mn_addr addrs[3];
};

static int hang_fiber(void *arg)
{
	struct hang *h = arg;
	struct mn_stream *stream;

	return mn_connect_any(h->addrs, 3, NULL, &stream);
}

static int cancel_fiber(void *arg)
{
	struct place never = hole("127.0.0.1:0");
	struct hang h = { { never.addr, never.addr, never.addr } };
	struct mn_fiber *fiber;

	for (int64_t ns = 0; ns < 3 * STAGGER; ns += STAGGER) {	/* with one, two, three under way */
		ck_assert_int_eq(mn_spawn(hang_fiber, &h, &fiber), 0);
		mn_sleep(ns + MN_MSEC);
		mn_fiber_cancel(fiber);
		ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	}
	leave(&never);
	return 0;
}

START_TEST(cancelling_ends_all_attempts)
{
	sharded_run_backend(_i, cancel_fiber);
}
END_TEST

/* ---- options ---- */

static int get(int fd, int level, int name)
{
	int value = -1;

	ck_assert_int_eq(socket_get(fd, level, name, &value, sizeof(value)), sizeof(value));
	return value;
}

static const struct mn_sockopt all = { .keepalive_idle_s = 71,
				       .keepalive_interval_s = 13,
				       .keepalive_count = 5,
				       .user_timeout_ms = 4321,
				       .receive_buffer = 50000,
				       .send_buffer = 60000 };

static void has_all(int fd)
{
	ck_assert_int_eq(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 71);
	ck_assert_int_eq(get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 13);
	ck_assert_int_eq(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
	ck_assert_int_eq(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 4321);
	ck_assert_int_eq(get(fd, SOL_SOCKET, SO_RCVBUF), 100000);
	ck_assert_int_eq(get(fd, SOL_SOCKET, SO_SNDBUF), 120000);
	ck_assert_int_eq(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
}

static int options_conn(struct mn_stream *conn, void *arg)
{
	char text[MN_ADDR_TEXT_MAX];

	ck_assert_int_eq(mn_stream_peer(conn, text, sizeof(text)), 0);
	ck_assert_msg(!strncmp(text, "127.0.0.2:", 10), "%s", text);
	if (!mn_self->virtual_time)
		has_all(conn->fd);
	return echo_conn(conn, arg);
}

static int options_fiber(void *arg)
{
	struct site site = { .conf = { .on_conn = options_conn, .opt = &all } };
	struct mn_connect_conf conf = { .timeout_ns = MN_SEC, .opt = &all };
	struct mn_stream *stream;

	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(mn_addr_parse("127.0.0.2:0", &conf.bind), 0);
	ck_assert_int_eq(mn_connect_with(site.addr, &conf, &stream), 0);
	ck_assert_int_eq(mn_stream_cred(stream, &(struct mn_cred){ .pid = 0 }), -EOPNOTSUPP);
	if (!mn_self->virtual_time)
		has_all(stream->fd);
	send_pattern(stream, 0, 1000);
	expect_pattern(stream, 0, 1000);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	conf.opt = &(struct mn_sockopt){ .nodelay = MN_OFF };
	ck_assert_int_eq(mn_connect_with(site.addr, &conf, &stream), 0);
	if (!mn_self->virtual_time)
		ck_assert_int_eq(get(stream->fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	ck_assert_int_eq(mn_addr_parse("192.0.2.1:0", &conf.bind), 0);
	if (!mn_self->virtual_time)
		ck_assert_int_eq(mn_connect_with(site.addr, &conf, &stream), -EADDRNOTAVAIL);
	return site_close(&site);
}

START_TEST(both_ends_have_the_options_that_they_were_given)
{
	sharded_run_backend(_i, options_fiber);
}
END_TEST

static int listener_fiber(void *arg)
{
	static const struct mn_sockopt opt = { .v6only = MN_ON,
					       .defer_accept_s = 1,
					       .fastopen = 16 };
	static const struct mn_sockopt refused = { .keepalive_idle_s = 1u << 20 };
	struct site site = { .conf = { .addr = "[::1]:0", .opt = &opt } }, bad;
	struct mn_connect_conf conf = { .timeout_ns = MN_SEC, .opt = &opt };
	struct mn_stream *stream;

	if (!mn_self->virtual_time) {
		bad = (struct site){ .conf.opt = &refused };
		ck_assert_int_eq(site_open(&bad), -EINVAL);
		ck_assert_int_eq(mn_join(bad.fiber), -EINVAL);
	}
	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(mn_connect_with(site.addr, &conf, &stream), 0);
	send_pattern(stream, 0, 1000);
	expect_pattern(stream, 0, 1000);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(a_listener_has_options_of_its_own)
{
	sharded_run_backend(_i, listener_fiber);
}
END_TEST

Suite *suite_connect(void)
{
	Suite *s = suite_create("connect");
	TCase *tc = tcase_create("connect");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, the_first_that_answers_wins, 0, n);
	tcase_add_loop_test(tc, one_that_has_room_again_is_connected_to, 0, n);
	tcase_add_loop_test(tc, when_none_answers_the_error_is_the_last_one, 0, n);
	tcase_add_loop_test(tc, cancelling_ends_all_attempts, 0, n);
	tcase_add_loop_test(tc, both_ends_have_the_options_that_they_were_given, 0, n);
	tcase_add_loop_test(tc, a_listener_has_options_of_its_own, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
