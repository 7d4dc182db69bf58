// SPDX-License-Identifier: MIT
/* The contract of cross-shard queues (smp/queue.h), for every one that was built. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "lib/mem/mem.h"
#include "smp/queue.h"
#include "tests/suites.h"

#define BATCH 48
#define MANY 70 /* senders */
#define STRESS_SENDERS 4
#define STRESS_MESSAGES 100000

static const struct queue_ops *nth_queue(int n)
{
	return container_of(queue_kind.start[n], struct queue_ops, drv);
}

static struct queue *open_nth(int n, unsigned int senders, unsigned int depth)
{
	const struct queue_ops *ops = nth_queue(n);
	struct queue *queue = mem_alloc(ops->state_size);

	ck_assert_ptr_nonnull(queue);
	queue->ops = ops;
	ck_assert_int_eq(queue_open(queue, senders, depth), 0);
	return queue;
}

static void close_queue(struct queue *queue)
{
	queue_close(queue);
	mem_free(queue);
}

/* A message says who sent it and its number. */
static struct mn_msg message(unsigned int from, uint64_t number)
{
	return (struct mn_msg){ .from = (uint16_t)from, .arg = (void *)(uintptr_t)number };
}

static unsigned int push(struct queue *queue, unsigned int from, uint64_t first, unsigned int n)
{
	struct mn_msg msg[256];

	for (unsigned int i = 0; i < n; i++)
		msg[i] = message(from, first + i);
	return queue_push_n(queue, from, msg, n);
}

/* Take n messages and check that they are these, in order. */
static void ck_pop(struct queue *queue, unsigned int from, uint64_t first, unsigned int n)
{
	struct mn_msg msg[256];

	ck_assert_uint_eq(queue_pop_n(queue, msg, n), n);
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_uint_eq(msg[i].from, from);
		ck_assert_uint_eq((uintptr_t)msg[i].arg, first + i);
	}
}

START_TEST(a_message_comes_out_as_it_went_in)
{
	struct queue *queue = open_nth(_i, 2, 8);
	struct mn_msg in = { .arg = &in, .reply = queue, .res = -7, .from = 1, .kind = MSG_REPLY };
	struct mn_msg out;

	ck_assert_uint_eq(sizeof(struct mn_msg), 32);
	ck_assert_uint_eq(queue_push_n(queue, 1, &in, 1), 1);
	ck_assert_uint_eq(queue_pop_n(queue, &out, 1), 1);
	ck_assert(!memcmp(&in, &out, sizeof(in)));
	close_queue(queue);
}
END_TEST

START_TEST(empty_says_so)
{
	struct queue *queue = open_nth(_i, 1, 8);
	struct mn_msg msg;

	ck_assert(queue_empty(queue));
	ck_assert_uint_eq(queue_pop_n(queue, &msg, 1), 0);
	ck_assert_uint_eq(push(queue, 0, 0, 2), 2);
	ck_assert(!queue_empty(queue));
	ck_pop(queue, 0, 0, 1);
	ck_assert(!queue_empty(queue));
	ck_pop(queue, 0, 1, 1);
	ck_assert(queue_empty(queue));
	close_queue(queue);
}
END_TEST

START_TEST(nothing_is_pushed_or_popped_by_zero)
{
	struct queue *queue = open_nth(_i, 1, 8);

	ck_assert_uint_eq(queue_push_n(queue, 0, NULL, 0), 0);
	ck_assert(queue_empty(queue));
	ck_assert_uint_eq(push(queue, 0, 0, 1), 1);
	ck_assert_uint_eq(queue_pop_n(queue, NULL, 0), 0);
	ck_pop(queue, 0, 0, 1);
	close_queue(queue);
}
END_TEST

START_TEST(each_sender_has_room_for_the_depth)
{
	struct queue *queue = open_nth(_i, 3, 20);

	for (unsigned int from = 0; from < 3; from++)
		ck_assert_uint_eq(push(queue, from, 0, 20), 20);
	close_queue(queue);
}
END_TEST

START_TEST(it_is_bounded_and_what_does_not_fit_stays)
{
	struct queue *queue = open_nth(_i, 2, 8);
	struct mn_msg msg[64];
	uint64_t sent = 0, n;

	/* The depth is a minimum, but not by much. */
	while ((n = push(queue, 0, sent, 5)))
		sent += n;
	ck_assert_uint_ge(sent, 8);
	ck_assert_uint_le(sent, 64);
	/* A sender that is stuck does not stop the other. */
	ck_assert_uint_ge(push(queue, 1, 0, 8), 8);
	n = queue_pop_n(queue, msg, 64);
	ck_assert_uint_eq(n, sent + 8);
	ck_assert_uint_eq(push(queue, 0, sent, 5), 5);
	ck_pop(queue, 0, sent, 5);
	close_queue(queue);
}
END_TEST

START_TEST(a_partial_push_takes_the_first_ones)
{
	struct queue *queue = open_nth(_i, 1, 8);
	unsigned int n = push(queue, 0, 0, 200);

	ck_assert_uint_ge(n, 8);
	ck_assert_uint_lt(n, 200);
	ck_pop(queue, 0, 0, n);
	ck_assert(queue_empty(queue));
	close_queue(queue);
}
END_TEST

START_TEST(order_is_kept_over_many_wraps)
{
	struct queue *queue = open_nth(_i, 1, 100);
	uint64_t pushed = 0, popped = 0;
	uint32_t random = 1;

	while (popped < 100000) {
		unsigned int n;

		random = random * 1664525 + 1013904223;
		pushed += push(queue, 0, pushed, random >> 26);
		random = random * 1664525 + 1013904223;
		n = random >> 26;
		n = (unsigned int)min((uint64_t)n, pushed - popped);
		ck_pop(queue, 0, popped, n);
		popped += n;
		ck_assert_int_eq(queue_empty(queue), pushed == popped);
	}
	close_queue(queue);
}
END_TEST

START_TEST(order_is_kept_for_each_sender)
{
	struct queue *queue = open_nth(_i, 4, 32);
	uint64_t sent[4] = { 0 }, got[4] = { 0 };
	struct mn_msg msg[16];
	uint32_t random = 7;

	for (int round = 0; round < 20000; round++) {
		unsigned int from, n;

		random = random * 1664525 + 1013904223;
		from = random >> 30;
		sent[from] += push(queue, from, sent[from], random >> 16 & 15);
		n = queue_pop_n(queue, msg, random >> 8 & 7);
		for (unsigned int i = 0; i < n; i++)
			ck_assert_uint_eq((uintptr_t)msg[i].arg, got[msg[i].from]++);
	}
	close_queue(queue);
}
END_TEST

START_TEST(mail_is_found_among_many_senders)
{
	struct queue *queue = open_nth(_i, MANY, 1000);

	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int from = 0; from < MANY; from++) {
			ck_assert(queue_empty(queue));
			ck_assert_uint_eq(push(queue, from, round, 1), 1);
			ck_assert(!queue_empty(queue));
			ck_pop(queue, from, round, 1);
		}
	close_queue(queue);
}
END_TEST

START_TEST(all_are_emptied_by_one_pop)
{
	struct queue *queue = open_nth(_i, MANY, 8);
	struct mn_msg msg[256];
	unsigned int got[MANY] = { 0 };

	for (unsigned int from = 0; from < MANY; from++)
		ck_assert_uint_eq(push(queue, from, 0, from % 4), from % 4);
	for (unsigned int i = queue_pop_n(queue, msg, 256); i-- > 0;)
		got[msg[i].from]++;
	for (unsigned int from = 0; from < MANY; from++)
		ck_assert_uint_eq(got[from], from % 4);
	ck_assert(queue_empty(queue));
	close_queue(queue);
}
END_TEST

/* Each sender is seen by one of as many glances as there are senders, and none is imagined. */
START_TEST(glances_see_every_sender)
{
	struct queue *queue = open_nth(_i, MANY, 8);

	for (unsigned int from = 0; from < MANY; from++) {
		unsigned int glances = 0;

		for (unsigned int i = 0; i < MANY; i++)
			ck_assert(queue_glance(queue));
		ck_assert_uint_eq(push(queue, from, 0, 1), 1);
		while (queue_glance(queue))
			ck_assert_uint_lt(++glances, MANY);
		ck_pop(queue, from, 0, 1);
	}
	close_queue(queue);
}
END_TEST

START_TEST(a_deep_ring_holds_what_it_says)
{
	struct queue *queue = open_nth(_i, 2, 30000);
	uint64_t sent = 0, got = 0;

	while (sent < 30000)
		sent += push(queue, 1, sent, 200);
	for (; got + 250 <= sent; got += 250) {
		ck_assert(!queue_empty(queue));
		ck_pop(queue, 1, got, 250);
	}
	close_queue(queue);
}
END_TEST

/* Senders that always have more: each gets its messages through in a few pops. */
START_TEST(no_sender_starves_behind_others)
{
	struct queue *queue = open_nth(_i, 8, 64);
	uint64_t sent[8] = { 0 }, got[8] = { 0 };
	struct mn_msg msg[16];

	for (unsigned int round = 0; round < 1000; round++) {
		unsigned int n;

		/* The first fill their share; the last sends now and then. */
		for (unsigned int from = 0; from < 7; from++)
			sent[from] += push(queue, from, sent[from], 16);
		if (got[7] == sent[7])
			sent[7] += push(queue, 7, sent[7], 1);
		n = queue_pop_n(queue, msg, 1 + round % 16);
		for (unsigned int i = 0; i < n; i++)
			ck_assert_uint_eq((uintptr_t)msg[i].arg, got[msg[i].from]++);
	}
	for (unsigned int from = 0; from < 7; from++)
		ck_assert_uint_ge(got[from], 1000 * 8 / 8 / 4);
	ck_assert_uint_ge(got[7], 10);
	close_queue(queue);
}
END_TEST

struct sender {
	struct queue *queue;
	unsigned int id;
};

static unsigned int batch(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return 1 + (*random >> 16) % BATCH;
}

static void *sender_main(void *arg)
{
	struct sender *self = arg;
	struct mn_msg msg[BATCH];
	uint32_t random = self->id;
	uint64_t sent = 0;

	while (sent < STRESS_MESSAGES) {
		unsigned int n = batch(&random);

		n = (unsigned int)min((uint64_t)n, STRESS_MESSAGES - sent);
		for (unsigned int i = 0; i < n; i++)
			msg[i] = message(self->id, sent + i);
		n = queue_push_n(self->queue, self->id, msg, n);
		sent += n;
		if (!n)
			sched_yield();
	}
	return NULL;
}

START_TEST(nothing_is_lost_between_threads)
{
	struct queue *queue = open_nth(_i, STRESS_SENDERS, 192);
	struct sender sender[STRESS_SENDERS];
	pthread_t thread[STRESS_SENDERS];
	uint64_t got[STRESS_SENDERS] = { 0 }, total = 0;
	struct mn_msg msg[BATCH];
	uint32_t random = 99;

	for (unsigned int i = 0; i < STRESS_SENDERS; i++) {
		sender[i] = (struct sender){ queue, i };
		ck_assert_int_eq(pthread_create(&thread[i], NULL, sender_main, &sender[i]), 0);
	}
	while (total < STRESS_SENDERS * (uint64_t)STRESS_MESSAGES) {
		unsigned int n = queue_empty(queue) ? 0 : queue_pop_n(queue, msg, batch(&random));

		for (unsigned int i = 0; i < n; i++)
			if ((uintptr_t)msg[i].arg != got[msg[i].from]++)
				ck_abort_msg("sender %u: out of order", msg[i].from);
		total += n;
		if (!n)
			sched_yield();
	}
	for (unsigned int i = 0; i < STRESS_SENDERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert(queue_empty(queue));
	close_queue(queue);
}
END_TEST

Suite *suite_queue_contract(void)
{
	int nr = (int)(queue_kind.stop - queue_kind.start);
	Suite *suite = suite_create("queue_contract");
	TCase *tc = tcase_create("queue");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_message_comes_out_as_it_went_in, 0, nr);
	tcase_add_loop_test(tc, empty_says_so, 0, nr);
	tcase_add_loop_test(tc, nothing_is_pushed_or_popped_by_zero, 0, nr);
	tcase_add_loop_test(tc, each_sender_has_room_for_the_depth, 0, nr);
	tcase_add_loop_test(tc, it_is_bounded_and_what_does_not_fit_stays, 0, nr);
	tcase_add_loop_test(tc, a_partial_push_takes_the_first_ones, 0, nr);
	tcase_add_loop_test(tc, order_is_kept_over_many_wraps, 0, nr);
	tcase_add_loop_test(tc, order_is_kept_for_each_sender, 0, nr);
	tcase_add_loop_test(tc, mail_is_found_among_many_senders, 0, nr);
	tcase_add_loop_test(tc, all_are_emptied_by_one_pop, 0, nr);
	tcase_add_loop_test(tc, glances_see_every_sender, 0, nr);
	tcase_add_loop_test(tc, a_deep_ring_holds_what_it_says, 0, nr);
	tcase_add_loop_test(tc, no_sender_starves_behind_others, 0, nr);
	tcase_add_loop_test(tc, nothing_is_lost_between_threads, 0, nr);
	suite_add_tcase(suite, tc);
	return suite;
}
