// SPDX-License-Identifier: MIT
/*
 * Names, asked of a server of our own. Every case on every backend, with 1
 * and 2 shards, on the last of them; over mem there is no network to ask.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "lib/dns/dns.h"
#include "tests/dns-server.h"
#include "tests/poll.h"
#include "tests/suites.h"
#include "tests/world.h"

static struct dns_server server;

#define PATIENCE_NS	(20 * MN_SEC)

/* What is asked for in vain ends soon. */
static struct dns_conf conf;

static void ask_server(void)
{
	conf = (struct dns_conf){
		.servers = server.text,
		.timeout_ms = 200,
		.tries = 2,
		.cache_max = 16,
		.ttl_max_s = 3600,
		.negative_ttl_s = 5,
		.queries_max = 8,
	};
	ck_assert_int_eq(resolver_open(&conf), 0);
}

static int nr_asked(void)
{
	return atomic_load(&server.nr_udp);
}

/* The addresses as text, one after another. */
static char text[1024];

static int resolve(const char *name, int64_t timeout_ns)
{
	struct mn_addr addr[24];
	int n = mn_resolve(name, 80, addr, ARRAY_SIZE(addr), timeout_ns);

	text[0] = '\0';
	for (int i = 0; i < n; i++) {
		char one[MN_ADDR_TEXT_MAX];

		mn_addr_format(&addr[i], one, sizeof(one));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 one);
	}
	return n;
}

static int numbers_fiber(void *arg)
{
	char longest[256];
	struct mn_addr addr;

	ck_assert_int_eq(resolve("127.0.0.1", 0), 1);
	ck_assert_str_eq(text, "127.0.0.1:80");
	ck_assert_int_eq(resolve("::1", 0), 1);
	ck_assert_str_eq(text, "[::1]:80");
	ck_assert_int_eq(mn_resolve("127.0.0.1", 80, &addr, 0, 0), -EINVAL);
	ck_assert_int_eq(resolve("", 0), -EINVAL);
	ck_assert_int_eq(resolve("1.2.3.4.5", 0), -EINVAL);
	ck_assert_int_eq(resolve("1.2.3.400", 0), -EINVAL);
	ck_assert_int_eq(resolve(".", 0), -EINVAL);
	ck_assert_int_eq(resolve(".a", 0), -EINVAL);
	ck_assert_int_eq(resolve("a..b", 0), -EINVAL);
	ck_assert_int_eq(resolve("a b", 0), -EINVAL);
	ck_assert_int_eq(resolve("a:80", 0), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[254] = '\0';
	ck_assert_int_eq(resolve(longest, 0), -EINVAL);
	if (is_mem())
		ck_assert_int_eq(resolve("a.test", MN_NEVER), -EOPNOTSUPP);
	return 0;
}

START_TEST(addresses_in_numbers_are_taken_as_they_are)
{
	poll_run(_i, numbers_fiber);
}
END_TEST

static int answers_fiber(void *arg)
{
	static const struct {
		const char *name;
		int res;
		const char *text;
	} asked[] = {
		{ "v4.test", 1, "127.0.0.2:80" },
		{ "V4.Test.", 1, "127.0.0.2:80" },
		{ "alias.test", 1, "127.0.0.2:80" },
		{ "lost.test", 1, "127.0.0.2:80" },
		{ "nonsense.test", 1, "127.0.0.2:80" },
		{ "host", 1, "127.0.0.2:80" },
		{ "many.test", 16, NULL },
		{ "big.test", 16, NULL },
		{ "nx.test", -ENOENT, "" },
		{ "empty.test", -ENOENT, "" },
		{ "fail.test", -ECONNREFUSED, "" },
		{ "silent.test", -EHOSTUNREACH, "" },
		{ "in.hosts", 1, "10.1.2.3:80" },
	};
	int res;

	if (is_mem())
		return 0;
	ask_server();
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		res = resolve(asked[i].name, PATIENCE_NS);
		ck_assert_msg(res == asked[i].res, "%s: %d", asked[i].name, res);
		if (asked[i].text)
			ck_assert_str_eq(text, asked[i].text);
	}
	ck_assert_int_ge(atomic_load(&server.nr_tcp), 1);
	ck_assert_int_eq(resolve("a.test", PATIENCE_NS), 2);
	ck_assert(strstr(text, "127.0.0.1:80") && strstr(text, "[::1]:80"));
	return 0;
}

START_TEST(names_are_asked_of_servers_and_of_the_hosts_file)
{
	char hosts[] = "/tmp/mn-test-hosts-XXXXXX";
	int fd = mkstemp(hosts);

	ck_assert_int_eq(dprintf(fd, "10.1.2.3 in.hosts\n"), 18);
	close(fd);
	setenv("CARES_HOSTS", hosts, 1);
	setenv("LOCALDOMAIN", "nowhere.test search.test", 1);
	poll_run(_i, answers_fiber);
	unlink(hosts);
}
END_TEST

/* ---- the cache ---- */

static int cache_fiber(void *arg)
{
	int n;

	if (is_mem())
		return 0;
	ask_server();
	ck_assert_int_eq(resolve("v4.test", 0), -ETIMEDOUT);	/* it does not even ask */
	ck_assert_int_eq(nr_asked(), 0);
	ck_assert_int_eq(resolve("v4.test", PATIENCE_NS), 1);
	n = nr_asked();
	ck_assert_int_ge(n, 2);
	ck_assert_int_eq(resolve("v4.test", 0), 1);
	ck_assert_int_eq(resolve("V4.TEST", PATIENCE_NS), 1);
	ck_assert_str_eq(text, "127.0.0.2:80");
	ck_assert_int_eq(resolve("nx.test.", PATIENCE_NS), -ENOENT);
	n = nr_asked();
	ck_assert_int_eq(resolve("nx.test.", 0), -ENOENT);	/* what does not exist, too */
	ck_assert_int_eq(resolve("fail.test.", PATIENCE_NS), -ECONNREFUSED);
	ck_assert_int_gt(nr_asked(), n);
	ck_assert_int_eq(resolve("fail.test.", 0), -ETIMEDOUT);	/* but no failure */
	return 0;
}

START_TEST(answers_are_remembered)
{
	poll_run(_i, cache_fiber);
}
END_TEST

static int expiry_fiber(void *arg)
{
	int n;

	if (is_mem())
		return 0;
	ask_server();
	for (int i = 0; i < 2; i++) {	/* of the alias, its own is the shorter one */
		const char *name = i ? "alias.test" : "brief.test";

		ck_assert_int_eq(resolve(name, PATIENCE_NS), 1);
		n = nr_asked();
		ck_assert_int_eq(mn_sleep(1001 * MN_MSEC), 0);
		ck_assert_int_eq(resolve(name, 0), -ETIMEDOUT);
		ck_assert_int_eq(resolve(name, PATIENCE_NS), 1);
		ck_assert_int_gt(nr_asked(), n);
	}
	return 0;
}

START_TEST(for_as_long_as_they_may_be)
{
	poll_run(_i, expiry_fiber);
}
END_TEST

START_TEST(the_cache_is_bounded)
{
	struct dns_answer answer = { .nr = 1 };
	struct dns_cache cache;
	unsigned int kept = 0;
	char name[32];

	ck_assert_int_eq(dns_cache_open(&cache, 64), 0);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		answer.ttl_s = (uint32_t)i;
		dns_cache_put(&cache, name, &answer, i, 1000000);
		ck_assert_uint_eq(dns_cache_find(&cache, name, i)->ttl_s, i);
	}
	for (int i = 0; i < 10000; i++) {
		const struct dns_answer *found;

		snprintf(name, sizeof(name), "n%d", i);
		found = dns_cache_find(&cache, name, 20000);
		ck_assert(!found || found->ttl_s == (uint32_t)i);
		kept += found != NULL;
	}
	ck_assert_uint_le(kept, 64);
	ck_assert_uint_ge(kept, 48);
	/* A new answer takes the place of the old one, and time ends it. */
	answer.ttl_s = 7;
	dns_cache_put(&cache, "n1", &answer, 30000, 40000);
	answer.ttl_s = 8;
	dns_cache_put(&cache, "n1", &answer, 30000, 50000);
	ck_assert_uint_eq(dns_cache_find(&cache, "n1", 49999)->ttl_s, 8);
	ck_assert_ptr_null(dns_cache_find(&cache, "n1", 50000));
	dns_cache_close(&cache);
	ck_assert_int_eq(dns_cache_open(&cache, 0), 0);
	dns_cache_put(&cache, "n1", &answer, 1, 50000);
	ck_assert_ptr_null(dns_cache_find(&cache, "n1", 2));
	dns_cache_close(&cache);
}
END_TEST

/* ---- waiting ---- */

static int resolve_silent(void *arg)
{
	return resolve("silent.test", MN_NEVER);
}

static int resolve_v4(void *arg)
{
	return resolve("v4.test", MN_NEVER);
}

static int wait_fiber(void *arg)
{
	struct mn_fiber *fiber[20];
	struct mn_scope scope;
	int64_t from_ns;
	char name[32];
	int n;

	if (is_mem())
		return 0;
	ask_server();
	from_ns = mn_now();
	ck_assert_int_eq(resolve("silent.test", 20 * MN_MSEC), -ETIMEDOUT);
	ck_assert_int_ge(mn_now() - from_ns, 20 * MN_MSEC);
	ck_assert_int_eq(mn_spawn(resolve_silent, NULL, &fiber[0]), 0);
	mn_yield();
	mn_fiber_cancel(fiber[0]);
	ck_assert_int_eq(mn_join(fiber[0]), -ECANCELED);
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 5 * MN_MSEC });
	ck_assert_int_eq(resolve("silent.test", MN_NEVER), -ETIMEDOUT);
	mn_scope_join(&scope);
	/* Many for one name are one query, even if some leave. */
	n = nr_asked();
	for (size_t i = 0; i < ARRAY_SIZE(fiber); i++)
		ck_assert_int_eq(mn_spawn(resolve_v4, NULL, &fiber[i]), 0);
	mn_yield();
	mn_fiber_cancel(fiber[0]);
	ck_assert_int_eq(mn_join(fiber[0]), -ECANCELED);
	for (size_t i = 1; i < ARRAY_SIZE(fiber); i++)
		ck_assert_int_eq(mn_join(fiber[i]), 1);
	ck_assert_int_le(nr_asked() - n, 4);	/* a loaded machine may ask again */
	/* The one for silent.test still counts; there may be eight. */
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "n%d.silent.test", i);
		ck_assert_int_eq(resolve(name, 1), -ETIMEDOUT);
	}
	ck_assert_int_eq(resolve("v5.test", MN_NEVER), -EAGAIN);
	return 0;
}

START_TEST(waits_end_early_and_queries_are_shared)
{
	poll_run(_i, wait_fiber);
}
END_TEST

static int nobody_fiber(void *arg)
{
	struct dns_server none;
	int res;

	if (is_mem())
		return 0;
	dns_server_start(&none);
	dns_server_stop(&none);
	conf = (struct dns_conf){
		.servers = none.text, .timeout_ms = 100, .tries = 1, .queries_max = 1
	};
	ck_assert_int_eq(resolver_open(&conf), 0);
	res = resolve("a.test", PATIENCE_NS);
	ck_assert_msg(res == -ECONNREFUSED || res == -EHOSTUNREACH, "%d", res);
	return 0;
}

START_TEST(where_there_is_no_server_that_is_said)
{
	poll_run(_i, nobody_fiber);
}
END_TEST

/* The program ends while queries are under way, and about to begin. */
static int leave_fiber(void *arg)
{
	if (is_mem())
		return 0;
	ask_server();
	ck_assert_int_eq(resolve("silent.test", MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_spawn(resolve_silent, NULL, NULL), 0);
	ck_assert_int_eq(mn_spawn(resolve_v4, NULL, NULL), 0);
	return 0;
}

START_TEST(a_program_may_end_in_the_midst_of_it)
{
	poll_run(_i, leave_fiber);
}
END_TEST

/* ---- connecting ---- */

static int connect_fiber(void *arg)
{
	struct mn_stream *stream;
	struct sockaddr_in sa;
	char to[64];
	int fd;

	if (is_mem()) {
		ck_assert_int_eq(mn_connect("a.test:80", PATIENCE_NS, &stream), -EINVAL);
		return 0;
	}
	ask_server();
	fd = listener(&sa, 4);	/* on 127.0.0.1; nobody listens on ::1 */
	snprintf(to, sizeof(to), "a.test:%u", ntohs(sa.sin_port));
	ck_assert_int_eq(mn_connect(to, PATIENCE_NS, &stream), 0);
	mn_stream_close(stream);
	snprintf(to, sizeof(to), "v4.test:%u", ntohs(sa.sin_port));
	ck_assert_int_eq(mn_connect(to, PATIENCE_NS, &stream), -ECONNREFUSED);
	ck_assert_int_eq(mn_connect("nx.test.:80", PATIENCE_NS, &stream), -ENOENT);
	ck_assert_int_eq(mn_connect("silent.test.:80", MN_MSEC, &stream), -ETIMEDOUT);
	ck_assert_int_eq(mn_connect("a.test", PATIENCE_NS, &stream), -EINVAL);
	ck_assert_int_eq(mn_connect("a.test:", PATIENCE_NS, &stream), -EINVAL);
	ck_assert_int_eq(mn_connect("a.test:65536", PATIENCE_NS, &stream), -EINVAL);
	ck_assert_int_eq(mn_connect("a.test:8o", PATIENCE_NS, &stream), -EINVAL);
	ck_assert_int_eq(mn_connect("1.2.3.4.5:80", PATIENCE_NS, &stream), -EINVAL);
	do_call(MN_OP_CLOSE, fd, 0);
	return 0;
}

START_TEST(a_name_can_be_connected_to)
{
	poll_run(_i, connect_fiber);
}
END_TEST

static void server_up(void)
{
	setenv("CARES_HOSTS", "/dev/null", 1);
	dns_server_start(&server);
}

static void server_down(void)
{
	dns_server_stop(&server);
}

Suite *suite_dns(void)
{
	Suite *suite = suite_create("names");
	TCase *tc = tcase_create("names");
	int n = poll_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, server_up, server_down);
	tcase_add_loop_test(tc, addresses_in_numbers_are_taken_as_they_are, 0, n);
	tcase_add_loop_test(tc, names_are_asked_of_servers_and_of_the_hosts_file, 0, n);
	tcase_add_loop_test(tc, answers_are_remembered, 0, n);
	tcase_add_loop_test(tc, for_as_long_as_they_may_be, 0, n);
	tcase_add_test(tc, the_cache_is_bounded);
	tcase_add_loop_test(tc, waits_end_early_and_queries_are_shared, 0, n);
	tcase_add_loop_test(tc, where_there_is_no_server_that_is_said, 0, n);
	tcase_add_loop_test(tc, a_program_may_end_in_the_midst_of_it, 0, n);
	tcase_add_loop_test(tc, a_name_can_be_connected_to, 0, n);
	suite_add_tcase(suite, tc);
	return suite;
}
