// SPDX-License-Identifier: MIT
/*
 * Memory that the kernel has. No sanitizer sees what that does with it: debug
 * builds abort where it is freed, and say who has it. Each case is a program
 * of its own, over each backend that serves.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/ledger.h"
#include "core/shard.h"
#include "tests/hygiene.h"
#include "tests/world.h"

static struct mn_op op;

/* A descriptor where nothing arrives. */
static int silent(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	return fds[0];
}

/* As a compiler sees it, this is another address. */
static void *same(void *ptr)
{
	void *volatile other = ptr;

	return other;
}

/* ---- programs with a bug ---- */

static int frees_a_buffer(void *arg)
{
	struct mn_buf buf;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_recv_start(&op, silent(), buf.data, buf.len);
	mn_buf_free(&buf);
	return 0;
}

static int frees_a_part(void *arg)
{
	struct mn_buf buf, front;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_buf_split(&buf, 100, &front);
	mn_recv_start(&op, silent(), front.data + 99, 1);
	mn_buf_free(&buf);
	mn_buf_free(&front);
	return 0;
}

/* The slice was made shorter than its share: all of the buffer is free, not only that. */
static int frees_more(void *arg)
{
	struct mn_buf buf;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_recv_start(&op, silent(), buf.data + 1000, 10);
	buf.len = 5;
	mn_buf_free(&buf);
	return 0;
}

/* On its stack: the copy of the argument. */
static int leaves_memory(void *arg)
{
	mn_fiber_name("leaver");
	mn_recv_start(&op, silent(), arg, 16);
	return 0;
}

static int ends_with_memory(void *arg)
{
	ck_assert_int_eq(fiber_spawn(mn_self, leaves_memory, NULL, 16, NULL), 0);
	return mn_sleep(MN_SEC);
}

static int writes_from_a_free_buffer(void *arg)
{
	struct mn_buf buf;
	uint8_t *data;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	data = buf.data;
	mn_buf_free(&buf);
	mn_send_start(&op, silent(), data, 10);
	return 0;
}

static int receives_beyond_a_buffer(void *arg)
{
	struct mn_buf buf;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_recv_start(&op, silent(), buf.data, buf.len + 1);
	return 0;
}

static int frees_memory(void *arg)
{
	char *memory = malloc(100000);

	mn_recv_start(&op, silent(), memory + 99999, 1);
	free(memory);
	return 0;
}

static int frees_an_operation(void *arg)
{
	struct mn_op *mine = malloc(sizeof(*mine));

	mn_recv_start(mine, silent(), &op, 1);
	free(mine);
	return 0;
}

static int receives_into_freed_memory(void *arg)
{
	char *memory = malloc(100), *gone = same(memory);

	free(memory);
	mn_recv_start(&op, silent(), gone, 100);
	return 0;
}

#define IN_FLIGHT "that an operation RECV on descriptor"

static const struct {
	mn_fiber_fn fn;
	bool sanitizer; /* only that notices */
	const char *says[2];
} bugs[] = {
	{ frees_a_buffer, false, { "memory was freed " IN_FLIGHT, "made at tests/ledger.c:" } },
	{ frees_a_part, false, { "memory was freed " IN_FLIGHT, "made at tests/ledger.c:" } },
	{ frees_more, false, { "memory was freed " IN_FLIGHT, "made at tests/ledger.c:" } },
	{ ends_with_memory,
	  false,
	  { "a fiber ended with memory of its stack " IN_FLIGHT, "in fiber leaver" } },
	{ writes_from_a_free_buffer,
	  true,
	  { "was given memory that was freed, or beyond its end", "an operation SEND on" } },
	{ receives_beyond_a_buffer,
	  true,
	  { "was given memory that was freed, or beyond its end", "an operation RECV on" } },
	{ frees_memory, true, { "memory was freed " IN_FLIGHT, "in frees_memory" } },
	{ frees_an_operation, true, { "memory was freed " IN_FLIGHT, "in frees_an_operation" } },
	{ receives_into_freed_memory,
	  true,
	  { "was given memory that was freed, or beyond its end", "made at tests/ledger.c:" } },
};

#define NR_BUGS ((int)ARRAY_SIZE(bugs))

START_TEST(memory_of_an_operation_in_flight_is_not_freed)
{
	struct outcome outcome;

	need_backend(serving[_i / NR_BUGS]);
	if (!IS_ENABLED(CONFIG_DEBUG))
		test_skip("other builds do not look");
	if (bugs[_i % NR_BUGS].sanitizer && !IS_ENABLED(CONFIG_SANITIZE_ADDRESS))
		test_skip("AddressSanitizer knows what is freed");
	hygiene_run(&outcome, _i / NR_BUGS, NULL, bugs[_i % NR_BUGS].fn);
	ck_code(&outcome, -SIGABRT);
	ck_said(&outcome, "bug: ");
	for (int i = 0; i < 2; i++)
		ck_said(&outcome, bugs[_i % NR_BUGS].says[i]);
}
END_TEST

/* What is left of a slice that was freed twice: its chunk is in the ring by now. */
static int frees_what_is_in_the_ring(void *arg)
{
	struct pool *pool = &mn_self->pool;
	struct mn_buf stale = { .len = 0 };

	for (unsigned int id = 0; id < pool->nr_chunks && !stale.chunk; id++)
		if (pool_chunk(pool, id)->lent)
			stale.chunk = pool_chunk(pool, id);
	if (!stale.chunk)
		return 99;
	stale.share = pool->chunk_size;
	mn_buf_free(&stale);
	return 0;
}

START_TEST(a_buffer_that_the_kernel_receives_into_is_not_freed)
{
	struct outcome outcome;

	need_backend("io_uring");
	if (!IS_ENABLED(CONFIG_DEBUG))
		test_skip("other builds do not look");
	hygiene_run(&outcome, 0, NULL, frees_what_is_in_the_ring);
	if (outcome.code == 99)
		test_skip("there is no buffer ring");
	ck_code(&outcome, -SIGABRT);
	ck_said(&outcome, "bug: buffer ");
	ck_said(&outcome, " of shard 0 was freed, which the kernel receives into");
	hygiene_run(&outcome, 0, "--io_uring.mask=buf_ring", frees_what_is_in_the_ring);
	ck_code(&outcome, 99);
}
END_TEST

/* ---- and those without ---- */

static int splits_and_frees(void *arg)
{
	struct mn_buf buf, front;
	char *memory = malloc(100000), *other = malloc(100000);
	struct mn_op own;

	ck_assert_int_eq(mn_buf_alloc(&buf), 0);
	mn_buf_split(&buf, 100, &front);
	mn_recv_start(&op, silent(), front.data, front.len);
	mn_recv_start(&own, silent(), memory, 100000);
	mn_buf_free(&buf);
	free(other);
	ck_assert_int_eq(mn_op_await(&op, MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_op_await(&own, MN_MSEC), -ETIMEDOUT);
	mn_buf_free(&front);
	free(memory);
	return 0;
}

START_TEST(what_nobody_has_may_be_freed)
{
	struct outcome outcome;

	need_backend(serving[_i]);
	hygiene_run(&outcome, _i, NULL, splits_and_frees);
	ck_code(&outcome, 0);
}
END_TEST

#define OPS 3000

/* Pieces of one, of many, and of too many pieces; the operations come and go in any order. */
static void ck_book(struct mn_op *ops, uint8_t *base)
{
	uint32_t seed = 1;

	for (int step = 0; step < 50000; step++) {
		struct mn_op *o = &ops[(seed = seed * 1664525 + 1013904223) % OPS];

		if (!o->fd) {
			o->fd = 1;
			o->code = MN_OP_READ;
			o->rw.base = base + (seed >> 12) * (size_t)16;
			o->rw.len = seed % 64 ? seed >> 18 : (4U << 20);
			ledger_op(o, HERE);
		} else {
			o->fd = 0;
			ledger_remove(o);
		}
		ledger_freed(base, 0);
		ledger_freed(base - 1, 1);
	}
	for (int i = 0; i < OPS; i++)
		ledger_remove(&ops[i]);
	ledger_freed(base, (size_t)24 << 20);
	ledger_freed(ops, OPS * sizeof(*ops));
}

START_TEST(the_ledger_forgets_what_has_ended)
{
	struct shard shard = { .id = 0 };
	struct mn_op *ops = calloc(OPS, sizeof(*ops));
	uint8_t *memory = malloc((size_t)24 << 20);

	mn_self = &shard;
	ck_book(ops, memory + 1);
	ledger_close(&shard);
	mn_self = NULL;
	free(memory);
	free(ops);
}
END_TEST

/* ledger_freed() of what is in the middle of each of many. */
START_TEST(the_ledger_finds_what_has_not)
{
	static const size_t sizes[] = { 1, 4096, 65536, 8U << 20 };
	struct shard shard = { .id = 0 };
	uint8_t *memory = malloc(24U << 20);

	if (!IS_ENABLED(CONFIG_DEBUG))
		test_skip("other builds do not look");
	mn_self = &shard;
	op = (struct mn_op){ .code = MN_OP_WRITE, .fd = 1 };
	op.rw.base = memory + (7U << 20);
	op.rw.len = sizes[_i / 3];
	ledger_op(&op, HERE);
	if (_i % 3 == 0)
		ledger_freed(memory, (7U << 20) + 1);
	else if (_i % 3 == 1)
		ledger_freed((uint8_t *)op.rw.base + op.rw.len - 1, 9U << 20);
	else
		ledger_freed(NULL, SIZE_MAX);
}
END_TEST

Suite *suite_ledger(void)
{
	Suite *s = suite_create("ledger");
	TCase *tc = tcase_create("ledger");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, memory_of_an_operation_in_flight_is_not_freed, 0,
			    NR_BUGS * NR_SERVING);
	tcase_add_test(tc, a_buffer_that_the_kernel_receives_into_is_not_freed);
	tcase_add_loop_test(tc, what_nobody_has_may_be_freed, 0, NR_SERVING);
	tcase_add_test(tc, the_ledger_forgets_what_has_ended);
	if (IS_ENABLED(CONFIG_DEBUG))
		tcase_add_loop_test_raise_signal(tc, the_ledger_finds_what_has_not, SIGABRT, 0, 12);
	suite_add_tcase(s, tc);
	return s;
}
