/* SPDX-License-Identifier: MIT */
/*
 * A timer that follows the CPU time of the calling thread and signals that
 * thread; -ENOSYS where there is none. One that sleeps is never signaled, and
 * going to sleep and waking up costs no more than before.
 */
#ifndef SMP_STALL_TIMER_H
#define SMP_STALL_TIMER_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id	_sigev_un._tid
#endif

static inline int stall_timer_open(timer_t *timer, int sig, int64_t period_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };
	struct itimerspec spec = {
		.it_value = { period_ns / 1000000000, period_ns % 1000000000 },
		.it_interval = { period_ns / 1000000000, period_ns % 1000000000 },
	};

	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, timer))
		return -errno;
	return timer_settime(*timer, 0, &spec, NULL) ? -errno : 0;
}

static inline void stall_timer_close(timer_t timer)
{
	timer_delete(timer);
}

#else

static inline int stall_timer_open(timer_t *timer, int sig, int64_t period_ns)
{
	return -ENOSYS;
}

static inline void stall_timer_close(timer_t timer)
{
}

#endif

#endif
