// SPDX-License-Identifier: MIT
/*
 * Calls between shards.
 *
 * Between two shards there is a number of credits. A call takes one, which
 * also names it: the other side keeps a table of what runs, by credit, so
 * that a cancel finds its fiber, and never touches the caller's memory. The
 * reply frees the credit. So everything is bounded by the caller: who has a
 * credit needs nothing else, and who has none waits its turn, in order.
 *
 * A cancel may cross the reply. It is then for a credit that is free, or was
 * taken again behind it; as messages of a pair arrive in order, the other
 * side sees it before the new call, and ignores it.
 */
#include <errno.h>

#include "core/alarm.h"
#include "core/future.h"
#include "lib/mem/mem.h"
#include "smp/call.h"
#include "smp/homing.h"

enum call_state { CALL_IDLE, CALL_ACTIVE, CALL_CANCELING };

/* What one shard knows of its calls to another, and of that one's calls here. */
struct call_peer {
	uint8_t *free;			/* credits towards it */
	unsigned int nr_free;
	struct list waiters;		/* fibers that wait for one */

	struct mn_fiber **running;	/* its calls here, by credit */
	uint8_t *settled;		/* its posts that are done */
	unsigned int nr_settled;
};

struct calls {
	struct call_peer *peer;		/* [shard * LANES + lane] */
	uint64_t nr_begun;		/* here, since calls_begun() */
	uint8_t *memory;
	size_t bytes;
};

static struct call_peer *peer_of(struct shard *self, unsigned int to, unsigned int lane)
{
	return &self->calls->peer[to * LANES + lane];
}

static unsigned int lane_of(const struct mn_call *call)
{
	return call->urgent ? LANE_URGENT : LANE_BULK;
}

/* ---- set-up ---- */

static size_t peer_bytes(unsigned int credits)
{
	return credits * (sizeof(struct mn_fiber *) + 2) + 64;
}

static void peer_open(struct call_peer *peer, uint8_t *memory, unsigned int credits)
{
	list_init(&peer->waiters);
	peer->running = (struct mn_fiber **)memory;
	peer->free = memory + credits * sizeof(struct mn_fiber *);
	peer->settled = peer->free + credits;
	for (unsigned int i = 0; i < credits; i++)
		peer->free[peer->nr_free++] = (uint8_t)(credits - 1 - i);
}

int calls_open(struct shard *shard)
{
	unsigned int nr_shards = shard->world->nr_shards;
	unsigned int *credits = shard->mesh->credits;
	struct calls *calls = mem_alloc(sizeof(*calls));
	size_t bytes[LANES], offset = 0;

	if (!calls)
		return -ENOMEM;
	shard->calls = calls;
	for (unsigned int lane = 0; lane < LANES; lane++)
		bytes[lane] = (peer_bytes(credits[lane]) + 63) & ~(size_t)63;
	calls->bytes = nr_shards * (bytes[LANE_BULK] + bytes[LANE_URGENT]);
	calls->peer = mem_alloc(nr_shards * LANES * sizeof(*calls->peer));
	calls->memory = mem_map(calls->bytes);
	if (!calls->peer || !calls->memory)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr_shards * LANES; i++) {
		peer_open(&calls->peer[i], calls->memory + offset, credits[i % LANES]);
		offset += bytes[i % LANES];
	}
	return 0;
}

void calls_close(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct calls *calls = world->shards[i] ? world->shards[i]->calls : NULL;

		if (!calls)
			continue;
		if (calls->memory)
			mem_unmap(calls->memory, calls->bytes);
		mem_free(calls->peer);
		mem_free(calls);
		world->shards[i]->calls = NULL;
	}
}

/* ---- credits ---- */

static bool credit_take(struct call_peer *peer, uint8_t *credit)
{
	/* Who waits goes first. */
	if (!peer->nr_free || !list_empty(&peer->waiters))
		return false;
	*credit = peer->free[--peer->nr_free];
	return true;
}

static void credit_give(struct call_peer *peer, uint8_t credit)
{
	struct caller *caller;

	if (list_empty(&peer->waiters)) {
		peer->free[peer->nr_free++] = credit;
		return;
	}
	caller = list_first(&peer->waiters, struct caller, entry);
	list_del(&caller->entry);
	caller->call->credit = credit;
	caller->granted = true;
	task_schedule(mn_self, &caller->fiber->task);
}

unsigned int calls_under_way(const struct shard *self)
{
	const unsigned int *credits = self->mesh->credits;
	unsigned int n = 0;

	for (unsigned int i = 0; i < self->world->nr_shards * LANES; i++)
		n += credits[i % LANES] - self->calls->peer[i].nr_free;
	return n;
}

uint64_t calls_begun(struct shard *self)
{
	uint64_t n = self->calls->nr_begun;

	self->calls->nr_begun = 0;
	return n;
}

/* ---- the calling side ---- */

void request_send(struct mn_call *call, enum msg_kind kind, mn_fiber_fn fn, void *arg)
{
	struct mn_msg msg = {
		.kind = (uint8_t)kind, .fn = fn, .arg = arg, .reply = call, .credit = call->credit
	};

	call->state = CALL_ACTIVE;
	mesh_send(mn_self, call->shard, lane_of(call), &msg);
}

void call_init(struct mn_call *call, unsigned int shard, bool urgent)
{
	mn_future_init(&call->done);
	call->shard = shard;
	call->urgent = urgent;
	call->state = CALL_IDLE;
}

int mn_call_start(struct mn_call *call, unsigned int shard, mn_fiber_fn fn, void *arg)
{
	call_init(call, shard, false);
	if (!credit_take(peer_of(mn_self, shard, LANE_BULK), &call->credit))
		return -EAGAIN;
	request_send(call, MSG_CALL, fn, arg);
	return 0;
}

static void call_cancel(struct mn_call *call, int why)
{
	struct mn_msg msg = { .kind = MSG_CANCEL, .res = why, .credit = call->credit };

	if (call->state != CALL_ACTIVE)
		return;
	call->state = CALL_CANCELING;
	mesh_send(mn_self, call->shard, lane_of(call), &msg);
}

void mn_call_cancel(struct mn_call *call)
{
	call_cancel(call, -ECANCELED);
}

/* One-way: there is no call to reply to, only a credit to give back. */
static int post(unsigned int to, enum msg_kind kind, mn_fiber_fn fn, void *arg)
{
	struct mn_msg msg = { .kind = (uint8_t)kind, .fn = fn, .arg = arg };

	if (!credit_take(peer_of(mn_self, to, LANE_BULK), &msg.credit))
		return -EAGAIN;
	mesh_send(mn_self, to, LANE_BULK, &msg);
	return 0;
}

int mn_post(unsigned int shard, mn_fiber_fn fn, void *arg)
{
	return post(shard, MSG_POST, fn, arg);
}

int shard_post(unsigned int to, int (*fn)(void *arg), void *arg)
{
	return post(to, MSG_RUN, fn, arg);
}

/* End the wait of a caller: cancellation, and its time-out. */
void caller_stop(void *obj)
{
	struct caller *caller = obj;

	if (caller->call->state != CALL_IDLE) {
		call_cancel(caller->call, fiber_stopped(caller->fiber, -ETIMEDOUT));
	} else if (!caller->granted) {
		list_del(&caller->entry);
		task_schedule(mn_self, &caller->fiber->task);
	} else {
		caller->stopped = true;	/* it has the credit, but has not run yet */
	}
}

static void caller_alarm(struct alarm *alarm)
{
	caller_stop(alarm->obj);
}

/* Take a credit, or wait for one. @stop, called with @obj, may end the wait; or NULL. */
int credit_wait(struct caller *caller, void (*stop)(void *obj), void *obj)
{
	struct mn_call *call = caller->call;
	struct call_peer *peer = peer_of(mn_self, call->shard, lane_of(call));

	caller->fiber = mn_self->fiber;
	caller->granted = credit_take(peer, &call->credit);
	if (caller->granted)
		return 0;
	list_add_tail(&peer->waiters, &caller->entry);
	fiber_park(stop, obj);
	if (caller->granted && !caller->stopped && (!stop || !caller->fiber->stop))
		return 0;
	if (caller->granted)
		credit_give(peer, call->credit);
	return fiber_stopped(caller->fiber, -ECANCELED);
}

int reply_wait(struct caller *caller, void (*stop)(void *obj), void *obj)
{
	struct mn_future *done = &caller->call->done;

	while (!mn_future_ready(done)) {
		future_attach(done, &caller->fiber->task);
		fiber_park(stop, obj);
	}
	return (int)mn_future_take(done);
}

static int call_run(struct caller *caller, mn_fiber_fn fn, void *arg, void (*stop)(void *obj))
{
	int err = credit_wait(caller, stop, caller);

	if (err)
		return err;
	request_send(caller->call, MSG_CALL, fn, arg);
	return reply_wait(caller, stop, caller);
}

int mn_call_with(unsigned int shard, mn_fiber_fn fn, void *arg,
		 const struct mn_call_options *options)
{
	struct mn_call call;
	struct caller caller = { .call = &call };
	struct alarm alarm;
	int res;

	alarm.expired = false;

	BUG_ON(!mn_self->fiber || shard >= mn_self->world->nr_shards);
	if (mn_self->fiber->stop)
		return mn_self->fiber->stop;
	call_init(&call, shard, options->urgent);
	if (options->timeout_ns)
		alarm_set(&alarm, options->timeout_ns, caller_alarm, &caller);
	res = call_run(&caller, fn, arg, caller_stop);
	if (options->timeout_ns)
		alarm_cancel(&alarm);
	/* That we asked it to end is known by its result. */
	return res == -ECANCELED ? fiber_stopped(caller.fiber, alarm.expired ? -ETIMEDOUT : res) :
				   res;
}

int mn_call(unsigned int shard, mn_fiber_fn fn, void *arg)
{
	return mn_call_with(shard, fn, arg, &(struct mn_call_options){ .timeout_ns = 0 });
}

int shard_call(unsigned int to, mn_fiber_fn fn, void *arg)
{
	struct mn_call call;
	struct caller caller = { .call = &call };

	call_init(&call, to, false);
	return call_run(&caller, fn, arg, NULL);
}

/* ---- the called side ---- */

/* On the stack of the fiber that runs a call. */
struct job {
	struct mn_msg msg;
	unsigned int lane;
};

static void reply_send(struct shard *self, const struct job *job, int res)
{
	struct mn_msg reply = {
		.kind = MSG_REPLY, .reply = job->msg.reply, .res = res, .credit = job->msg.credit
	};

	mesh_send(self, job->msg.from, job->lane, &reply);
}

static void post_settle(struct shard *self, const struct mn_msg *msg, unsigned int lane)
{
	struct call_peer *peer = peer_of(self, msg->from, lane);

	peer->settled[peer->nr_settled++] = msg->credit;
	self->mesh->settling = true;
}

static int job_fiber(void *arg)
{
	struct job *job = arg;
	int res = job->msg.fn(job->msg.arg);

	peer_of(mn_self, job->msg.from, job->lane)->running[job->msg.credit] = NULL;
	if (job->msg.kind == MSG_POST) {
		post_settle(mn_self, &job->msg, job->lane);
		return res;	/* a failure that nobody sees is counted as abandoned */
	}
	reply_send(mn_self, job, res);
	return 0;
}

static void job_start(struct shard *self, unsigned int lane, const struct mn_msg *msg)
{
	struct job job = { .msg = *msg, .lane = lane };
	struct mn_task **last = self->runq.tail;
	struct mn_fiber *fiber;
	int err = fiber_spawn(self, job_fiber, &job, sizeof(job), &fiber);

	self->calls->nr_begun++;
	if (!err) {
		fiber->detached = true;
		peer_of(self, msg->from, lane)->running[msg->credit] = fiber;
		if (lane == LANE_URGENT)
			runq_last_first(&self->runq, last);
	} else if (msg->kind == MSG_CALL) {
		reply_send(self, &job, err);
	} else {
		stats_add(self, STAT_ABANDONED, 1);
		post_settle(self, msg, lane);
	}
}

static void job_cancel(struct shard *self, unsigned int lane, const struct mn_msg *msg)
{
	struct mn_fiber *fiber = peer_of(self, msg->from, lane)->running[msg->credit];

	if (fiber)
		fiber_cancel(fiber, msg->res);
}

static void call_end(struct shard *self, unsigned int lane, const struct mn_msg *msg)
{
	struct mn_call *call = msg->reply;

	call->state = CALL_IDLE;
	credit_give(peer_of(self, msg->from, lane), msg->credit);
	mn_future_resolve(&call->done, msg->res);
}

void call_receive(struct shard *self, unsigned int lane, const struct mn_msg *msg)
{
	switch (msg->kind) {
	case MSG_CALL:
	case MSG_POST:
		job_start(self, lane, msg);
		break;
	case MSG_RUN:
		msg->fn(msg->arg);
		post_settle(self, msg, lane);
		break;
	case MSG_CANCEL:
		job_cancel(self, lane, msg);
		break;
	case MSG_REPLY:
		call_end(self, lane, msg);
		break;
	case MSG_SETTLE:
		for (int i = 0; i < msg->res; i++)
			credit_give(peer_of(self, msg->from, lane), msg->list[i]);
		break;
	case MSG_HOME:
	case MSG_HOMED:
		homing_receive(self, msg);
		break;
	}
}

static void peer_settle(struct shard *self, unsigned int to, unsigned int lane)
{
	struct call_peer *peer = peer_of(self, to, lane);

	while (peer->nr_settled) {
		struct mn_msg msg = { .kind = MSG_SETTLE };

		while (peer->nr_settled && msg.res < MSG_LIST)
			msg.list[msg.res++] = peer->settled[--peer->nr_settled];
		mesh_send(self, to, lane, &msg);
	}
}

void calls_settle(struct shard *self)
{
	self->mesh->settling = false;
	for (unsigned int to = 0; to < self->world->nr_shards; to++)
		peer_settle(self, to, LANE_BULK);
}
