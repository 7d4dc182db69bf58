// SPDX-License-Identifier: MIT
/*
 * Channels against a model of them, at random: every operation is a select
 * over one to three of some channels with room for none, one or three items.
 */
#include <check.h>

#include "tests/actors.h"
#include "tests/suites.h"
#include "tests/sync.h"

#define CHANS	3
#define CASES	3

struct fifo {
	uint64_t item[3];
	unsigned int n, capacity;
};

/* What an actor wants; beside it, in @actors. */
struct want {
	struct {
		int chan;
		bool send;
		uint64_t item;
	} wish[CASES];
	unsigned int nr, next;
	uint64_t got, expected;
	unsigned int done, expected_done;
};

static struct actors actors;
static struct mn_chan chans[CHANS];
static uint64_t rings[CHANS][3];
static struct fifo model[CHANS];
static struct want wants[ACTORS];
static uint64_t nr_items;

static struct want *want_of(struct actor *actor)
{
	return &wants[actor - actors.actor];
}

/* The result of the select is in what was done; the actor's is that of the case. */
static int64_t selects(struct actor *actor)
{
	struct want *want = want_of(actor);
	struct mn_select_case cases[CASES];
	struct mn_select select = { .cases = cases, .nr_cases = want->nr, .next = want->next };
	int i;

	for (unsigned int k = 0; k < want->nr; k++) {
		struct mn_chan *chan = &chans[want->wish[k].chan];

		if (want->wish[k].send)
			cases[k] = (struct mn_select_case)MN_SEND(chan, &want->wish[k].item);
		else
			cases[k] = (struct mn_select_case)MN_RECV(chan, &want->got);
	}
	i = mn_select_timeout(&select, actor->timeout_ns);
	if (i < 0)
		return i;
	want->done = (unsigned int)i;
	ck_assert_uint_eq(select.next, want->done + 1);
	return cases[i].res;
}

static void expect_done(struct actor *actor, unsigned int k, int res, uint64_t item)
{
	struct want *want = want_of(actor);

	want->expected_done = k;
	want->expected = item;
	model_end(&actors, actor, res);
}

/* The first that waits to send to, or to receive from, a channel; and by which case. */
static struct actor *waiting(int chan, bool send, unsigned int *k)
{
	for (unsigned int i = 0; i < actors.nr_wants; i++) {
		struct actor *actor = &actors.actor[actors.want[i]];
		struct want *want = want_of(actor);

		for (*k = 0; *k < want->nr; ++*k)
			if (want->wish[*k].chan == chan && want->wish[*k].send == send)
				return actor;
	}
	return NULL;
}

static int model_push(int chan, uint64_t item)
{
	struct fifo *fifo = &model[chan];
	struct actor *receiver;
	unsigned int k;

	if (chans[chan].closed)
		return -EPIPE;
	receiver = waiting(chan, false, &k);
	if (receiver) {
		expect_done(receiver, k, 1, item);
		return 0;
	}
	if (fifo->n == fifo->capacity)
		return -EAGAIN;
	fifo->item[fifo->n++] = item;
	return 0;
}

static int model_pop(int chan, uint64_t *item)
{
	struct fifo *fifo = &model[chan];
	unsigned int k;
	struct actor *sender = waiting(chan, true, &k);

	if (!fifo->n && !sender)
		return chans[chan].closed ? 0 : -EAGAIN;
	*item = fifo->n ? fifo->item[0] : want_of(sender)->wish[k].item;
	if (fifo->n) {
		fifo->n--;
		for (unsigned int i = 0; i < fifo->n; i++)
			fifo->item[i] = fifo->item[i + 1];
		if (sender)
			fifo->item[fifo->n++] = want_of(sender)->wish[k].item;
	}
	if (sender)
		expect_done(sender, k, 0, 0);
	return 1;
}

static void chan_left(struct actors *all, struct actor *actor)
{
}

static void choose(struct want *want)
{
	want->nr = 1 + (unsigned int)actors_random(&actors, CASES);
	want->next = (unsigned int)actors_random(&actors, want->nr);
	for (unsigned int k = 0; k < want->nr; k++) {
		want->wish[k].chan = (int)actors_random(&actors, CHANS);
		want->wish[k].send = actors_random(&actors, 2);
		want->wish[k].item = ++nr_items;
	}
}

static void start(void)
{
	struct actor *actor = actor_idle(&actors);
	struct want *want;
	uint64_t order;

	if (!actor)
		return;
	actors_compare(&actors);
	want = want_of(actor);
	choose(want);
	actor_start(&actors, actor, selects);
	/* It ends before those to which it hands something have run. */
	order = ++actors.nr_expected;
	for (unsigned int i = 0; i < want->nr; i++) {
		unsigned int k = (want->next + i) % want->nr;
		uint64_t item = 0;
		int res = want->wish[k].send ? model_push(want->wish[k].chan, want->wish[k].item) :
					       model_pop(want->wish[k].chan, &item);

		if (res != -EAGAIN) {
			expect_done(actor, k, res, item);
			actor->expected_order = order;
			actors.nr_expected--;
			return;
		}
	}
	actors.nr_expected--;
	model_wait(&actors, actor);
}

static void poke(void)
{
	int chan = (int)actors_random(&actors, CHANS);
	uint64_t item = ++nr_items, expected = item;

	if (actors_random(&actors, 2)) {
		ck_assert_int_eq(mn_chan_try_send(&chans[chan], &item), model_push(chan, item));
	} else {
		ck_assert_int_eq(mn_chan_try_recv(&chans[chan], &item), model_pop(chan, &expected));
		ck_assert_uint_eq(item, expected);
	}
}

static void close_one(int chan)
{
	struct actor *actor;
	unsigned int k;

	mn_chan_close(&chans[chan]);
	while ((actor = waiting(chan, false, &k)))
		expect_done(actor, k, 0, 0);
	while ((actor = waiting(chan, true, &k)))
		expect_done(actor, k, -EPIPE, 0);
}

static void compare(struct actors *all)
{
	unsigned int wrong = 0;

	actors_compare(all);
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct actor *actor = &all->actor[i];

		if (actor->waits || actor->expected < 0)
			continue;
		wrong += wants[i].done != wants[i].expected_done;
		if (actor->expected == 1)
			wrong += wants[i].got != wants[i].expected;
	}
	for (int i = 0; i < CHANS; i++)
		wrong += chans[i].n != model[i].n;
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(channels_and_selects_do_as_their_model)
{
	static const unsigned int capacity[CHANS] = { 0, 1, 3 };

	if (!actors_begin(&actors, (uint64_t)_i))
		return;
	actors.left = chan_left;
	for (int i = 0; i < CHANS; i++) {
		mn_chan_init_sized(&chans[i], rings[i], sizeof(rings[i][0]), capacity[i]);
		model[i] = (struct fifo){ .capacity = capacity[i] };
	}
	actors_steps(&actors, ACTORS_STEPS, start, poke, compare);
	/* Closed one by one, they go on: receivers drain what there is. */
	for (int i = 0; i < CHANS; i++) {
		close_one(i);
		actors_steps(&actors, ACTORS_STEPS / 20, start, poke, compare);
	}
	for (int i = 0; i < CHANS; i++)
		mn_chan_destroy(&chans[i]);
	actors_end(&actors);
}
END_TEST

TCase *tcase_channel_model(void)
{
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, channels_and_selects_do_as_their_model, 0, 8);
	return tc;
}
