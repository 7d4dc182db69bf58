// SPDX-License-Identifier: MIT
#include <check.h>

#include "tests/actors.h"
#include "tests/stress.h"

static struct actors *current;

uint64_t actors_random(struct actors *actors, uint64_t n)
{
	return stress_random(&actors->random, n);
}

bool actors_begin(struct actors *actors, uint64_t seed)
{
	*actors = (struct actors){ .random = seed };
	current = actors;
	return world_begin(&actors->world, "mem", 1);
}

void actors_settle(void)
{
	for (int quiet = 0; quiet < 3; quiet++)
		if (shard_step(mn_self, false))
			quiet = 0;
}

void actors_end(struct actors *actors)
{
	actors_settle();
	ck_assert_uint_eq(actors->nr_wants, 0);
	ck_assert_uint_eq(mn_self->fibers.nr_live, 0);
	world_end(&actors->world);
}

struct actor *actor_idle(struct actors *actors)
{
	unsigned int i = (unsigned int)actors_random(actors, ACTORS);

	return actors->actor[i].fiber ? NULL : &actors->actor[i];
}

static int actor_main(void *arg)
{
	struct actor *actor = arg;

	actor->fiber = mn_fiber_self();
	actor->res = actor->fn(actor);
	actor->fiber = NULL;
	actor->order = ++current->nr_ends;
	return 0;
}

/* Times are up in the middle of a millisecond, and of each at most one is. */
static void choose_time(struct actors *actors, struct actor *actor)
{
	actor->deadline_ms = -1;
	actor->timeout_ns = MN_NEVER;
	if (actors_random(actors, 2))
		return;
	if (!actors_random(actors, 4)) {
		actor->timeout_ns = 0;
		return;
	}
	actor->deadline_ms = actors->now_ms + (int64_t)actors_random(actors, 20);
	for (unsigned int i = 0; i < ACTORS; i++) {
		struct actor *other = &actors->actor[i];

		if (other != actor && other->waits && other->deadline_ms == actor->deadline_ms) {
			actor->deadline_ms = -1;
			return;
		}
	}
	actor->timeout_ns = (actor->deadline_ms - actors->now_ms) * MN_MSEC + MN_MSEC / 2;
}

void actor_start(struct actors *actors, struct actor *actor, int64_t (*fn)(struct actor *actor))
{
	actors_settle();
	choose_time(actors, actor);
	actor->fn = fn;
	ck_assert_int_eq(mn_spawn(actor_main, actor, NULL), 0);
	actors_settle();
}

void model_end(struct actors *actors, struct actor *actor, int64_t res)
{
	actor->waits = false;
	actor->expected = res;
	actor->expected_order = ++actors->nr_expected;
	for (unsigned int i = 0; i < actors->nr_wants; i++) {
		if (&actors->actor[actors->want[i]] != actor)
			continue;
		actors->nr_wants--;
		for (; i < actors->nr_wants; i++)
			actors->want[i] = actors->want[i + 1];
	}
}

void model_left(struct actors *actors, struct actor *actor, int64_t why)
{
	model_end(actors, actor, why);
	actors->left(actors, actor);
}

void model_wait(struct actors *actors, struct actor *actor)
{
	if (!actor->timeout_ns) {
		model_left(actors, actor, -ETIMEDOUT);
		return;
	}
	actor->waits = true;
	actors->want[actors->nr_wants++] = (unsigned int)(actor - actors->actor);
}

/* Also one that was granted something a moment ago, and keeps it. */
void actors_cancel(struct actors *actors)
{
	struct actor *actor = &actors->actor[actors_random(actors, ACTORS)];

	if (!actor->fiber)
		return;
	mn_fiber_cancel(actor->fiber);
	if (actor->waits)
		model_left(actors, actor, -ECANCELED);
}

void actors_tick(struct actors *actors)
{
	mem_clock_advance(&actors->world, MN_MSEC);
	for (unsigned int i = 0; i < ACTORS; i++) {
		struct actor *actor = &actors->actor[i];

		if (actor->waits && actor->deadline_ms == actors->now_ms) {
			model_left(actors, actor, -ETIMEDOUT);
			break;
		}
	}
	actors->now_ms++;
}

void actors_compare(struct actors *actors)
{
	bool same = true;

	actors_settle();
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct actor *actor = &actors->actor[i];

		same &= actor->waits == !!actor->fiber;
		same &= actor->waits ||
			(actor->res == actor->expected && actor->order == actor->expected_order);
	}
	if (same)
		return;
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct actor *actor = &actors->actor[i];

		printf("%u: %s, %lld %llu; expected %s, %lld %llu\n", i,
		       actor->fiber ? "waits" : "ended", (long long)actor->res,
		       (unsigned long long)actor->order, actor->waits ? "waits" : "ended",
		       (long long)actor->expected, (unsigned long long)actor->expected_order);
	}
	ck_abort_msg("it is not as the model says");
}

void actors_steps(struct actors *actors, int n, void (*start)(void), void (*poke)(void),
		  void (*compare)(struct actors *actors))
{
	for (int i = 0; i < n; i++) {
		switch (actors_random(actors, 8)) {
		case 0:
		case 1:
		case 2:
			start();
			break;
		case 3:
		case 4:
			poke();
			break;
		case 5:
			actors_cancel(actors);
			break;
		case 6:
			actors_tick(actors);
			compare(actors);
			break;
		default:
			compare(actors);
			break;
		}
	}
	compare(actors);
}
