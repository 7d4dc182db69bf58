// SPDX-License-Identifier: MIT
/*
 * Services, what each shard has one of, and what goes home to be freed.
 * Every case on every backend and queue, with 1, 2 and 8 shards; at the end
 * of each, every chunk is back in its pool.
 */
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "tests/sharded.h"
#include "tests/spawn.h"
#include "tests/world.h"

static const unsigned int nr_shards[] = { 1, 2, 8 };

static int nr_queues(void)
{
	return (int)(queue_kind.stop - queue_kind.start);
}

int sharded_worlds(void)
{
	return nr_backends() * nr_queues() * (int)ARRAY_SIZE(nr_shards);
}

unsigned int chunks_out(const struct shard *shard)
{
	return shard->pool.nr_chunks - shard->pool.nr_free;
}

struct run {
	mn_fiber_fn fn;
	unsigned int out[8];	/* chunks that the backend holds from the start */
};

static int note_out(void *arg)
{
	((struct run *)arg)->out[mn_shard()] = chunks_out(mn_self);
	return 0;
}

static int run_fiber(void *arg)
{
	struct run *run = arg;

	mn_call_all(note_out, run);
	return run->fn(NULL);
}

static int nr_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void run_on(const char *backend, const char *queue, unsigned int nr, mn_fiber_fn fn)
{
	int fds = nr_fds();
	struct run run = { .fn = fn };
	struct mn_world world = { .fn = run_fiber, .arg = &run };

	if (driver_choose(&backend_kind, backend, "this test", NULL, &world.backend)) {
		printf("skipped: %s: %s\n", backend, world.backend.reason);
		return;
	}
	ck_assert_int_eq(driver_choose(&timer_queue_kind, NULL, NULL, NULL, &world.timer), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, queue, "this test", NULL, &world.queue), 0);
	if (!world_opens(&world, nr))
		return;
	ck_assert_int_eq(world_run(&world), 0);
	for (unsigned int s = 0; s < nr; s++)
		ck_assert_msg(chunks_out(world.shards[s]) == run.out[s],
			      "%s, %s: shard %u of %u misses %u chunks", backend,
			      world.queue.driver->name, s, nr,
			      chunks_out(world.shards[s]) - run.out[s]);
	world_close(&world);
	if (!IS_ENABLED(CONFIG_SANITIZE_THREAD))	/* which opens some of its own */
		ck_assert_int_eq(nr_fds(), fds);
}

void sharded_run(int i, mn_fiber_fn fn)
{
	int n = i % (int)ARRAY_SIZE(nr_shards), rest = i / (int)ARRAY_SIZE(nr_shards);

	run_on(backend_kind.start[rest / nr_queues()]->name,
	       queue_kind.start[rest % nr_queues()]->name, nr_shards[n], fn);
}

int sharded_backends(void)
{
	return nr_backends() * (int)ARRAY_SIZE(nr_shards);
}

void sharded_run_backend(int i, mn_fiber_fn fn)
{
	int n = i % (int)ARRAY_SIZE(nr_shards);

	run_on(backend_kind.start[i / (int)ARRAY_SIZE(nr_shards)]->name, NULL, nr_shards[n], fn);
}

void sharded_run_shards(const char *backend, unsigned int nr, mn_fiber_fn fn)
{
	run_on(backend, NULL, nr, fn);
}

/* --- services --- */

struct part {
	unsigned int shard;
	int value;
	bool slow;
};

/* What the start and stop functions saw. */
static struct {
	atomic_uint started, stopped, inside;
	unsigned int fails;	/* the shard that does */
	int64_t sleep_ns;
	bool out_of_order;
} seen;

static int part_start(void *self, void *arg)
{
	struct part *part = self;

	ck_assert_ptr_eq(arg, &seen);
	ck_assert_int_eq(part->value, 0);	/* zeroed */
	if (mn_shard() == seen.fails)
		return -EIO;
	if (seen.sleep_ns && mn_sleep(seen.sleep_ns) == -ECANCELED)
		return -ECANCELED;
	part->shard = mn_shard();
	part->value = 100;
	seen.out_of_order |= atomic_fetch_add(&seen.started, 1) != mn_shard();
	return 0;
}

static void part_stop(void *self)
{
	struct part *part = self;

	ck_assert_uint_eq(part->shard, mn_shard());
	ck_assert_uint_eq(atomic_load(&seen.inside), 0);
	part->value = -1;
	mn_yield();
	/* The last to be started is the first to be stopped. */
	seen.out_of_order |= atomic_fetch_add(&seen.stopped, 1) + mn_shard() + 1 !=
			     atomic_load(&seen.started);
}

static const struct mn_service service = {
	.size = sizeof(struct part),
	.start = part_start,
	.stop = part_stop,
};

static struct mn_sharded parts;

static void seen_reset(unsigned int fails)
{
	atomic_store(&seen.started, 0);
	atomic_store(&seen.stopped, 0);
	atomic_store(&seen.inside, 0);
	seen.fails = fails;
	seen.sleep_ns = 0;
	seen.out_of_order = false;
}

static int part_add(void *self, void *arg)
{
	struct part *part = self;

	ck_assert_uint_eq(part->shard, mn_shard());
	ck_assert_ptr_eq(self, mn_sharded_local(&parts));
	part->value += *(int *)arg;
	return part->value;
}

static int part_map(void *self, void *arg, int64_t *value)
{
	*value = ((struct part *)self)->value;
	return *(int64_t *)arg < 0 && mn_shard() == mn_shards() - 1 ? -EIO : 0;
}

static void sum_up(void *arg, int64_t value)
{
	*(int64_t *)arg += value;
}

static int part_check(void *self, void *arg)
{
	return mn_shard() == *(unsigned int *)arg ? -EDOM : 0;
}

static int calls_fiber(void *arg)
{
	unsigned int last = mn_shards() - 1;
	int64_t sum = 0, bad = INT64_MIN;

	seen_reset(1000);
	ck_assert_ptr_null(mn_sharded_local(&parts));
	ck_assert_int_eq(mn_sharded_call(&parts, last, part_add, &(int){ 1 }), -ESHUTDOWN);
	ck_assert_int_eq(mn_sharded_start(&parts, &service, &seen), 0);
	ck_assert_int_eq(mn_sharded_start(&parts, &service, &seen), -EALREADY);
	for (unsigned int s = 0; s < mn_shards(); s++)
		ck_assert_int_eq(mn_sharded_call(&parts, s, part_add, &(int){ (int)s }),
				 100 + (int)s);
	ck_assert_int_eq(((struct part *)mn_sharded_local(&parts))->value, 100);
	ck_assert_int_eq(mn_sharded_map_reduce(&parts, part_map, sum_up, &sum), 0);
	ck_assert(sum == 100 * mn_shards() + last * mn_shards() / 2);
	ck_assert_int_eq(mn_sharded_map_reduce(&parts, part_map, sum_up, &bad), -EIO);
	ck_assert_int_eq(mn_sharded_call_all(&parts, part_check, &last), -EDOM);
	ck_assert_int_eq(mn_sharded_call_all(&parts, part_check, &(unsigned int){ 1000 }), 0);
	mn_sharded_stop(&parts);
	ck_assert_uint_eq(atomic_load(&seen.started), mn_shards());
	ck_assert_uint_eq(atomic_load(&seen.stopped), mn_shards());
	ck_assert(!seen.out_of_order);
	ck_assert_ptr_null(mn_sharded_local(&parts));
	ck_assert_int_eq(mn_sharded_call_all(&parts, part_check, &last), -ESHUTDOWN);
	mn_sharded_stop(&parts);	/* stopped already */
	return 0;
}

START_TEST(a_service_is_called_here_there_and_everywhere)
{
	sharded_run(_i, calls_fiber);
}
END_TEST

static int fails_fiber(void *arg)
{
	for (unsigned int k = 0; k < mn_shards(); k++) {
		seen_reset(k);
		ck_assert_int_eq(mn_sharded_start(&parts, &service, &seen), -EIO);
		ck_assert_uint_eq(atomic_load(&seen.started), k);
		ck_assert_uint_eq(atomic_load(&seen.stopped), k);
		ck_assert(!seen.out_of_order);
		ck_assert_ptr_null(mn_sharded_local(&parts));
	}
	seen_reset(1000);	/* and it can still be started */
	ck_assert_int_eq(mn_sharded_start(&parts, &service, &seen), 0);
	mn_sharded_stop(&parts);
	return 0;
}

START_TEST(a_start_that_fails_on_any_shard_stops_those_that_had_started)
{
	sharded_run(_i, fails_fiber);
}
END_TEST

static int starter(void *arg)
{
	return mn_sharded_start(&parts, &service, &seen);
}

static int cancel_fiber(void *arg)
{
	struct mn_fiber *fiber;

	seen_reset(1000);
	seen.sleep_ns = 3600 * MN_SEC;
	ck_assert_int_eq(mn_spawn(starter, NULL, &fiber), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	ck_assert_uint_eq(atomic_load(&seen.started), 0);
	ck_assert_ptr_null(mn_sharded_local(&parts));
	return 0;
}

START_TEST(a_start_can_be_cancelled)
{
	sharded_run(_i, cancel_fiber);
}
END_TEST

static int visit(void *self, void *arg)
{
	struct part *part = self;

	atomic_fetch_add(&seen.inside, 1);
	mn_yield();
	ck_assert_int_eq(part->value, 100);
	mn_sleep(50 * MN_USEC);
	ck_assert_int_eq(part->value, 100);	/* not stopped under our feet */
	atomic_fetch_sub(&seen.inside, 1);
	return 0;
}

/* Until there is nobody to visit. */
static int visitor(void *arg)
{
	unsigned int at = mn_shard();
	int err;

	do
		err = mn_sharded_call(&parts, ++at % mn_shards(), visit, NULL);
	while (!err);
	return err == -ESHUTDOWN ? 0 : err;
}

static int visitors(void *arg)
{
	enum { N = 20 };
	struct mn_fiber *fiber[N];

	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_spawn(visitor, NULL, &fiber[i]), 0);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	return 0;
}

static int all_visit(void *arg)
{
	return mn_call_all(visitors, NULL);
}

static int under_way_fiber(void *arg)
{
	struct mn_fiber *fiber;

	seen_reset(1000);
	ck_assert_int_eq(mn_sharded_start(&parts, &service, &seen), 0);
	ck_assert_int_eq(mn_spawn(all_visit, NULL, &fiber), 0);
	mn_sleep(5 * MN_MSEC);
	mn_sharded_stop(&parts);
	ck_assert_uint_eq(atomic_load(&seen.inside), 0);
	ck_assert_uint_eq(atomic_load(&seen.stopped), mn_shards());
	ck_assert(!seen.out_of_order);
	ck_assert_int_eq(mn_join(fiber), 0);	/* all of them were told */
	return 0;
}

START_TEST(a_stop_waits_for_calls_under_way_and_refuses_others)
{
	sharded_run(_i, under_way_fiber);
}
END_TEST

/* --- locals --- */

struct numbers {
	uint64_t n[40];
};

MN_LOCAL(struct numbers, numbers);
MN_LOCAL(int, calls);

static int local_count(void *arg)
{
	struct numbers *mine = mn_local(numbers);
	int *n = mn_local(calls);

	for (unsigned int i = 0; i < ARRAY_SIZE(mine->n); i++)
		ck_assert(mine->n[i] == (uint64_t)*n * (mn_shard() + 1));
	for (unsigned int i = 0; i < ARRAY_SIZE(mine->n); i++)
		mine->n[i] += mn_shard() + 1;
	ck_assert_ptr_eq(mine, mn_local(numbers));
	return ++*n;
}

static int local_fiber(void *arg)
{
	for (int i = 1; i < 10; i++)
		for (unsigned int s = 0; s < mn_shards(); s++)
			ck_assert_int_eq(mn_call(s, local_count, NULL), i);
	return 0;
}

START_TEST(a_local_is_zero_at_first_and_of_one_shard)
{
	sharded_run(_i, local_fiber);
}
END_TEST

/* The table against a plain array. */
START_TEST(a_table_of_locals_finds_what_is_there_and_nothing_else)
{
	enum { KEYS = 300 };
	static char key[KEYS];
	struct shard *shard = mem_alloc(sizeof(*shard));
	void *value[KEYS] = { NULL };

	srand(7);
	ck_assert_ptr_null(local_find(shard, &key[0]));
	for (int i = 0; i < 20000; i++) {
		int k = rand() % (i < 10000 ? KEYS : 20);

		if (value[k]) {
			local_remove(shard, &key[k]);
			mem_free(value[k]);
			value[k] = NULL;
		} else {
			value[k] = mem_alloc(1);
			ck_assert_int_eq(local_add(shard, &key[k], value[k]), 0);
		}
		k = rand() % KEYS;
		ck_assert_ptr_eq(local_find(shard, &key[k]), value[k]);
	}
	for (int k = 0; k < KEYS; k++)
		ck_assert_ptr_eq(local_find(shard, &key[k]), value[k]);
	local_close(&shard->locals);
	mem_free(shard);
}
END_TEST

/* --- the sample --- */

START_TEST(mn_counter_adds_up_what_all_shards_counted)
{
	static struct program p;
	char option[3][32];

	snprintf(option[0], sizeof(option[0]), "--cpus=%u", nr_shards[_i]);
	snprintf(option[1], sizeof(option[1]), "--numbers=%d", 200);
	snprintf(option[2], sizeof(option[2]), "sum %u\n", nr_shards[_i] * 200 * 201 / 2);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-counter", option[0], option[1])), 0);
	ck_assert_msg(strstr(program_out(&p), option[2]), "%s", program_out(&p));
	ck_assert_int_eq(nr_lines(program_out(&p)), (int)nr_shards[_i] + 1);
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-counter", "--numbers=0")), 2);
}
END_TEST

Suite *suite_sharded(void)
{
	Suite *s = suite_create("sharded");
	TCase *tc = tcase_create("sharded");
	int n = sharded_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_service_is_called_here_there_and_everywhere, 0, n);
	tcase_add_loop_test(tc, a_start_that_fails_on_any_shard_stops_those_that_had_started, 0, n);
	tcase_add_loop_test(tc, a_start_can_be_cancelled, 0, n);
	tcase_add_loop_test(tc, a_stop_waits_for_calls_under_way_and_refuses_others, 0, n);
	tcase_add_loop_test(tc, a_local_is_zero_at_first_and_of_one_shard, 0, n);
	tcase_add_test(tc, a_table_of_locals_finds_what_is_there_and_nothing_else);
	tcase_add_loop_test(tc, mn_counter_adds_up_what_all_shards_counted, 0,
			    ARRAY_SIZE(nr_shards));
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tcase_homing());
	return s;
}
