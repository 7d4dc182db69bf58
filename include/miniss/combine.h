/* SPDX-License-Identifier: MIT */
/*
 * Combinators: waiting for futures without a fiber.
 *
 * Each takes futures and has a future of its own, @done, so that they compose:
 * all of them return it. Nothing is allocated: the caller embeds the object
 * and keeps it, and what it waits for, until @done is resolved. Then the
 * object is out of use, and may be freed or used again.
 *
 *	static int64_t parse(void *arg, int64_t len);
 *
 *	mn_recv_start(&q->op, fd, q->text, sizeof(q->text));
 *	done = mn_map(&q->parsed, mn_with_timeout(&q->timed, &q->op.done, MN_SEC), parse, q);
 *	mn_combine_on_cancel(&q->timed.combine, mn_cancel_op, NULL);
 *
 * The caller's functions run as tasks, from the run queue, never from within
 * something else; a chain of any length takes no stack. They may do what any
 * task may do, but neither free the object that they run for nor stop it. A
 * combinator takes the results that it waits for: a failure that reaches it is
 * not abandoned; its own may be.
 *
 * Two ways to give one up before its end:
 *
 * - mn_combine_stop() forgets it, at once. What it waited for goes on, and
 *   somebody else has to wait for or drop it. Outermost first.
 * - mn_combine_cancel() asks it to end: @done will be resolved. With a hook,
 *   mn_combine_on_cancel(), what it waits for is asked to end, too, and it
 *   waits until it has; a result that came first wins. Without one it only
 *   stops waiting, and ends with -ECANCELED. Either way it starts nothing new.
 *
 * All of it on one shard, with no atomics. Nothing here suspends.
 */
#ifndef MINISS_COMBINE_H
#define MINISS_COMBINE_H

#include <miniss/timer.h>
#include <miniss/future.h>

struct mn_combine;
struct mn_op;

/* One future that is waited for. Arrays of it are the caller's; what is in them is not. */
struct mn_input {
	struct mn_task task;
	struct mn_future *future;
	struct mn_combine *owner;
};

/**
 * mn_cancel_fn - ask what will resolve a future to do so soon
 * @future: pending, one that the combinator waits for
 * @arg: as handed to mn_combine_on_cancel()
 *
 * Runs from the run queue, once for each future.
 */
typedef void (*mn_cancel_fn)(struct mn_future *future, void *arg);

/* What all of them have. @done is for the caller, the rest is not. */
struct mn_combine {
	struct mn_future done;
	struct mn_input *wait;
	size_t nr_waits;
	struct mn_timer *timer;		/* that it has, or NULL */
	void (*give_up)(struct mn_combine *combine, int64_t why);
	mn_cancel_fn cancel;
	void *cancel_arg;
	struct mn_task canceling;
	bool canceled;
	bool asked;			/* the one future that it waits for */
	bool shielded;
};

/* So that x.done and x.combine are both there. */
#define MN__COMBINE			\
	union {				\
		struct mn_combine combine; \
		struct mn_future done;	\
	}

/**
 * mn_combine_on_cancel - what is waited for ends when this one is to
 * @combine: of an object that was started in this same task, or before
 * @cancel: how; mn_cancel_op() and mn_cancel_combine() are two that are there
 * @arg: handed to @cancel
 *
 * Not only mn_combine_cancel() asks: so does the deadline of mn_with_timeout()
 * and of mn_retry().
 */
MN_API void mn_combine_on_cancel(struct mn_combine *combine, mn_cancel_fn cancel, void *arg);

/* For futures that are the @done of an operation, or of another combinator. */
MN_API void mn_cancel_op(struct mn_future *future, void *arg);
MN_API void mn_cancel_combine(struct mn_future *future, void *arg);

/**
 * mn_combine_cancel - ask a combinator to end early
 * @combine: started; nothing happens to one that has ended
 *
 * Sticky and idempotent. @done is resolved later, from the run queue: with
 * -ECANCELED, or with what came first. See above for what becomes of what it
 * waits for.
 */
MN_API void mn_combine_cancel(struct mn_combine *combine);

/**
 * mn_combine_stop - forget a combinator
 * @combine: started, ended or not; nobody waits for its @done
 *
 * On return it may be freed, and none of its functions runs any more. What it
 * waited for is as it was. A failure in @done that nobody took is abandoned.
 */
MN_API void mn_combine_stop(struct mn_combine *combine);

/* ---- one after the other ---- */

/** mn_map_fn - makes a result, >= 0 or -errno, from another */
typedef int64_t (*mn_map_fn)(void *arg, int64_t result);

/**
 * mn_start_fn - starts something, and says what to wait for
 * @arg: the caller's
 * @result: of what was before
 *
 * Return: a future with no other waiter, which lives until it is resolved; or
 * NULL: there is nothing to wait for.
 */
typedef struct mn_future *(*mn_start_fn)(void *arg, int64_t result);

struct mn_step {
	MN__COMBINE;
	struct mn_input wait;
	union {
		mn_map_fn map;
		mn_start_fn start;
	};
	void *arg;
	int64_t result;
	uint8_t kind;
	bool started;
};

/**
 * mn_map - a function of a value
 * @step: embedded by the caller
 * @future: what to wait for
 * @fn: called with the value if there is one; a failure passes by
 * @arg: handed to @fn
 *
 *	static int64_t count_words(void *arg, int64_t len)
 *	{
 *		struct page *page = arg;
 *
 *		return words(page->text, len);
 *	}
 *
 *	n = mn_map(&page->step, &page->recv.done, count_words, page);
 *
 * Return: &@step->done: what @fn returned, or the failure.
 */
MN_API struct mn_future *mn_map(struct mn_step *step, struct mn_future *future, mn_map_fn fn,
				void *arg);

/**
 * mn_catch - a function of a failure
 * @fn: called with the failure if there is one; a value passes by. So does the
 *	-ECANCELED of mn_combine_cancel()
 *
 *	static int64_t none_if_missing(void *arg, int64_t err)
 *	{
 *		return err == -ENOENT ? 0 : err;
 *	}
 *
 *	mn_catch(&get->step, &get->lookup, none_if_missing, NULL);
 *
 * Otherwise as mn_map().
 */
MN_API struct mn_future *mn_catch(struct mn_step *step, struct mn_future *future, mn_map_fn fn,
				  void *arg);

/**
 * mn_then - when there is a value, something more
 * @fn: starts it; NULL: nothing, the value stands. A failure passes by
 *
 *	static struct mn_future *answer(void *arg, int64_t len)
 *	{
 *		struct peer *peer = arg;
 *
 *		mn_send_start(&peer->op, peer->fd, peer->text, len);
 *		return &peer->op.done;
 *	}
 *
 *	mn_recv_start(&peer->op, peer->fd, peer->text, sizeof(peer->text));
 *	mn_then(&peer->step, &peer->op.done, answer, peer);
 *
 * A value that came before the combinator was cancelled is still handed to
 * @fn, which may own what it stands for; what @fn then starts is asked to end
 * at once.
 *
 * Return: &@step->done: the result of what @fn started, or the failure.
 */
MN_API struct mn_future *mn_then(struct mn_step *step, struct mn_future *future, mn_start_fn fn,
				 void *arg);

/**
 * mn_or_else - when it failed, something else
 * @fn: starts it; NULL: nothing, the failure stands. A value passes by, and
 *	so does the -ECANCELED of mn_combine_cancel()
 *
 *	static struct mn_future *ask_the_other(void *arg, int64_t err)
 *	{
 *		return query_start(arg, 1);
 *	}
 *
 *	mn_or_else(&q->step, query_start(q, 0), ask_the_other, q);
 *
 * Return: &@step->done: the value, or the result of what @fn started.
 */
MN_API struct mn_future *mn_or_else(struct mn_step *step, struct mn_future *future, mn_start_fn fn,
				    void *arg);

/**
 * mn_finally - clean up, whatever the result
 * @fn: called with the result, always, also when cancelled; starts the
 *	cleaning up, which is not cancelled. NULL: it is done
 *
 *	static struct mn_future *leave(void *arg, int64_t result)
 *	{
 *		struct job *job = arg;
 *
 *		return unlock_start(&job->lock);
 *	}
 *
 *	mn_finally(&job->step, work_start(job), leave, job);
 *
 * Return: &@step->done: the result that @fn was called with; a failure of the
 * cleaning up only if there was none before.
 */
MN_API struct mn_future *mn_finally(struct mn_step *step, struct mn_future *future, mn_start_fn fn,
				    void *arg);

/* ---- several at a time ---- */

struct mn_when_all {
	MN__COMBINE;
	size_t nr_left;
};

/**
 * mn_when_all - wait for all of several futures
 * @all: embedded by the caller
 * @wait: room for @n, the caller's
 * @futures: @n pointers, not kept; 0 of them is fine
 *
 *	struct load {
 *		struct mn_op read[4];
 *		struct mn_input wait[4];
 *		struct mn_when_all all;
 *	};
 *
 *	for (i = 0; i < 4; i++)
 *		futures[i] = part_read(load, i);
 *	mn_then(&load->step, mn_when_all(&load->all, load->wait, futures, 4), parts_loaded, load);
 *
 * All are taken; each keeps its own result, and may be taken again.
 *
 * Return: &@all->done: 0, or the first failure in the order of the array.
 */
MN_API struct mn_future *mn_when_all(struct mn_when_all *all, struct mn_input *wait,
				     struct mn_future *const *futures, size_t n);

struct mn_when_any {
	MN__COMBINE;
};

/**
 * mn_when_any - wait for one of several futures
 * @any: embedded by the caller
 * @wait, @futures, @n: as for mn_when_all(), but at least one
 *
 *	winner = mn_when_any(&hedge->any, hedge->wait, futures, 2);
 *	mn_then(&hedge->step, winner, cancel_the_other, hedge);
 *
 * None is taken. The others can be waited for again, and have to be, or
 * dropped. Cancelled with a hook, it asks all, and ends with the first.
 *
 * Return: &@any->done: the lowest index of one that is resolved; -EINVAL if
 * @n is 0.
 */
MN_API struct mn_future *mn_when_any(struct mn_when_any *any, struct mn_input *wait,
				     struct mn_future *const *futures, size_t n);

/**
 * mn_each_fn - starts the work for one item
 * @i: which
 * @slot: less than the limit; no other item that is under way has it, so that
 *	it can index what each needs
 *
 * Return: as mn_start_fn(). What is resolved is done with when the next item
 * of this slot is started.
 */
typedef struct mn_future *(*mn_each_fn)(void *arg, size_t i, unsigned int slot);

struct mn_for_each {
	MN__COMBINE;
	mn_each_fn fn;
	void *arg;
	size_t n, next;
	unsigned int nr_live;
	int64_t err;
};

/**
 * mn_parallel_for_each - do something with each of @n items, some at a time
 * @each: embedded by the caller
 * @wait: room for @limit, the caller's
 * @limit: how many are under way at most, from 1
 * @n: how many items; 0 is fine
 * @fn: starts one; in the order of the items
 * @arg: handed to @fn
 *
 *	static struct mn_future *copy_block(void *arg, size_t i, unsigned int slot)
 *	{
 *		struct copy *copy = arg;
 *
 *		return block_start(&copy->block[slot], i);
 *	}
 *
 *	mn_parallel_for_each(&copy->each, copy->wait, 8, nr_blocks, copy_block, copy);
 *
 * After the first failure none is started; those under way are waited for.
 *
 * Return: &@each->done: 0, or the failure that came first; -EINVAL if @limit
 * is 0; -ECANCELED if not all were started because it was cancelled.
 */
MN_API struct mn_future *mn_parallel_for_each(struct mn_for_each *each, struct mn_input *wait,
					      unsigned int limit, size_t n, mn_each_fn fn,
					      void *arg);

/* ---- again and again ---- */

/** mn_until_fn - is it enough? @result: of the last round, 0 before the first */
typedef bool (*mn_until_fn)(void *arg, int64_t result);

struct mn_repeat {
	MN__COMBINE;
	struct mn_input wait;
	mn_until_fn until;
	mn_start_fn start;
	void *arg;
	int64_t result;
};

/**
 * mn_repeat - one round after the other
 * @repeat: embedded by the caller
 * @fn: starts a round, called with the result of the last one, 0 for the
 *	first; NULL: it was the last
 * @arg: handed to @fn
 *
 *	static struct mn_future *next_block(void *arg, int64_t len)
 *	{
 *		struct file *file = arg;
 *
 *		file->offset += len;
 *		return file->offset < file->size ? block_start(file) : NULL;
 *	}
 *
 *	mn_repeat(&file->repeat, next_block, file);
 *
 * Return: &@repeat->done: the result of the last round; a failure ends it.
 */
MN_API struct mn_future *mn_repeat(struct mn_repeat *repeat, mn_start_fn fn, void *arg);

/**
 * mn_do_until - likewise, with the question apart
 * @until: asked before each round; true: no more
 * @fn: starts a round; NULL: there is nothing to wait for in this one
 *
 *	static bool drained(void *arg, int64_t result)
 *	{
 *		return queue_empty(arg);
 *	}
 *
 *	mn_do_until(&queue->repeat, drained, send_one, queue);
 *
 * Return: as mn_repeat().
 */
MN_API struct mn_future *mn_do_until(struct mn_repeat *repeat, mn_until_fn until, mn_start_fn fn,
				     void *arg);

/**
 * struct mn_retry_policy - when to try again
 * @attempts_max: in all; 0: no limit
 * @base_ns: the pause after the first attempt is 0 to @base_ns long, which
 *	doubles each time
 * @max_ns: up to this; 0: no limit
 * @deadline_ns: absolute, of all attempts and pauses; 0 or MN_NEVER: none
 * @accept: is a failure one to try again after? NULL: each is, but -ECANCELED
 *
 * A pause is of random length, even between 0 and its bound ("full jitter"):
 * those who failed together do not come back together.
 */
struct mn_retry_policy {
	unsigned int attempts_max;
	int64_t base_ns, max_ns;
	int64_t deadline_ns;
	bool (*accept)(void *arg, int64_t err);
};

struct mn_retry {
	MN__COMBINE;
	struct mn_input wait;
	struct mn_timer timer;		/* of a pause, or the deadline of an attempt */
	struct mn_retry_policy policy;
	mn_start_fn start;
	void *arg;
	unsigned int nr_attempts;
	int64_t err;			/* of the last */
	bool expired;
};

/**
 * mn_retry - try until it works
 * @retry: embedded by the caller
 * @policy: copied
 * @fn: starts an attempt, called with its number, from 1; NULL: gives up
 * @arg: handed to @fn and to @policy->accept
 *
 *	static const struct mn_retry_policy policy = {
 *		.attempts_max = 5,
 *		.base_ns = 10 * MN_MSEC,
 *		.max_ns = MN_SEC,
 *		.accept = only_if_refused,
 *	};
 *
 *	mn_retry(&client->retry, &policy, connect_start, client);
 *	mn_combine_on_cancel(&client->retry.combine, mn_cancel_op, NULL);
 *
 * Return: &@retry->done: the value of the attempt that worked, or the failure
 * of the last one, also when the pause after it would outlast the deadline.
 * -ETIMEDOUT when the deadline comes during an attempt, which is asked to end
 * if there is a hook, else only left. -ECANCELED when @fn gave up at once.
 */
MN_API struct mn_future *mn_retry(struct mn_retry *retry, const struct mn_retry_policy *policy,
				  mn_start_fn fn, void *arg);

/* ---- not for ever ---- */

struct mn_timed {
	MN__COMBINE;
	struct mn_input wait;
	struct mn_timer timer;
	bool expired;
};

/**
 * mn_with_timeout - wait for a future, but not for ever
 * @timed: embedded by the caller
 * @future: what to wait for
 * @timeout_ns: from now; <= 0 only looks; MN_NEVER: no limit
 *
 *	mn_recv_start(&peer->op, peer->fd, peer->text, sizeof(peer->text));
 *	mn_with_timeout(&peer->timed, &peer->op.done, 5 * MN_SEC);
 *	mn_combine_on_cancel(&peer->timed.combine, mn_cancel_op, NULL);
 *
 * A result that is there when the time is up wins. Without a hook the time
 * only ends the waiting: @future is left as it is, with no waiter, and has to
 * be waited for or dropped. With a hook, what resolves @future is asked to
 * end, and this ends when it has: with its result, or -ETIMEDOUT if that is
 * -ECANCELED.
 *
 * Return: &@timed->done: the result, or -ETIMEDOUT.
 */
MN_API struct mn_future *mn_with_timeout(struct mn_timed *timed, struct mn_future *future,
					 int64_t timeout_ns);

/* In a debug build each knows the place that made it. */
#if defined(CONFIG_DEBUG) && !defined(MN__COMBINE_INSIDE)
static inline struct mn_future *mn__made(struct mn_future *future, const char *origin)
{
	future->origin = origin;
	return future;
}

#define mn_map(...)			mn__made(mn_map(__VA_ARGS__), MN__HERE)
#define mn_catch(...)			mn__made(mn_catch(__VA_ARGS__), MN__HERE)
#define mn_then(...)			mn__made(mn_then(__VA_ARGS__), MN__HERE)
#define mn_or_else(...)			mn__made(mn_or_else(__VA_ARGS__), MN__HERE)
#define mn_finally(...)			mn__made(mn_finally(__VA_ARGS__), MN__HERE)
#define mn_when_all(...)		mn__made(mn_when_all(__VA_ARGS__), MN__HERE)
#define mn_when_any(...)		mn__made(mn_when_any(__VA_ARGS__), MN__HERE)
#define mn_parallel_for_each(...)	mn__made(mn_parallel_for_each(__VA_ARGS__), MN__HERE)
#define mn_repeat(...)			mn__made(mn_repeat(__VA_ARGS__), MN__HERE)
#define mn_do_until(...)		mn__made(mn_do_until(__VA_ARGS__), MN__HERE)
#define mn_retry(...)			mn__made(mn_retry(__VA_ARGS__), MN__HERE)
#define mn_with_timeout(...)		mn__made(mn_with_timeout(__VA_ARGS__), MN__HERE)
#endif

#endif
