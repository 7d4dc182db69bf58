// SPDX-License-Identifier: MIT
/*
 * Channels between shards. Every case on every backend and queue, with 1, 2
 * and 8 shards.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/shard.h"
#include "tests/run.h"
#include "tests/spawn.h"
#include "tests/stress.h"
#include "tests/suites.h"
#include "tests/sync.h"
#include "tests/world.h"

static const unsigned int nr_shards[] = { 1, 2, 8 };

static int nr_queues(void)
{
	return (int)(queue_kind.stop - queue_kind.start);
}

static void run(int i, mn_fiber_fn fn)
{
	int n = i % (int)ARRAY_SIZE(nr_shards), rest = i / (int)ARRAY_SIZE(nr_shards);
	const char *queue = queue_kind.start[rest % nr_queues()]->name;
	const char *backend = backend_kind.start[rest / nr_queues()]->name;
	int ret = run_queue(backend, queue, nr_shards[n], fn, NULL);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%s, %s, %u shards: %d", backend, queue,
		      nr_shards[n], ret);
}

static unsigned int last(void)
{
	return mn_shards() - 1;
}

struct packet {
	uint32_t from, number;
	uint64_t check;
};

static uint64_t check_of(uint32_t from, uint32_t number)
{
	return (uint64_t)from << 32 ^ number * UINT64_C(0x9e3779b97f4a7c15);
}

/* Shard 0's, which the others know by its address only. */
struct hub {
	struct mn_chan chan;
	struct packet slot[5];
};

#define PACKETS	(IS_ENABLED(CONFIG_DEBUG) ? 500u : 5000u)

/* --- all shards to one --- */

static int sends_packets(void *arg)
{
	struct mn_chan_remote *remote = arg;
	int err = 0;

	for (uint32_t i = 0; i < PACKETS && !err; i++) {
		struct packet packet = { mn_shard(), i, check_of(mn_shard(), i) };

		err = mn_chan_remote_send(remote, &packet);
	}
	return err;
}

static int sender_shard(void *arg)
{
	struct hub *hub = arg;
	struct mn_chan_remote remote;
	struct packet window[7];
	int err;

	mn_chan_remote_open(&remote, &hub->chan, 0, window);
	err = sends_packets(&remote);
	ck_assert_int_eq(mn_chan_remote_close(&remote), 0);
	ck_assert_uint_eq(mn_chan_remote_lost(&remote), 0);
	return err;
}

static int all_send(void *arg)
{
	struct hub *hub = arg;
	int err = mn_call_all(sender_shard, hub);

	mn_chan_close(&hub->chan);
	return err;
}

static int gather_fiber(void *arg)
{
	struct hub hub;
	struct mn_fiber *fiber;
	struct packet packet;
	uint32_t next[8] = { 0 };
	unsigned int wrong = 0;
	int res;

	mn_chan_init(&hub.chan, hub.slot);
	fiber = sync_spawn(all_send, &hub);
	while ((res = mn_chan_recv(&hub.chan, &packet)) > 0) {
		wrong += packet.number != next[packet.from]++;
		wrong += packet.check != check_of(packet.from, packet.number);
	}
	ck_assert_int_eq(res, 0);
	ck_assert_uint_eq(wrong, 0);
	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert_uint_eq(next[i], PACKETS);
	ck_assert_int_eq(mn_join(fiber), 0);
	mn_chan_destroy(&hub.chan);
	return 0;
}

START_TEST(items_of_all_shards_arrive_whole_and_in_order)
{
	run(_i, gather_fiber);
}
END_TEST

/* --- bounds --- */

static atomic_uint nr_sent;

static int floods(void *arg)
{
	struct hub *hub = arg;
	struct mn_chan_remote remote;
	struct packet window[7], packet = { 0 };
	int err;

	mn_chan_remote_open(&remote, &hub->chan, 0, window);
	while (!(err = mn_chan_remote_send(&remote, &packet)))
		atomic_fetch_add(&nr_sent, 1);
	ck_assert_int_eq(mn_chan_remote_try_send(&remote, &packet),
			 err == -EPIPE ? -EPIPE : -EAGAIN);
	ck_assert_int_eq(mn_chan_remote_close(&remote), err);
	ck_assert_uint_eq(mn_chan_remote_lost(&remote), 7);
	return err;
}

static int flood_call(void *arg)
{
	return mn_call(last(), floods, arg);
}

/* What fits: five items in the channel, seven on the way. */
static void wait_until_full(void)
{
	for (int i = 0; i < 1000 && atomic_load(&nr_sent) < 12; i++)
		mn_sleep(MN_MSEC);
	mn_sleep(5 * MN_MSEC);
	ck_assert_uint_eq(atomic_load(&nr_sent), 12);
}

static int bound_fiber(void *arg)
{
	struct hub hub;
	struct mn_fiber *fiber;
	struct packet packet;

	mn_chan_init(&hub.chan, hub.slot);
	atomic_store(&nr_sent, 0);
	fiber = sync_spawn(flood_call, &hub);
	wait_until_full();
	mn_chan_close(&hub.chan);
	ck_assert_int_eq(mn_join(fiber), -EPIPE);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(mn_chan_recv(&hub.chan, &packet), 1);
	ck_assert_int_eq(mn_chan_recv(&hub.chan, &packet), 0);
	mn_chan_destroy(&hub.chan);
	return 0;
}

START_TEST(what_is_under_way_is_bounded_and_a_closed_channel_says_so_over_there)
{
	run(_i, bound_fiber);
}
END_TEST

static int abandon_fiber(void *arg)
{
	struct hub hub;
	struct mn_fiber *fiber;
	struct packet packet;

	mn_chan_init(&hub.chan, hub.slot);
	atomic_store(&nr_sent, 0);
	fiber = sync_spawn(flood_call, &hub);
	wait_until_full();
	mn_fiber_cancel(fiber);	/* and its call: the window is dropped */
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_ptr_null(hub.chan.remotes);
	ck_assert_ptr_null(hub.chan.senders.first);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(mn_chan_try_recv(&hub.chan, &packet), 1);
	ck_assert_int_eq(mn_chan_try_recv(&hub.chan, &packet), -EAGAIN);
	mn_chan_destroy(&hub.chan);
	return 0;
}

START_TEST(a_sender_that_is_cancelled_lets_go_at_once_and_knows_what_was_lost)
{
	run(_i, abandon_fiber);
}
END_TEST

/* --- the end --- */

static int finishes(void *arg)
{
	struct hub *hub = arg;
	struct mn_chan_remote remote;
	struct packet window[3], packet = { .number = 1 };

	mn_chan_remote_open(&remote, &hub->chan, 0, window);
	for (; packet.number <= 20; packet.number++)
		ck_assert_int_eq(mn_chan_remote_send(&remote, &packet), 0);
	return mn_chan_remote_finish(&remote);
}

static int finish_call(void *arg)
{
	return mn_call(last(), finishes, arg);
}

/* Opened, never used; and opened only to say that there is nothing. */
static int sends_nothing(void *arg)
{
	struct hub *hub = arg;
	struct mn_chan_remote unused, silent;
	struct packet window[2][1];

	mn_chan_remote_open(&unused, &hub->chan, 0, window[0]);
	mn_chan_remote_open(&silent, &hub->chan, 0, window[1]);
	ck_assert_int_eq(mn_chan_remote_close(&unused), 0);
	return mn_chan_remote_finish(&silent);
}

static int finish_fiber(void *arg)
{
	struct hub hub;
	struct mn_fiber *fiber;
	struct packet packet;
	uint32_t n = 0;

	mn_chan_init(&hub.chan, hub.slot);
	fiber = sync_spawn(finish_call, &hub);
	while (mn_chan_recv(&hub.chan, &packet) > 0)
		ck_assert_uint_eq(packet.number, ++n);
	ck_assert_uint_eq(n, 20);
	ck_assert_int_eq(mn_join(fiber), 0);
	mn_chan_destroy(&hub.chan);
	mn_chan_init(&hub.chan, hub.slot);
	ck_assert_int_eq(mn_call(last(), sends_nothing, &hub), 0);
	ck_assert_int_eq(mn_chan_recv(&hub.chan, &packet), 0);
	mn_chan_destroy(&hub.chan);
	return 0;
}

START_TEST(a_sender_closes_the_channel_behind_its_items)
{
	run(_i, finish_fiber);
}
END_TEST

/* --- everything at once --- */

/* A fiber that sends for a while, with little time, and is cancelled at any. */
static int erratic(void *arg)
{
	struct hub *hub = arg;
	struct mn_chan_remote remote;
	struct packet window[2];
	uint64_t random = mn_shard() * 100 + atomic_fetch_add(&nr_sent, 0);
	uint64_t sent = 0;

	mn_chan_remote_open(&remote, &hub->chan, 0, window);
	for (int i = 0; i < 20; i++) {
		struct packet packet = { .from = mn_shard() };
		int64_t ns = (int64_t)stress_random(&random, 3) * 20 * MN_USEC;

		sent += !mn_chan_remote_send_timeout(&remote, &packet, ns);
		if (!stress_random(&random, 4))
			mn_yield();
	}
	mn_chan_remote_close_timeout(&remote, (int64_t)stress_random(&random, 3) * 30 * MN_USEC);
	atomic_fetch_add(&nr_sent, (unsigned int)(sent - mn_chan_remote_lost(&remote)));
	return 0;
}

static int erratic_shard(void *arg)
{
	enum { N = 8 };
	struct mn_fiber *fiber[N];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < N; i++)
			ck_assert_int_eq(mn_spawn(erratic, arg, &fiber[i]), 0);
		for (int i = 0; i < N; i += 2) {
			mn_yield();
			mn_fiber_cancel(fiber[i]);
		}
		for (int i = 0; i < N; i++)
			mn_join(fiber[i]);
	}
	return 0;
}

static int erratic_shards(void *arg)
{
	struct hub *hub = arg;
	int err = mn_call_all(erratic_shard, hub);

	mn_chan_close(&hub->chan);
	return err;
}

static int chaos_fiber(void *arg)
{
	struct hub hub;
	struct mn_fiber *fiber;
	struct packet packet;
	unsigned int n = 0;

	mn_chan_init(&hub.chan, hub.slot);
	atomic_store(&nr_sent, 0);
	fiber = sync_spawn(erratic_shards, &hub);
	while (mn_chan_recv(&hub.chan, &packet) > 0)
		if (++n % 64 == 0)
			mn_sleep(20 * MN_USEC);
	ck_assert_int_eq(mn_join(fiber), 0);
	/* What a sender thinks that the channel took is what came out of it. */
	ck_assert_uint_eq(n, atomic_load(&nr_sent));
	ck_assert_uint_gt(n, 0);
	mn_chan_destroy(&hub.chan);
	return 0;
}

START_TEST(no_item_is_lost_or_counted_twice_whatever_ends_its_sender)
{
	run(_i, chaos_fiber);
}
END_TEST

/* The program ends while fibers of all shards send to each other. */
static struct hub hubs[8];

static int neighbour(void *arg)
{
	struct mn_chan_remote remote;
	struct packet window[4], packet = { 0 };

	mn_chan_remote_open(&remote, &hubs[(mn_shard() + 1) % mn_shards()].chan,
			    (mn_shard() + 1) % mn_shards(), window);
	while (!mn_chan_remote_send(&remote, &packet))
		;
	mn_chan_remote_close(&remote);
	return 0;
}

static int consumer(void *arg)
{
	struct packet packet;

	while (mn_chan_recv(&hubs[mn_shard()].chan, &packet) > 0)
		;
	return 0;
}

static int hub_open(void *arg)
{
	mn_chan_init(&hubs[mn_shard()].chan, hubs[mn_shard()].slot);
	return 0;
}

static int hub_start(void *arg)
{
	ck_assert_int_eq(mn_spawn(neighbour, NULL, NULL), 0);
	return mn_spawn(consumer, NULL, NULL);
}

static int leave_fiber(void *arg)
{
	ck_assert_int_eq(mn_call_all(hub_open, NULL), 0);
	ck_assert_int_eq(mn_call_all(hub_start, NULL), 0);
	/* No time passes where time is virtual and somebody always has something to do. */
	for (int i = 0; i < 500; i++)
		mn_yield();
	return 0;
}

START_TEST(a_stop_ends_senders_to_other_shards)
{
	run(_i, leave_fiber);
}
END_TEST

/* --- the sample --- */

static uint64_t steps_of(uint64_t n)
{
	uint64_t steps = 0;

	for (; n > 1; steps++)
		n = n % 2 ? 3 * n + 1 : n / 2;
	return steps;
}

START_TEST(mn_pipeline_sees_every_number_and_stops_when_it_has_enough)
{
	static struct program p;
	char cpus[32], says[64];
	uint64_t sum = 0;

	for (uint64_t n = 1; n <= 3000; n++)
		sum += steps_of(n);
	snprintf(cpus, sizeof(cpus), "--cpus=%u", nr_shards[_i]);
	snprintf(says, sizeof(says), "3000 results, %llu steps in all\n", (unsigned long long)sum);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-pipeline", cpus, "--numbers=3000")), 0);
	ck_assert_msg(strstr(program_out(&p), says), "%s", program_out(&p));
	ck_assert_msg(strstr(program_out(&p), "216 steps, from 2919\n"), "%s", program_out(&p));
	ck_assert_int_eq(
		program_run(&p, NULL,
			    ARGS("mn-pipeline", cpus, "--wanted=10", "--numbers=100000000")),
		0);
	ck_assert_msg(strstr(program_out(&p), "10 results, "), "%s", program_out(&p));
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-pipeline", "--workers=0")), 2);
}
END_TEST

TCase *tcase_channel_remote(void)
{
	int n = nr_backends() * nr_queues() * (int)ARRAY_SIZE(nr_shards);
	TCase *tc = tcase_create("remote");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, items_of_all_shards_arrive_whole_and_in_order, 0, n);
	tcase_add_loop_test(
		tc, what_is_under_way_is_bounded_and_a_closed_channel_says_so_over_there, 0, n);
	tcase_add_loop_test(tc, a_sender_that_is_cancelled_lets_go_at_once_and_knows_what_was_lost,
			    0, n);
	tcase_add_loop_test(tc, a_sender_closes_the_channel_behind_its_items, 0, n);
	tcase_add_loop_test(tc, no_item_is_lost_or_counted_twice_whatever_ends_its_sender, 0, n);
	tcase_add_loop_test(tc, a_stop_ends_senders_to_other_shards, 0, n);
	tcase_add_loop_test(tc, mn_pipeline_sees_every_number_and_stops_when_it_has_enough, 0,
			    ARRAY_SIZE(nr_shards));
	return tc;
}
