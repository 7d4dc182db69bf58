/* SPDX-License-Identifier: MIT */
/*
 * Sleep and wake between shards: no message lies in the inbox of a shard that
 * sleeps and that nobody wakes. Run by scripts/check-models-spin.
 *
 * What stands for what:
 *	sender(i)	tasks_run() and mesh_flush_slow() of smp/mesh.c on another
 *			shard: push to the inbox, wake_look(), wake_claim(),
 *			backend_wake(); one or two messages with one fence
 *	sleeper		core/reactor.c: backend_turn(0) and mesh_drain() of
 *			reactor_turn(), then idle_park(): wake_announce(), queue_empty(),
 *			the wait in the kernel, wake_cancel()
 *	event		the wake-up: an eventfd with a poll, or a CQE of MSG_RING. It
 *			persists: one that comes before the wait ends the wait
 *	sb[], commit()	the store buffers of x86-TSO: a store goes there, in order, and
 *			reaches memory at any later time. A fence waits until the own
 *			one is empty; a locked instruction waits, too, then acts on
 *			memory. Nobody here loads what it stored itself and did not
 *			fence, so loads need not look into the own buffer
 *	queue		smp/spsc.c: a slot that says that it is full, then the bell of
 *			its sender; queue_empty() looks at the last sender's slot, then
 *			at bells, then at slots. With -DMPSC smp/mpsc.c: a place is
 *			reserved by a locked add, then filled; the receiver stops at one
 *			that is reserved and not filled
 *
 * Left out: what a message holds; full queues (see credits.pml); lanes, as the
 * second inbox is only one more place to look at; idle_spin(), which is more
 * turns of the loop; timers; that the sleeper may send (mesh_sleep() refuses
 * then); orders weaker than TSO, which the relacy check of the same files does.
 *
 * Verified: no state without successor but the end, where all is handled; no
 * wake-up is paid twice for one sleep; each message is handled, under weak
 * fairness (ltl).
 *
 * -D SENDERS=1..2 MSGS=n: how many, and how many messages each sends.
 * -D takes something away; the check must then fail:
 *	NO_SENDER_FENCE NO_SLEEPER_FENCE	wake_look(), wake_announce() without
 *	SENDER_FENCE_EARLY	it comes before the push
 *	SLEEPER_FENCE_LATE	it comes after the look at the inbox
 *	NO_RECHECK		no look at the inbox after the announcement
 *	NO_EXCHANGE		wake_claim() loads and stores
 *	NO_WAKE			claimed, and the wake-up forgotten
 *	NO_PERSISTENCE		a wake-up without anybody who waits is lost
 */
#ifndef SENDERS
#define SENDERS	1
#endif
#ifndef MSGS
#define MSGS	2
#endif
#define TOTAL	(SENDERS * MSGS)

/* addresses */
#define ASLEEP	0
#define SLOT(i)	(1 + (i))
#ifdef MPSC
#define SLOTS	TOTAL		/* 1: filled */
#define WORDS	(1 + SLOTS)
#else
#define SLOTS	SENDERS		/* how many of this sender's are filled */
#define RUNG(i)	(1 + SENDERS + (i))
#define WORDS	(1 + 2 * SENDERS)
#endif

#define CPUS	(SENDERS + 1)	/* the last is the sleeper's */
#define ME	SENDERS
#define SB_SIZE	6

byte mem[WORDS];
chan sb[CPUS] = [SB_SIZE] of { byte, byte };
bool event;
byte tail;			/* MPSC: places reserved */

/* ghosts */
byte pushed, handled;
byte claims;			/* of this sleep */
bool waiting;

#define store(cpu, a, v)	sb[cpu]!a, v
#define fence(cpu)		(empty(sb[cpu]))

proctype commit(byte cpu)
{
	byte a, v;

end:	do
	:: d_step {
		sb[cpu]?a, v;
		mem[a] = v;
		if
		:: a == ASLEEP && v == 1 -> claims = 0
		:: else
		fi;
		a = 0;
		v = 0
	   }
	od
}

inline push(i)
{
#ifdef MPSC
	/* locked add: the own buffer is empty, then the place is ours */
	d_step { empty(sb[i]) -> place = tail; tail++ };
	d_step { store(i, SLOT(place), 1); pushed++ };
	place = 0
#else
	d_step { n++; store(i, SLOT(i), n); pushed++ };
	store(i, RUNG(i), n)
#endif
}

/* backend_wake(): a system call, after the exchange has emptied the buffer */
inline kick()
{
	d_step {
		if
#if defined(NO_WAKE)
#elif defined(NO_PERSISTENCE)
		:: waiting -> event = true
#else
		:: !event -> event = true
#endif
		:: else
		fi
	}
}

inline wake_claim_and_wake(i)
{
	if
	:: mem[ASLEEP] == 0			/* a load of its own */
	:: mem[ASLEEP] == 1 ->
#ifdef NO_EXCHANGE
		d_step { store(i, ASLEEP, 0); claims++; assert(claims <= 1) };
		kick()
#else
		d_step {
			empty(sb[i]) ->
			won = mem[ASLEEP];
			mem[ASLEEP] = 0;
			claims = claims + won;
			assert(claims <= 1)
		};
		if
		:: won -> won = 0; kick()
		:: else
		fi
#endif
	fi
}

proctype sender(byte i)
{
	byte sent;
#ifdef MPSC
	byte place;
#else
	byte n;
#endif
	bit won;

	do
	:: sent < MSGS ->
#ifdef SENDER_FENCE_EARLY
		fence(i);
#endif
		push(i);
		sent++;
		if			/* mesh_flush_slow(): all of a turn, one fence */
		:: sent < MSGS -> push(i); sent++
		:: true
		fi;
#if !defined(NO_SENDER_FENCE) && !defined(SENDER_FENCE_EARLY)
		fence(i);
#endif
		wake_claim_and_wake(i)
	:: else -> break
	od
}

#ifdef MPSC
inline drain()
{
	do
	:: handled < TOTAL && mem[SLOT(handled)] == 1 -> handled++
	:: handled == TOTAL || mem[SLOT(handled)] == 0 -> break
	od
}

inline look()
{
	quiet = (handled == TOTAL || mem[SLOT(handled)] == 0)
}
#else
inline take(s)
{
	do
	:: mem[SLOT(s)] > head[s] ->
		d_step { head[s]++; handled++; last = s }
	:: mem[SLOT(s)] == head[s] -> break
	od
}

inline drain()
{
	take(last);			/* the favour: without a look at the bell */
	s = 0;
	do
	:: s < SENDERS && mem[RUNG(s)] != head[s] -> take(s); s++
	:: s < SENDERS && mem[RUNG(s)] == head[s] -> s++
	:: s == SENDERS -> s = 0; break
	od
}

inline look()
{
	quiet = (mem[SLOT(last)] == head[last]);
	s = 0;
	do
	:: s < SENDERS && quiet && mem[RUNG(s)] != head[s] ->
		quiet = (mem[SLOT(s)] == head[s]); s++
	:: s < SENDERS && (!quiet || mem[RUNG(s)] == head[s]) -> s++
	:: s == SENDERS -> s = 0; break
	od
}
#endif

active proctype sleeper()
{
	byte before;
	bool quiet;
#ifndef MPSC
	byte s, last, head[SENDERS];
#endif

	atomic {
		byte i = 0;
		do
		:: i < SENDERS -> run sender(i); run commit(i); i++
		:: else -> run commit(ME); i = 0; break
		od
	};
	do
	:: handled == TOTAL -> break
	:: handled < TOTAL ->
		event = false;		/* reactor_turn(): backend_turn(0) takes it */
		before = handled;
		drain();
		if
		:: handled > before	/* busy: the next turn */
		:: else ->
			/* idle_park(): mesh_sleep() */
			store(ME, ASLEEP, 1);
#if !defined(NO_SLEEPER_FENCE) && !defined(SLEEPER_FENCE_LATE)
			fence(ME);
#endif
#ifdef NO_RECHECK
			quiet = true;
#else
			look();
#endif
#ifdef SLEEPER_FENCE_LATE
			fence(ME);
#endif
			if
			:: quiet ->
				waiting = true;
				d_step { event -> event = false; waiting = false }
			:: else
			fi;
			quiet = false;
			store(ME, ASLEEP, 0)	/* mesh_awake() */
		fi;
		before = 0
	od
}

ltl handled_all { [] (pushed > handled -> <> (handled == pushed)) }
