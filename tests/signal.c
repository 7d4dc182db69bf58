// SPDX-License-Identifier: MIT
/*
 * Waiting for signals and streams of them; every case on every backend, with
 * 1 and 2 shards. Over mem they are raised by hand, elsewhere they are sent.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <miniss/run.h>
#include <miniss/signal.h>
#include <miniss/smp.h>

#include "tests/run.h"
#include "tests/suites.h"
#include "tests/world.h"

#define NR_SHARDS 2 /* at most */

static int nr_worlds(void)
{
	return nr_backends() * NR_SHARDS;
}

/* The loop variable counts combinations of backend and number of shards. */
static void run(int i, mn_fiber_fn fn)
{
	int ret;

	signal(SIGTERM, SIG_DFL); /* Check has handlers for both */
	signal(SIGINT, SIG_DFL);
	ret = run_backend(i / NR_SHARDS, (unsigned int)(i % NR_SHARDS) + 1, fn, NULL);
	ck_assert_msg(ret == 0 || ret == RUN_SKIPPED, "%d", ret);
}

static bool is_mem(void)
{
	return IS_ENABLED(CONFIG_BACKEND_MEM) && world_is(mn_self->world, "mem");
}

/* To the process, as from outside; only shard 0's thread lets them in. */
static void send_signal(int number)
{
	if (is_mem())
		mem_raise(mn_self->world, number);
	else
		kill(getpid(), number);
}

static bool is_caught(int number)
{
	struct sigaction act;

	sigaction(number, NULL, &act);
	return is_mem() || (act.sa_handler != SIG_DFL && act.sa_handler != SIG_IGN);
}

static bool is_default(int number)
{
	struct sigaction act;

	sigaction(number, NULL, &act);
	return act.sa_handler == SIG_DFL;
}

/* --- waiting --- */

struct waiter {
	struct mn_fiber *fiber;
	uint64_t set;
	int64_t timeout_ns;
};

static int wait_fiber(void *arg)
{
	const struct waiter *w = arg;

	return w->timeout_ns ? mn_signal_wait_timeout(w->set, w->timeout_ns) :
			       mn_signal_wait(w->set);
}

static void start(struct waiter *w, uint64_t set, int64_t timeout_ns)
{
	*w = (struct waiter){ .set = set, .timeout_ns = timeout_ns };
	ck_assert_int_eq(mn_spawn(wait_fiber, w, &w->fiber), 0);
	mn_yield();
}

static int wait_for_one(void *arg)
{
	struct waiter w[3];

	start(&w[0], MN_SIGNAL(SIGUSR1), 0);
	start(&w[1], MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGUSR2), 0);
	start(&w[2], MN_SIGNAL(SIGUSR2), 0);
	send_signal(SIGUSR1);
	ck_assert_int_eq(mn_join(w[0].fiber), SIGUSR1);
	ck_assert_int_eq(mn_join(w[1].fiber), SIGUSR1);
	ck_assert(is_mem() || is_default(SIGUSR1));
	ck_assert(is_caught(SIGUSR2));
	send_signal(SIGUSR2);
	ck_assert_int_eq(mn_join(w[2].fiber), SIGUSR2);
	ck_assert(is_mem() || is_default(SIGUSR2));
	return 0;
}

START_TEST(all_who_wait_for_a_signal_get_it)
{
	run(_i, wait_for_one);
}
END_TEST

static int end_waits(void *arg)
{
	struct mn_signals signals;
	struct mn_signal signal;
	struct waiter w;

	for (int64_t timeout_ns = 0; timeout_ns <= 3600 * MN_SEC; timeout_ns += 3600 * MN_SEC) {
		ck_assert_int_eq(mn_spawn(wait_fiber, &w, &w.fiber), 0);
		w = (struct waiter){ w.fiber, MN_SIGNAL(SIGUSR1), timeout_ns };
		mn_fiber_cancel(w.fiber); /* before it ran at all */
		ck_assert_int_eq(mn_join(w.fiber), -ECANCELED);
		start(&w, MN_SIGNAL(SIGUSR1), timeout_ns);
		mn_fiber_cancel(w.fiber);
		ck_assert_int_eq(mn_join(w.fiber), -ECANCELED);
		start(&w, MN_SIGNAL(SIGUSR1), timeout_ns);
		fiber_cancel(w.fiber, -ETIMEDOUT); /* as a scope's deadline does */
		ck_assert_int_eq(mn_join(w.fiber), -ETIMEDOUT);
	}
	ck_assert_int_eq(mn_signal_wait_timeout(MN_SIGNAL(SIGUSR1), MN_MSEC), -ETIMEDOUT);
	ck_assert_int_eq(mn_signal_wait_timeout(MN_SIGNAL(SIGUSR1), 0), -ETIMEDOUT);
	ck_assert_int_eq(mn_signal_wait_timeout(MN_SIGNAL(SIGUSR1), -1), -ETIMEDOUT);
	ck_assert(is_mem() || is_default(SIGUSR1));
	/* What came first wins, even over a time-out of nothing. */
	ck_assert_int_eq(mn_signals_open(&signals, MN_SIGNAL(SIGUSR1)), 0);
	send_signal(SIGUSR1);
	while (!signals.came)
		mn_sleep(MN_MSEC);
	ck_assert_int_eq(mn_signals_next_timeout(&signals, &signal, 0), 0);
	ck_assert_int_eq(mn_signals_next_timeout(&signals, &signal, 0), -ETIMEDOUT);
	mn_signals_close(&signals);
	return 0;
}

START_TEST(waits_end_by_cancellation_and_time_outs)
{
	run(_i, end_waits);
}
END_TEST

static int wait_refused(void *arg)
{
	struct mn_signals signals;

	ck_assert_int_eq(mn_signals_open(&signals, MN_SIGNAL(SIGUSR1)), -EXDEV);
	return mn_signal_wait(MN_SIGNAL(SIGUSR1)) == -EXDEV ? 0 : -EINVAL;
}

static int refusals(void *arg)
{
	ck_assert_int_eq(mn_signal_wait(0), -EINVAL);
	ck_assert_int_eq(mn_signal_wait(MN_SIGNAL(SIGKILL)), -EINVAL);
	ck_assert_int_eq(mn_signal_wait(MN_SIGNAL(SIGSTOP) | MN_SIGNAL(SIGHUP)), -EINVAL);
	ck_assert_int_eq(mn_signal_wait(MN_SIGNAL(SIGSEGV)), -EINVAL);
	ck_assert_int_eq(mn_signal_wait(MN_SIGNAL(32)), -EINVAL);
	ck_assert_ptr_null(mn_self->world->signals.streams);
	return mn_shards() > 1 ? mn_call(1, wait_refused, NULL) : 0;
}

START_TEST(bad_sets_and_other_shards_are_refused)
{
	run(_i, refusals);
}
END_TEST

static int wait_there(void *arg)
{
	return mn_signal_wait(MN_SIGNAL(SIGUSR1));
}

static int wait_from_here(void *arg)
{
	const struct mn_call_options limit = { .timeout_ns = MN_MSEC };

	ck_assert_int_eq(mn_call_with(0, wait_there, NULL, &limit), -ETIMEDOUT);
	*(_Atomic(bool) *)arg = true;
	return mn_call(0, wait_there, NULL);
}

static int call_waits(void *arg)
{
	_Atomic(bool) limit_over = false;
	struct mn_call call;

	ck_assert_int_eq(mn_call_start(&call, mn_shards() - 1, wait_from_here, &limit_over), 0);
	for (int64_t ms = 10; !mn_future_ready(&call.done); ms = min(2 * ms, 1000)) {
		mn_sleep(ms * MN_MSEC);
		if (limit_over && mn_self->world->signals.streams)
			send_signal(SIGUSR1);
	}
	ck_assert_int_eq((int)mn_future_take(&call.done), SIGUSR1);
	return 0;
}

START_TEST(other_shards_wait_by_a_call)
{
	run(_i, call_waits);
}
END_TEST

/* --- streams --- */

static int stream_fiber(void *arg)
{
	struct mn_signals one, both;
	struct mn_signal signal;

	ck_assert_int_eq(mn_signals_open(&one, MN_SIGNAL(SIGHUP)), 0);
	ck_assert_int_eq(mn_signals_open(&both, MN_SIGNAL(SIGHUP) | MN_SIGNAL(SIGUSR1)), 0);
	for (uint32_t round = 1; round < 20; round++) {
		/* One at a time, so that the kernel does not merge them. */
		for (uint32_t i = 0; i < round; i++) {
			send_signal(SIGUSR1);
			send_signal(SIGHUP);
		}
		while (one.count[SIGHUP - 1] < round)
			mn_sleep(MN_USEC);
		ck_assert_int_eq(mn_signals_next(&one, &signal), 0);
		ck_assert(signal.number == SIGHUP && signal.count == round);
		ck_assert_int_eq(mn_signals_next_timeout(&one, &signal, 0), -ETIMEDOUT);
		ck_assert_int_eq(mn_signals_next(&both, &signal), 0);
		ck_assert(signal.number == SIGHUP && signal.count == round);
		ck_assert_int_eq(mn_signals_next(&both, &signal), 0);
		ck_assert(signal.number == SIGUSR1 && signal.count == round);
		ck_assert_int_eq(mn_signals_next_timeout(&both, &signal, 0), -ETIMEDOUT);
	}
	mn_signals_close(&both);
	ck_assert(is_mem() || (is_default(SIGUSR1) && is_caught(SIGHUP)));
	mn_signals_close(&one);
	ck_assert(is_mem() || is_default(SIGHUP));
	return 0;
}

START_TEST(streams_get_every_signal_with_its_count)
{
	run(_i, stream_fiber);
}
END_TEST

/* The set changes all the time while signals come: none is missed, none ends the process. */
static int churn(void *arg)
{
	while (!mn_fiber_canceled()) {
		mn_signal_wait_timeout(MN_SIGNAL(SIGUSR2) | MN_SIGNAL(SIGUSR1), 1);
		mn_yield();
	}
	return 0;
}

static int steady_fiber(void *arg)
{
	enum { N = 500 };
	struct mn_signals signals;
	struct mn_signal signal;
	struct mn_fiber *fiber;
	uint32_t n = 0;

	ck_assert_int_eq(mn_signals_open(&signals, MN_SIGNAL(SIGUSR1)), 0);
	ck_assert_int_eq(mn_spawn(churn, NULL, &fiber), 0);
	for (int i = 0; i < N; i++) {
		send_signal(SIGUSR1);
		mn_yield();
	}
	while (n < N) {
		ck_assert_int_eq(mn_signals_next(&signals, &signal), 0);
		ck_assert_int_eq(signal.number, SIGUSR1);
		n += signal.count;
	}
	ck_assert_uint_eq(n, N);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), 0);
	mn_signals_close(&signals);
	return 0;
}

START_TEST(a_stream_misses_nothing_while_others_come_and_go)
{
	run(_i, steady_fiber);
}
END_TEST

/* --- the program's own handlers --- */

static volatile sig_atomic_t nr_handled;

static void handle(int number)
{
	nr_handled++;
}

static int handler_fiber(void *arg)
{
	struct mn_signals signals;
	struct mn_signal got;

	if (is_mem())
		return 0;
	nr_handled = 0;
	kill(getpid(), SIGUSR1);
	ck_assert_int_eq(nr_handled, 1);
	ck_assert_int_eq(mn_signals_open(&signals, MN_SIGNAL(SIGUSR1)), 0);
	kill(getpid(), SIGUSR1);
	ck_assert_int_eq(mn_signals_next(&signals, &got), 0);
	ck_assert_int_eq(nr_handled, 1); /* it was ours alone */
	mn_signals_close(&signals);
	kill(getpid(), SIGUSR1);
	ck_assert_int_eq(nr_handled, 2);
	/* One is left open: the end of the world gives it back. */
	static struct mn_signals left;

	return mn_signals_open(&left, MN_SIGNAL(SIGUSR1));
}

START_TEST(handlers_of_the_program_are_back_afterwards)
{
	signal(SIGUSR1, handle);
	run(_i, handler_fiber);
	nr_handled = 0;
	raise(SIGUSR1);
	ck_assert_int_eq(nr_handled, 1);
}
END_TEST

/* --- with the stop --- */

static int stop_waiter(void *arg)
{
	return mn_stop_wait();
}

static int stop_alone(void *arg)
{
	struct mn_fiber *fiber;

	ck_assert_int_eq(mn_spawn(stop_waiter, NULL, &fiber), 0);
	mn_yield();
	ck_assert(is_caught(SIGTERM) && is_caught(SIGINT));
	if (!is_mem()) {
		kill(getpid(), SIGINT);
		/* At once: this shard has not been in its reactor. */
		ck_assert(is_default(SIGTERM) && is_default(SIGINT));
	} else {
		send_signal(SIGINT);
	}
	ck_assert_int_eq(mn_join(fiber), 0);
	return 0;
}

START_TEST(a_stop_takes_one_signal)
{
	run(_i, stop_alone);
}
END_TEST

static int stop_and_stream(void *arg)
{
	struct mn_signals signals;
	struct mn_fiber *fiber;
	struct mn_signal got;

	ck_assert_int_eq(mn_spawn(stop_waiter, NULL, &fiber), 0);
	ck_assert_int_eq(mn_signals_open(&signals, MN_SIGNAL(SIGTERM)), 0);
	mn_yield();
	send_signal(SIGTERM);
	ck_assert_int_eq(mn_signals_next(&signals, &got), 0);
	ck_assert_int_eq(got.number, SIGTERM);
	ck_assert_int_eq(mn_join(fiber), 0);
	ck_assert(is_caught(SIGTERM) && (is_mem() || is_default(SIGINT)));
	for (int i = 0; i < 3; i++) { /* who has the stream has every one */
		send_signal(SIGTERM);
		ck_assert_int_eq(mn_signals_next(&signals, &got), 0);
		ck_assert(got.number == SIGTERM && got.count == 1);
	}
	mn_signals_close(&signals);
	ck_assert(is_mem() || is_default(SIGTERM));
	ck_assert_int_eq(mn_stop_wait(), 0);
	return 0;
}

START_TEST(a_stop_and_a_stream_both_get_it)
{
	run(_i, stop_and_stream);
}
END_TEST

static int leave_streams(void *arg)
{
	struct mn_signals signals;
	struct mn_signal got;
	int err = mn_signals_open(&signals, MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGTERM));

	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(mn_signals_next(&signals, &got), -ECANCELED);
	mn_signals_close(&signals);
	return 0;
}

static int leave_fiber(void *arg)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_spawn(leave_streams, NULL, NULL), 0);
	mn_yield();
	return 0;
}

START_TEST(streams_that_are_open_at_the_end_are_cancelled)
{
	run(_i, leave_fiber);
	ck_assert(is_default(SIGUSR1) && is_default(SIGTERM));
}
END_TEST

/* --- SIGPIPE --- */

static int pipe_fiber(void *arg)
{
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	close(fd[0]);
	nr_handled = 0;
	ck_assert(write(fd[1], "x", 1) == -1 && errno == EPIPE);
	close(fd[1]);
	return 0;
}

START_TEST(sigpipe_is_ignored_while_the_program_runs)
{
	char *argv[] = { "test", NULL };
	int ret;

	/* Check's own may be ignored. */
	signal(SIGPIPE, SIG_DFL);
	ret = mn_run(1, argv, pipe_fiber, NULL);
	ck_assert_int_eq(ret, 0);
	ck_assert(is_default(SIGPIPE));
	signal(SIGPIPE, handle);
	ret = mn_run(1, argv, pipe_fiber, NULL);
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(nr_handled, 1);
}
END_TEST

Suite *suite_signals(void)
{
	Suite *suite = suite_create("signals");
	TCase *tc = tcase_create("signals");
	int n = nr_worlds();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, all_who_wait_for_a_signal_get_it, 0, n);
	tcase_add_loop_test(tc, waits_end_by_cancellation_and_time_outs, 0, n);
	tcase_add_loop_test(tc, bad_sets_and_other_shards_are_refused, 0, n);
	tcase_add_loop_test(tc, other_shards_wait_by_a_call, 0, n);
	tcase_add_loop_test(tc, streams_get_every_signal_with_its_count, 0, n);
	tcase_add_loop_test(tc, a_stream_misses_nothing_while_others_come_and_go, 0, n);
	tcase_add_loop_test(tc, handlers_of_the_program_are_back_afterwards, 0, n);
	tcase_add_loop_test(tc, a_stop_takes_one_signal, 0, n);
	tcase_add_loop_test(tc, a_stop_and_a_stream_both_get_it, 0, n);
	tcase_add_loop_test(tc, streams_that_are_open_at_the_end_are_cancelled, 0, n);
	tcase_add_test(tc, sigpipe_is_ignored_while_the_program_runs);
	suite_add_tcase(suite, tc);
	return suite;
}
