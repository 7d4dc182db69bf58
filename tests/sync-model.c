// SPDX-License-Identifier: MIT
/* Semaphores and read-write locks against models of them, at random. */
#include <check.h>

#include "tests/actors.h"
#include "tests/suites.h"
#include "tests/sync.h"

static struct actors actors;

/* ---- semaphore ---- */

static struct mn_sem sem;
static uint64_t units;

static int64_t take(struct actor *actor)
{
	return mn_sem_take_timeout(&sem, actor->arg[0], actor->timeout_ns);
}

static void sem_expect_grants(void)
{
	while (actors.nr_wants) {
		struct actor *first = &actors.actor[actors.want[0]];

		if (first->arg[0] > units)
			break;
		units -= first->arg[0];
		model_end(&actors, first, 0);
	}
}

static void sem_left(struct actors *all, struct actor *actor)
{
	sem_expect_grants();
}

static void sem_start(void)
{
	struct actor *actor = actor_idle(&actors);

	if (!actor)
		return;
	actors_compare(&actors);
	actor->arg[0] = actors_random(&actors, 6);
	actor_start(&actors, actor, take);
	if (!actors.nr_wants && actor->arg[0] <= units) {
		units -= actor->arg[0];
		model_end(&actors, actor, 0);
	} else {
		model_wait(&actors, actor);
	}
}

static void sem_poke(void)
{
	uint64_t n = actors_random(&actors, 5);

	if (actors_random(&actors, 2)) {
		mn_sem_give(&sem, n);
		units += n;
		sem_expect_grants();
	} else if (!actors.nr_wants && n <= units) {
		ck_assert_int_eq(mn_sem_try(&sem, n), 0);
		units -= n;
	} else {
		ck_assert_int_eq(mn_sem_try(&sem, n), -EAGAIN);
	}
	ck_assert_uint_eq(sem.units, units);
}

START_TEST(a_semaphore_does_as_its_model)
{
	if (!actors_begin(&actors, (uint64_t)_i))
		return;
	actors.left = sem_left;
	units = 3;
	mn_sem_init(&sem, units);
	actors_steps(&actors, ACTORS_STEPS, sem_start, sem_poke, actors_compare);
	ck_assert_uint_eq(sem.units, units);
	mn_sem_break(&sem, -EIO);
	while (actors.nr_wants)
		model_end(&actors, &actors.actor[actors.want[0]], -EIO);
	actors_compare(&actors);
	ck_assert_int_eq(mn_sem_try(&sem, 0), -EIO);
	mn_sem_destroy(&sem);
	actors_end(&actors);
}
END_TEST

/* ---- read-write lock ---- */

static struct mn_rwlock rwlock;
static unsigned int nr_readers, nr_writers;	/* that have it */

enum { READ, WRITE };

static int64_t lock(struct actor *actor)
{
	return actor->arg[0] == READ ? mn_rwlock_read_timeout(&rwlock, actor->timeout_ns) :
				       mn_rwlock_write_timeout(&rwlock, actor->timeout_ns);
}

static struct actor *first_that_wants(uint64_t what)
{
	for (unsigned int i = 0; i < actors.nr_wants; i++)
		if (actors.actor[actors.want[i]].arg[0] == what)
			return &actors.actor[actors.want[i]];
	return NULL;
}

static void readers_expect(void)
{
	struct actor *actor;

	while ((actor = first_that_wants(READ))) {
		nr_readers++;
		model_end(&actors, actor, 0);
	}
}

static void writer_expect(void)
{
	struct actor *actor = first_that_wants(WRITE);

	if (actor) {
		nr_writers++;
		model_end(&actors, actor, 0);
	}
}

static void rwlock_left(struct actors *all, struct actor *actor)
{
	if (actor->arg[0] == WRITE && !first_that_wants(WRITE) && !nr_writers)
		readers_expect();
}

static void rwlock_start(void)
{
	struct actor *actor = actor_idle(&actors);
	bool free;

	if (!actor)
		return;
	actors_compare(&actors);
	actor->arg[0] = actors_random(&actors, 3) ? READ : WRITE;
	free = !nr_writers && (actor->arg[0] == READ ? !first_that_wants(WRITE) : !nr_readers);
	actor_start(&actors, actor, lock);
	if (!free) {
		model_wait(&actors, actor);
		return;
	}
	if (actor->arg[0] == READ)
		nr_readers++;
	else
		nr_writers++;
	model_end(&actors, actor, 0);
}

static void rwlock_poke(void)
{
	if (nr_writers) {
		ck_assert_int_eq(mn_rwlock_try_read(&rwlock), -EAGAIN);
		ck_assert_int_eq(mn_rwlock_try_write(&rwlock), -EAGAIN);
		nr_writers = 0;
		mn_rwlock_write_end(&rwlock);
		if (first_that_wants(READ))
			readers_expect();
		else
			writer_expect();
	} else if (nr_readers) {
		ck_assert_int_eq(mn_rwlock_try_write(&rwlock), -EAGAIN);
		mn_rwlock_read_end(&rwlock);
		if (!--nr_readers)
			writer_expect();
	} else {
		ck_assert_int_eq(mn_rwlock_try_write(&rwlock), 0);
		mn_rwlock_write_end(&rwlock);
	}
}

START_TEST(a_read_write_lock_does_as_its_model)
{
	if (!actors_begin(&actors, (uint64_t)_i))
		return;
	actors.left = rwlock_left;
	nr_readers = nr_writers = 0;
	mn_rwlock_init(&rwlock);
	actors_steps(&actors, ACTORS_STEPS, rwlock_start, rwlock_poke, actors_compare);
	while (nr_writers || nr_readers)
		rwlock_poke();
	actors_compare(&actors);
	mn_rwlock_destroy(&rwlock);
	actors_end(&actors);
}
END_TEST

TCase *tcase_sync_model(void)
{
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_semaphore_does_as_its_model, 0, 4);
	tcase_add_loop_test(tc, a_read_write_lock_does_as_its_model, 0, 4);
	return tc;
}
