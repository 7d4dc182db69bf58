/* SPDX-License-Identifier: MIT */
/*
 * Signals, as results of waiting. They belong to the process, so they are for
 * fibers of shard 0; from another shard, mn_call(0, ...) one that waits there.
 *
 * A signal is caught while something waits for it, or has a stream of it
 * open, and not before or after: then it does what it did, be that the default
 * or a handler that the program has installed. That handler is not called
 * while the signal is caught here, and one that the program installs in the
 * middle of that stays. Nothing of the program runs in a signal handler.
 *
 * All who wait for a signal get it. Signals of one number that came before
 * somebody looked are one, with a count: how often the handler ran, which for
 * those below SIGRTMIN may be less often than they were sent.
 *
 * mn_run() has SIGPIPE ignored, unless it has a handler. SIGTERM and SIGINT
 * are caught by mn_stop_wait() and what uses it (mn_serve()): there the second
 * one ends the process, unless a stream of it is open, which gets every one.
 */
#ifndef MINISS_SIGNAL_H
#define MINISS_SIGNAL_H

#include <miniss/task.h>

#define MN_SIGNALS	64

/* A set of signals is made of these: MN_SIGNAL(SIGHUP) | MN_SIGNAL(SIGUSR1) */
#define MN_SIGNAL(number)	(UINT64_C(1) << ((number) - 1))

struct mn_signal {
	int number;
	uint32_t count;			/* >= 1 */
};

/* A stream of signals. The caller's, who keeps it until it is closed. */
struct mn_signals {
	uint64_t set;
	/* the runtime's */
	uint64_t came;
	struct mn_signals *next, **pprev;
	struct mn_task *waiter;
	uint32_t count[MN_SIGNALS];
};

/**
 * mn_signals_open - from now on these signals come to the stream
 * @signals: raw memory
 * @set: not empty; not SIGKILL, SIGSTOP, a fault (SIGSEGV, SIGBUS, SIGFPE,
 *	SIGILL, SIGTRAP, SIGABRT), or what the C library keeps for itself
 *
 * From a fiber or task of shard 0. Does not suspend.
 *
 * Return: 0; -EINVAL for the set; -EXDEV on another shard; -EBUSY if another
 * world of the process catches signals; -ESHUTDOWN when the program has
 * stopped; -EMFILE.
 */
MN_API int mn_signals_open(struct mn_signals *signals, uint64_t set);

/**
 * mn_signals_next - the next signal; of several, the lowest number
 * @signal: what it is
 *
 * From a fiber, one at a time; suspends while there is none.
 *
 * Return: 0, or -ECANCELED; what came and was not taken stays.
 */
MN_API int mn_signals_next(struct mn_signals *signals, struct mn_signal *signal);

/**
 * mn_signals_next_timeout - the same, but not for ever
 * @timeout_ns: from now; <= 0 looks without waiting
 *
 * Return: 0, -ETIMEDOUT or -ECANCELED.
 */
MN_API int mn_signals_next_timeout(struct mn_signals *signals, struct mn_signal *signal,
				   int64_t timeout_ns);

/**
 * mn_signals_close - no longer; what nobody else waits for does what it did
 * @signals: opened; nobody waits for its next. What came and was not taken is lost
 *
 * On shard 0. Does not suspend.
 */
MN_API void mn_signals_close(struct mn_signals *signals);

/**
 * mn_signal_wait - suspend until one of these signals comes
 * @set: as for mn_signals_open()
 *
 * For the one time: between two waits the signals are not caught. To have all
 * of them, open a stream.
 *
 * Return: its number; -ECANCELED, or as mn_signals_open().
 */
MN_API int mn_signal_wait(uint64_t set);

/** mn_signal_wait_timeout - the same for @timeout_ns at most: -ETIMEDOUT */
MN_API int mn_signal_wait_timeout(uint64_t set, int64_t timeout_ns);

#endif
