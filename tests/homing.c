// SPDX-License-Identifier: MIT
/* Buffers and objects that are freed on other shards than they are of. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/sharded.h"
#include "tests/world.h"

static unsigned int after(unsigned int shard)
{
	return (shard + 1) % mn_shards();
}

/* Until all chunks of this shard but @n are back. */
static void wait_for_chunks(unsigned int n)
{
	while (chunks_out(mn_self) != n)
		mn_sleep(MN_MSEC / 4);
}

/* --- buffers --- */

struct trip {
	struct mn_buf buf;
	uint64_t at;		/* the number of its first byte */
	unsigned int stops;
};

static void ck_pattern(const struct mn_buf *buf, uint64_t at)
{
	size_t i = 0;

	while (i < buf->len && buf->data[i] == pattern(at + i))
		i++;
	ck_assert_uint_eq(i, buf->len);
}

/* Leave some bytes here, split in two, and go on with the others. */
static int travel(void *arg)
{
	struct trip *trip = arg;
	struct mn_buf front, middle, none;
	uint64_t at = trip->at;

	ck_pattern(&trip->buf, at);
	mn_buf_split(&trip->buf, 10, &middle);
	mn_buf_split(&trip->buf, 0, &none);
	ck_assert_ptr_null(none.chunk);
	mn_buf_free(&none);
	mn_buf_split(&middle, 7, &front);
	trip->at += 10;
	mn_buf_free(&front);
	if (--trip->stops)
		ck_assert_int_eq(mn_call(after(mn_shard()), travel, trip), 0);
	ck_pattern(&middle, at + 7);	/* its neighbours are gone, it is not */
	mn_buf_free(&middle);
	return 0;
}

static int trips(void *arg)
{
	unsigned int out = chunks_out(mn_self);
	struct trip trip;

	for (unsigned int i = 0; i < 50; i++) {
		trip = (struct trip){ .stops = 3 * mn_shards(), .at = i };
		ck_assert_int_eq(mn_buf_alloc(&trip.buf), 0);
		pattern_fill(trip.buf.data, i, trip.buf.len);
		if (i % 2)	/* exactly used up on the way, or not */
			trip.buf.len = 10 * trip.stops;
		ck_assert_int_eq(mn_call(after(mn_shard()), travel, &trip), 0);
		if (i % 2)
			ck_assert_uint_eq(trip.buf.len, 0);
		else
			ck_pattern(&trip.buf, trip.at);
		mn_buf_free(&trip.buf);
	}
	wait_for_chunks(out);
	return 0;
}

static int trips_fiber(void *arg)
{
	return mn_call_all(trips, NULL);
}

START_TEST(buffers_travel_and_are_split_abroad_and_come_home)
{
	sharded_run(_i, trips_fiber);
}
END_TEST

enum { PIECES = 8, CHUNKS = 600 };

struct parcel {
	struct mn_buf buf[CHUNKS];
};

static int parcel_free(void *arg)
{
	struct parcel *parcel = arg;

	for (unsigned int i = 0; i < CHUNKS; i++)
		mn_buf_free(&parcel->buf[i]);
	return 0;
}

/* A piece of each of many chunks to every shard: more than a batch, in any order. */
static int scatter(void *arg)
{
	struct parcel *parcel = calloc(PIECES, sizeof(*parcel));
	unsigned int out = chunks_out(mn_self);

	for (unsigned int i = 0; i < CHUNKS; i++) {
		struct mn_buf buf;

		ck_assert_int_eq(mn_buf_alloc(&buf), 0);
		for (unsigned int p = 0; p < PIECES - 1; p++)
			mn_buf_split(&buf, 1 + (i + p) % 9, &parcel[p].buf[i]);
		parcel[PIECES - 1].buf[i] = buf;
	}
	for (unsigned int p = 0; p < PIECES; p++)
		ck_assert_int_eq(mn_call((mn_shard() + p) % mn_shards(), parcel_free, &parcel[p]),
				 0);
	wait_for_chunks(out);
	free(parcel);
	return 0;
}

static int scatter_fiber(void *arg)
{
	return mn_call_all(scatter, NULL);
}

START_TEST(a_chunk_is_free_when_all_pieces_are_back_from_all_shards)
{
	sharded_run(_i, scatter_fiber);
}
END_TEST

static int buf_free_post(void *arg)
{
	struct mn_buf *buf = arg;

	mn_buf_free(buf);
	free(buf);
	return 0;
}

/* As fast as credits allow; the program stops while frees are on their way. */
static int shower(void *arg)
{
	for (unsigned int i = 0; i < 500; i++) {
		struct mn_buf *buf = malloc(sizeof(*buf));

		ck_assert_int_eq(mn_buf_alloc(buf), 0);
		while (mn_post((mn_shard() + i) % mn_shards(), buf_free_post, buf) == -EAGAIN)
			mn_yield();
	}
	return 0;
}

static int shower_fiber(void *arg)
{
	return mn_call_all(shower, NULL);
}

START_TEST(a_stop_brings_all_chunks_home)
{
	sharded_run(_i, shower_fiber);	/* which looks into the pools */
}
END_TEST

/* --- objects --- */

static atomic_int nr_alive;

struct thing {
	struct mn_foreign_node node;
	struct mn_foreign inner;	/* of another shard, freed with this one */
	unsigned int home;
	char text[32];
};

static void thing_destroy(void *obj)
{
	struct thing *thing = obj;

	ck_assert_uint_eq(mn_shard(), thing->home);
	mn_foreign_free(&thing->inner);
	free(thing);
	atomic_fetch_sub(&nr_alive, 1);
}

static struct mn_foreign thing_make(void)
{
	struct thing *thing = calloc(1, sizeof(*thing));

	thing->home = mn_shard();
	strcpy(thing->text, "at home");
	atomic_fetch_add(&nr_alive, 1);
	return mn_foreign_make(&thing->node, thing, thing_destroy);
}

static int thing_get(void *arg)
{
	*(struct mn_foreign *)arg = thing_make();
	return 0;
}

static int thing_free(void *arg)
{
	struct mn_foreign *foreign = arg;

	ck_assert_uint_eq(mn_foreign_home(foreign), ((struct thing *)foreign->obj)->home);
	mn_foreign_free(foreign);
	ck_assert_ptr_null(foreign->obj);
	mn_foreign_free(foreign);	/* empty: nothing happens */
	return 0;
}

static int things_fiber(void *arg)
{
	struct mn_foreign foreign[200];

	atomic_store(&nr_alive, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(foreign); i++)
		ck_assert_int_eq(mn_call(i % mn_shards(), thing_get, &foreign[i]), 0);
	ck_assert_int_eq(atomic_load(&nr_alive), ARRAY_SIZE(foreign));
	for (unsigned int i = 0; i < ARRAY_SIZE(foreign); i++) {
		struct thing *thing = foreign[i].obj;

		ck_assert_str_eq(thing->text, "at home");
		strcpy(thing->text, "abroad");	/* it is ours */
		if (i % 3)
			thing_free(&foreign[i]);
		else	/* given away once more */
			ck_assert_int_eq(mn_call(i / 3 % mn_shards(), thing_free, &foreign[i]), 0);
	}
	while (atomic_load(&nr_alive))
		mn_sleep(MN_MSEC);
	return 0;
}

START_TEST(objects_are_destroyed_at_home_wherever_they_are_freed)
{
	sharded_run(_i, things_fiber);
}
END_TEST

/* A chain of objects, each of another shard than the one that it holds. */
static int chain_get(void *arg)
{
	struct mn_foreign *foreign = arg, inner = *foreign;

	*foreign = thing_make();
	((struct thing *)foreign->obj)->inner = inner;
	return 0;
}

static int chain_fiber(void *arg)
{
	atomic_store(&nr_alive, 0);
	for (unsigned int n = 0; n < 20; n++) {
		struct mn_foreign foreign = { .obj = NULL };

		for (unsigned int i = 0; i < 5 * mn_shards(); i++)
			ck_assert_int_eq(mn_call((n + i) % mn_shards(), chain_get, &foreign), 0);
		mn_foreign_free(&foreign);
	}
	return 0;	/* with all of them on their ways */
}

START_TEST(a_stop_destroys_all_objects_and_what_they_hold)
{
	sharded_run(_i, chain_fiber);
	ck_assert_int_eq(atomic_load(&nr_alive), 0);
}
END_TEST

TCase *tcase_homing(void)
{
	TCase *tc = tcase_create("homing");
	int n = sharded_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, buffers_travel_and_are_split_abroad_and_come_home, 0, n);
	tcase_add_loop_test(tc, a_chunk_is_free_when_all_pieces_are_back_from_all_shards, 0, n);
	tcase_add_loop_test(tc, a_stop_brings_all_chunks_home, 0, n);
	tcase_add_loop_test(tc, objects_are_destroyed_at_home_wherever_they_are_freed, 0, n);
	tcase_add_loop_test(tc, a_stop_destroys_all_objects_and_what_they_hold, 0, n);
	return tc;
}
