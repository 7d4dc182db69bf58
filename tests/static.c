// SPDX-License-Identifier: MIT
/*
 * Everything is sized at boot: what is used up is refused, what was given back
 * can be had again, and who maps memory after the start is named.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "lib/mem/mem.h"
#include "tests/hygiene.h"
#include "tests/spawn.h"

static int maps(void *arg)
{
	mem_unmap(mem_map(12288), 12288);
	return 0;
}

static int maps_there(void *arg)
{
	return mn_call(1, maps, NULL);
}

START_TEST(who_maps_memory_after_the_start_is_named)
{
	struct outcome outcome;
	bool there = _i / NR_SERVING;

	need_backend(serving[_i % NR_SERVING]);
	hygiene_run(&outcome, _i, NULL, there ? maps_there : maps);
	ck_code(&outcome, -SIGABRT);
	ck_said(&outcome, there ? "[1]: error: bug: " : "[0]: error: bug: ");
	ck_said(&outcome, "12288 bytes were to be mapped after the start, at tests/static.c:");
}
END_TEST

/* All that there is of a size, twice as much: what was given back is all there again. */
static int exhausts(void *arg)
{
	size_t size = *(size_t *)arg;
	unsigned int before = 0;

	for (int round = 0; round < 3; round++) {
		void **ptr, **last = NULL;
		unsigned int n = 0;

		for (; (ptr = mn_alloc(size)); n++, last = ptr)
			*ptr = last;
		if (n * size < (size_t)8 << 20 || (before && n != before))
			return 3;
		for (before = n; (ptr = last); n--) {
			last = *ptr;
			mn_free(ptr);
		}
	}
	return mn_alloc(100000) ? 4 : 0;
}

static int exhausts_sizes(void *arg)
{
	size_t size[] = { 16, 1000, 32768, 64 };

	for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
		int ret = exhausts(&size[i]);

		if (ret)
			return ret;
	}
	return 0;
}

START_TEST(a_heap_that_is_used_up_refuses)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--mem.heap_mib=10", exhausts_sizes);
	ck_code(&outcome, 0);
}
END_TEST

static int waits(void *arg)
{
	return mn_sleep(20 * MN_MSEC);
}

/* Others, the runtime's, take some of them. */
static int spawns(void *arg)
{
	for (int round = 0; round < 3; round++) {
		int n = 0, err;

		while (!(err = mn_spawn(waits, NULL, NULL)))
			n++;
		if (err != -ENOMEM || n < 100 || n > 128)
			return 3;
		while (mn_self->fibers.nr_live > 128 - (uint32_t)n)
			mn_sleep(5 * MN_MSEC);
	}
	return mn_call(1, waits, NULL);
}

START_TEST(stacks_that_are_used_up_are_refused)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, "--mem.fibers_max=128", spawns);
	ck_code(&outcome, 0);
}
END_TEST

/* As many clients as there are connections, and few buffers. */
START_TEST(a_server_under_load_maps_nothing)
{
	static struct program server, load;
	unsigned int port;
	char addr[64];

	need_backend(serving[_i]);
	port = serving_start(&server, serving[_i], NULL,
			     ARGS("--net.conns_max=100", "--mem.chunks_max=256",
				  "--mem.fibers_max=128", "--mem.heap_mib=4", "--cpus=2"));
	ck_assert_uint_ne(port, 0);
	snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
	ck_assert_int_eq(program_run(&load, NULL,
				     ARGS("mn-load", "--connections=100", "--seconds=1", addr)),
			 0);
	ck_assert(program_alive(&server));
	program_stop(&server);
}
END_TEST

Suite *suite_static(void)
{
	Suite *s = suite_create("static");
	TCase *tc = tcase_create("static");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, who_maps_memory_after_the_start_is_named, 0, 2 * NR_SERVING);
	tcase_add_loop_test(tc, a_heap_that_is_used_up_refuses, 0, NR_SERVING);
	tcase_add_loop_test(tc, stacks_that_are_used_up_are_refused, 0, NR_SERVING);
	tcase_add_loop_test(tc, a_server_under_load_maps_nothing, 0, NR_SERVING);
	suite_add_tcase(s, tc);
	return s;
}
