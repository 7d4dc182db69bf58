// SPDX-License-Identifier: MIT
/* Read-write locks, gates, barriers, and what is done once. */
#include "core/shard.h"
#include "tests/suites.h"
#include "tests/sync.h"
#include "tests/world.h"

/* --- read-write lock --- */

struct file {
	struct mn_rwlock lock;
	char log[32];	/* who came in, in order */
	int nr_log, nr_readers, nr_writers;
};

static int reads(void *arg)
{
	struct file *file = arg;
	int err = mn_rwlock_read(&file->lock);

	if (err)
		return err;
	file->log[file->nr_log++] = 'r';
	file->nr_readers++;
	ck_assert_int_eq(file->nr_writers, 0);
	mn_yield();
	file->nr_readers--;
	mn_rwlock_read_end(&file->lock);
	return 0;
}

static int writes(void *arg)
{
	struct file *file = arg;
	int err = mn_rwlock_write(&file->lock);

	if (err)
		return err;
	file->log[file->nr_log++] = 'w';
	ck_assert_int_eq(file->nr_writers++, 0);
	ck_assert_int_eq(file->nr_readers, 0);
	mn_yield();
	file->nr_writers--;
	mn_rwlock_write_end(&file->lock);
	return 0;
}

static int phases_fiber(void *arg)
{
	static const char order[] = "rwrwrrw";
	struct file file = { .nr_log = 0 };
	struct mn_fiber *fiber[sizeof(order) - 1];

	mn_rwlock_init(&file.lock);
	ck_assert_int_eq(mn_rwlock_read(&file.lock), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(fiber); i++)
		fiber[i] = sync_spawn(order[i] == 'r' ? reads : writes, &file);
	mn_yield();
	ck_assert_str_eq(file.log, "r");	/* a writer waits: who reads now, waits */
	ck_assert_int_eq(mn_rwlock_try_read(&file.lock), -EAGAIN);
	mn_rwlock_read_end(&file.lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(fiber); i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_str_eq(file.log, "rwrrrww");	/* all readers after the first writer */
	ck_assert_int_eq(mn_rwlock_try_write(&file.lock), 0);
	ck_assert_int_eq(mn_rwlock_read_timeout(&file.lock, MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_rwlock_write_timeout(&file.lock, MN_MSEC), -ETIMEDOUT);
	mn_rwlock_write_end(&file.lock);
	mn_rwlock_destroy(&file.lock);
	return 0;
}

START_TEST(readers_and_writers_take_turns)
{
	sync_run(_i, phases_fiber);
}
END_TEST

static int writer_leaves_fiber(void *arg)
{
	struct file file = { .nr_log = 0 };
	struct mn_fiber *writer, *reader;

	mn_rwlock_init(&file.lock);
	ck_assert_int_eq(mn_rwlock_read(&file.lock), 0);
	writer = sync_spawn(writes, &file);
	reader = sync_spawn(reads, &file);
	ck_assert_int_eq(file.nr_log, 0);
	mn_fiber_cancel(writer);
	ck_assert_int_eq(mn_join(reader), 0);	/* beside us */
	ck_assert_int_eq(mn_join(writer), -ECANCELED);
	mn_rwlock_read_end(&file.lock);
	mn_rwlock_destroy(&file.lock);
	return 0;
}

START_TEST(readers_go_on_when_the_writer_that_kept_them_out_leaves)
{
	sync_run(_i, writer_leaves_fiber);
}
END_TEST

/* --- gate --- */

struct house {
	struct mn_gate gate;
	struct mn_sem go;	/* visitors, home */
};

static int visits(void *arg)
{
	struct house *house = arg;
	int err = mn_gate_enter(&house->gate);

	if (err)
		return err;
	ck_assert_int_eq(mn_sem_take(&house->go, 1), 0);
	mn_gate_leave(&house->gate);
	return 0;
}

static int closes(void *arg)
{
	return mn_gate_close(&((struct house *)arg)->gate);
}

static int gate_fiber(void *arg)
{
	struct mn_fiber *visitor[3], *closer[2];
	struct house house;

	mn_gate_init(&house.gate);
	mn_sem_init(&house.go, 0);
	for (int i = 0; i < 3; i++)
		visitor[i] = sync_spawn(visits, &house);
	closer[0] = sync_spawn(closes, &house);
	closer[1] = sync_spawn(closes, &house);
	ck_assert_int_eq(mn_gate_enter(&house.gate), -ESHUTDOWN);
	ck_assert_int_eq(mn_gate_close_timeout(&house.gate, 0), -ETIMEDOUT);
	mn_fiber_cancel(closer[0]);
	ck_assert_int_eq(mn_join(closer[0]), -ECANCELED);
	ck_assert_uint_eq(house.gate.nr_inside, 3);
	mn_sem_give(&house.go, 3);
	ck_assert_int_eq(mn_join(closer[1]), 0);
	ck_assert_uint_eq(house.gate.nr_inside, 0);
	ck_assert_int_eq(mn_gate_close(&house.gate), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_join(visitor[i]), 0);
	mn_sem_destroy(&house.go);
	mn_gate_destroy(&house.gate);
	return 0;
}

START_TEST(closing_a_gate_waits_until_all_have_left_and_lets_nobody_in)
{
	sync_run(_i, gate_fiber);
}
END_TEST

/* --- barrier --- */

struct party {
	struct mn_barrier barrier;
	int rounds[4], nr_last;
	int64_t timeout_ns;
};

static int rounds(void *arg)
{
	struct party *party = arg;

	for (int i = 0; i < 4; i++) {
		int res;

		party->rounds[i]++;
		res = mn_barrier_wait_timeout(&party->barrier, party->timeout_ns);
		if (res < 0)
			return res;
		party->nr_last += res;
		ck_assert_int_eq(party->rounds[i], 3);	/* all were here */
	}
	return 0;
}

static int barrier_fiber(void *arg)
{
	struct party party = { .timeout_ns = 3600 * MN_SEC };
	struct mn_fiber *fiber[3];

	mn_barrier_init(&party.barrier, 3);
	for (int i = 0; i < 3; i++)
		fiber[i] = sync_spawn(rounds, &party);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_join(fiber[i]), 0);
	ck_assert_int_eq(party.nr_last, 4);
	mn_barrier_destroy(&party.barrier);
	return 0;
}

START_TEST(parties_of_a_barrier_wait_for_each_other_again_and_again)
{
	sync_run(_i, barrier_fiber);
}
END_TEST

static int broken_fiber(void *arg)
{
	struct party party = { .timeout_ns = MN_NEVER };
	struct mn_fiber *fiber[2];

	mn_barrier_init(&party.barrier, 3);
	for (int i = 0; i < 2; i++)
		fiber[i] = sync_spawn(rounds, &party);
	mn_fiber_cancel(fiber[1]);
	ck_assert_int_eq(mn_join(fiber[1]), -ECANCELED);
	ck_assert_int_eq(mn_join(fiber[0]), -EPIPE);
	ck_assert_int_eq(mn_barrier_wait(&party.barrier), -EPIPE);
	mn_barrier_reset(&party.barrier);
	ck_assert_int_eq(mn_barrier_wait_timeout(&party.barrier, MN_MSEC), -ETIMEDOUT);
	mn_barrier_reset(&party.barrier);
	party = (struct party){ .barrier = party.barrier, .timeout_ns = MN_NEVER };
	for (int i = 0; i < 2; i++)
		fiber[i] = sync_spawn(rounds, &party);
	party.rounds[0]++;
	ck_assert_int_eq(mn_barrier_wait_timeout(&party.barrier, 0), 1);	/* it is the last */
	mn_yield();
	mn_barrier_reset(&party.barrier);	/* the others wait again */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(mn_join(fiber[i]), -EPIPE);
	mn_barrier_destroy(&party.barrier);
	return 0;
}

START_TEST(a_party_that_leaves_breaks_the_barrier_until_it_is_reset)
{
	sync_run(_i, broken_fiber);
}
END_TEST

/* --- once --- */

struct lazy {
	struct mn_once once;
	int nr_runs, nr_failures;	/* how many runs are to fail */
};

static int lazy_init(void *arg)
{
	struct lazy *lazy = arg;
	int err = mn_sleep(MN_MSEC);

	lazy->nr_runs++;
	if (err)
		return err;
	return lazy->nr_runs <= lazy->nr_failures ? -EIO : 17;
}

static int needs(void *arg)
{
	struct lazy *lazy = arg;

	return mn_once(&lazy->once, lazy_init, lazy);
}

static int once_fiber(void *arg)
{
	struct lazy lazy = { .nr_failures = 1 };
	struct mn_fiber *fiber[5];

	mn_once_init(&lazy.once);
	for (int i = 0; i < 5; i++)
		fiber[i] = sync_spawn(needs, &lazy);
	ck_assert_int_eq(mn_once_timeout(&lazy.once, lazy_init, &lazy, 0), -ETIMEDOUT);
	ck_assert_int_eq(mn_join(fiber[0]), -EIO);	/* its failure, and nobody else's */
	mn_fiber_cancel(fiber[1]);	/* which has its turn now */
	mn_fiber_cancel(fiber[3]);	/* which waits */
	ck_assert_int_eq(mn_join(fiber[1]), -ECANCELED);
	ck_assert_int_eq(mn_join(fiber[3]), -ECANCELED);
	ck_assert_int_eq(mn_join(fiber[2]), 0);
	ck_assert_int_eq(mn_join(fiber[4]), 0);
	ck_assert_int_eq(lazy.nr_runs, 3);
	ck_assert_int_eq(mn_once(&lazy.once, lazy_init, &lazy), 0);
	ck_assert_int_eq(lazy.nr_runs, 3);
	mn_once_destroy(&lazy.once);
	return 0;
}

START_TEST(once_runs_until_it_succeeds_and_then_never_again)
{
	sync_run(_i, once_fiber);
}
END_TEST

static int once_fails_fiber(void *arg)
{
	struct lazy lazy = { .nr_failures = 2 };

	mn_once_init(&lazy.once);
	ck_assert_int_eq(mn_once(&lazy.once, lazy_init, &lazy), -EIO);
	ck_assert_int_eq(mn_once(&lazy.once, lazy_init, &lazy), -EIO);
	ck_assert_int_eq(mn_once(&lazy.once, lazy_init, &lazy), 0);
	ck_assert_int_eq(lazy.nr_runs, 3);
	mn_once_destroy(&lazy.once);
	return 0;
}

START_TEST(once_that_failed_is_tried_again_by_who_comes_next)
{
	sync_run(_i, once_fails_fiber);
}
END_TEST

TCase *tcase_sync_group(void)
{
	const TTest *const tests[] = {
		readers_and_writers_take_turns,
		readers_go_on_when_the_writer_that_kept_them_out_leaves,
		closing_a_gate_waits_until_all_have_left_and_lets_nobody_in,
		parties_of_a_barrier_wait_for_each_other_again_and_again,
		a_party_that_leaves_breaks_the_barrier_until_it_is_reset,
		once_runs_until_it_succeeds_and_then_never_again,
		once_that_failed_is_tried_again_by_who_comes_next,
	};
	TCase *tc = tcase_create("group");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, nr_backends());
	return tc;
}
