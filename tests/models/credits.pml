/* SPDX-License-Identifier: MIT */
/*
 * Calls between shards with full queues: who holds a credit never finds a
 * ring full, nobody waits for room, and so shards that call each other always
 * get on. Run by scripts/check-models-spin.
 *
 * What stands for what:
 *	shard(me)	a shard, as core/reactor.c:reactor_turn() runs it: tasks, then
 *			mesh_flush(), then mesh_drain(); it sleeps when there is nothing
 *	start()		credit_take() and request_send() of smp/call.c, by any fiber
 *	cancel()	mn_call_cancel(), by cancellation or a deadline, at any time
 *			while the call is active; so it may cross the reply
 *	finish()	job_fiber(): the job has ended; reply_send()
 *	receive()	call_receive(): job_start(), job_cancel(), call_end()
 *	st[]		mn_call.state, by credit; FREE: the credit is in call_peer.free
 *	job[]		call_peer.running
 *	out[]		mesh_out.staged; ring[]: a ring of spsc, or the share that
 *			a sender has of mpsc or locked
 *
 * A shard may start, cancel and finish any of what it can in a turn, in any
 * order, so a fiber that waits for a credit is one that starts its call in the
 * turn after the credit came back. A job runs as long as it likes.
 *
 * Left out: how a ring works and memory order (wake.pml and the relacy check);
 * the urgent lane, which is the same with credits and rings of its own; posts:
 * a request, and a SETTLE where a call has its reply, one for up to 16 credits;
 * results. A call to the own shard is with -DN=1.
 *
 * Verified: no push finds a ring full, and staging neither (assert); no state
 * without successor, which is one where a call has no reply coming; a cancel
 * finds no job but one whose call was cancelled; each call gets its reply,
 * under weak fairness (ltl; -DLIVE, where a job ends after two turns).
 *
 * -D N=1..3 shards, W credits of each ordered pair, SLOTS of a ring (4 * W).
 * -D ONE_WAY: each shard calls only the next, not all others.
 * -D STEPS: one thing at a time, sent at once, in place of turns and staging:
 * fewer states, for more credits.
 * -D takes something away; the check must then fail:
 *	SLOTS=3*W	no room for the cancel that crossed the reply
 *	NO_REPLY_ROOM	2 * W slots: room for a request and its cancel alone
 *	EARLY_CREDIT	a cancel frees the credit, instead of the reply
 *	CANCEL_AGAIN	a call may be cancelled twice
 *	CANCEL_APART	cancels have a ring of their own: they are not in order
 *	CANCEL_DROPS	a job that is cancelled does not reply
 * -D NO_CANCEL: nobody cancels; then 2 * W slots are enough.
 * -D PUSH_WAITS: a shard whose push finds the ring full waits for room. With
 * 4 * W slots it never waits; with NO_REPLY_ROOM they wait for each other.
 * -D NESTED: a job may call in its turn, and wait for that before it replies;
 * nobody cancels. A known limit, not a defect of the queues: jobs hold the
 * credits that the calls of other jobs wait for. The check must fail.
 */
#ifndef N
#define N	2
#endif
#ifndef W
#define W	1
#endif
#ifdef NO_REPLY_ROOM
#define SLOTS	(2 * W)
#endif
#ifndef SLOTS
#define SLOTS	(4 * W)
#endif

#ifdef NESTED
#define NO_CANCEL
#endif
#define PAIR(from, to)	((from) * N + (to))
#define AT(pair, c)	((pair) * W + (c))

/* the credit that the ltl formula follows */
#if N == 1
#define FIRST	AT(PAIR(0, 0), 0)
#else
#define FIRST	AT(PAIR(0, 1), 0)
#endif

mtype:msg = { REQUEST, REQUEST_NESTS, CANCEL, REPLY };
mtype:call = { FREE, ACTIVE, CANCELING };
mtype:job = { NONE, RUNS, ENDS, WANTS, WAITS };

chan ring[N * N] = [SLOTS] of { mtype:msg, byte };
#define STAGED	(4 * W)
chan out[N * N] = [STAGED] of { mtype:msg, byte };
#ifdef CANCEL_APART
chan apart[N * N] = [SLOTS] of { mtype:msg, byte };
#endif
mtype:call st[N * N * W] = FREE;	/* by the pair (caller, called) and credit */
mtype:job job[N * N * W] = NONE;	/* likewise, on the called shard */
#ifdef NESTED
byte parent[N * N * W];			/* job that waits for this call, plus 1 */
#endif
#ifdef LIVE
bit replies;		/* of credit FIRST, modulo 2 */
#endif
byte busy[N];		/* what a shard can do of itself: calls to make and cancel, jobs to end */

#ifdef CANCEL_APART
#define MAIL_OF(from, to) (nempty(ring[PAIR(from, to)]) || nempty(apart[PAIR(from, to)]))
#else
#define MAIL_OF(from, to) (nempty(ring[PAIR(from, to)]))
#endif
#if N == 1
#define MAIL(me)	MAIL_OF(me, me)
#elif N == 2
#define MAIL(me)	MAIL_OF(1 - (me), me)
#else
#define MAIL(me)	(MAIL_OF(((me) + 1) % 3, me) || MAIL_OF(((me) + 2) % 3, me))
#endif
#ifdef ONE_WAY
#define CALLS(me, p)	((p) == ((me) + 1) % N)
#else
#define CALLS(me, p)	(N == 1 || (p) != (me))
#endif

/* mesh_send(), and its BUG_ON */
inline stage(to, kind, c)
{
	assert(len(out[PAIR(me, to)]) < STAGED);
	out[PAIR(me, to)]!kind, c
}

/* ---- the calling side ---- */

inline start(p, c, kind)
{
	st[AT(PAIR(me, p), c)] = ACTIVE;
#ifdef NO_CANCEL
	busy[me]--;
#endif
	stage(p, kind, c)
}

inline cancel(p, c)
{
#ifdef EARLY_CREDIT
	st[AT(PAIR(me, p), c)] = FREE;
#else
#ifdef CANCEL_AGAIN
	busy[me] = busy[me] - (st[AT(PAIR(me, p), c)] == ACTIVE);
#else
	busy[me]--;
#endif
	st[AT(PAIR(me, p), c)] = CANCELING;
#endif
	stage(p, CANCEL, c)
}

/* Credits are alike, so it is enough to take the lowest that is free. */
#define CAN_START(p, c)	(st[AT(PAIR(me, p), c)] == FREE && CALLS(me, p) && \
			 (c == 0 || st[AT(PAIR(me, p), 0)] != FREE))

#if defined(NO_CANCEL)
#define CAN_CANCEL(p, c) false
#elif defined(CANCEL_AGAIN)
#define CAN_CANCEL(p, c) (st[AT(PAIR(me, p), c)] == ACTIVE || st[AT(PAIR(me, p), c)] == CANCELING)
#else
#define CAN_CANCEL(p, c) (st[AT(PAIR(me, p), c)] == ACTIVE)
#endif

/* What fibers may do with credit c towards p in a turn. */
inline call(p, c)
{
	if
	:: CAN_START(p, c) -> start(p, c, REQUEST)
#ifdef NESTED
	:: CAN_START(p, c) -> start(p, c, REQUEST_NESTS)
	:: CAN_START(p, c) ->
		/* for a job that wants it, of any shard */
		j = 0;
		do
		:: j < N * N * W && (job[j] != WANTS || (j / W) % N != me) -> j++
		:: j < N * N * W && job[j] == WANTS && (j / W) % N == me -> break
		:: j < N * N * W && job[j] == WANTS && (j / W) % N == me -> j++
		:: j == N * N * W -> break
		od;
		if
		:: j < N * N * W ->
			job[j] = WAITS;
			parent[AT(PAIR(me, p), c)] = j + 1;
			start(p, c, REQUEST)
		:: else
		fi;
		j = 0
#endif
	:: true
	fi;
	if
	:: CAN_CANCEL(p, c) -> cancel(p, c)
	:: true
	fi
}

/* call_end() */
inline replied(p, c)
{
#ifndef EARLY_CREDIT
	assert(st[AT(PAIR(me, p), c)] != FREE);
#endif
#if defined(NO_CANCEL)
	busy[me]++;
#else
	busy[me] = busy[me] + (st[AT(PAIR(me, p), c)] == CANCELING);
#endif
	st[AT(PAIR(me, p), c)] = FREE;
#ifdef LIVE
	replies = (AT(PAIR(me, p), c) == FIRST -> 1 - replies : replies);
#endif
#ifdef NESTED
	if
	:: parent[AT(PAIR(me, p), c)] ->
		job[parent[AT(PAIR(me, p), c)] - 1] = RUNS;
		busy[me]++;
		parent[AT(PAIR(me, p), c)] = 0
	:: else
	fi
#endif
}

/* ---- the called side ---- */

inline job_start(p, c, kind)
{
	assert(job[AT(PAIR(p, me), c)] == NONE);
	if
#ifdef NESTED
	:: kind == REQUEST_NESTS -> job[AT(PAIR(p, me), c)] = WANTS
#endif
	:: else -> job[AT(PAIR(p, me), c)] = RUNS; busy[me]++
	fi
}

inline job_cancel(p, c)
{
	if
	:: job[AT(PAIR(p, me), c)] != NONE ->
		/* not of a later call */
#ifndef EARLY_CREDIT
		assert(st[AT(PAIR(p, me), c)] == CANCELING);
#endif
#ifdef CANCEL_DROPS
		job[AT(PAIR(p, me), c)] = NONE;
		busy[me]--
#endif
	:: else
	fi
}

/* A job ends, or goes on. */
inline finish(p, c)
{
	if
	:: job[AT(PAIR(p, me), c)] == RUNS || job[AT(PAIR(p, me), c)] == ENDS ->
		job[AT(PAIR(p, me), c)] = NONE;
		busy[me]--;
		stage(p, REPLY, c)
#ifdef LIVE
	:: job[AT(PAIR(p, me), c)] == RUNS -> job[AT(PAIR(p, me), c)] = ENDS
	:: job[AT(PAIR(p, me), c)] == NONE
#else
	:: true
#endif
	fi
}

inline receive(p)
{
	if
	:: kind == CANCEL -> job_cancel(p, c)
	:: kind == REPLY -> replied(p, c)
	:: else -> job_start(p, c, kind)
	fi;
	kind = 0;
	c = 0
}

/* queue_pop_n(): some, or all, that are there; with -DLIVE at least one */
inline drain(p)
{
#ifdef LIVE
	if
	:: ring[PAIR(p, me)]?kind, c -> receive(p)
	:: empty(ring[PAIR(p, me)])
	fi;
#endif
	do
	:: ring[PAIR(p, me)]?kind, c -> receive(p)
	:: true -> break
	od
#ifdef CANCEL_APART
	;
	do
	:: apart[PAIR(p, me)]?kind, c -> receive(p)
	:: empty(apart[PAIR(p, me)]) -> break
	od
#endif
}

/* ---- a turn ---- */

inline drain_all()
{
	p = 0;
	do
	:: p < N -> drain(p); p++
	:: p == N -> p = 0; break
	od
}

inline tasks_run()
{
	p = 0;
	do
	:: p < N ->
		c = 0;
		do
		:: c < W -> finish(p, c); call(p, c); c++
		:: c == W -> c = 0; break
		od;
		p++
	:: p == N -> p = 0; break
	od
}

/* peer_flush(): all that is staged for a shard at once */
inline flush(p)
{
#ifdef PUSH_WAITS
	do
	:: nempty(out[PAIR(me, p)]) && nfull(ring[PAIR(me, p)]) ->
		d_step { out[PAIR(me, p)]?kind, c; ring[PAIR(me, p)]!kind, c; kind = 0; c = 0 }
	:: empty(out[PAIR(me, p)]) -> break
	od
#else
	d_step {
		assert(len(ring[PAIR(me, p)]) + len(out[PAIR(me, p)]) <= SLOTS);
		do
		:: nempty(out[PAIR(me, p)]) ->
			out[PAIR(me, p)]?kind, c;
			if
#ifdef CANCEL_APART
			:: kind == CANCEL -> apart[PAIR(me, p)]!kind, c
#endif
			:: else -> ring[PAIR(me, p)]!kind, c
			fi;
			kind = 0;
			c = 0
		:: else -> break
		od
	}
#endif
}

/*
 * With -DSTEPS one thing at a time, which goes out at once: another order of
 * things, with nothing staged, for more credits and shards.
 */
inline step()
{
	do
	:: p < N - 1 -> p++
	:: true -> break
	od;
	do
	:: c < W - 1 -> c++
	:: true -> break
	od;
	if
	:: nempty(ring[PAIR(p, me)]) ->
		c = 0;
		ring[PAIR(p, me)]?kind, c;
		receive(p)
	:: job[AT(PAIR(p, me), c)] == RUNS ->
		job[AT(PAIR(p, me), c)] = NONE;
		busy[me]--;
		stage(p, REPLY, c)
	:: CAN_START(p, c) -> start(p, c, REQUEST)
	:: CAN_CANCEL(p, c) -> cancel(p, c)
	:: else
	fi;
	c = 0;
	flush(p);
	p = 0
}

/* the next shard that something is staged for, from @p on */
inline dirty()
{
	do
	:: p < N && empty(out[PAIR(me, p)]) -> p++
	:: p == N || nempty(out[PAIR(me, p)]) -> break
	od
}

proctype shard(byte me)
{
	byte p, c;
#ifdef NESTED
	byte j;
#endif
	mtype:msg kind;

	do
	:: atomic {
		/* sleeps until there is mail, or something that it can do */
		p == 0 && (MAIL(me) || busy[me]) ->
#ifdef STEPS
		step()
	   }
#else
		drain_all();

		tasks_run();
		dirty();
		if
		:: p == N -> p = 0	/* nothing to send: the turn is over */
		:: else -> p++
		fi
	   }
	:: atomic {
		/* mesh_flush(): the others may run before, and between two pushes */
		p > 0 -> p--;
		flush(p);
		dirty();
		if
		:: p == N -> p = 0
		:: else -> p++
		fi
	   }
#endif
	od
}

init {
	atomic {
		byte i;

		for (i : 0 .. N - 1) {
#if N == 1 || defined(ONE_WAY)
			busy[i] = W;
#else
			busy[i] = (N - 1) * W;
#endif
			run shard(i)
		}
	}
}

#ifdef LIVE
/* It may be taken again in the step that frees it, so look for the reply. */
ltl replied_all {
	[] (st[FIRST] != FREE && replies == 0 -> <> (replies == 1)) &&
	[] (st[FIRST] != FREE && replies == 1 -> <> (replies == 0))
}
#endif
