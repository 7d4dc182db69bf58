/* SPDX-License-Identifier: MIT */
/*
 * Fibers that a test makes wait, and a model of what must become of them. All
 * on one shard of a mem world that the test steps: nothing happens but what it
 * does, and time stands still.
 *
 * The model has a list of wants, in the order in which they began to wait. The
 * test does the same to the objects and to the model, and compares: who waits,
 * the results of those that do not, and the order in which they got them.
 */
#ifndef TESTS_ACTORS_H
#define TESTS_ACTORS_H

#include <miniss/miniss.h>

#include "tests/world.h"

#define ACTORS	12
#define ACTORS_STEPS	(IS_ENABLED(CONFIG_DEBUG) ? 4000 : 20000)

struct actor {
	int64_t (*fn)(struct actor *actor);	/* what it does; may wait once */
	int64_t timeout_ns;
	uint64_t arg[8];			/* the test's */

	struct mn_fiber *fiber;			/* while it runs */
	int64_t res;
	uint64_t order;				/* when it ended, counted */

	/* the model's */
	bool waits;
	int64_t expected;
	uint64_t expected_order;
	int64_t deadline_ms;
};

struct actors {
	struct mn_world world;
	struct actor actor[ACTORS];
	unsigned int want[ACTORS], nr_wants;	/* who waits, in order */
	uint64_t random, nr_ends, nr_expected;
	int64_t now_ms;
	void (*left)(struct actors *actors,
		     struct actor *actor); /* the model's: a want was withdrawn */
};

uint64_t actors_random(struct actors *actors, uint64_t n);

bool actors_begin(struct actors *actors, uint64_t seed);
void actors_end(struct actors *actors);	/* nobody waits */

/* actor_idle - one of those that have nothing to do, or NULL */
struct actor *actor_idle(struct actors *actors);

/* actor_start - run @fn in a fiber, up to where it waits; with no, little or much time */
void actor_start(struct actors *actors, struct actor *actor, int64_t (*fn)(struct actor *actor));

/* actors_settle - let them run */
void actors_settle(void);

/* Of the model: it ends with a result; it begins to wait (or its time is up at once); it was there. */
void model_end(struct actors *actors, struct actor *actor, int64_t res);
void model_wait(struct actors *actors, struct actor *actor);
void model_left(struct actors *actors, struct actor *actor, int64_t why);

/* Of both: cancel somebody, let a millisecond pass. */
void actors_cancel(struct actors *actors);
void actors_tick(struct actors *actors);

/* actors_compare - settle, and see that all is as expected */
void actors_compare(struct actors *actors);

/*
 * actors_steps - @n random steps: somebody starts, the test pokes at an object,
 * one is cancelled, time goes by, @compare, also at the end
 * Several things may happen before anybody runs; what was first, wins.
 */
void actors_steps(struct actors *actors, int n, void (*start)(void), void (*poke)(void),
		  void (*compare)(struct actors *actors));

#endif
