/* SPDX-License-Identifier: MIT */
/* What the two files of the backends' contract suite share. */
#ifndef TESTS_BACKEND_H
#define TESTS_BACKEND_H

#include <check.h>

#include "core/op.h"
#include "tests/world.h"

/* A test whose body runs once for each backend that works here, and each mask, in a fresh world. */
#define BACKEND_TEST(name)                              \
	static void name##_body(struct mn_world *);     \
	START_TEST(name)                                \
	{                                               \
		struct mn_world world_of_test;          \
                                                        \
		if (!world_variant(&world_of_test, _i)) \
			return;                         \
		name##_body(&world_of_test);            \
		world_end(&world_of_test);              \
	}                                               \
	END_TEST                                        \
	static void name##_body(struct mn_world *world)

#define backend_test(tc, name) tcase_add_loop_test(tc, name, 0, nr_variants())

TCase *tcase_backend_stream(void);
TCase *tcase_backend_signal(void);
TCase *tcase_backend_mem(void) __attribute__((weak)); /* where mem is built */

static inline void close_pair(const struct pair *pair)
{
	do_call(MN_OP_CLOSE, pair->client, 0);
	do_call(MN_OP_CLOSE, pair->server, 0);
}

#endif
