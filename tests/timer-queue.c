// SPDX-License-Identifier: MIT
/*
 * The contract of timer queues, for every driver that was built. The clock is
 * a variable, so that days take no time. The last test compares a queue with
 * a sorted array for a million random steps; MN_SEED=N varies them.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suites.h"
#include "timers/timer_queue.h"

#define START_NS	(INT64_C(123456789) * MN_USEC)
#define DAY_NS		(24 * 3600 * MN_SEC)
#define ALL		1000000		/* as @n_max: no bound */

static uint64_t random_state;

static uint64_t random_u64(void)	/* splitmix64 */
{
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t random_below(uint64_t n)
{
	return random_u64() % n;
}

/* Of any magnitude below 2^bits, all as likely. */
static int64_t random_magnitude(unsigned int bits)
{
	return (int64_t)(random_u64() & ((UINT64_C(1) << random_below(bits + 1)) - 1));
}

static struct timer_queue *queue_open(int i, int64_t now_ns)
{
	const struct timer_queue_ops *ops =
		container_of(timer_queue_kind.start[i], struct timer_queue_ops, drv);
	struct timer_queue *tq = calloc(1, ops->state_size);

	ck_assert_ptr_nonnull(tq);
	tq->ops = ops;
	ck_assert_int_eq(ops->open(tq, now_ns), 0);
	return tq;
}

static void queue_close(struct timer_queue *tq)
{
	tq->ops->close(tq);
	free(tq);
}

static void arm(struct timer_queue *tq, struct mn_timer *timer, int64_t deadline_ns)
{
	timer->deadline_ns = deadline_ns;
	tq->ops->arm(tq, timer);
	ck_assert(timer->armed);
}

/* Advances until nothing is left to do at @now_ns. Returns all that expired. */
static struct mn_timer *expire(struct timer_queue *tq, int64_t now_ns, unsigned int n_max)
{
	struct mn_timer *first = NULL, **tail = &first;
	unsigned int n, calls = 0;

	do {
		*tail = tq->ops->advance(tq, now_ns, n_max);
		for (n = 0; *tail; n++)
			tail = &(*tail)->next;
		if (n > n_max || ++calls > 10 * ALL)
			ck_abort_msg("%u of %u at once, call %u", n, n_max, calls);
	} while (tq->ops->next(tq) <= now_ns);
	return first;
}

static unsigned int list_length(const struct mn_timer *timer)
{
	unsigned int n;

	for (n = 0; timer; n++)
		timer = timer->next;
	return n;
}

START_TEST(an_empty_queue_waits_for_ever)
{
	struct timer_queue *tq = queue_open(_i, START_NS);

	ck_assert(tq->ops->next(tq) == MN_NEVER);
	ck_assert(tq->nr_armed == 0);
	ck_assert_ptr_null(expire(tq, START_NS + 1000 * DAY_NS, ALL));
	ck_assert(tq->ops->next(tq) == MN_NEVER);
	queue_close(tq);
}
END_TEST

START_TEST(a_timer_is_never_early_and_at_most_a_tick_late)
{
	struct mn_timer timer = { .armed = false };
	unsigned int bits, i;

	for (bits = 0; bits <= 61; bits++) {
		for (i = 0; i < 100; i++) {
			int64_t now_ns = (int64_t)random_below(DAY_NS);
			int64_t after_ns = (INT64_C(1) << bits) + random_magnitude(bits);
			struct timer_queue *tq = queue_open(_i, now_ns);

			arm(tq, &timer, now_ns + after_ns);
			ck_assert_ptr_null(expire(tq, timer.deadline_ns - 1, 1));
			ck_assert(timer.armed);
			ck_assert(tq->ops->next(tq) <= timer.deadline_ns + TIMER_TICK_NS);
			ck_assert_ptr_eq(expire(tq, timer.deadline_ns + TIMER_TICK_NS, 1), &timer);
			ck_assert(!timer.armed && !timer.next && !tq->nr_armed);
			queue_close(tq);
		}
	}
}
END_TEST

START_TEST(a_deadline_that_has_passed_expires_in_the_next_advance)
{
	static const int64_t ago[] = { 0, 1, TIMER_TICK_NS, MN_SEC, START_NS, START_NS + 1,
				       INT64_MAX };
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer timer[ARRAY_SIZE(ago)] = { { .armed = false } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ago); i++)
		arm(tq, &timer[i], START_NS - ago[i]);
	ck_assert(tq->ops->next(tq) <= START_NS);
	ck_assert_uint_eq(list_length(expire(tq, START_NS, ALL)), ARRAY_SIZE(ago));
	ck_assert(tq->ops->next(tq) == MN_NEVER);
	queue_close(tq);
}
END_TEST

START_TEST(a_timer_for_never_stays_armed)
{
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer timer[2] = { { .slack_ns = 1000 } };
	int i;

	for (i = 0; i < 2; i++) {
		arm(tq, &timer[i], MN_NEVER);
		ck_assert(tq->ops->next(tq) == MN_NEVER);
	}
	ck_assert_ptr_null(expire(tq, START_NS + 1000 * DAY_NS, ALL));
	ck_assert_ptr_null(tq->ops->advance(tq, INT64_MAX, ALL));
	for (i = 0; i < 2; i++) {
		ck_assert(timer[i].armed && tq->nr_armed);
		tq->ops->cancel(tq, &timer[i]);
	}
	ck_assert(!tq->nr_armed);
	queue_close(tq);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_expire)
{
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer timer[100] = { { .armed = false } }, *t;
	unsigned int i;

	for (i = 0; i < 100; i++)
		arm(tq, &timer[i], START_NS + (int64_t)random_below(10) * MN_MSEC);
	for (i = 0; i < 100; i += 2) {
		tq->ops->cancel(tq, &timer[i]);
		ck_assert(!timer[i].armed);
	}
	t = expire(tq, START_NS + MN_SEC, ALL);
	ck_assert_uint_eq(list_length(t), 50);
	for (; t; t = t->next)
		ck_assert((t - timer) % 2);
	queue_close(tq);
}
END_TEST

START_TEST(an_expired_timer_may_be_armed_again)
{
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer timer = { .armed = false };
	int64_t now_ns = START_NS;
	int i;

	for (i = 0; i < 10000; i++) {
		arm(tq, &timer, now_ns + random_magnitude(32));
		now_ns = max(timer.deadline_ns, now_ns) + TIMER_TICK_NS;
		ck_assert_ptr_eq(expire(tq, now_ns, ALL), &timer);
	}
	queue_close(tq);
}
END_TEST

START_TEST(what_exceeds_the_bound_is_left_for_the_next_advance)
{
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer timer[100] = { { .armed = false } };
	unsigned int i, n = 0;

	for (i = 0; i < 100; i++)
		arm(tq, &timer[i], START_NS + MN_MSEC);
	for (i = 0; n < 100; i++) {
		ck_assert(tq->ops->next(tq) <= START_NS + MN_SEC);
		n += list_length(tq->ops->advance(tq, START_NS + MN_SEC, 7));
		ck_assert_uint_le(n, 7 * (i + 1));
	}
	ck_assert(tq->ops->next(tq) == MN_NEVER);
	queue_close(tq);
}
END_TEST

START_TEST(after_a_jump_of_days_timers_expire_in_the_order_of_time)
{
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer *timer = calloc(5000, sizeof(*timer)), *t;
	int i;

	for (i = 0; i < 5000; i++)
		arm(tq, &timer[i], START_NS + random_magnitude(49));
	t = expire(tq, START_NS + 30 * DAY_NS, 7);
	ck_assert_uint_eq(list_length(t), 5000);
	for (; t->next; t = t->next)
		ck_assert(t->deadline_ns < t->next->deadline_ns + TIMER_TICK_NS);
	queue_close(tq);
	free(timer);
}
END_TEST

START_TEST(waiting_for_a_far_timer_takes_few_wake_ups)
{
	struct timer_queue *tq = queue_open(_i, START_NS);
	struct mn_timer timer = { .armed = false };
	int wakes;

	arm(tq, &timer, START_NS + 30 * MN_SEC);
	for (wakes = 1; !tq->ops->advance(tq, tq->ops->next(tq), ALL); wakes++)
		ck_assert_int_le(wakes, 4);
	queue_close(tq);
}
END_TEST

/* All in one second, a turn every 100 us that handles 64. Fewer where 100,000 need not be fast. */
START_TEST(a_crowd_of_timers_is_not_late)
{
	const int64_t turn_ns = 100 * MN_USEC;
	struct timer_queue *tq = queue_open(_i, START_NS);
	const int crowd = tq->ops->drv.rating < 200 ? 10000 : 100000;
	struct mn_timer *timer = calloc((size_t)crowd, sizeof(*timer)), *t;
	int64_t now_ns;
	int i, n = 0;

	for (i = 0; i < crowd; i++)
		arm(tq, &timer[i], START_NS + 30 * MN_SEC + (int64_t)random_below(MN_SEC));
	for (now_ns = START_NS + 28 * MN_SEC; n < crowd; now_ns += turn_ns) {
		for (t = tq->ops->advance(tq, now_ns, 64); t; t = t->next, n++) {
			if (now_ns < t->deadline_ns ||
			    now_ns > t->deadline_ns + TIMER_TICK_NS + turn_ns)
				ck_abort_msg("%lld ns late", (long long)(now_ns - t->deadline_ns));
		}
	}
	queue_close(tq);
	free(timer);
}
END_TEST

START_TEST(slack_moves_timers_together_but_no_further)
{
	int64_t deadline_ns, due_ns, last_ns;
	uint32_t slack_ns;
	int i;

	for (i = 0; i < 100000; i++) {
		deadline_ns = random_magnitude(63) - (i % 8 ? 0 : MN_SEC);
		slack_ns = (uint32_t)random_magnitude(32);
		due_ns = timer_due(deadline_ns, slack_ns);
		last_ns = deadline_ns > MN_NEVER - slack_ns ? MN_NEVER : deadline_ns + slack_ns;
		if (due_ns < deadline_ns || due_ns > last_ns)
			ck_abort_msg("%lld + %u", (long long)deadline_ns, slack_ns);
	}
	/* All that may run at a round time do. */
	for (i = 0; i < 1000; i++)
		ck_assert(timer_due((1 << 30) - i, 1000) == 1 << 30);
	ck_assert(timer_due(MN_NEVER, 1000) == MN_NEVER);
}
END_TEST

/* ------------------------------------------------------------------------ */

#define MODEL_TIMERS	1000
#define MODEL_STEPS	1000000

struct model {
	struct timer_queue *tq;
	int64_t now_ns;
	struct mn_timer timer[MODEL_TIMERS];
	int64_t due_ns[MODEL_TIMERS];		/* what the timers should go by */
	uint16_t sorted[MODEL_TIMERS];		/* the armed ones by due_ns, then number */
	unsigned int nr;
	unsigned int step;
	uint64_t seed;
};

/* Check's own macros leave a mark on disk each time: too slow for a million. */
#define model_check(m, cond)						\
	do {								\
		if (!(cond))						\
			ck_abort_msg("%s: %s at step %u: MN_SEED=%llu repeats it", \
				     (m)->tq->ops->drv.name, #cond, (m)->step, \
				     (unsigned long long)(m)->seed);	\
	} while (0)

/* Where a timer is in the order, or should be. */
static unsigned int model_find(const struct model *m, unsigned int id)
{
	unsigned int low = 0, high = m->nr, mid, other;

	while (low < high) {
		mid = (low + high) / 2;
		other = m->sorted[mid];
		if (m->due_ns[other] == m->due_ns[id] ? other < id :
							m->due_ns[other] < m->due_ns[id])
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void model_remove(struct model *m, unsigned int id)
{
	unsigned int i = model_find(m, id);

	model_check(m, i < m->nr && m->sorted[i] == id);
	memmove(&m->sorted[i], &m->sorted[i + 1], (--m->nr - i) * sizeof(m->sorted[0]));
}

static void model_cancel(struct model *m, unsigned int id)
{
	struct mn_timer *timer = &m->timer[id];

	if (!timer->armed)
		return;
	m->tq->ops->cancel(m->tq, timer);
	model_remove(m, id);
	model_check(m, !timer->armed);
}

static int64_t model_deadline(const struct model *m)
{
	switch (random_below(16)) {
	case 0:
		return m->now_ns;
	case 1:
		return m->now_ns - random_magnitude(62);
	case 2:
		return random_below(2) ? 0 : m->now_ns + random_magnitude(61);
	case 3:
		return MN_NEVER - random_magnitude(16);
	default:
		return m->now_ns + random_magnitude(42);	/* 73 min */
	}
}

static void model_arm(struct model *m, unsigned int id)
{
	struct mn_timer *timer = &m->timer[id];
	unsigned int i;

	model_cancel(m, id);
	timer->deadline_ns = model_deadline(m);
	timer->slack_ns = random_below(4) ? 0 : (uint32_t)random_magnitude(32);
	m->tq->ops->arm(m->tq, timer);
	model_check(m, timer->armed);
	m->due_ns[id] = timer_due(timer->deadline_ns, timer->slack_ns);
	i = model_find(m, id);
	memmove(&m->sorted[i + 1], &m->sorted[i], (m->nr++ - i) * sizeof(m->sorted[0]));
	m->sorted[i] = (uint16_t)id;
}

static void model_check_next(struct model *m)
{
	int64_t next_ns = m->tq->ops->next(m->tq);
	int64_t first_ns = m->nr ? m->due_ns[m->sorted[0]] : MN_NEVER;

	model_check(m, !m->tq->nr_armed == !m->nr);
	model_check(m, next_ns - TIMER_TICK_NS <= max(first_ns, m->now_ns));
	model_check(m, first_ns != MN_NEVER || next_ns == MN_NEVER);
	/* Nothing left to do: nothing was forgotten. */
	model_check(m, next_ns <= m->now_ns || first_ns > m->now_ns - TIMER_TICK_NS);
}

static void model_advance(struct model *m, unsigned int n_max)
{
	struct mn_timer *timer = m->tq->ops->advance(m->tq, m->now_ns, n_max);
	unsigned int n, id;

	for (n = 0; timer; n++, timer = timer->next) {
		id = (unsigned int)(timer - m->timer);
		model_check(m, n < n_max && id < MODEL_TIMERS && !timer->armed);
		model_check(m, m->due_ns[id] <= m->now_ns && m->due_ns[id] != MN_NEVER);
		model_remove(m, id);
	}
	model_check_next(m);
}

static void model_time(struct model *m)
{
	static const unsigned int n_max[] = { 1, 3, 100, ALL };
	int64_t next_ns = m->tq->ops->next(m->tq);
	unsigned int n = n_max[random_below(ARRAY_SIZE(n_max))], calls = 0;

	if (!random_below(1000))
		m->now_ns += random_magnitude(50);	/* 13 days */
	else if (!random_below(4) && next_ns > m->now_ns && next_ns - m->now_ns < MN_SEC)
		m->now_ns = next_ns - (int64_t)random_below(2);
	else
		m->now_ns += random_magnitude(24);	/* 17 ms */
	model_advance(m, n);
	if (random_below(2))	/* or stay behind for a while */
		return;
	while (m->tq->ops->next(m->tq) <= m->now_ns) {
		model_check(m, calls++ < 20 * MODEL_TIMERS);
		model_advance(m, n);
	}
}

START_TEST(a_million_random_steps_agree_with_a_sorted_list)
{
	struct model *m = calloc(1, sizeof(*m));
	const char *seed = getenv("MN_SEED");
	unsigned int id;

	m->seed = seed ? strtoull(seed, NULL, 0) : 1;
	random_state = m->seed;
	m->now_ns = (int64_t)random_below(DAY_NS);
	m->tq = queue_open(_i, m->now_ns);
	for (; m->step < MODEL_STEPS; m->step++) {
		id = (unsigned int)random_below(MODEL_TIMERS);
		switch (random_below(8)) {
		case 0:
			model_cancel(m, id);
			break;
		case 1:
		case 2:
			model_time(m);
			break;
		default:
			model_arm(m, id);
			break;
		}
	}
	for (id = 0; id < MODEL_TIMERS; id++)
		model_cancel(m, id);
	model_check_next(m);
	queue_close(m->tq);
	free(m);
}
END_TEST

Suite *suite_timer_queue(void)
{
	const TTest *const contract[] = {
		an_empty_queue_waits_for_ever,
		a_timer_is_never_early_and_at_most_a_tick_late,
		a_deadline_that_has_passed_expires_in_the_next_advance,
		a_timer_for_never_stays_armed,
		a_cancelled_timer_does_not_expire,
		an_expired_timer_may_be_armed_again,
		what_exceeds_the_bound_is_left_for_the_next_advance,
		after_a_jump_of_days_timers_expire_in_the_order_of_time,
		waiting_for_a_far_timer_takes_few_wake_ups,
		a_crowd_of_timers_is_not_late,
		a_million_random_steps_agree_with_a_sorted_list,
	};
	const int nr_drivers = (int)(timer_queue_kind.stop - timer_queue_kind.start);
	Suite *suite = suite_create("timer queue");
	TCase *tcase = tcase_create("contract"), *slack = tcase_create("slack");
	unsigned int i;

	tcase_set_timeout(tcase, 60);	/* sanitizers on a busy machine */
	for (i = 0; i < ARRAY_SIZE(contract); i++)
		tcase_add_loop_test(tcase, contract[i], 0, nr_drivers);
	suite_add_tcase(suite, tcase);
	tcase_add_test(slack, slack_moves_timers_together_but_no_further);
	suite_add_tcase(suite, slack);
	return suite;
}
