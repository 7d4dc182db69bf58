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
 *	free()		homing_flush() of smp/homing.c, homed() batch_arrived(): a batch of
 *			frees, and its answer; one under way to each other shard (-DHOMING)
 *	out[]		mesh_out.staged; ring[]: a ring of spsc, or the share that
 *			a sender has of mpsc or locked
 *
 * A shard may start, cancel and finish any of what it can in a turn, in any
 * order, so a fiber that waits for a credit is one that starts its call in the
 * turn after the credit came back. A job runs as long as it likes.
 *
 * Left out: how a ring works and memory order (wake.pml and the relacy check);
 * what is in a batch of frees; posts: a request, and a SETTLE where a call has its reply, one for up to 16 credits;
 * results. A call to the own shard is with -DN=1.
 *
 * Verified: no push finds a ring full, and staging neither (assert); no state
 * without successor, which is one where a call has no reply coming; a cancel
 * finds no job but one whose call was cancelled; each call gets its reply,
 * under weak fairness (ltl; -DLIVE, where a job ends after two turns).
 *
 * -D N=1..3 shards, W credits of each ordered pair, SLOTS of a ring (4 * W).
 * -D LANES=2: the urgent lane, with credits and rings of its own, too.
 * -D HOMING: frees go home, on the bulk lane, and need no credit; then a ring has
 * two slots more.
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
 *	CANCEL_BULK	with LANES=2: all cancels go on the bulk lane
 *	HOME_AGAIN	a second batch of frees goes out before the answer
 *	SLOTS=4*W+1	with HOMING: no room for that answer
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
#ifdef HOMING
#define HOMES	2	/* MSGS_HOMING */
#else
#define HOMES	0
#endif
#ifndef SLOTS
#define SLOTS	(4 * W + HOMES)
#endif
#ifndef LANES
#define LANES	1
#endif

#ifdef NESTED
#define NO_CANCEL
#endif
/* A way is a shard and a lane: lane 0 of each is the bulk lane, 1 the urgent one. */
#define WAYS		(N * LANES)
#define WAY(shard, lane) ((shard) * LANES + (lane))
#define PAIR(from, way)	((from) * WAYS + (way))
#define OUT(p)		PAIR(me, p)
#define IN(p)		PAIR((p) / LANES, WAY(me, (p) % LANES))
#define PAIRS		(N * WAYS)
#define AT(pair, c)	((pair) * W + (c))

/* the credit that the ltl formula follows */
#if N == 1
#define FIRST	AT(PAIR(0, 0), 0)
#else
#define FIRST	AT(PAIR(0, WAY(1, 0)), 0)
#endif

mtype:msg = { REQUEST, REQUEST_NESTS, CANCEL, REPLY, HOME, HOMED };
mtype:call = { FREE, ACTIVE, CANCELING };
mtype:job = { NONE, RUNS, ENDS, WANTS, WAITS };

chan ring[PAIRS] = [SLOTS] of { mtype:msg, byte };
#define STAGED	(4 * W + HOMES)
chan out[PAIRS] = [STAGED] of { mtype:msg, byte };
#ifdef CANCEL_APART
chan apart[PAIRS] = [SLOTS] of { mtype:msg, byte };
#endif
mtype:call st[PAIRS * W] = FREE;	/* by the pair (caller, called) and credit */
mtype:job job[PAIRS * W] = NONE;	/* likewise, on the called shard */
#ifdef NESTED
byte parent[PAIRS * W];			/* job that waits for this call, plus 1 */
#endif
#ifdef LIVE
bit replies;		/* of credit FIRST, modulo 2 */
#endif
#ifdef HOMING
bit homing[PAIRS];	/* a batch of frees is under way; of bulk lanes */
#endif
byte busy[N];		/* what a shard can do of itself: calls to make and cancel, jobs to end */

#if defined(CANCEL_APART)
#define MAIL_OF(from, to) (nempty(ring[PAIR(from, to)]) || nempty(apart[PAIR(from, to)]))
#elif LANES == 2
#define MAIL_OF(from, to) (nempty(ring[PAIR(from, WAY(to, 0))]) || nempty(ring[PAIR(from, WAY(to, 1))]))
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
#define CALLS(me, p)	((p) / LANES == ((me) + 1) % N)
#else
#define CALLS(me, p)	(N == 1 || (p) / LANES != (me))
#endif

/* mesh_send(), and its BUG_ON */
inline stage(to, kind, c)
{
	assert(len(out[OUT(to)]) < STAGED);
	out[OUT(to)]!kind, c
}

/* ---- the calling side ---- */

inline start(p, c, kind)
{
	st[AT(OUT(p), c)] = ACTIVE;
#ifdef NO_CANCEL
	busy[me]--;
#endif
	stage(p, kind, c)
}

inline cancel(p, c)
{
#ifdef EARLY_CREDIT
	st[AT(OUT(p), c)] = FREE;
#else
#ifdef CANCEL_AGAIN
	busy[me] = busy[me] - (st[AT(OUT(p), c)] == ACTIVE);
#else
	busy[me]--;
#endif
	st[AT(OUT(p), c)] = CANCELING;
#endif
#ifdef CANCEL_BULK
	stage(p - p % LANES, CANCEL, c)
#else
	stage(p, CANCEL, c)
#endif
}

/* Credits are alike, so it is enough to take the lowest that is free. */
#define CAN_START(p, c)	(st[AT(OUT(p), c)] == FREE && CALLS(me, p) && \
			 (c == 0 || st[AT(OUT(p), 0)] != FREE))

#if defined(NO_CANCEL)
#define CAN_CANCEL(p, c) false
#elif defined(CANCEL_AGAIN)
#define CAN_CANCEL(p, c) (st[AT(OUT(p), c)] == ACTIVE || st[AT(OUT(p), c)] == CANCELING)
#else
#define CAN_CANCEL(p, c) (st[AT(OUT(p), c)] == ACTIVE)
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
		:: j < PAIRS * W && (job[j] != WANTS || (j / W / LANES) % N != me) -> j++
		:: j < PAIRS * W && job[j] == WANTS && (j / W / LANES) % N == me -> break
		:: j < PAIRS * W && job[j] == WANTS && (j / W / LANES) % N == me -> j++
		:: j == PAIRS * W -> break
		od;
		if
		:: j < PAIRS * W ->
			job[j] = WAITS;
			parent[AT(OUT(p), c)] = j + 1;
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
	assert(st[AT(OUT(p), c)] != FREE);
#endif
#if defined(NO_CANCEL)
	busy[me]++;
#else
	busy[me] = busy[me] + (st[AT(OUT(p), c)] == CANCELING);
#endif
	st[AT(OUT(p), c)] = FREE;
#ifdef LIVE
	replies = (AT(OUT(p), c) == FIRST -> 1 - replies : replies);
#endif
#ifdef NESTED
	if
	:: parent[AT(OUT(p), c)] ->
		job[parent[AT(OUT(p), c)] - 1] = RUNS;
		busy[me]++;
		parent[AT(OUT(p), c)] = 0
	:: else
	fi
#endif
}

/* ---- frees, smp/homing.c ---- */

#if defined(HOME_AGAIN)
#define CAN_FREE(p)	((p) % LANES == 0 && (p) / LANES != me)
#elif defined(HOMING)
#define CAN_FREE(p)	((p) % LANES == 0 && (p) / LANES != me && !homing[OUT(p)])
#else
#define CAN_FREE(p)	false
#endif

/* homing_flush() */
inline free(p)
{
#ifdef HOMING
#ifndef HOME_AGAIN
	homing[OUT(p)] = 1;
	busy[me]--;
#endif
	stage(p, HOME, 0)
#else
	skip
#endif
}

/* batch_arrived() */
inline homed(p)
{
#if defined(HOMING) && !defined(HOME_AGAIN)
	assert(homing[OUT(p)]);
	homing[OUT(p)] = 0;
	busy[me]++
#else
	skip
#endif
}

/* ---- the called side ---- */

inline job_start(p, c, kind)
{
	assert(job[AT(IN(p), c)] == NONE);
	if
#ifdef NESTED
	:: kind == REQUEST_NESTS -> job[AT(IN(p), c)] = WANTS
#endif
	:: else -> job[AT(IN(p), c)] = RUNS; busy[me]++
	fi
}

inline job_cancel(p, c)
{
	if
	:: job[AT(IN(p), c)] != NONE ->
		/* not of a later call */
#ifndef EARLY_CREDIT
		assert(st[AT(IN(p), c)] == CANCELING);
#endif
#ifdef CANCEL_DROPS
		job[AT(IN(p), c)] = NONE;
		busy[me]--
#endif
	:: else
	fi
}

/* A job ends, or goes on. */
inline finish(p, c)
{
	if
	:: job[AT(IN(p), c)] == RUNS || job[AT(IN(p), c)] == ENDS ->
		job[AT(IN(p), c)] = NONE;
		busy[me]--;
		stage(p, REPLY, c)
#ifdef LIVE
	:: job[AT(IN(p), c)] == RUNS -> job[AT(IN(p), c)] = ENDS
	:: job[AT(IN(p), c)] == NONE
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
	:: kind == HOME -> stage(p, HOMED, 0)
	:: kind == HOMED -> homed(p)
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
	:: ring[IN(p)]?kind, c -> receive(p)
	:: empty(ring[IN(p)])
	fi;
#endif
	do
	:: ring[IN(p)]?kind, c -> receive(p)
	:: true -> break
	od
#ifdef CANCEL_APART
	;
	do
	:: apart[IN(p)]?kind, c -> receive(p)
	:: empty(apart[IN(p)]) -> break
	od
#endif
}

/* ---- a turn ---- */

inline drain_all()
{
	p = 0;
	do
	:: p < WAYS -> drain(p); p++
	:: p == WAYS -> p = 0; break
	od
}

inline tasks_run()
{
	p = 0;
	do
	:: p < WAYS ->
		c = 0;
		do
		:: c < W -> finish(p, c); call(p, c); c++
		:: c == W -> c = 0; break
		od;
		if
		:: CAN_FREE(p) -> free(p)
		:: true
		fi;
		p++
	:: p == WAYS -> p = 0; break
	od
}

/* peer_flush(): all that is staged for a shard at once */
inline flush(p)
{
#ifdef PUSH_WAITS
	do
	:: nempty(out[OUT(p)]) && nfull(ring[OUT(p)]) ->
		d_step { out[OUT(p)]?kind, c; ring[OUT(p)]!kind, c; kind = 0; c = 0 }
	:: empty(out[OUT(p)]) -> break
	od
#else
	d_step {
		assert(len(ring[OUT(p)]) + len(out[OUT(p)]) <= SLOTS);
		do
		:: nempty(out[OUT(p)]) ->
			out[OUT(p)]?kind, c;
			if
#ifdef CANCEL_APART
			:: kind == CANCEL -> apart[OUT(p)]!kind, c
#endif
			:: else -> ring[OUT(p)]!kind, c
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
	:: p < WAYS - 1 -> p++
	:: true -> break
	od;
	do
	:: c < W - 1 -> c++
	:: true -> break
	od;
	if
	:: nempty(ring[IN(p)]) ->
		c = 0;
		ring[IN(p)]?kind, c;
		receive(p)
	:: job[AT(IN(p), c)] == RUNS ->
		job[AT(IN(p), c)] = NONE;
		busy[me]--;
		stage(p, REPLY, c)
	:: CAN_START(p, c) -> start(p, c, REQUEST)
	:: CAN_CANCEL(p, c) -> cancel(p, c)
	:: CAN_FREE(p) -> free(p)
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
	:: p < WAYS && empty(out[OUT(p)]) -> p++
	:: p == WAYS || nempty(out[OUT(p)]) -> break
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
		:: p == WAYS -> p = 0	/* nothing to send: the turn is over */
		:: else -> p++
		fi
	   }
	:: atomic {
		/* mesh_flush(): the others may run before, and between two pushes */
		p > 0 -> p--;
		flush(p);
		dirty();
		if
		:: p == WAYS -> p = 0
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
			busy[i] = W * LANES;
#else
			busy[i] = (N - 1) * W * LANES;
#endif
#ifdef HOMING
			busy[i] = busy[i] + N - 1;
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
