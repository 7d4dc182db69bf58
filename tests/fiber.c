// SPDX-License-Identifier: MIT
/*
 * Fibers without a reactor: the tests pop the run queue themselves. Waiting
 * for futures, timers and operations is tested with the reactor.
 */
#include <fenv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/shard.h"
#include "lib/mem/guard.h"
#include "lib/mem/mem.h"
#include "tests/suites.h"

static struct shard *shard;

static void setup(void)
{
	shard = mem_alloc(sizeof(*shard));
	ck_assert_ptr_nonnull(shard);
	runq_init(&shard->runq);
	fiber_pool_open(&shard->fibers);
	mn_self = shard;
}

static void teardown(void)
{
	fiber_pool_close(&shard->fibers);
	mn_self = NULL;
	mem_free(shard);
}

static void run_tasks(void)
{
	while (!runq_empty(&shard->runq)) {
		struct mn_task *task = runq_pop(&shard->runq);

		task->fn(task);
	}
}

static const enum guard_kind kinds[] = { GUARD_MADVISE, GUARD_MPROTECT };

#define need_kind(kind)							\
	do {								\
		if ((kind) == GUARD_MADVISE && guard_probe() != GUARD_MADVISE) \
			test_skip("MADV_GUARD_INSTALL does not work here"); \
	} while (0)

static char trace[16];

static int trace_and_yield(void *arg)
{
	for (int i = 0; i < 3; i++) {
		strcat(trace, arg);
		mn_yield();
	}
	return 0;
}

START_TEST(yielding_lets_the_others_run)
{
	ck_assert_int_eq(mn_spawn(trace_and_yield, "a", NULL), 0);
	ck_assert_int_eq(mn_spawn(trace_and_yield, "b", NULL), 0);
	ck_assert_str_eq(trace, ""); /* nothing runs from mn_spawn() */
	run_tasks();
	ck_assert_str_eq(trace, "ababab");
	ck_assert_uint_eq(shard->fibers.nr_live, 0);
	ck_assert_uint_eq(shard->fibers.nr_free, 2);
}
END_TEST

static int give_back(void *arg)
{
	mn_yield();
	return *(int *)arg;
}

static int join_two(void *arg)
{
	int a = 7, b = -EPIPE;
	struct mn_fiber *first, *second;

	ck_assert_int_eq(mn_spawn(give_back, &a, &first), 0);
	ck_assert_int_eq(mn_spawn(give_back, &b, &second), 0);
	ck_assert_int_eq(mn_join(second), -EPIPE);
	ck_assert_int_eq(mn_join(first), 7);
	*(bool *)arg = true;
	return 0;
}

START_TEST(joining_returns_what_the_function_returned)
{
	bool joined = false;

	ck_assert_int_eq(mn_spawn(join_two, &joined, NULL), 0);
	run_tasks();
	ck_assert(joined);
	ck_assert_uint_eq(shard->fibers.nr_free, 3);
}
END_TEST

static int end_badly(void *arg)
{
	return -EIO;
}

START_TEST(a_detached_failure_is_counted_as_abandoned)
{
	ck_assert_int_eq(mn_spawn(end_badly, NULL, NULL), 0);
	run_tasks();
	if (IS_ENABLED(CONFIG_STATS))
		ck_assert_uint_eq(shard->stats[STAT_ABANDONED], 1);
}
END_TEST

static int compare_copy(void *arg)
{
	const char *copy = arg;

	for (int i = 0; i < FIBER_COPY_MAX; i++)
		ck_assert_int_eq(copy[i], i % 100);
	ck_assert_uint_eq((uintptr_t)copy % _Alignof(max_align_t), 0);
	return 0;
}

START_TEST(a_copied_argument_belongs_to_the_fiber)
{
	char arg[FIBER_COPY_MAX];

	for (int i = 0; i < FIBER_COPY_MAX; i++)
		arg[i] = (char)(i % 100);
	ck_assert_int_eq(fiber_spawn(shard, compare_copy, arg, sizeof(arg), NULL), 0);
	memset(arg, 0, sizeof(arg));
	run_tasks();
	ck_assert_uint_eq(shard->fibers.nr_free, 1);
	ck_assert_int_eq(fiber_spawn(shard, compare_copy, arg, sizeof(arg) + 1, NULL), -E2BIG);
}
END_TEST

static int round_as(void *arg)
{
	int mode = *(const int *)arg;

	ck_assert_int_eq(fegetround(), FE_TONEAREST);
	fesetround(mode);
	for (int i = 0; i < 10; i++) {
		mn_yield();
		ck_assert_int_eq(fegetround(), mode);
	}
	return 0;
}

START_TEST(floating_point_modes_belong_to_a_fiber)
{
	static const int modes[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		ck_assert_int_eq(mn_spawn(round_as, (void *)&modes[i], NULL), 0);
	run_tasks();
	ck_assert_int_eq(fegetround(), FE_TONEAREST);
}
END_TEST

struct parked {
	int cancels;
	bool canceled;
	struct mn_fiber *fiber;
};

static void parked_cancel(void *obj)
{
	struct parked *parked = obj;

	parked->cancels++;
	task_schedule(mn_self, &parked->fiber->task);
}

static int park_once(void *arg)
{
	struct parked *parked = arg;

	fiber_park(parked_cancel, parked);
	parked->canceled = mn_fiber_canceled();
	return 0;
}

START_TEST(cancelling_ends_a_wait_once)
{
	struct parked parked = { .cancels = 0 };

	ck_assert_int_eq(mn_spawn(park_once, &parked, &parked.fiber), 0);
	run_tasks();
	ck_assert_uint_eq(shard->fibers.nr_live, 1);
	mn_fiber_cancel(parked.fiber);
	mn_fiber_cancel(parked.fiber);
	ck_assert_int_eq(parked.cancels, 1);
	run_tasks();
	ck_assert(parked.canceled);
	mn_fiber_cancel(parked.fiber); /* ended, not joined: nothing to do */
}
END_TEST

START_TEST(cancelling_leaves_alone_who_is_about_to_run)
{
	struct parked parked = { .cancels = 0 };

	ck_assert_int_eq(mn_spawn(park_once, &parked, &parked.fiber), 0);
	run_tasks();
	task_schedule(shard, &parked.fiber->task);
	mn_fiber_cancel(parked.fiber);
	run_tasks();
	ck_assert_int_eq(parked.cancels, 0);
	ck_assert(parked.canceled);
}
END_TEST

START_TEST(cancelling_all_reaches_every_live_fiber)
{
	struct parked parked[100] = { { .cancels = 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(parked); i++)
		ck_assert_int_eq(mn_spawn(park_once, &parked[i], &parked[i].fiber), 0);
	ck_assert_int_eq(mn_spawn(end_badly, NULL, NULL), 0);
	run_tasks();
	fiber_cancel_all(shard);
	run_tasks();
	for (size_t i = 0; i < ARRAY_SIZE(parked); i++)
		ck_assert_int_eq(parked[i].cancels, 1);
	ck_assert_uint_eq(shard->fibers.nr_live, 0);
}
END_TEST

static int nothing(void *arg)
{
	return 0;
}

START_TEST(stacks_are_used_again)
{
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(mn_spawn(nothing, NULL, NULL), 0);
		run_tasks();
	}
	ck_assert_uint_eq(shard->fibers.nr_free, 3);
	ck_assert_uint_eq(shard->fibers.slabs->nr_cut, 3);
}
END_TEST

/* What a child did: its standard error, and how it ended. */
struct outcome {
	char text[512];
	int status;
};

static struct outcome in_child(void (*fn)(enum guard_kind), enum guard_kind kind)
{
	struct outcome outcome = { .text = "" };
	size_t len = 0;
	int fds[2], pid;
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		dup2(fds[1], STDERR_FILENO);
		shard->fibers.guard = kind;
		guard_thread_enter();
		fn(kind);
		run_tasks();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], outcome.text + len, sizeof(outcome.text) - 1 - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &outcome.status, 0), pid);
	return outcome;
}

static int recurse(volatile char *above, int depth)
{
	volatile char frame[500];

	frame[0] = above ? above[0] : 1;
	return depth ? recurse(frame, depth - 1) + frame[0] : 0;
}

static int overflow(void *arg)
{
	mn_fiber_name("deep");
	mn_yield();
	return recurse(NULL, 1000000);
}

static void spawn_overflow(enum guard_kind kind)
{
	mn_spawn(nothing, NULL, NULL);
	mn_spawn(overflow, NULL, NULL);
}

START_TEST(an_overflow_names_the_fiber_and_aborts)
{
	long page_kib = sysconf(_SC_PAGESIZE) / 1024;
	long kib = (CONFIG_FIBER_STACK_KIB + page_kib - 1) / page_kib * page_kib;
	struct outcome outcome;
	char expected[80];

	need_kind(kinds[_i]);
	snprintf(expected, sizeof(expected), "fiber deep: stack overflow (%ld KiB)\n", kib);
	outcome = in_child(spawn_overflow, kinds[_i]);
	ck_assert_str_eq(outcome.text, expected);
	ck_assert(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT);
}
END_TEST

static int write_to_a_guard(void *arg)
{
	struct mn_fiber *other = arg;

	*((volatile char *)other->stack_low - 1) = 1;
	return 0;
}

static void somebody_else(int sig)
{
	_exit(7);
}

static void spawn_stray(void (*handler)(int))
{
	struct mn_fiber *other;

	guard_thread_leave();
	signal(SIGSEGV, handler);
	guard_thread_enter();
	mn_spawn(nothing, NULL, &other);
	mn_spawn(write_to_a_guard, other, NULL);
}

static void spawn_stray_unhandled(enum guard_kind kind)
{
	spawn_stray(SIG_DFL);
}

static void spawn_stray_handled(enum guard_kind kind)
{
	spawn_stray(somebody_else);
}

START_TEST(a_stray_pointer_to_a_guard_is_an_ordinary_fault)
{
	struct outcome outcome;

	need_kind(kinds[_i]);
	outcome = in_child(spawn_stray_unhandled, kinds[_i]);
	ck_assert(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGSEGV);
	ck_assert_str_eq(outcome.text, "");
	outcome = in_child(spawn_stray_handled, kinds[_i]);
	ck_assert(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 7);
}
END_TEST

START_TEST(leaving_restores_the_handler)
{
	struct sigaction sa;

	signal(SIGSEGV, somebody_else);
	guard_thread_enter();
	guard_thread_enter(); /* two shards on one thread */
	guard_thread_leave();
	sigaction(SIGSEGV, NULL, &sa);
	ck_assert(sa.sa_handler != somebody_else);
	guard_thread_leave();
	sigaction(SIGSEGV, NULL, &sa);
	ck_assert(sa.sa_handler == somebody_else);
	signal(SIGSEGV, SIG_DFL);
}
END_TEST

/* As the kernel sees it. */
static bool page_writable(void *page)
{
	bool writable;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	writable = write(fds[1], page, 1) == 1 && read(fds[0], page, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return writable;
}

START_TEST(every_stack_has_a_guard_below)
{
	struct fiber_pool *pool = &shard->fibers;
	size_t size;
	void *low;

	need_kind(kinds[_i]);
	pool->guard = kinds[_i];
	for (int i = 0; i < 3 * STACKS_PER_SLAB; i++) {
		ck_assert_int_eq(stack_get(pool, &low, &size), 0);
		ck_assert(!page_writable((char *)low - 1));
		ck_assert(!page_writable((char *)low - guard_size()));
		ck_assert(page_writable(low));
		ck_assert(page_writable((char *)low + size - 1));
	}
}
END_TEST

static int nr_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int c, n = 0;

	while ((c = getc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

START_TEST(ten_thousand_stacks_take_few_mappings)
{
	size_t size;
	void *low;
	int before;

	need_kind(GUARD_MADVISE);
	before = nr_mappings();
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(stack_get(&shard->fibers, &low, &size), 0);
	ck_assert_str_eq(stack_guard_kind(&shard->fibers), "madvise");
	/* One a slab if none could be merged; sanitizers map as many for themselves. */
	ck_assert_int_lt(nr_mappings() - before, 1000);
}
END_TEST

START_TEST(a_guard_that_cannot_be_tried_is_not_trusted)
{
	struct rlimit limit, none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(guard_probe(), GUARD_MPROTECT);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
END_TEST

START_TEST(the_use_of_a_stack_is_measured)
{
	size_t size = 16384;
	char *stack = mem_alloc(size);

	stack_fill(stack, size);
	ck_assert_uint_eq(stack_used(stack, size), 0);
	stack[size - 1] = 0;
	ck_assert_uint_eq(stack_used(stack, size), sizeof(uint64_t));
	stack[5000] = 0;
	ck_assert_uint_eq(stack_used(stack, size), size - 5000);
	mem_free(stack);
}
END_TEST

Suite *suite_fiber_switch(void)
{
	Suite *suite = suite_create("fiber-switch");
	TCase *life = tcase_create("life"), *stacks = tcase_create("stacks");

	tcase_add_checked_fixture(life, setup, teardown);
	tcase_add_test(life, yielding_lets_the_others_run);
	tcase_add_test(life, joining_returns_what_the_function_returned);
	tcase_add_test(life, a_detached_failure_is_counted_as_abandoned);
	tcase_add_test(life, a_copied_argument_belongs_to_the_fiber);
	tcase_add_test(life, floating_point_modes_belong_to_a_fiber);
	tcase_add_test(life, cancelling_ends_a_wait_once);
	tcase_add_test(life, cancelling_leaves_alone_who_is_about_to_run);
	tcase_add_test(life, cancelling_all_reaches_every_live_fiber);
	tcase_add_test(life, stacks_are_used_again);
	suite_add_tcase(suite, life);
	tcase_add_checked_fixture(stacks, setup, teardown);
	tcase_add_loop_test(stacks, an_overflow_names_the_fiber_and_aborts, 0, 2);
	tcase_add_loop_test(stacks, a_stray_pointer_to_a_guard_is_an_ordinary_fault, 0, 2);
	tcase_add_test(stacks, leaving_restores_the_handler);
	tcase_add_loop_test(stacks, every_stack_has_a_guard_below, 0, 2);
	tcase_add_test(stacks, ten_thousand_stacks_take_few_mappings);
	tcase_add_test(stacks, a_guard_that_cannot_be_tried_is_not_trusted);
	tcase_add_test(stacks, the_use_of_a_stack_is_measured);
	suite_add_tcase(suite, stacks);
	return suite;
}
