/* SPDX-License-Identifier: MIT */
/* Threads, and waiting in those that are not shards. For smp/ alone. */
#ifndef SMP_THREAD_H
#define SMP_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

/* thread_start - a thread that blocks all signals but its own faults; 0 or -errno */
int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

/* thread_name - name the calling thread; at most 15 characters */
void thread_name(const char *name);

/* thread_cond_init - a condition variable that thread_wait() can wait for */
void thread_cond_init(pthread_cond_t *cond);

/*
 * thread_wait - wait for a condition; false: it is later than @deadline_ns
 * On the clock of clock_now_ns(); MN_NEVER: no deadline. It may return without
 * a reason, and may return false though the condition has come: look.
 */
bool thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns);

/* thread_sem_wait - the same for a semaphore; it may return without a reason, too */
void thread_sem_wait(sem_t *sem, int64_t deadline_ns);

/* thread_pause - do nothing for a while, or until a signal comes */
void thread_pause(int64_t ns);

/* thread_stack_high - the end of the calling thread's stack; 0: unknown */
uintptr_t thread_stack_high(void);

/* thread_deadline - what is @timeout_ns from now; MN_NEVER if that never comes */
int64_t thread_deadline(int64_t timeout_ns);

#endif
