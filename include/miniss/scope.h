/* SPDX-License-Identifier: MIT */
/*
 * Scopes: what a fiber starts inside of one has ended when the fiber leaves
 * it. A scope is embedded in the frame of the function that opens it:
 *
 *	struct mn_scope scope;
 *
 *	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = MN_SEC });
 *	err = mn_scope_spawn(&scope, fetch, &part[0]);
 *	if (!err)
 *		err = mn_scope_spawn(&scope, fetch, &part[1]);
 *	if (err)
 *		mn_scope_cancel(&scope);
 *	first = mn_scope_join(&scope);
 *
 * A scope that is canceled, or whose deadline has come, stops: in the fiber
 * that opened it, in its children, in the scopes that those have opened and
 * in what they have called on other shards, the wait that is under way and
 * each that follows return -ECANCELED, or -ETIMEDOUT if it was a deadline.
 * That holds for every function of the library that suspends and that does
 * not say otherwise. Nobody leaves before what he waited for has let go of
 * his memory: a deadline bounds when the end is asked for. A scope that has
 * stopped stays so, for the first reason that it had; who leaves it is as he
 * was before, and stops only if what is around it has stopped, too.
 *
 * Who wins: a result that is there when the fiber runs again is returned,
 * even if the deadline came in the same turn or the scope was canceled
 * meanwhile; the next wait then returns the reason. Of a sleep and a deadline
 * for the same time it is the sleep that has ended. Where a cancellation and
 * a time limit of the wait itself meet, the cancellation is returned.
 */
#ifndef MINISS_SCOPE_H
#define MINISS_SCOPE_H

#include <miniss/fiber.h>
#include <miniss/timer.h>

/**
 * struct mn_scope_options - how a scope behaves; zero is the usual
 * @deadline_ns: when it stops, on the clock of mn_now(); 0: never. One that
 *	has passed ends the first wait that is not over at once
 * @timeout_ns: the same, from now; 0: never. The earlier of the two counts,
 *	and a deadline around the scope that is earlier still
 * @keep_going: the failure of a child does not cancel the others
 * @shield: it goes on when what is around it stops, or has stopped: for
 *	clean-up that has to wait. Its own deadline and mn_scope_cancel() do
 *	stop it; so give it a deadline, the end of the program waits for it
 */
struct mn_scope_options {
	int64_t deadline_ns;
	int64_t timeout_ns;
	bool keep_going;
	bool shield;
};

/* The runtime's, all of it. Does not move while it is open. */
struct mn_scope {
	struct mn_scope *parent;	/* around it; NULL: none */
	struct mn_fiber *owner;		/* that opened it */
	struct mn_fiber *children;	/* those that have not ended */
	struct mn_scope_part *parts;	/* likewise */
	struct mn_scope *work;		/* next to stop, while a stop spreads */
	const char *where;		/* file:line that opened it */
	int32_t stop;			/* why it has stopped, or 0 */
	int32_t err;			/* of the first child that failed */
	uint32_t shard;
	bool keep_going;
	bool shield;
	bool joining;
	bool timed;			/* the timer is its own, not only its parents' */
	int64_t deadline_ns;		/* its own or around it, or MN_NEVER */
	struct mn_scope *unarmed;	/* next that was opened in this turn ... */
	struct mn_scope **punarmed;	/* ... if it was */
	struct mn_timer timer;
};

/**
 * mn_scope_open - enter a scope
 * @scope: raw memory, the caller's until mn_scope_join() has returned
 * @options: read here only; NULL: all zero
 *
 * From a fiber, which is the one to leave it. Scopes nest: the last one
 * opened is the first to be left. The fiber must not end, nor leave a scope
 * around this one, before: that is a bug, and the program aborts with the
 * place that opened it. Does not suspend, cannot fail.
 */
#define mn_scope_open(scope, ...)	mn_scope_open_at(scope, __VA_ARGS__, MN__HERE)
MN_API void mn_scope_open_at(struct mn_scope *scope, const struct mn_scope_options *options,
			     const char *where);

/**
 * mn_scope_spawn - start a child
 * @scope: open; this fiber is in it: opened it, or is one of its children, or
 *	one of a scope inside. So it may be a scope further out
 * @fn: runs in a fiber of its own, at the next turn. A result < 0 is a
 *	failure: it cancels the scope, unless that keeps going
 * @arg: handed to @fn; may be on the stack of the scope's owner
 *
 * On the scope's shard. Does not suspend, and allocates nothing but the fiber.
 *
 * What is started with mn_spawn() is a child of the innermost scope that its
 * fiber is in, too: without a handle just as here. With a handle it is waited
 * for and stops like the others, but its result is for mn_join(), which has
 * to be called, also after the scope was left; a failure is not the scope's.
 *
 * Return: 0; -ENOMEM; -ECANCELED or -ETIMEDOUT if the scope has stopped. @fn
 * does not run then.
 */
MN_API int mn_scope_spawn(struct mn_scope *scope, mn_fiber_fn fn, void *arg);

#ifdef CONFIG_DEBUG	/* so that reports can say where */
#define mn_scope_spawn(...)	(mn__origin(MN__HERE), mn_scope_spawn(__VA_ARGS__))
#endif

/*
 * What goes on without a fiber: an operation, a combinator, whatever ends in
 * a task. A scope does not know of it until it is made a part of one, and then
 * hears of the scope's deadline and cancellation, and is waited for, as a
 * child is:
 *
 *	err = mn_scope_begin(&scope, &q->part, on_stop);
 *	if (!err) {
 *		mn_recv_start(&q->op, fd, q->text, sizeof(q->text));
 *		mn_future_then(&q->op.done, &q->task, on_text);
 *	}
 *
 * where on_stop() does mn_op_cancel(&q->op), or mn_combine_cancel(), and
 * on_text() ends with mn_scope_end(&q->part, err). Costs nothing elsewhere.
 */
struct mn_scope_part {
	struct mn_task stop;
	struct mn_scope *scope;
	struct mn_scope_part *next;
	struct mn_scope_part **pnext;
};

/**
 * mn_scope_begin - make what goes on without a fiber a part of a scope
 * @scope: open, of this shard; what it waits for is under way: the caller's
 *	fiber is in it, or the task that calls is of another part
 * @part: raw memory, the caller's again after mn_scope_end()
 * @stop: a task that runs once, if the scope stops before mn_scope_end(); finds
 *	the object around struct mn_scope_part.stop and asks it to end
 *
 * Of shields, nesting and who wins all is true that is true of children.
 * Never suspends, never allocates.
 *
 * Return: 0; -ECANCELED or -ETIMEDOUT if the scope has stopped: nothing is to
 * begin in it then, and @part is not one.
 */
MN_API int mn_scope_begin(struct mn_scope *scope, struct mn_scope_part *part, mn_task_fn stop);

/**
 * mn_scope_end - it has ended: nothing of it is under way any more
 * @part: begun, and not ended
 * @res: its result; < 0 is a failure, as that of a child
 *
 * Its stop does not run after this. @part may be freed.
 */
MN_API void mn_scope_end(struct mn_scope_part *part, int res);

/**
 * mn_scope_cancel - stop a scope
 * @scope: open
 *
 * Idempotent. On the scope's shard from a fiber, inside or not, or a task:
 * does not suspend then. From another shard only from a fiber, and this
 * suspends until the scope has stopped, whether this fiber is canceled or
 * not. The caller sees to it that the scope is open all the time: as it is
 * for what one of its children has called.
 */
MN_API void mn_scope_cancel(struct mn_scope *scope);

/**
 * mn_scope_join - wait for all children and parts, and leave the scope
 * @scope: the innermost one of this fiber, and opened by it
 *
 * Suspends while there are any. Neither cancellation nor a deadline end
 * this wait: the children hear of them, and it is their end that ends it.
 *
 * Return: 0, or the result of the first of them that failed. That a scope has
 * stopped is in itself no failure: children that succeeded all the same are
 * not lost.
 */
MN_API int mn_scope_join(struct mn_scope *scope);

#endif
