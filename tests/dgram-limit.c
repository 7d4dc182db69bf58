// SPDX-License-Identifier: MIT
/* Datagrams where there is too much of them or too little of all else, and to many at once. */
#include <netinet/in.h>

#include "lib/mem/mem.h"
#include "lib/net/dgram.h"
#include "tests/dgram.h"
#include "tests/sharded.h"
#include "tests/suites.h"
#include "tests/world.h"

/* All that is sent has arrived or was dropped, and was counted as one of them. */
static void flood(bool gro)
{
	static const struct mn_sockopt small = { .receive_buffer = 4096 };
	enum { N = 3000, QUEUE = 8 };
	struct mn_dgram *server = dgram(&(struct mn_dgram_conf){
		.bind = "127.0.0.1:0", .queue_max = QUEUE, .opt = &small, .gro = gro });
	struct mn_dgram *client = dgram_to(server);
	struct mn_dgram_stats stats;
	struct mn_packet packet;
	unsigned int got = 0;

	for (unsigned int i = 0; i < N; i++) {
		packet_put(client, 0, 500);
		if (i % 100 == 0)
			mn_yield();
		/* What is under way when it is stopped is a bounded lot: buffers of a ring. */
		ck_assert_uint_le(server->in_nr, QUEUE + 256);
	}
	mn_sleep(20 * MN_MSEC);
	while (mn_dgram_try_recv(server, &packet, 1) == 1 ||
	       (!mn_sleep(5 * MN_MSEC) && mn_dgram_try_recv(server, &packet, 1) == 1)) {
		ck_assert(packet_is(&packet, 0, 500));
		mn_packet_free(&packet);
		got++;
	}
	mn_dgram_stats(server, &stats);
	ck_assert_uint_eq(stats.received, got);
	ck_assert_uint_gt(stats.dropped, 0);
	ck_assert_uint_eq(got + stats.dropped, N);
	mn_dgram_close(client);
	mn_dgram_close(server);
}

static int flood_fiber(void *arg)
{
	flood(false);
	flood(true);
	return 0;
}

START_TEST(a_queue_that_is_full_leaves_the_rest_to_the_kernel_who_counts)
{
	sharded_run_backend(_i, flood_fiber);
}
END_TEST

/* --- hardly any buffers --- */

static void one_by_one(bool gro)
{
	struct mn_dgram *server =
		dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0", .gro = gro });
	struct mn_dgram *client = dgram_to(server);
	struct mn_packet packet;
	uint8_t data[600];

	for (uint64_t i = 0; i < 100; i++) {
		pattern_fill(data, i, sizeof(data));
		ck_assert_int_eq(mn_dgram_send_copy(client, NULL, data, sizeof(data)), 0);
		ck_assert_int_eq(mn_dgram_recv(server, &packet, 1), 1);
		ck_assert(packet_is(&packet, i, sizeof(data)));
		mn_packet_free(&packet);
	}
	mn_dgram_close(client);
	mn_dgram_close(server);
}

static int scarce_fiber(void *arg)
{
	struct mn_buf buf, *held;
	unsigned int n = 0;

	held = mem_alloc(mn_self->pool.chunks_max * sizeof(*held));
	ck_assert_ptr_nonnull(held);
	while (!mn_buf_alloc(&buf))
		held[n++] = buf;
	for (int left = 3; left; left--) {
		mn_buf_free(&held[--n]);
		one_by_one(false);
		one_by_one(true);
	}
	while (n)
		mn_buf_free(&held[--n]);
	mem_free(held);
	one_by_one(false);	/* the backend takes again what it had */
	return 0;
}

START_TEST(with_hardly_any_buffers_datagrams_still_arrive)
{
	sharded_run_backend(_i, scarce_fiber);
}
END_TEST

static int recv_one(void *arg)
{
	struct mn_packet packet;

	return mn_dgram_recv(arg, &packet, 1);
}

static int cancel_fiber(void *arg)
{
	struct mn_scope scope;
	struct mn_fiber *fiber;
	struct mn_packet packet;
	struct mn_dgram *d;

	d = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0" });
	ck_assert_int_eq(mn_spawn(recv_one, d, &fiber), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 5 * MN_MSEC });
	ck_assert_int_eq(mn_dgram_recv(d, &packet, 1), -ETIMEDOUT);
	mn_scope_join(&scope);
	mn_dgram_close(d);	/* while it receives */
	d = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0", .gro = true });
	mn_dgram_close(d);	/* at once */
	return 0;
}

START_TEST(waiting_ends_when_it_is_cancelled_or_takes_too_long)
{
	sharded_run_backend(_i, cancel_fiber);
}
END_TEST

/* --- many sockets of one address --- */

static struct mn_dgram *shared[8];
static char shared_at[MN_ADDR_TEXT_MAX];

static int shared_open(void *arg)
{
	const char *bind = mn_shard() ? shared_at : "127.0.0.1:0";

	shared[mn_shard()] = dgram(&(struct mn_dgram_conf){ .bind = bind, .reuseport = true });
	if (!mn_shard())
		dgram_text(shared[0], shared_at);
	return 0;
}

static int shared_close(void *arg)
{
	struct mn_dgram_stats stats;

	mn_dgram_stats(shared[mn_shard()], &stats);
	mn_dgram_close(shared[mn_shard()]);
	return (int)stats.received;
}

static int shared_fiber(void *arg)
{
	enum { PEERS = 64 };
	int sum = 0, most = 0;

	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert_int_eq(mn_call(i, shared_open, NULL), 0);
	for (int i = 0; i < PEERS; i++) {
		struct mn_dgram *client = dgram(&(struct mn_dgram_conf){ .connect = shared_at });

		packet_put(client, 0, 10);
		mn_dgram_close(client);
	}
	mn_sleep(20 * MN_MSEC);
	for (unsigned int i = 0; i < mn_shards(); i++) {
		int n = (int)mn_call(i, shared_close, NULL);

		sum += n;
		most = max(most, n);
	}
	ck_assert_int_eq(sum, PEERS);
	if (mn_shards() > 1)
		ck_assert_int_lt(most, PEERS);
	return 0;
}

START_TEST(shards_share_an_address_and_the_kernel_shares_out_the_peers)
{
	sharded_run_backend(_i, shared_fiber);
}
END_TEST

/* --- multicast --- */

static in_port_t port_of(struct mn_dgram *d)
{
	struct mn_addr addr;

	ck_assert_int_eq(mn_dgram_name(d, &addr), 0);
	return addr.v4.sin_port;
}

static int group_fiber(void *arg)
{
	struct mn_dgram *member, *stranger, *client;
	struct mn_packet packet;
	struct mn_addr to;

	if (is_virtual())
		return 0;
	member = dgram(&(struct mn_dgram_conf){ .bind = "0.0.0.0:0", .reuseport = true });
	stranger = dgram(&(struct mn_dgram_conf){ .bind = "0.0.0.0:0" });
	client = dgram(&(struct mn_dgram_conf){ .bind = "127.0.0.1:0" });	/* so it leaves by lo */
	ck_assert_int_eq(mn_dgram_join(member, "239.1.2.3", 1), 0);
	ck_assert_int_eq(mn_dgram_join(member, "239.1.2.3", 12345), -ENODEV);
	ck_assert_int_eq(mn_addr_parse("239.1.2.3:0", &to), 0);
	to.v4.sin_port = port_of(member);
	ck_assert_int_eq(mn_dgram_send_copy(client, &to, "all", 3), 0);
	ck_assert_int_eq(mn_dgram_recv(member, &packet, 1), 1);
	ck_assert(packet.buf.len == 3 && !memcmp(packet.buf.data, "all", 3));
	mn_packet_free(&packet);
	ck_assert_int_eq(mn_dgram_try_recv(stranger, &packet, 1), -EAGAIN);
	mn_dgram_close(client);
	mn_dgram_close(stranger);
	mn_dgram_close(member);
	return 0;
}

START_TEST(members_of_a_group_hear_what_is_sent_to_it)
{
	sharded_run_backend(_i, group_fiber);
}
END_TEST

TCase *tcase_dgram_limit(void)
{
	TCase *tc = tcase_create("limit");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_queue_that_is_full_leaves_the_rest_to_the_kernel_who_counts, 0,
			    n);
	tcase_add_loop_test(tc, with_hardly_any_buffers_datagrams_still_arrive, 0, n);
	tcase_add_loop_test(tc, waiting_ends_when_it_is_cancelled_or_takes_too_long, 0, n);
	tcase_add_loop_test(tc, shards_share_an_address_and_the_kernel_shares_out_the_peers, 0, n);
	tcase_add_loop_test(tc, members_of_a_group_hear_what_is_sent_to_it, 0, n);
	return tc;
}
