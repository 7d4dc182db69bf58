// SPDX-License-Identifier: MIT
/*
 * A fiber that waits for each object in turn is cancelled, again and again,
 * each time a little later; so there is a run for each of its waits that ends
 * it there, and some in between. A partner does the other half of each step. Whatever
 * happens, both end, and every object is as free as it was.
 */
#include "core/shard.h"
#include "tests/suites.h"
#include "tests/sync.h"
#include "tests/world.h"

#define STEP_NS		MN_MSEC
#define CANCEL_NS	(STEP_NS / 4)

struct stage {
	struct mn_sem sem;
	struct mn_mutex mutex;
	struct mn_cond cond;
	struct mn_rwlock rwlock;
	struct mn_barrier barrier;
	struct mn_once once;
	struct mn_gate gate;
	struct mn_chan chan, other;
	struct mn_pipe pipe;
	struct mn_broadcast broadcast;
	struct mn_broadcast_reader reader;
	uint64_t slot[1];
	char bytes[4];
	int nr_steps;	/* that the fiber did */
};

static void stage_open(struct stage *stage)
{
	mn_sem_init(&stage->sem, 0);
	mn_mutex_init(&stage->mutex);
	mn_cond_init(&stage->cond);
	mn_rwlock_init(&stage->rwlock);
	mn_barrier_init(&stage->barrier, 2);
	mn_once_init(&stage->once);
	mn_gate_init(&stage->gate);
	mn_chan_init_sized(&stage->chan, NULL, sizeof(int), 0);
	mn_chan_init_sized(&stage->other, NULL, sizeof(int), 0);
	mn_pipe_init(&stage->pipe, stage->bytes, sizeof(stage->bytes));
	mn_broadcast_init(&stage->broadcast, stage->slot, MN_BROADCAST_WAIT);
	mn_broadcast_join(&stage->broadcast, &stage->reader);
	stage->nr_steps = 0;
}

static void stage_close(struct stage *stage)
{
	ck_assert_int_eq(mn_sem_try(&stage->sem, 1), 0);
	mn_sem_destroy(&stage->sem);
	ck_assert_int_eq(mn_mutex_try(&stage->mutex), 0);
	mn_mutex_destroy(&stage->mutex);
	mn_cond_destroy(&stage->cond);
	ck_assert_int_eq(mn_rwlock_try_write(&stage->rwlock), 0);
	mn_rwlock_destroy(&stage->rwlock);
	mn_barrier_destroy(&stage->barrier);
	mn_once_destroy(&stage->once);
	ck_assert_uint_eq(stage->gate.nr_inside, 0);
	mn_gate_destroy(&stage->gate);
	mn_chan_destroy(&stage->chan);
	mn_chan_destroy(&stage->other);
	mn_pipe_destroy(&stage->pipe);
	mn_broadcast_leave(&stage->reader);
	mn_broadcast_destroy(&stage->broadcast);
}

static int init_slowly(void *arg)
{
	return mn_sleep(STEP_NS);
}

static int waits_locked(struct stage *stage)
{
	int err = mn_mutex_lock(&stage->mutex);

	if (err)
		return err;
	err = mn_cond_wait(&stage->cond, &stage->mutex);
	mn_mutex_unlock(&stage->mutex);
	return err;
}

static int waits_for_locks(struct stage *stage)
{
	int err = mn_sem_take(&stage->sem, 1);

	if (!err)
		mn_sem_give(&stage->sem, 1);
	err = err ? err : waits_locked(stage);
	err = err ? err : mn_rwlock_read(&stage->rwlock);
	if (!err)
		mn_rwlock_read_end(&stage->rwlock);
	err = err ? err : mn_rwlock_write(&stage->rwlock);
	if (!err)
		mn_rwlock_write_end(&stage->rwlock);
	return err;
}

static int waits_for_items(struct stage *stage)
{
	int in, out = 7, more = 8, res;
	char text[16] = "more than four";
	struct mn_select_case cases[] = { MN_RECV(&stage->chan, &in),
					  MN_SEND(&stage->other, &more) };
	struct mn_select select = { .cases = cases, .nr_cases = 2 };

	if ((res = mn_chan_recv(&stage->chan, &in)) < 0 ||
	    (res = mn_chan_send(&stage->chan, &out)) < 0 || (res = mn_select(&select)) < 0)
		return res;
	if ((res = (int)mn_pipe_read(&stage->pipe, text, sizeof(text))) < 0)
		return res;
	res = (int)mn_pipe_write(&stage->pipe, text, sizeof(text));
	if (res < (int)sizeof(text))
		return res < 0 ? res : -ECANCELED;	/* some of it got there */
	return mn_broadcast_recv(&stage->reader, &stage->slot[0]);
}

static int victim(void *arg)
{
	struct stage *stage = arg;
	int res = waits_for_locks(stage);

	if (res >= 0)
		res = waits_for_items(stage);
	if (res >= 0)
		res = mn_barrier_wait(&stage->barrier);
	if (res >= 0)
		res = mn_once(&stage->once, init_slowly, NULL);
	if (res >= 0)
		res = mn_gate_close(&stage->gate);
	stage->nr_steps++;
	return res;
}

/* What it would do with the other one, or for some time without. */
static void partner_items(struct stage *stage)
{
	uint64_t number = 1;
	char text[16];
	int item = 1;

	mn_chan_send_timeout(&stage->chan, &item, 2 * STEP_NS);
	mn_sleep(STEP_NS);
	mn_chan_recv_timeout(&stage->chan, &item, 2 * STEP_NS);
	mn_sleep(STEP_NS);
	mn_chan_recv_timeout(&stage->other, &item, 2 * STEP_NS);
	mn_sleep(STEP_NS);
	mn_pipe_write_timeout(&stage->pipe, text, 1, 2 * STEP_NS);
	mn_sleep(STEP_NS);
	while (mn_pipe_read_timeout(&stage->pipe, text, sizeof(text), STEP_NS) > 0)
		;
	mn_broadcast_send_timeout(&stage->broadcast, &number, 2 * STEP_NS);
	mn_sleep(STEP_NS);
}

static int partner(void *arg)
{
	struct stage *stage = arg;

	/* It begins with all locks, and gives one back after the other. */
	mn_mutex_lock(&stage->mutex);
	mn_rwlock_write(&stage->rwlock);
	mn_gate_enter(&stage->gate);
	mn_sleep(STEP_NS);
	mn_sem_give(&stage->sem, 1);
	mn_sleep(STEP_NS);
	mn_mutex_unlock(&stage->mutex);
	mn_sleep(STEP_NS);
	mn_cond_signal(&stage->cond);
	mn_sleep(STEP_NS);
	mn_rwlock_write_end(&stage->rwlock);
	mn_rwlock_read(&stage->rwlock);
	mn_sleep(STEP_NS);
	mn_rwlock_read_end(&stage->rwlock);
	mn_sleep(STEP_NS);
	partner_items(stage);
	mn_barrier_wait_timeout(&stage->barrier, 2 * STEP_NS);
	mn_once_timeout(&stage->once, init_slowly, NULL, 2 * STEP_NS);
	mn_sleep(2 * STEP_NS);
	mn_gate_leave(&stage->gate);
	return 0;
}

/* The result of the fiber when it is cancelled after a time. */
static int played(struct stage *stage, int64_t cancel_ns)
{
	struct mn_fiber *fiber[2];
	int res;

	stage_open(stage);
	fiber[0] = sync_spawn(partner, stage);
	fiber[1] = sync_spawn(victim, stage);
	mn_sleep(cancel_ns);
	mn_fiber_cancel(fiber[1]);
	res = mn_join(fiber[1]);
	ck_assert_int_eq(stage->nr_steps, 1);
	ck_assert_int_eq(mn_join(fiber[0]), 0);
	stage_close(stage);
	return res;
}

static int cancel_fiber(void *arg)
{
	struct stage stage;
	int nr_canceled = 0;

	for (int i = 0;; i++) {
		int res = played(&stage, i * CANCEL_NS);

		if (!res)
			break;
		/* It says so, and not that somebody else gave up. */
		ck_assert_int_eq(res, -ECANCELED);
		nr_canceled++;
		ck_assert_int_lt(i, 1000);
	}
	ck_assert_int_gt(nr_canceled, 30);
	return 0;
}

START_TEST(a_fiber_can_be_cancelled_at_each_wait_and_leaves_nothing_behind)
{
	sync_run(_i, cancel_fiber);
}
END_TEST

TCase *tcase_sync_cancel(void)
{
	TCase *tc = tcase_create("cancel");

	tcase_set_timeout(tc, 2 * TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, a_fiber_can_be_cancelled_at_each_wait_and_leaves_nothing_behind, 0,
			    nr_backends());
	return tc;
}
