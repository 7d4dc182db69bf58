// SPDX-License-Identifier: MIT
/*
 * Calls and channels between shards allocate nothing, on either side, once there are as
 * many fibers as were ever needed at once. Over each backend and queue.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include <miniss/miniss.h>

#include "core/future.h"
#include "lib/mem/mem.h"
#include "smp/call.h"
#include "tests/alloc-count.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define N	10000
#define SHARDS	2

static atomic_int nr_posts;
static unsigned int wrong;	/* results; Check's own assertions allocate */
static atomic_ulong nr_heap;	/* what the shards' heaps have been asked for */

static int nr_queues(void)
{
	return (int)(queue_kind.stop - queue_kind.start);
}

static int answer(void *arg)
{
	return 7;
}

static int nap(void *arg)
{
	return mn_sleep(5 * MN_MSEC);
}

static int post(void *arg)
{
	atomic_fetch_add(&nr_posts, 1);
	return 0;
}

static void calls(void)
{
	struct mn_call_options options[] = {
		{ .urgent = true },
		{ .timeout_ns = 3600 * MN_SEC },
		{ .timeout_ns = 1 },
	};

	for (unsigned int i = 0; i < N; i++)
		wrong += mn_call(i % SHARDS, answer, NULL) != 7;
	for (unsigned int i = 0; i < N; i++)
		mn_call_with(i % SHARDS, answer, NULL, &options[i % ARRAY_SIZE(options)]);
	for (unsigned int i = 0; i < N / 10; i++)
		wrong += mn_call_all(answer, NULL) != 7;
}

static void starts(void)
{
	struct mn_call call[50];

	for (unsigned int i = 0; i < N; i += ARRAY_SIZE(call)) {
		unsigned int n = 0;

		while (n < ARRAY_SIZE(call) && !mn_call_start(&call[n], n % SHARDS, answer, NULL))
			n++;
		for (unsigned int j = 0; j < n; j++) {
			if (j % 8 == 0)
				mn_call_cancel(&call[j]);
			wrong += fiber_wait(&call[j].done) != 7;
		}
	}
}

static void posts(void)
{
	atomic_store(&nr_posts, 0);
	for (unsigned int i = 0; i < N; i++)
		while (mn_post(i % SHARDS, post, NULL))
			mn_yield();
	while (atomic_load(&nr_posts) < N)
		mn_yield();
}

static int send_items(void *chan)
{
	struct mn_chan_remote remote;
	unsigned int window[8], i = 0;

	mn_chan_remote_open(&remote, chan, 0, window);
	while (i < N && !mn_chan_remote_send(&remote, &i))
		i++;
	return mn_chan_remote_finish(&remote);
}

static void items(void)
{
	struct mn_chan chan;
	unsigned int slot[4], item, n = 0;
	struct mn_call call;

	mn_chan_init(&chan, slot);
	wrong += mn_call_start(&call, SHARDS - 1, send_items, &chan) != 0;
	while (mn_chan_recv(&chan, &item) > 0)
		wrong += item != n++;
	wrong += n != N || fiber_wait(&call.done);
	mn_chan_destroy(&chan);
}

static void all(void)
{
	calls();
	starts();
	posts();
	items();
}

/* As many fibers at once as credits allow, from here and from there. */
static int crowd(void *arg)
{
	for (unsigned int to = 0; to < SHARDS; to++)
		while (!mn_post(to, nap, NULL))
			;
	return mn_sleep(10 * MN_MSEC);
}

static int heap_count(void *arg)
{
	atomic_fetch_add(&nr_heap, mn_self->stats[STAT_ALLOCS]);
	return 0;
}

static unsigned long heaps_count(void)
{
	atomic_store(&nr_heap, 0);
	mn_call_all(heap_count, NULL);
	return atomic_load(&nr_heap);
}

static int count_fiber(void *arg)
{
	bool counts = IS_ENABLED(CONFIG_MEM_SHARD) && IS_ENABLED(CONFIG_STATS);
	unsigned long n, from;
	void *volatile ptr;

	ck_assert_int_eq(mn_call_all(crowd, NULL), 0);
	all();
	from = heaps_count();
	mem_free(mem_alloc(1));	/* it does count */
	ck_assert_uint_eq(heaps_count() - from, counts);
	alloc_count_begin();
	free(ptr = malloc(1));	/* and so does this */
	all();
	n = alloc_count_end() + heaps_count() - from - counts;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_msg(n == 1, "%lu allocations", n - 1);
	return 0;
}

START_TEST(calls_and_channels_between_shards_allocate_nothing)
{
	const char *queue = queue_kind.start[_i % nr_queues()]->name;
	const char *backend = backend_kind.start[_i / nr_queues()]->name;
	int ret = run_queue(backend, queue, SHARDS, count_fiber, NULL);

	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%s, %s: %d", backend, queue, ret);
}
END_TEST

Suite *suite_alloc(void)
{
	Suite *s = suite_create("alloc");
	TCase *tc = tcase_create("alloc");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, calls_and_channels_between_shards_allocate_nothing, 0,
			    nr_backends() * nr_queues());
	suite_add_tcase(s, tc);
	return s;
}
