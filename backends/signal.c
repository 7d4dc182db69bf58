// SPDX-License-Identifier: MIT
/*
 * Signals belong to the process, and their handler has no argument: so here
 * is state of the process, in a tree that has none elsewhere.
 *
 * The handler counts the signal and writes a byte to a pipe, which is all
 * that it may do. Counts cannot overflow a pipe, and merge what nobody has
 * fetched yet. It may run on any thread that does not block the signal, late
 * and while the pipe is being closed: who closes takes the descriptor away
 * first, then waits for the handlers that may have seen it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "backends/inline.h"
#include "backends/platform.h"

#define BIT(sig)	(UINT64_C(1) << ((sig) - 1))

/* Faults are those of one instruction, and the kernel lets nobody catch the other two. */
#define NOT_TO_CATCH                                                                         \
	(BIT(SIGKILL) | BIT(SIGSTOP) | BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | \
	 BIT(SIGTRAP) | BIT(SIGABRT))

#define for_each_signal(sig, set)               \
	for ((sig) = 1; (sig) <= SIGNALS; (sig)++) \
		if ((set) & BIT(sig))

/* between handlers and the shard */
static _Atomic uint32_t came[SIGNALS];
static _Atomic uint64_t once; /* the first one of these gives them all back */
static _Atomic uint64_t gone; /* those that were given back so */
static _Atomic int write_fd = -1;
static _Atomic int nr_inside; /* handlers that may be using it */

/* the shard's; a handler reads @before of what is caught */
static struct sigaction before[SIGNALS];
static uint64_t caught;
static uint64_t unblocked; /* those that this thread had blocked */
static const void *owner;
static int read_fd = -1;
static bool reading; /* an operation polls it */

/*
 * Back to what they did before, but for ignoring: who sends a second signal
 * to what hangs means it.
 */
static void step_aside(uint64_t set)
{
	int sig;

	for_each_signal(sig, set)
	{
		struct sigaction act = before[sig - 1];

		if (act.sa_handler == SIG_IGN)
			act.sa_handler = SIG_DFL;
		sigaction(sig, &act, NULL);
	}
	atomic_fetch_or(&gone, set);
}

static void on_signal(int sig)
{
	int saved = errno, fd;
	uint64_t last = atomic_load(&once);
	uint8_t byte = 0;

	atomic_fetch_add(&nr_inside, 1);
	atomic_fetch_add(&came[sig - 1], 1);
	if (last & BIT(sig))
		step_aside(last);
	fd = atomic_load(&write_fd);
	if (fd >= 0)
		(void)!write(fd, &byte, 1); /* a full pipe wakes as well */
	atomic_fetch_sub(&nr_inside, 1);
	errno = saved;
}

static int pipe_open(void)
{
	int fd[2], err;

	if (read_fd >= 0)
		return 0;
	if (pipe(fd))
		return -errno;
	err = platform_fd_flags(fd[0], true);
	if (!err)
		err = platform_fd_flags(fd[1], true);
	if (err) {
		close(fd[0]);
		close(fd[1]);
		return err;
	}
	read_fd = fd[0];
	atomic_store(&write_fd, fd[1]);
	return 0;
}

static void pipe_close(void)
{
	int fd;

	if (read_fd < 0 || caught || reading)
		return;
	fd = atomic_exchange(&write_fd, -1);
	while (atomic_load(&nr_inside))
		sched_yield();
	close(fd);
	close(read_fd);
	read_fd = -1;
	owner = NULL;
}

/* Somebody may have installed one of his own meanwhile: then that stays. */
static void give_back(uint64_t set)
{
	struct sigaction act;
	int sig;

	for_each_signal(sig, set)
	{
		sigaction(sig, NULL, &act);
		/* What a second signal should not meet is ignored again now. */
		if (act.sa_handler == on_signal ||
		    (atomic_load(&gone) & BIT(sig) && act.sa_handler == SIG_DFL))
			sigaction(sig, &before[sig - 1], NULL);
		atomic_store(&came[sig - 1], 0);
	}
	atomic_fetch_and(&gone, ~set);
}

static void take_over(uint64_t set)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int sig;

	sigfillset(&act.sa_mask); /* the handler is not interrupted by another */
	for_each_signal(sig, set)
	{
		if (!(caught & BIT(sig)))
			sigaction(sig, NULL, &before[sig - 1]);
		sigaction(sig, &act, NULL);
	}
	atomic_fetch_and(&gone, ~set);
}

/* A program may have been started with signals blocked: who waits for one wants it. */
static void unblock(uint64_t set)
{
	uint64_t blocked = 0;
	sigset_t mask, old;
	int sig;

	sigemptyset(&mask);
	for_each_signal(sig, set) sigaddset(&mask, sig);
	pthread_sigmask(SIG_UNBLOCK, &mask, &old);
	for_each_signal(sig, set) if (sigismember(&old, sig)) blocked |= BIT(sig);
	unblocked |= blocked;
}

static void block_again(uint64_t set)
{
	sigset_t mask;
	int sig;

	set &= unblocked;
	if (!set)
		return;
	sigemptyset(&mask);
	for_each_signal(sig, set) sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	unblocked &= ~set;
}

int signal_check(uint64_t set)
{
	struct sigaction act;
	int sig;

	if (set & NOT_TO_CATCH)
		return -EINVAL;
	for_each_signal(sig, set) if (sigaction(sig, NULL, &act)) /* the C library's own */
			return -EINVAL;
	return 0;
}

int signal_catch(const void *who, uint64_t set, uint64_t set_once)
{
	uint64_t fresh, last;
	int err = signal_check(set);

	if (err)
		return err;
	if (owner && owner != who)
		return set ? -EBUSY : 0;
	if (set) {
		err = pipe_open();
		if (err)
			return err;
		owner = who;
	}
	/* No handler gives anything back from here on to the end. */
	atomic_store(&once, 0);
	last = caught & ~set;
	block_again(last);
	give_back(last);
	fresh = set & (~caught | atomic_load(&gone));
	take_over(fresh);
	caught = set;
	atomic_store(&once, set & set_once);
	unblock(fresh);
	pipe_close();
	return 0;
}

int signal_begin(void)
{
	if (read_fd < 0)
		return -EINVAL;
	if (reading)
		return -EBUSY;
	reading = true;
	return read_fd;
}

void signal_end(void)
{
	reading = false;
	pipe_close();
}

int64_t signal_take(uint32_t *counts)
{
	uint8_t bytes[64];
	int64_t n = 0;
	int sig;

	/* First the pipe: what comes after that is counted now, or writes again. */
	(void)!read(read_fd, bytes, sizeof(bytes));
	for_each_signal(sig, caught)
	{
		uint32_t nr = atomic_exchange(&came[sig - 1], 0);

		counts[sig - 1] += nr;
		n += nr;
	}
	return n ? n : -EAGAIN;
}
