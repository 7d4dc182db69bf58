// SPDX-License-Identifier: MIT
/* Waits for other fibers, of this shard and of another one, for tests/cancel.c. */
#include <check.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/cancel.h"
#include "tests/world.h"

#define SHORT_NS	(100 * MN_USEC)

static unsigned int last(void)
{
	return mn_shards() - 1;
}

int cancel_in_time(int res)
{
	return res == -ETIMEDOUT ? mn_self->fiber->stop : res;
}

int cancel_with_partner(mn_fiber_fn partner, mn_fiber_fn fn, void *arg)
{
	struct mn_scope scope;
	int err;

	mn_scope_open(&scope, &(struct mn_scope_options){ .keep_going = true });
	err = mn_scope_spawn(&scope, partner, arg);
	if (!err)
		err = fn(arg);
	mn_scope_cancel(&scope);
	mn_scope_join(&scope);
	return err;
}

/* --- locks --- */

struct locks {
	struct mn_sem sem;
	struct mn_mutex mutex;
	struct mn_cond cond;
	struct mn_rwlock rwlock;
	struct mn_barrier barrier;
	struct mn_once once;
	struct mn_gate gate;
};

static int slowly(void *arg)
{
	return mn_sleep(SHORT_NS);
}

/* It has all of them at first, and gives up one after the other, whatever happens. */
static int locks_partner(void *arg)
{
	struct locks *l = arg;

	mn_sleep(SHORT_NS);
	mn_sem_give(&l->sem, 1);
	mn_sleep(SHORT_NS);
	mn_mutex_unlock(&l->mutex);
	mn_sleep(SHORT_NS);
	mn_cond_signal(&l->cond);
	mn_sleep(SHORT_NS);
	mn_rwlock_write_end(&l->rwlock);
	mn_sleep(SHORT_NS);
	mn_barrier_wait(&l->barrier);
	mn_sleep(SHORT_NS);
	mn_gate_leave(&l->gate);
	return 0;
}

static int wait_for_locks(void *arg)
{
	struct locks *l = arg;
	int err = mn_sem_take(&l->sem, 1);

	if (!err)
		err = mn_mutex_lock(&l->mutex);
	if (err)
		return err;
	err = mn_cond_wait(&l->cond, &l->mutex);
	mn_mutex_unlock(&l->mutex);
	if (!err && !(err = mn_rwlock_read(&l->rwlock)))
		mn_rwlock_read_end(&l->rwlock);
	if (!err && !(err = mn_rwlock_write(&l->rwlock)))
		mn_rwlock_write_end(&l->rwlock);
	if (!err)
		err = mn_once(&l->once, slowly, NULL);
	if (!err)
		err = mn_barrier_wait(&l->barrier);
	if (err == -EPIPE)	/* the partner heard of the stop first, and left */
		return mn_self->fiber->stop;
	if (err >= 0)
		err = cancel_in_time(mn_sem_take_timeout(&l->sem, 1, SHORT_NS));
	return err < 0 ? err : mn_gate_close(&l->gate);
}

static int begin_with_all(void *arg)
{
	struct locks *l = arg;
	int err = mn_mutex_lock(&l->mutex);

	if (!err)
		err = mn_rwlock_write(&l->rwlock);
	if (!err)
		err = mn_gate_enter(&l->gate);
	ck_assert_int_eq(err, 0);	/* nobody else has any of them */
	return locks_partner(l);
}

static int take_turns(void *arg)
{
	mn_yield();	/* the partner comes first */
	return wait_for_locks(arg);
}

int scenario_locks(void *arg)
{
	struct locks l;
	int err;

	mn_sem_init(&l.sem, 0);
	mn_mutex_init(&l.mutex);
	mn_cond_init(&l.cond);
	mn_rwlock_init(&l.rwlock);
	mn_barrier_init(&l.barrier, 2);
	mn_once_init(&l.once);
	mn_gate_init(&l.gate);
	err = cancel_with_partner(begin_with_all, take_turns, &l);
	ck_assert_int_eq(mn_mutex_try(&l.mutex), 0);
	ck_assert_int_eq(mn_rwlock_try_write(&l.rwlock), 0);
	ck_assert_uint_eq(l.gate.nr_inside, 0);
	mn_sem_destroy(&l.sem);
	mn_mutex_destroy(&l.mutex);
	mn_cond_destroy(&l.cond);
	mn_rwlock_destroy(&l.rwlock);
	mn_barrier_destroy(&l.barrier);
	mn_once_destroy(&l.once);
	mn_gate_destroy(&l.gate);
	return err;
}

/* --- channels --- */

struct lines {
	struct mn_chan full, empty;
	struct mn_pipe in, out;
	char bytes[2][4];
	struct mn_broadcast news;
	struct mn_broadcast_reader reader;
	int number[1];
};

static int lines_partner(void *arg)
{
	struct lines *l = arg;
	char text[8] = "a text";
	int item = 1;

	mn_sleep(SHORT_NS);
	mn_chan_recv(&l->full, &item);
	mn_sleep(SHORT_NS);
	mn_chan_send(&l->empty, &item);
	mn_sleep(SHORT_NS);
	mn_chan_send(&l->empty, &item);
	mn_sleep(SHORT_NS);
	mn_pipe_write(&l->out, text, 1);
	mn_sleep(SHORT_NS);
	for (int64_t n = 0, left = sizeof(text); left > 0 && n >= 0; left -= n)
		n = mn_pipe_read(&l->in, text, sizeof(text));
	mn_sleep(SHORT_NS);
	mn_broadcast_send(&l->news, &item);
	return 0;
}

static int wait_for_lines(void *arg)
{
	struct lines *l = arg;
	int in, out = 1, res;
	char text[8] = "a text";
	struct mn_select_case cases[] = { MN_RECV(&l->empty, &in), MN_SEND(&l->full, &out) };
	struct mn_select select = { .cases = cases, .nr_cases = 1 };

	if ((res = mn_chan_send(&l->full, &out)) < 0 || (res = mn_chan_recv(&l->empty, &in)) < 0 ||
	    (res = mn_select(&select)) < 0)
		return res;
	select.nr_cases = 2;
	if ((res = cancel_in_time(mn_select_timeout(&select, SHORT_NS))) < 0 ||
	    (res = cancel_in_time(mn_chan_recv_timeout(&l->empty, &in, SHORT_NS))) < 0 ||
	    (res = (int)mn_pipe_read(&l->out, text, sizeof(text))) < 0)
		return res;
	/* More than fits: it may be stopped when some of it got there. */
	res = (int)mn_pipe_write(&l->in, text, sizeof(text));
	if (res < (int)sizeof(text))
		return res < 0 ? res : mn_self->fiber->stop;
	res = mn_broadcast_recv(&l->reader, &in);
	return min(res, 0);
}

int scenario_lines(void *arg)
{
	struct lines l;
	int err;

	mn_chan_init_sized(&l.full, NULL, sizeof(int), 0);
	mn_chan_init_sized(&l.empty, NULL, sizeof(int), 0);
	mn_pipe_init(&l.in, l.bytes[0], sizeof(l.bytes[0]));
	mn_pipe_init(&l.out, l.bytes[1], sizeof(l.bytes[1]));
	mn_broadcast_init(&l.news, l.number, MN_BROADCAST_WAIT);
	mn_broadcast_join(&l.news, &l.reader);
	err = cancel_with_partner(lines_partner, wait_for_lines, &l);
	mn_broadcast_leave(&l.reader);
	mn_broadcast_destroy(&l.news);
	mn_pipe_destroy(&l.in);
	mn_pipe_destroy(&l.out);
	mn_chan_destroy(&l.full);
	mn_chan_destroy(&l.empty);
	return err;
}

/* --- a channel of another shard --- */

static struct mn_chan far_chan;
static int far_items[1];

static int far_open(void *arg)
{
	mn_chan_init(&far_chan, far_items);
	return 0;
}

static int far_close(void *arg)
{
	mn_chan_destroy(&far_chan);
	return 0;
}

/* What it has taken and nobody received is forgotten. */
static int far_renew(void *arg)
{
	far_close(NULL);
	return far_open(NULL);
}

/* Takes what comes, slowly, until the other one has had enough. */
static int far_take(void *arg)
{
	int item, res;

	while ((res = mn_chan_recv(&far_chan, &item)) > 0)
		mn_sleep(SHORT_NS);
	return res;
}

static int far_partner(void *arg)
{
	return mn_call(last(), far_take, NULL);
}

static int wait_for_far(void *arg)
{
	struct mn_chan_remote remote;
	int items[2], err = 0, end;

	mn_chan_remote_open(&remote, &far_chan, last(), items);
	for (int i = 0; i < 5 && !err; i++)
		err = mn_chan_remote_send(&remote, &i);
	end = mn_chan_remote_close(&remote);
	return err ? err : end;
}

int scenario_far(void *arg)
{
	struct mn_scope shield;
	int err = cancel_with_partner(far_partner, wait_for_far, NULL);

	mn_scope_open(&shield, &(struct mn_scope_options){ .shield = true });
	ck_assert_int_eq(mn_call(last(), far_renew, NULL), 0);
	mn_scope_join(&shield);
	return err;
}

void scenario_far_setup(void)
{
	ck_assert_int_eq(mn_call(last(), far_open, NULL), 0);
}

void scenario_far_teardown(void)
{
	ck_assert_int_eq(mn_call(last(), far_close, NULL), 0);
}
