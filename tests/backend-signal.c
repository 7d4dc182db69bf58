// SPDX-License-Identifier: MIT
/* Backend contract: signals. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "tests/backend.h"

static uint32_t counts[MN_SIGNALS];

static bool is_mem(void)
{
	return IS_ENABLED(CONFIG_BACKEND_MEM) && world_is(mn_self->world, "mem");
}

static void send_signal(int number)
{
	if (is_mem())
		mem_raise(mn_self->world, number);
	else
		raise(number);
}

static void start_signal(struct track *t)
{
	track_init(t, MN_OP_SIGNAL, -1);
	t->op.signal.counts = counts;
	op_start(&t->op);
}

static void (*handler_of(int number))(int)
{
	struct sigaction act;

	ck_assert_int_eq(sigaction(number, NULL, &act), 0);
	return act.sa_handler;
}

static void of_somebody(int number)
{
}

BACKEND_TEST(signals_are_counted_until_somebody_looks)
{
	struct track t;

	ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGUSR2), 0), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			send_signal(SIGUSR1);
		start_signal(&t);
		ck_assert_int_eq(track_finish(&t), 5);
		ck_assert_uint_eq(counts[SIGUSR1 - 1], 5);
		start_signal(&t);
		settle();
		ck_assert_uint_eq(t.ends, 0);
		send_signal(SIGUSR2);
		ck_assert_int_eq(track_finish(&t), 1);
		ck_assert_uint_eq(counts[SIGUSR2 - 1], 1);
		counts[SIGUSR1 - 1] = counts[SIGUSR2 - 1] = 0;
	}
	ck_assert_int_eq(do_catch(0, 0), 0);
}

/* Even if this shard hung now, the next signal would be obeyed. */
BACKEND_TEST(the_first_of_some_signals_gives_all_of_them_back_at_once)
{
	uint64_t once = MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGTERM) | MN_SIGNAL(SIGINT);
	struct track t;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, of_somebody);
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(do_catch(once | MN_SIGNAL(SIGUSR2), once), 0);
		start_signal(&t);
		settle();
		send_signal(SIGUSR2);
		ck_assert(is_mem() || handler_of(SIGUSR1) != SIG_DFL);
		send_signal(SIGUSR1);
		if (!is_mem()) {
			ck_assert(handler_of(SIGUSR1) == SIG_DFL);
			ck_assert(handler_of(SIGTERM) == SIG_DFL);	/* ends it, though ignored */
			ck_assert(handler_of(SIGINT) == of_somebody);
			ck_assert(handler_of(SIGUSR2) != SIG_DFL);
		}
		ck_assert_int_eq(track_finish(&t), 2);
		ck_assert_int_eq(do_catch(0, 0), 0);
		ck_assert(handler_of(SIGTERM) == SIG_IGN);
		ck_assert(handler_of(SIGINT) == of_somebody);
		ck_assert(handler_of(SIGUSR1) == SIG_DFL && handler_of(SIGUSR2) == SIG_DFL);
	}
}

BACKEND_TEST(handlers_of_the_program_survive)
{
	struct sigaction act = { .sa_handler = of_somebody, .sa_flags = SA_NODEFER }, now;

	if (is_mem())
		return;
	sigaddset(&act.sa_mask, SIGALRM);
	sigaction(SIGUSR1, &act, NULL);
	ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR1), 0), 0);
	ck_assert(handler_of(SIGUSR1) != of_somebody);
	ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR2), 0), 0);
	sigaction(SIGUSR1, NULL, &now);
	ck_assert(now.sa_handler == of_somebody && now.sa_flags & SA_NODEFER);
	ck_assert(sigismember(&now.sa_mask, SIGALRM) && !sigismember(&now.sa_mask, SIGHUP));
	/* One that it installs meanwhile stays. */
	signal(SIGUSR2, of_somebody);
	ck_assert_int_eq(do_catch(0, 0), 0);
	ck_assert(handler_of(SIGUSR2) == of_somebody);
}

BACKEND_TEST(signals_that_the_thread_had_blocked_are_let_in)
{
	sigset_t mask, old;
	struct track t;

	if (is_mem())
		return;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR1), 0), 0);
	kill(getpid(), SIGUSR1);
	start_signal(&t);
	ck_assert_int_eq(track_finish(&t), 1);
	ck_assert_int_eq(do_catch(0, 0), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &old);
	ck_assert(sigismember(&old, SIGUSR1));
}

BACKEND_TEST(what_nobody_can_catch_is_refused)
{
	static const int bad[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, 32 };
	struct track t;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t set = MN_SIGNAL(bad[i]) | MN_SIGNAL(SIGUSR1);

		ck_assert_int_eq(do_catch(set, 0), -EINVAL);
		ck_assert(handler_of(SIGUSR1) == SIG_DFL);
	}
	if (is_mem())
		return;
	start_signal(&t);	/* none is caught */
	ck_assert_int_eq(track_finish(&t), -EINVAL);
}

/* A storm of signals from another thread, while pipes come and go. */
struct storm {
	_Atomic(bool) over;
	pthread_t target;
};

static void *raise_many(void *arg)
{
	struct storm *storm = arg;

	while (!storm->over)
		if (!pthread_kill(storm->target, SIGUSR1))
			sched_yield();
	return NULL;
}

BACKEND_TEST(catching_ends_and_begins_in_a_storm_of_signals)
{
	struct storm storm = { .target = pthread_self() };
	pthread_t thread;
	struct track t;

	if (is_mem())
		return;
	signal(SIGUSR1, SIG_IGN);
	ck_assert_int_eq(pthread_create(&thread, NULL, raise_many, &storm), 0);
	for (int i = 0; i < 300; i++) {
		ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR1), i % 2 ? MN_SIGNAL(SIGUSR2) : 0), 0);
		start_signal(&t);
		if (i % 3)
			mn_op_cancel(&t.op);
		if (i % 5)
			ck_assert_int_eq(do_catch(0, 0), 0);
		if (!(i % 3) && i % 5)
			mn_op_cancel(&t.op);
		track_finish(&t);
		ck_assert_int_eq(do_catch(0, 0), 0);
	}
	storm.over = true;
	pthread_join(thread, NULL);
	ck_assert(handler_of(SIGUSR1) == SIG_IGN);
}

TCase *tcase_backend_signal(void)
{
	TCase *tc = tcase_create("signals");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	backend_test(tc, signals_are_counted_until_somebody_looks);
	backend_test(tc, the_first_of_some_signals_gives_all_of_them_back_at_once);
	backend_test(tc, handlers_of_the_program_survive);
	backend_test(tc, signals_that_the_thread_had_blocked_are_let_in);
	backend_test(tc, what_nobody_can_catch_is_refused);
	backend_test(tc, catching_ends_and_begins_in_a_storm_of_signals);
	return tc;
}
