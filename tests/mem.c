// SPDX-License-Identifier: MIT
/* Where buffers come from, and what is noticed when one is misused. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "lib/mem/arena.h"
#include "lib/mem/slab.h"
#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define SIZE	((size_t)5 << 20)

static void ck_usable(struct arena *arena)
{
	ck_assert_ptr_nonnull(arena->base);
	memset(arena->base, 1, SIZE);
	ck_assert_int_eq(arena->base[SIZE - 1], 1);
	arena_close(arena);
	ck_assert_ptr_null(arena->base);
}

START_TEST(an_arena_is_of_the_pages_that_were_asked_for)
{
	struct arena arena = { .base = NULL };
	int err;

	ck_assert_int_eq(arena_open(&arena, SIZE, "off"), 0);
	ck_assert_str_eq(arena.pages, "plain");
	ck_usable(&arena);
	ck_assert_int_eq(arena_open(&arena, SIZE, "auto"), 0);
	ck_usable(&arena);
	err = arena_open(&arena, SIZE, "thp");
	if (!err) {
		ck_assert_str_eq(arena.pages, "thp");
		ck_assert_uint_eq((uintptr_t)arena.base % ARENA_HUGE, 0);
		ck_usable(&arena);
	} else {
		ck_assert_int_eq(err, -EOPNOTSUPP);
		arena_close(&arena);
	}
	err = arena_open(&arena, SIZE, "hugetlb");
	if (!err)
		ck_usable(&arena);
	else
		ck_assert_int_eq(err, -ENOMEM);
	/* More than anybody has reserved. */
	ck_assert_int_eq(arena_open(&arena, (size_t)1 << 46, "hugetlb"), -ENOMEM);
	ck_assert_int_eq(arena_open(&arena, SIZE, "huge"), -EINVAL);
	arena_close(&arena);
}
END_TEST

/* As the kernel does, which no sanitizer sees. */
static void write_behind_its_back(uint8_t *to)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(syscall(SYS_read, fds[0], to, 1), 1);
	close(fds[0]);
	close(fds[1]);
}

static int take_all(void)
{
	struct mn_buf buf;
	int n = 0;

	while (!mn_buf_alloc(&buf))
		n++;
	return n;
}

static int after_free(void *arg)
{
	struct mn_buf buf;
	uint8_t *data;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	data = buf.data;
	mn_buf_free(&buf);
	write_behind_its_back(data + 1000);
	return take_all();
}

START_TEST(a_write_to_a_free_buffer_is_noticed)
{
	run_main("mem", 1, after_free, NULL);
}
END_TEST

static int beyond_its_end(void *arg)
{
	struct mn_buf buf;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	write_behind_its_back(buf.data + buf.len);
	mn_buf_free(&buf);
	return take_all();
}

START_TEST(a_write_beyond_a_buffer_is_noticed)
{
	run_main("mem", 1, beyond_its_end, NULL);
}
END_TEST

static int reuse(void *arg)
{
	struct mn_buf first, second;

	ck_assert_int_eq(mn_buf_alloc(&first), 0);
	second = first;
	mn_buf_free(&first);
	ck_assert_int_eq(mn_buf_alloc(&first), 0);
	/* Warm again at once, or not for long. */
	ck_assert(IS_ENABLED(CONFIG_DEBUG) ? first.data != second.data : first.data == second.data);
	mn_buf_free(&first);
	return 0;
}

START_TEST(a_buffer_is_used_again_at_once_but_for_debugging)
{
	int ret = run_main("mem", 1, reuse, NULL);

	ck_assert(ret == 0 || ret == RUN_SKIPPED);
}
END_TEST

/* --- objects of one size --- */

#define OBJ_BYTES	500
#define OBJS		3000	/* of several blocks */

static size_t slab_churn(struct slab *slab, uint64_t **obj, uint32_t *seed)
{
	size_t nr = 0;

	for (int step = 0; step < 100000; step++) {
		size_t i = (*seed = *seed * 1664525 + 1013904223) >> 8, at = i % OBJS;

		if (obj[at]) {
			ck_assert_uint_eq(obj[at][0], at);
			ck_assert_uint_eq(obj[at][OBJ_BYTES / 8 - 1], ~at);
			slab_free(slab, obj[at]);
			obj[at] = NULL;
			nr--;
			continue;
		}
		obj[at] = slab_alloc(slab);
		ck_assert_ptr_nonnull(obj[at]);
		ck_assert_uint_eq((uintptr_t)obj[at] % CONFIG_CACHELINE_BYTES, 0);
		for (int k = 0; k < OBJ_BYTES / 8; k++)
			ck_assert(obj[at][k] == 0);
		obj[at][0] = at;
		obj[at][OBJ_BYTES / 8 - 1] = ~at;
		ck_assert_uint_eq(slab->nr, ++nr);
	}
	return nr;
}

START_TEST(objects_of_a_slab_are_apart_zeroed_and_go_back)
{
	static uint64_t *obj[OBJS];
	struct slab slab;
	uint32_t seed = 1;

	slab_init(&slab, OBJ_BYTES);
	for (int round = 0; round < 3; round++) {
		slab_churn(&slab, obj, &seed);
		for (size_t i = 0; i < OBJS; i++) {
			slab_free(&slab, obj[i]);
			obj[i] = NULL;
		}
		ck_assert_uint_eq(slab.nr, 0);
		ck_assert(list_empty(&slab.partial));
		ck_assert_ptr_nonnull(slab.spare);
	}
	slab_close(&slab);
}
END_TEST

Suite *suite_mem(void)
{
	Suite *s = suite_create("mem");
	TCase *tc = tcase_create("mem");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_test(tc, an_arena_is_of_the_pages_that_were_asked_for);
	tcase_add_test(tc, objects_of_a_slab_are_apart_zeroed_and_go_back);
	tcase_add_test(tc, a_buffer_is_used_again_at_once_but_for_debugging);
	if (IS_ENABLED(CONFIG_DEBUG) && IS_ENABLED(CONFIG_BACKEND_MEM)) {
		tcase_add_test_raise_signal(tc, a_write_to_a_free_buffer_is_noticed, SIGABRT);
		tcase_add_test_raise_signal(tc, a_write_beyond_a_buffer_is_noticed, SIGABRT);
	}
	suite_add_tcase(s, tc);
	return s;
}
