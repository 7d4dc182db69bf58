// SPDX-License-Identifier: MIT
/*
 * mem: a loopback network in memory, under a clock that tests move. All
 * shards of a world run on one thread.
 *
 * Every operation goes through its shard's ready queue, and is tried by
 * turn(), in order. One that would block is put where it waits (mostly its
 * socket); whatever changes there moves it back to the ready queue of its own
 * shard. Cancelling does the same, so that nothing ever completes from
 * cancel(), as with io_uring and unlike libev.
 */
#include <errno.h>
#include <string.h>

#include <miniss/log.h>

#include "backends/backend.h"
#include "backends/file.h"
#include "backends/inline.h"
#include "backends/mem.h"
#include "backends/mem/net.h"
#include "core/log.h"
#include "core/reactor.h"
#include "lib/mem/mem.h"
#include "smp/mesh.h"
#include "timers/timer_queue.h"

#define TURN_MAX 256 /* completions and deliveries of a turn */
#define CLOCK_START MN_SEC

struct mem_state {
	struct net net;
	int64_t now_ns;
	struct op_queue signal; /* who waits for one */
	struct op_queue advancing; /* who waits for a time, advance.ns, and for quiet */
	int64_t quiet_ns; /* when every shard was idle since the last of them came */
	bool manual; /* the clock moves for those alone */
	uint64_t caught; /* bit n-1 is signal n */
	uint32_t came[SIGNALS]; /* how many, [n-1] of signal n */
	unsigned int nr_shards; /* that are open */
};

struct membe {
	struct backend be;
	struct mem_state *state;
	struct op_queue ready;
	struct op_queue starved; /* streams that wait for free buffers */
	int64_t deadline_ns; /* until when the last turn would have waited */
};

/* Values of op->priv: where it is linked. */
enum { OP_TAKEN, OP_READY, OP_WAITING, OP_STARVED };

static struct membe *to_membe(struct backend *be)
{
	return container_of(be, struct membe, be);
}

static struct mem_state *state_of(struct mn_world *world)
{
	return world->backend_state;
}

static void make_ready(struct mn_op *op)
{
	struct membe *m = op->be.ptr;

	op->priv = OP_READY;
	op_queue_push(&m->ready, op);
}

static void kick(struct op_queue *waiting)
{
	struct mn_op *op;

	while ((op = op_queue_pop(waiting)))
		make_ready(op);
}

static struct op_queue *waits_in(struct membe *m, struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_SIGNAL:
		return &m->state->signal;
	case MN_OP_ADVANCE:
		return &m->state->advancing;
	case MN_OP_CONNECT:
		return &m->state->net.connecting;
	default:
		return &net_sock(&m->state->net, op->fd)->waiting;
	}
}

static void wait_in(struct mn_op *op, uint8_t where, struct op_queue *queue)
{
	op->priv = where;
	op_queue_push(queue, op);
}

static int64_t try_signal(struct mem_state *state, uint32_t *counts)
{
	int64_t n = 0;

	for (int i = 0; i < SIGNALS; i++) {
		if (!(state->caught >> i & 1))
			continue;
		counts[i] += state->came[i];
		n += state->came[i];
		state->came[i] = 0;
	}
	if (n)
		return n;
	return state->signal.head ? -EBUSY : NOT_YET;
}

static int64_t catch_signals(struct mem_state *state, uint64_t set)
{
	int err = signal_check(set);

	if (err)
		return err;
	for (int i = 0; i < SIGNALS; i++)
		if (state->caught >> i & 1 && !(set >> i & 1))
			state->came[i] = 0;
	state->caught = set;
	return 0;
}

/* Timers are late by a tick at most: at the end of one all that were due have expired. */
static int64_t advance_until(const struct mem_state *state, int64_t ns)
{
	if (ns > MN_NEVER - state->now_ns - TIMER_TICK_NS)
		return MN_NEVER;
	return (state->now_ns + ns + TIMER_TICK_NS - 1) / TIMER_TICK_NS * TIMER_TICK_NS;
}

static int64_t advance_next(const struct mem_state *state)
{
	int64_t next_ns = MN_NEVER;

	for (const struct mn_op *op = state->advancing.head; op; op = op->next)
		next_ns = min(next_ns, op->advance.ns);
	return next_ns;
}

static int64_t op_try(struct membe *m, struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_NOP:
		return 0;
	case MN_OP_ADVANCE:
		return op->advance.ns <= m->state->quiet_ns ? 0 : NOT_YET;
	case MN_OP_SIGNAL:
		return try_signal(m->state, op->signal.counts);
	default:
		if (op_is_file(op))
			return file_call(op);
		return net_try(&m->state->net, &m->be.shard->pool, op);
	}
}

static bool is_item(const struct mn_op *op, int64_t res)
{
	return ((op->code == MN_OP_RECV_STREAM || op->code == MN_OP_RECV_PACKETS) && res > 0) ||
	       (op->code == MN_OP_ACCEPT_STREAM && res >= 0);
}

/* Returns how many completions and deliveries that was. */
static unsigned int op_run(struct membe *m, struct mn_op *op)
{
	int64_t res;

	op->priv = OP_TAKEN;
	/* A poll that is cancelled looks once, as it does elsewhere. */
	if (op->state == OP_CANCELING && op->code == MN_OP_POLL && op_try(m, op) != NOT_YET) {
		op_complete(op, op_try(m, op));
		return 1;
	}
	if (op->state == OP_CANCELING) {
		op->be.num = net_ended(&m->state->net, op);
		op_complete(op, -ECANCELED);
		return 1;
	}
	if (op_is_file(op))
		op->be.num = 0;
	res = op_try(m, op);
	if (res == NOT_YET) {
		wait_in(op, OP_WAITING, waits_in(m, op));
		return 0;
	}
	if (res == NO_BUFFER) {
		wait_in(op, OP_STARVED, &m->starved);
		stats_add(m->be.shard, STAT_STARVED, 1);
		return 0;
	}
	if (is_item(op, res)) {
		op_deliver(op, res);
		make_ready(op); /* the next item, or its cancellation, comes after the others */
		return 1;
	}
	op_complete(op, res);
	return 1;
}

/* Files are the real ones. */
static int64_t call(struct mem_state *state, struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_SIGNAL_CATCH:
		return catch_signals(state, op->caught.set);
	case MN_OP_FSTAT:
		return inline_op(op, true);
	default:
		return net_call(&state->net, op);
	}
}

static void mem_submit(struct backend *be, struct mn_op *op)
{
	struct membe *m = to_membe(be);

	if (op->code == MN_OP_ADVANCE) {
		op->advance.ns = advance_until(m->state, op->advance.ns);
		m->state->quiet_ns = -1;
	} else if (op_is_inline(op)) {
		op_complete(op, call(m->state, op));
		return;
	}
	op->be.ptr = m;
	make_ready(op);
}

static void mem_cancel(struct backend *be, struct mn_op *op)
{
	struct membe *m = to_membe(be);

	if (op->priv == OP_TAKEN || op->priv == OP_READY)
		return; /* its turn comes, and sees that it is cancelled */
	op_queue_remove(op->priv == OP_STARVED ? &m->starved : waits_in(m, op), op);
	make_ready(op);
}

/* It never waits: it says until when it would have, for mem_run(). */
static unsigned int mem_turn(struct backend *be, int64_t deadline_ns)
{
	struct membe *m = to_membe(be);
	uint32_t nr_free = be->shard->pool.nr_free;
	unsigned int n = 0, left;

	while (m->starved.head && nr_free--)
		make_ready(op_queue_pop(&m->starved));
	for (left = m->ready.nr; left && n < TURN_MAX; left--) {
		struct mn_op *op = op_queue_pop(&m->ready);

		if (!op)
			break;
		n += op_run(m, op);
	}
	if (deadline_ns > 0)
		m->deadline_ns = deadline_ns;
	stats_add(be->shard, STAT_COMPLETIONS, n);
	return n;
}

static int64_t mem_now(struct backend *be)
{
	return to_membe(be)->state->now_ns;
}

/* Nobody sleeps here. */
static void mem_wake(struct backend *be)
{
}

static int mem_open(struct backend *const *be, unsigned int n, const char *arg)
{
	struct mem_state *state = mem_alloc(sizeof(*state));

	if (!state) {
		mn_err("mem: no memory for its state");
		return -ENOMEM;
	}
	net_open(&state->net, kick);
	op_queue_init(&state->signal);
	op_queue_init(&state->advancing);
	state->manual = arg;
	state->now_ns = CLOCK_START;
	state->nr_shards = n;
	be[0]->shard->world->backend_state = state;
	for (unsigned int i = 0; i < n; i++) {
		struct membe *m = to_membe(be[i]);

		m->state = state;
		op_queue_init(&m->ready);
		op_queue_init(&m->starved);
	}
	return 0;
}

static int mem_start(struct backend *be)
{
	return 0;
}

static void mem_close(struct backend *be)
{
	struct mem_state *state = to_membe(be)->state;

	if (--state->nr_shards)
		return;
	net_close(&state->net);
	be->shard->world->backend_state = NULL;
	mem_free(state);
}

/* ---- all shards on one thread ---- */

/* One turn of each; false: no shard had anything to do. */
static bool step_all(struct mn_world *world, int64_t *next_ns)
{
	bool busy = false;

	*next_ns = MN_NEVER;
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct shard *s = world->shards[i];
		struct membe *m = to_membe(s->be);

		if (s->start_err || shard_done(s))
			continue;
		m->deadline_ns = MN_NEVER;
		busy |= shard_step(s, true) || m->ready.head;
		*next_ns = min(*next_ns, m->deadline_ns);
	}
	return busy;
}

static bool all_done(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++)
		if (!world->shards[i]->start_err && !shard_done(world->shards[i]))
			return false;
	return true;
}

/*
 * Every shard waits: who wanted the time to be as late as it is now gets that,
 * or else it moves on to the next deadline. False: nothing is left to happen.
 * At the end of a world it moves by itself, as nobody is left to do it.
 */
static bool clock_move(struct mn_world *world, int64_t next_ns)
{
	struct mem_state *state = state_of(world);
	int64_t wanted_ns = advance_next(state);

	if (wanted_ns <= state->now_ns) {
		state->quiet_ns = state->now_ns;
		kick(&state->advancing);
		return true;
	}
	if (state->manual && wanted_ns == MN_NEVER && !world->shards[0]->ending)
		return false;
	next_ns = min(next_ns, wanted_ns);
	if (next_ns == MN_NEVER)
		return false;
	state->now_ns = max(state->now_ns, next_ns);
	return true;
}

static void leave_all(struct mn_world *world)
{
	for (unsigned int i = 0; i < world->nr_shards; i++) {
		mn_self = world->shards[i];
		mesh_flush(mn_self);
		log_flush(mn_self);
	}
	mn_self = NULL;
}

static int mem_run(struct mn_world *world)
{
	unsigned int idle = 0;
	int64_t next_ns;
	int err = 0;

	for (unsigned int i = 0; i < world->nr_shards; i++) {
		struct shard *s = world->shards[i];

		s->start_err = shard_start(s);
		shard_started(s);
	}
	while (!all_done(world)) {
		idle = step_all(world, &next_ns) ? 0 : idle + 1;
		/* A timer that was due when a shard went idle is for the second round. */
		if (idle < 2)
			continue;
		idle = 0;
		if (!clock_move(world, next_ns)) {
			err = -EDEADLK;
			break;
		}
	}
	leave_all(world);
	if (err)
		mn_err("mem: every shard waits, and %s", next_ns == MN_NEVER ?
								 "nothing is left to happen" :
					     "nobody advances the clock");
	return err;
}

/* ---- for tests ---- */

int64_t mem_clock_now(struct mn_world *world)
{
	return state_of(world)->now_ns;
}

void mem_clock_set(struct mn_world *world, int64_t now_ns)
{
	state_of(world)->now_ns = max(state_of(world)->now_ns, now_ns);
}

void mem_clock_advance(struct mn_world *world, int64_t ns)
{
	mem_clock_set(world, state_of(world)->now_ns + ns);
}

void mem_raise(struct mn_world *world, int sig)
{
	state_of(world)->came[sig - 1]++;
	kick(&state_of(world)->signal);
}

void mem_fd_limit(struct mn_world *world, unsigned int n)
{
	state_of(world)->net.fds_max = min(n, NET_FDS);
}

static void mem_describe(struct backend *be, char *text, size_t size)
{
	snprintf(text, size, "connections in memory, a clock that %s",
		 to_membe(be)->state->manual ? "stands still" : "goes on when all wait");
}

static int mem_probe(const char *arg)
{
	return arg && strcmp(arg, "manual") ? -EINVAL : 0;
}

static const struct backend_ops mem_ops = {
	.submit = mem_submit,
	.cancel = mem_cancel,
	.turn = mem_turn,
	.now = mem_now,
	.wake = mem_wake,
	.open = mem_open,
	.start = mem_start,
	.close = mem_close,
	.run = mem_run,
	.describe = mem_describe,
	.virtual_time = true,
	.state_size = sizeof(struct membe),
	.drv = { .name = "mem", .rating = 0, .probe = mem_probe },
};
backend_driver(mem_ops);
