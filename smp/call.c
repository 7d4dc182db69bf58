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
#include "core/sched.h"
#include "lib/mem/mem.h"
#include "smp/call.h"
#include "smp/homing.h"
#include "smp/parcel.h"

enum call_state { CALL_IDLE, CALL_ACTIVE, CALL_CANCELING };

/* What one shard knows of its calls to another, and of that one's calls here. */
struct call_peer {
	uint8_t *free;			/* credits towards it */
	unsigned int nr_free;
	struct list waiters;		/* fibers that wait for one */

	struct mn_fiber **running;	/* its calls here, by credit */
	uint8_t *settled;		/* its posts that are done */
	unsigned int nr_settled;
	struct call_peer *next;		/* that has some to be told of, too */
};

struct calls {
	struct call_peer *peer;		/* [shard * LANES + lane] */
	struct call_peer *settling;	/* those with posts that are done */
	unsigned int settle_at;		/* so many of one shard are told at once, or before a sleep */
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
	calls->settle_at = 1 + credits[LANE_BULK] / 8;
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
	struct shard *self = mn_self;
	struct mn_msg *msg =
		mesh_send(self, call->shard, lane_of(call), kind, call->credit, self->group);

	msg->fn = fn;
	msg->arg = arg;
	msg->reply = call;
	call->state = CALL_ACTIVE;
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

void call_cancel(struct mn_call *call, int why)
{
	if (call->state != CALL_ACTIVE)
		return;
	call->state = CALL_CANCELING;
	mesh_send(mn_self, call->shard, lane_of(call), MSG_CANCEL, call->credit, why);
}

void mn_call_cancel(struct mn_call *call)
{
	call_cancel(call, -ECANCELED);
}

/* One-way: there is no call to reply to, only a credit to give back. */
static int post(unsigned int to, enum msg_kind kind, mn_fiber_fn fn, void *arg)
{
	struct shard *self = mn_self;
	struct mn_msg *msg;
	uint8_t credit;

	if (!credit_take(peer_of(self, to, LANE_BULK), &credit))
		return -EAGAIN;
	msg = mesh_send(self, to, LANE_BULK, kind, credit, self->group);
	msg->fn = fn;
	msg->arg = arg;
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
	mesh_flush_alone(mn_self);
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

/* On the stack of the fiber that runs a call: what it needs of the message. */
struct job {
	mn_fiber_fn fn;
	void *arg;
	void *reply;
	uint16_t from;
	uint8_t kind;
	uint8_t credit;
	uint8_t lane;
};

static void reply_send(struct shard *self, const struct job *job, int res)
{
	mesh_send(self, job->from, job->lane, MSG_REPLY, job->credit, res)->reply = job->reply;
}

static void post_settle(struct shard *self, unsigned int from, unsigned int lane, uint8_t credit)
{
	struct call_peer *peer = peer_of(self, from, lane);

	if (!peer->nr_settled) {
		peer->next = self->calls->settling;
		self->calls->settling = peer;
	}
	peer->settled[peer->nr_settled++] = credit;
	if (peer->nr_settled >= self->calls->settle_at)
		self->mesh->settling = true;
}

static int job_fiber(void *arg)
{
	struct shard *self = mn_self;
	struct job *job = arg;
	int res = job->fn(job->arg);

	peer_of(self, job->from, job->lane)->running[job->credit] = NULL;
	if (job->kind == MSG_CALL)
		reply_send(self, job, res);
	mesh_flush_alone(self);
	if (job->kind == MSG_CALL)
		return 0;
	post_settle(self, job->from, job->lane, job->credit);
	return res;	/* a failure that nobody sees is counted as abandoned */
}

static void job_init(struct job *job, unsigned int lane, const struct mn_msg *msg)
{
	job->fn = msg->fn;
	job->arg = msg->arg;
	job->reply = msg->reply;
	job->from = msg->from;
	job->kind = msg->kind;
	job->credit = msg->credit;
	job->lane = (uint8_t)lane;
}

static __cold void job_fail(struct shard *self, unsigned int lane, const struct mn_msg *msg,
			    int err)
{
	struct job job;

	job_init(&job, lane, msg);
	if (msg->kind == MSG_CALL) {
		reply_send(self, &job, err);
		return;
	}
	stats_add(self, STAT_ABANDONED, 1);
	post_settle(self, msg->from, lane, msg->credit);
}

static void job_start(struct shard *self, unsigned int lane, const struct mn_msg *msg)
{
	struct runq *urgent = lane == LANE_URGENT ? sched_runq(self, (unsigned int)msg->res) : NULL;
	struct mn_task **last = urgent ? urgent->tail : NULL;
	struct mn_fiber *fiber;
	int err;

	self->group = (uint16_t)msg->res;	/* the caller's; ours is the default one while draining */
	err = fiber_spawn(self, job_fiber, NULL, sizeof(struct job), &fiber);
	self->group = MN_GROUP_DEFAULT;
	self->calls->nr_begun++;
	if (err) {
		job_fail(self, lane, msg, err);
		return;
	}
	job_init(fiber->arg, lane, msg);
	fiber->detached = true;
	peer_of(self, msg->from, lane)->running[msg->credit] = fiber;
	if (urgent)
		runq_last_first(urgent, last);
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
		post_settle(self, msg->from, lane, msg->credit);
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
	case MSG_PARCELS:
	case MSG_PARCELED:
		parcels_receive(self, msg);
		break;
	}
}

static void peer_settle(struct shard *self, struct call_peer *peer)
{
	unsigned int i = (unsigned int)(peer - self->calls->peer);

	while (peer->nr_settled) {
		struct mn_msg *msg = mesh_send(self, i / LANES, i % LANES, MSG_SETTLE, 0, 0);

		while (peer->nr_settled && msg->res < MSG_LIST)
			msg->list[msg->res++] = peer->settled[--peer->nr_settled];
	}
}

bool calls_unsettled(const struct shard *self)
{
	return self->calls->settling;
}

void calls_settle(struct shard *self)
{
	struct call_peer *peer;

	self->mesh->settling = false;
	while ((peer = self->calls->settling)) {
		self->calls->settling = peer->next;
		peer_settle(self, peer);
	}
}
