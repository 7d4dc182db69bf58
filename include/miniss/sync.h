/* SPDX-License-Identifier: MIT */
/*
 * Synchronisation between fibers of one shard: semaphore, mutex, read-write
 * lock, condition, gate, barrier, once. Channels are in miniss/channel.h.
 *
 * The caller embeds each object, initialises it on its shard, and uses it on
 * that shard alone. Nothing is allocated, and there are no atomics: between two
 * suspensions a fiber is alone anyway, so these are for what is held, counted
 * or awaited across one.
 *
 * Who waits, waits in line: first come, first served, and who comes later does
 * not pass. Every wait can end early, with -ECANCELED when the fiber was asked
 * to stop, or -ETIMEDOUT in the forms that take a time. What was given to a
 * fiber before that is its own: then the wait succeeds, and nothing is lost.
 * What does not have to wait does not look whether the fiber is to stop.
 *
 * Times are ns from now; MN_NEVER for no limit; <= 0 does not wait: it is
 * -ETIMEDOUT where it would have to.
 *
 * What may wait is for fibers only. The other functions may be called from
 * tasks, too. Whoever is woken goes to the run queue and does not touch the
 * object any more: it may go as soon as nobody waits in it and nobody is to
 * use it.
 */
#ifndef MINISS_SYNC_H
#define MINISS_SYNC_H

#include <miniss/waitq.h>

/* ---- semaphore ---- */

/*
 * Units that are taken and given back. One that wants many is not passed by
 * those who want few: while the first in line has to wait, so has everybody.
 */
struct mn_sem {
	uint64_t units;			/* free */
	int32_t err;			/* broken; or 0 */
	struct mn_waitq waiting;
};

/**
 * mn_sem_init - make a semaphore
 * @sem: owned by the caller
 * @units: free at first
 */
#define mn_sem_init(sem, units)	mn__sem_init(sem, units, MN__HERE)

static inline void mn__sem_init(struct mn_sem *sem, uint64_t units, const char *origin)
{
	sem->units = units;
	sem->err = 0;
	mn__waitq_init(&sem->waiting, origin);
}

/** mn_sem_destroy - the end of its life; debug builds abort if a fiber waits */
static inline void mn_sem_destroy(struct mn_sem *sem)
{
	mn__waitq_destroy(&sem->waiting);
}

MN_API int mn__sem_wait(struct mn_sem *sem, uint64_t units, int64_t timeout_ns);
MN_API void mn__sem_grant(struct mn_sem *sem);

/**
 * mn_sem_try - take units if that needs no wait
 * @units: 0 takes none, but is refused all the same while somebody waits
 *
 * Return: 0; -EAGAIN; or what the semaphore was broken with.
 */
static inline int mn_sem_try(struct mn_sem *sem, uint64_t units)
{
	mn__waitq_check(&sem->waiting);
	if (__builtin_expect(sem->units < units || sem->waiting.first || sem->err, 0))
		return sem->err ? sem->err : -EAGAIN;
	sem->units -= units;
	return 0;
}

/**
 * mn_sem_take_timeout - take units, all at once; suspends until there are as many
 *
 * Return: 0; -ECANCELED, -ETIMEDOUT, or what the semaphore was broken with:
 * then none were taken.
 */
static inline int mn_sem_take_timeout(struct mn_sem *sem, uint64_t units, int64_t timeout_ns)
{
	int err = mn_sem_try(sem, units);

	return __builtin_expect(err != -EAGAIN, 1) ? err : mn__sem_wait(sem, units, timeout_ns);
}

/** mn_sem_take - the same without a limit */
static inline int mn_sem_take(struct mn_sem *sem, uint64_t units)
{
	return mn_sem_take_timeout(sem, units, MN_NEVER);
}

/**
 * mn_sem_give - give units back, or more than there were
 *
 * Those who wait get them at once, in order, before anybody else can.
 */
static inline void mn_sem_give(struct mn_sem *sem, uint64_t units)
{
	mn__waitq_check(&sem->waiting);
	sem->units += units;
	if (__builtin_expect(sem->waiting.first != NULL, 0))
		mn__sem_grant(sem);
}

/**
 * mn_sem_break - end all waits, now and later
 * @err: a negative errno but -EAGAIN: what whoever waits, and whoever wants to
 *	take from now on, gets
 *
 * Units may still be given back.
 */
MN_API void mn_sem_break(struct mn_sem *sem, int err);

/* ---- mutex ---- */

/*
 * For what must not change across a suspension. Not recursive. It is handed
 * on: who unlocks it and wants it again stands behind those who wait.
 */
struct mn_mutex {
	bool locked;
#ifdef CONFIG_DEBUG
	struct mn_fiber *owner;
#endif
	struct mn_waitq waiting;
};

/** mn_mutex_init - make a mutex that nobody has */
#define mn_mutex_init(mutex)	mn__mutex_init(mutex, MN__HERE)

#ifdef CONFIG_DEBUG
MN_API void mn__mutex_taken(struct mn_mutex *mutex);	/* by this fiber */
MN_API void mn__mutex_check(const struct mn_mutex *mutex, bool mine);
#else
static inline void mn__mutex_taken(struct mn_mutex *mutex)
{
}

static inline void mn__mutex_check(const struct mn_mutex *mutex, bool mine)
{
}
#endif

static inline void mn__mutex_init(struct mn_mutex *mutex, const char *origin)
{
	mutex->locked = false;
	mn__waitq_init(&mutex->waiting, origin);
}

static inline void mn_mutex_destroy(struct mn_mutex *mutex)
{
	mn__waitq_destroy(&mutex->waiting);
}

MN_API int mn__mutex_wait(struct mn_mutex *mutex, int64_t timeout_ns);
MN_API void mn__mutex_pass(struct mn_mutex *mutex);

/** mn_mutex_try - lock if it is free: 0 or -EAGAIN */
static inline int mn_mutex_try(struct mn_mutex *mutex)
{
	mn__waitq_check(&mutex->waiting);
	if (__builtin_expect(mutex->locked, 0))
		return -EAGAIN;
	mutex->locked = true;
	mn__mutex_taken(mutex);
	return 0;
}

/**
 * mn_mutex_lock_timeout - lock; suspends while another fiber has it
 *
 * A fiber that has it already would wait for itself: debug builds abort.
 *
 * Return: 0; -ECANCELED, -ETIMEDOUT: then it is not ours.
 */
static inline int mn_mutex_lock_timeout(struct mn_mutex *mutex, int64_t timeout_ns)
{
	return __builtin_expect(!mn_mutex_try(mutex), 1) ? 0 : mn__mutex_wait(mutex, timeout_ns);
}

/** mn_mutex_lock - the same without a limit */
static inline int mn_mutex_lock(struct mn_mutex *mutex)
{
	return mn_mutex_lock_timeout(mutex, MN_NEVER);
}

/** mn_mutex_unlock - let the next one have it; by the fiber that locked it */
static inline void mn_mutex_unlock(struct mn_mutex *mutex)
{
	mn__waitq_check(&mutex->waiting);
	mn__mutex_check(mutex, true);
	if (__builtin_expect(mutex->waiting.first != NULL, 0))
		mn__mutex_pass(mutex);
	else
		mutex->locked = false;
}

/* ---- read-write lock ---- */

/*
 * Any number of readers, or one writer. Phases take turns: a writer that
 * waits keeps new readers out; when it is done, all readers that wait by then
 * go in together, then the next writer. So a reader waits for one writer at
 * most, a writer for those before it and one phase of readers before each.
 * Not recursive: a reader that reads again may wait for a writer that waits for it.
 */
struct mn_rwlock {
	int32_t nr_readers;		/* that have it; -1: a writer has */
	struct mn_waitq readers, writers;
};

#define mn_rwlock_init(rwlock)	mn__rwlock_init(rwlock, MN__HERE)

static inline void mn__rwlock_init(struct mn_rwlock *rwlock, const char *origin)
{
	rwlock->nr_readers = 0;
	mn__waitq_init(&rwlock->readers, origin);
	mn__waitq_init(&rwlock->writers, origin);
}

static inline void mn_rwlock_destroy(struct mn_rwlock *rwlock)
{
	mn__waitq_destroy(&rwlock->readers);
	mn__waitq_destroy(&rwlock->writers);
}

/** mn_rwlock_try_read, mn_rwlock_try_write - without a wait: 0 or -EAGAIN */
MN_API int mn_rwlock_try_read(struct mn_rwlock *rwlock);
MN_API int mn_rwlock_try_write(struct mn_rwlock *rwlock);

/**
 * mn_rwlock_read, mn_rwlock_write - lock for reading, or for writing; suspend
 *
 * Return: 0; -ECANCELED, and with a time -ETIMEDOUT.
 */
MN_API int mn_rwlock_read_timeout(struct mn_rwlock *rwlock, int64_t timeout_ns);
MN_API int mn_rwlock_write_timeout(struct mn_rwlock *rwlock, int64_t timeout_ns);

static inline int mn_rwlock_read(struct mn_rwlock *rwlock)
{
	return mn_rwlock_read_timeout(rwlock, MN_NEVER);
}

static inline int mn_rwlock_write(struct mn_rwlock *rwlock)
{
	return mn_rwlock_write_timeout(rwlock, MN_NEVER);
}

/** mn_rwlock_read_end, mn_rwlock_write_end - unlock */
MN_API void mn_rwlock_read_end(struct mn_rwlock *rwlock);
MN_API void mn_rwlock_write_end(struct mn_rwlock *rwlock);

/* ---- condition ---- */

/* Wait until something that a mutex protects has changed. */
struct mn_cond {
	struct mn_waitq waiting;
};

#define mn_cond_init(cond)	mn__waitq_init(&(cond)->waiting, MN__HERE)

static inline void mn_cond_destroy(struct mn_cond *cond)
{
	mn__waitq_destroy(&cond->waiting);
}

/**
 * mn_cond_wait_timeout - unlock the mutex, wait for a signal, lock it again
 * @mutex: locked by this fiber; also afterwards, whatever is returned: to get
 *	it back is a wait that neither cancellation nor the time ends
 *
 * There are no spurious wake-ups, but others may have had the mutex between
 * the signal and the return: look again at what was waited for.
 *
 * Return: 0 after a signal; -ECANCELED, -ETIMEDOUT: no signal was used up.
 */
MN_API int mn_cond_wait_timeout(struct mn_cond *cond, struct mn_mutex *mutex, int64_t timeout_ns);

static inline int mn_cond_wait(struct mn_cond *cond, struct mn_mutex *mutex)
{
	return mn_cond_wait_timeout(cond, mutex, MN_NEVER);
}

/** mn_cond_signal - wake the one that has waited longest, if any */
MN_API void mn_cond_signal(struct mn_cond *cond);

/** mn_cond_broadcast - wake all that wait now */
MN_API void mn_cond_broadcast(struct mn_cond *cond);

/* ---- gate ---- */

/*
 * Counts who uses something, so that it can be taken down: enter before, leave
 * after; closing keeps others out and waits until all have left.
 */
struct mn_gate {
	uint32_t nr_inside;
	bool closed;
	struct mn_waitq closing;
};

#define mn_gate_init(gate)	mn__gate_init(gate, MN__HERE)

static inline void mn__gate_init(struct mn_gate *gate, const char *origin)
{
	gate->nr_inside = 0;
	gate->closed = false;
	mn__waitq_init(&gate->closing, origin);
}

static inline void mn_gate_destroy(struct mn_gate *gate)
{
	mn__waitq_destroy(&gate->closing);
}

MN_API void mn__gate_left(struct mn_gate *gate);

/** mn_gate_enter - go in: 0, or -ESHUTDOWN once closing has begun. Does not suspend */
static inline int mn_gate_enter(struct mn_gate *gate)
{
	mn__waitq_check(&gate->closing);
	if (__builtin_expect(gate->closed, 0))
		return -ESHUTDOWN;
	gate->nr_inside++;
	return 0;
}

/** mn_gate_leave - once for each time that entering returned 0 */
static inline void mn_gate_leave(struct mn_gate *gate)
{
	mn__waitq_check(&gate->closing);
	gate->nr_inside--;
	if (__builtin_expect(gate->closed, 0))
		mn__gate_left(gate);
}

/**
 * mn_gate_close_timeout - let nobody in any more, wait until all have left
 *
 * Several fibers may. After a failure the gate stays closed, but some are
 * still inside: close it again to wait for them.
 *
 * Return: 0; -ECANCELED, -ETIMEDOUT.
 */
MN_API int mn_gate_close_timeout(struct mn_gate *gate, int64_t timeout_ns);

static inline int mn_gate_close(struct mn_gate *gate)
{
	return mn_gate_close_timeout(gate, MN_NEVER);
}

/* ---- barrier ---- */

/*
 * A number of parties wait for each other, again and again. If one leaves
 * (it was cancelled, or its time was up, also before it would have waited),
 * the others would wait for it for ever: so the barrier is broken.
 */
struct mn_barrier {
	uint32_t nr_parties;
	uint32_t nr_here;
	bool broken;
	struct mn_waitq waiting;
};

/** mn_barrier_init - @nr_parties: at least 1 */
#define mn_barrier_init(barrier, nr_parties)	mn__barrier_init(barrier, nr_parties, MN__HERE)

static inline void mn__barrier_init(struct mn_barrier *barrier, uint32_t nr_parties,
				    const char *origin)
{
	barrier->nr_parties = nr_parties;
	barrier->nr_here = 0;
	barrier->broken = false;
	mn__waitq_init(&barrier->waiting, origin);
}

static inline void mn_barrier_destroy(struct mn_barrier *barrier)
{
	mn__waitq_destroy(&barrier->waiting);
}

/**
 * mn_barrier_wait_timeout - wait until all parties have come
 *
 * Return: 1 for the one that came last, 0 for the others; -ECANCELED,
 * -ETIMEDOUT; -EPIPE if another party left, now and until mn_barrier_reset().
 */
MN_API int mn_barrier_wait_timeout(struct mn_barrier *barrier, int64_t timeout_ns);

static inline int mn_barrier_wait(struct mn_barrier *barrier)
{
	return mn_barrier_wait_timeout(barrier, MN_NEVER);
}

/** mn_barrier_reset - begin anew: who waits gets -EPIPE, who comes next is the first */
MN_API void mn_barrier_reset(struct mn_barrier *barrier);

/* ---- once ---- */

/* Something that is done by the first who needs it. */
struct mn_once {
	uint8_t state;
	struct mn_fiber *runner;
	struct mn_waitq waiting;
};

#define MN_ONCE_DONE	2

#define mn_once_init(once)	mn__once_init(once, MN__HERE)

static inline void mn__once_init(struct mn_once *once, const char *origin)
{
	once->state = 0;
	mn__waitq_init(&once->waiting, origin);
}

static inline void mn_once_destroy(struct mn_once *once)
{
	mn__waitq_destroy(&once->waiting);
}

MN_API int mn__once_run(struct mn_once *once, mn_fiber_fn fn, void *arg, int64_t timeout_ns);

/**
 * mn_once_timeout - run a function, unless it was; wait while another fiber does
 * @fn: may suspend. A negative result is a failure: it is the result of the
 *	caller that ran it, and of nobody else. Then the one that has waited
 *	longest runs its function in turn, or whoever comes next
 * @timeout_ns: limits the wait for others, not the run
 *
 * Return: 0 when it was done; the failure of @fn; -ECANCELED, -ETIMEDOUT.
 */
static inline int mn_once_timeout(struct mn_once *once, mn_fiber_fn fn, void *arg,
				  int64_t timeout_ns)
{
	mn__waitq_check(&once->waiting);
	if (__builtin_expect(once->state == MN_ONCE_DONE, 1))
		return 0;
	return mn__once_run(once, fn, arg, timeout_ns);
}

static inline int mn_once(struct mn_once *once, mn_fiber_fn fn, void *arg)
{
	return mn_once_timeout(once, fn, arg, MN_NEVER);
}

#endif
