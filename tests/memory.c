// SPDX-License-Identifier: MIT
/* mn_alloc(), and the heaps behind it. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/miniss.h>

#include "core/random.h"
#include "core/shard.h"
#include "lib/mem/heap.h"
#include "lib/mem/mem.h"
#include "tests/hygiene.h"
#include "tests/run.h"
#include "tests/sharded.h"
#include "tests/suites.h"
#include "tests/world.h"

#define LIVE	1000
#define STEPS	8000

START_TEST(sizes_waste_a_quarter_at_most)
{
	size_t before = 0;

	for (unsigned int class = 0; class < HEAP_CLASSES; class++) {
		size_t size = heap_class_size(class);

		ck_assert_uint_gt(size, before);
		ck_assert_uint_eq(heap_class(size), class);
		ck_assert_uint_eq(heap_class(before + 1), class);
		ck_assert(size - before - 1 < max(16, size / 4));
		/* Cut one after the other, they are as aligned as whatever fits exactly. */
		for (size_t align = 32; align <= HEAP_HEADER; align *= 2)
			if (size / align * align > before)
				ck_assert_uint_eq(size % align, 0);
		before = size;
	}
	ck_assert_uint_eq(before, HEAP_SMALL);
}
END_TEST

struct live {
	uint8_t *data;
	size_t size;
	uint8_t byte;
};

/* Most are small, some are not, few have pages of their own. */
static size_t any_size(struct shard *shard)
{
	size_t limit = (size_t)16 << random_below(shard, 9);

	if (!random_below(shard, 50))
		limit = 200000;
	return random_below(shard, limit);
}

static void live_take(struct live *live, struct shard *shard)
{
	size_t align = (size_t)16 << random_below(shard, 9);

	live->size = any_size(shard);
	live->byte = (uint8_t)random_below(shard, 256);
	if (random_below(shard, 4)) {
		align = 16;
		live->data = mn_alloc(live->size);
	} else {
		live->data = mn_alloc_aligned(align, live->size);
	}
	ck_assert_ptr_nonnull(live->data);
	ck_assert_uint_eq((uintptr_t)live->data % align, 0);
	ck_assert_uint_ge(mn_usable_size(live->data), live->size);
	memset(live->data, live->byte, live->size);
}

static void live_give(struct live *live)
{
	if (live->size) {
		ck_assert_uint_eq(live->data[0], live->byte);
		ck_assert(!memcmp(live->data, live->data + 1, live->size - 1));
	}
	mn_free(live->data);
	live->data = NULL;
}

static void churn(struct live *live, struct shard *shard, unsigned int steps)
{
	while (steps--) {
		struct live *one = &live[random_below(shard, LIVE)];

		if (one->data)
			live_give(one);
		else
			live_take(one, shard);
	}
	for (unsigned int i = 0; i < LIVE; i++)
		if (live[i].data)
			live_give(&live[i]);
}

static int churn_here(void *arg)
{
	struct live *live = mn_calloc(LIVE, sizeof(*live));

	for (unsigned int i = 0; i < LIVE; i++)
		ck_assert_ptr_null(live[i].data);
	churn(live, mn_self, STEPS);
	mn_free(live);
	return 0;
}

static int churn_fiber(void *arg)
{
	return mn_call_all(churn_here, NULL);
}

START_TEST(objects_are_apart_and_aligned_on_every_shard)
{
	sharded_run_backend(_i, churn_fiber);
}
END_TEST

START_TEST(who_is_no_shard_has_memory_too)
{
	static struct live live[LIVE];
	struct shard seed = { .random = 1 };

	churn(live, &seed, STEPS);
}
END_TEST

static void *volatile refused;	/* so that no compiler knows what is to come of it */

START_TEST(what_cannot_be_is_refused)
{
	volatile size_t much = SIZE_MAX;

	refused = mn_alloc(much);
	ck_assert_ptr_null(refused);
	refused = mn_alloc(much - 4096);
	ck_assert_ptr_null(refused);
	refused = mn_alloc(much / 2);
	ck_assert_ptr_null(refused);
	refused = mn_calloc(much / 8, 9);
	ck_assert_ptr_null(refused);
	refused = mn_alloc_aligned(4096, much - 5000);
	ck_assert_ptr_null(refused);
	refused = mn_alloc_aligned(8192, 1);
	ck_assert_ptr_null(refused);
	refused = mn_alloc_aligned(48, 1);
	ck_assert_ptr_null(refused);
	refused = mn_alloc_aligned(0, 1);
	ck_assert_ptr_null(refused);
	mn_free(NULL);
	refused = mn_alloc(0);
	ck_assert_ptr_nonnull(refused);
	mn_free(refused);
}
END_TEST

/* ---- what goes home ---- */

#define AWAY	20000	/* objects: some blocks of them */
#define AWAY_BYTES	200

static size_t in_use(const struct heap *heap)
{
	size_t bytes = heap->large_bytes;

	for (unsigned int i = 0; i < HEAP_CLASSES; i++)
		bytes += heap->class[i].nr_blocks * HEAP_BLOCK;
	return bytes;
}

static int free_all(void *arg)
{
	void **obj = arg;

	for (unsigned int i = 0; i < AWAY; i++)
		mn_free(obj[i]);
	return 0;
}

static void away_take(void **obj)
{
	for (unsigned int i = 0; i < AWAY; i++) {
		size_t size = i % 1000 ? AWAY_BYTES : 100000;

		obj[i] = mn_alloc(size);
		ck_assert_ptr_nonnull(obj[i]);
		memset(obj[i], 1, size);
	}
}

static int round_trips(void *arg)
{
	void **obj = mn_alloc(AWAY * sizeof(*obj));
	size_t most = 0;

	for (unsigned int round = 0; round < 5; round++) {
		away_take(obj);
		ck_assert_int_eq(mn_call((mn_shard() + round + 1) % mn_shards(), free_all, obj), 0);
		most = round ? most : mn_self->heap.bytes;
	}
	mn_free(obj);
	/* It was used again; what is on its way makes a round more, or two. */
	if (IS_ENABLED(CONFIG_MEM_SHARD))
		ck_assert_uint_le(mn_self->heap.bytes, 3 * most);
	return 0;
}

static int round_trips_fiber(void *arg)
{
	return mn_call_all(round_trips, NULL);
}

START_TEST(what_others_free_comes_home_and_is_used_again)
{
	sharded_run_backend(_i, round_trips_fiber);
}
END_TEST

static void *free_all_outside(void *arg)
{
	free_all(arg);
	return NULL;
}

static int outside(void *arg)
{
	struct heap *heap = &mn_self->heap;
	void **obj = mn_alloc(AWAY * sizeof(*obj));
	size_t before;
	pthread_t thread;

	heap_trim(heap);
	before = in_use(heap);
	away_take(obj);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_all_outside, obj), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	heap_trim(heap);
	ck_assert_uint_eq(in_use(heap), before);
	mn_free(obj);
	return 0;
}

START_TEST(any_thread_may_free)
{
	sharded_run_backend(_i, outside);
}
END_TEST

/* ---- what goes back to the system ---- */

static int trims(void *arg)
{
	struct heap *heap = &mn_self->heap;
	void **obj = mn_alloc(AWAY * sizeof(*obj));
	size_t before = heap->bytes, most;

	away_take(obj);
	ck_assert_uint_ge(heap->bytes, before + (size_t)AWAY * AWAY_BYTES);
	free_all(obj);
	most = heap->bytes;
	ck_assert(heap_stale(heap));
	mn_sleep(HEAP_TRIM_NS + MN_SEC / 2);
	ck_assert(!heap_stale(heap));
	ck_assert_uint_eq(heap->nr_trims, 1);
	/* Where something else was taken meanwhile, a segment may be in use. */
	ck_assert_uint_le(heap->bytes, before + HEAP_SEGMENT);
	ck_assert_uint_lt(heap->bytes, most);
	mn_free(obj);
	return 0;
}

START_TEST(memory_goes_back_when_the_shard_sleeps)
{
	struct mn_world world;

	if (!IS_ENABLED(CONFIG_MEM_SHARD) || !world_make(&world, backend_kind.start[_i]->name, 1))
		return;
	if (world.shards[0]->virtual_time) {	/* where nobody waits for it */
		world_close(&world);
		return;
	}
	world.fn = trims;
	ck_assert_int_eq(world_run(&world), 0);
	world_close(&world);
}
END_TEST

/* ---- what debug builds notice ---- */

/* As a compiler sees it, this is another address. */
static uint8_t *same(void *ptr)
{
	void *volatile other = ptr;

	return other;
}

static int frees_twice(void *arg)
{
	void *ptr = mn_alloc(100), *again = same(ptr);

	mn_free(ptr);
	mn_free(again);
	return 0;
}

static int free_here(void *ptr)
{
	mn_free(ptr);
	return 0;
}

static int frees_twice_elsewhere(void *arg)
{
	void *ptr = mn_alloc(100), *again = same(ptr);

	mn_call(1, free_here, ptr);
	mn_free(again);
	return 0;
}

static int writes_beyond(void *arg)
{
	uint8_t *ptr = mn_alloc(100);

	same(ptr)[100] = 0;
	mn_free(ptr);
	return 0;
}

static int writes_far_beyond(void *arg)
{
	uint8_t *ptr = mn_alloc_aligned(64, 100);

	memset(same(ptr), 0, 192);	/* what 100 bytes and their redzone get */
	mn_free(ptr);
	return 0;
}

static int writes_beyond_pages(void *arg)
{
	uint8_t *ptr = mn_alloc(100000);

	same(ptr)[100003] = 0;
	mn_free(ptr);
	return 0;
}

static int writes_after(void *arg)
{
	uint8_t *ptr = mn_alloc(100), *later = same(ptr);

	mn_free(ptr);
	later[50] = 0;
	for (int i = 0; i < 2000; i++)
		mn_free(mn_alloc(100));
	return 0;
}

static int frees_what_is_of_malloc(void *arg)
{
	mn_free(same(malloc(100)));
	return 0;
}

static int frees_what_is_of_its_stack(void *arg)
{
	uint8_t on_stack[100];

	mn_free(same(on_stack));
	return 0;
}

static int frees_a_part(void *arg)
{
	mn_free(same(mn_alloc(100)) + 16);
	return 0;
}

static const struct {
	mn_fiber_fn fn;
	const char *says;
} misuses[] = {
	{ frees_twice, ", 100 bytes, was freed twice" },
	{ frees_twice_elsewhere, ", 100 bytes, was freed twice" },
	{ writes_beyond, ", 100 bytes, was written to beyond its end, at +100" },
	{ writes_far_beyond, "is not in use, or was written to far beyond its end" },
	{ writes_beyond_pages, ", 100000 bytes, was written to beyond its end, at +100003" },
	{ writes_after, ", 100 bytes, was written to at +50 after it was freed" },
	{ frees_what_is_of_malloc, "was freed, and is not from here" },
	{ frees_what_is_of_its_stack, "was freed, and is not from here" },
	{ frees_a_part, "was freed, and is not from here" },
};

START_TEST(misuse_is_noticed_and_named)
{
	struct outcome outcome;

	need_backend(serving[0]);
	hygiene_run(&outcome, 0, NULL, misuses[_i].fn);
	ck_code(&outcome, -SIGABRT);
	ck_said(&outcome, "bug: memory at ");
	ck_said(&outcome, misuses[_i].says);
}
END_TEST

Suite *suite_memory(void)
{
	Suite *s = suite_create("memory");
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, sizes_waste_a_quarter_at_most);
	if (!IS_ENABLED(CONFIG_SANITIZE_ADDRESS))	/* which takes it for a bug */
		tcase_add_test(tc, what_cannot_be_is_refused);
	tcase_add_test(tc, who_is_no_shard_has_memory_too);
	tcase_add_loop_test(tc, objects_are_apart_and_aligned_on_every_shard, 0,
			    sharded_backends());
	tcase_add_loop_test(tc, what_others_free_comes_home_and_is_used_again, 0,
			    sharded_backends());
	tcase_add_loop_test(tc, memory_goes_back_when_the_shard_sleeps, 0, nr_backends());
	if (IS_ENABLED(CONFIG_MEM_SHARD))
		tcase_add_loop_test(tc, any_thread_may_free, 0, sharded_backends());
	if (IS_ENABLED(CONFIG_MEM_CHECK))
		tcase_add_loop_test(tc, misuse_is_noticed_and_named, 0, ARRAY_SIZE(misuses));
	suite_add_tcase(s, tc);
	return s;
}
