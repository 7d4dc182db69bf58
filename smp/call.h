/* SPDX-License-Identifier: MIT */
/* Calls inside: those of the runtime itself, and what the mesh needs. */
#ifndef SMP_CALL_H
#define SMP_CALL_H

#include <miniss/smp.h>

#include "smp/mesh.h"

int calls_open(struct shard *shard);
void calls_close(struct mn_world *world);

/* call_receive - a message has come; called while draining */
void call_receive(struct shard *self, unsigned int lane, const struct mn_msg *msg);

/*
 * calls_settle - stage the credits of posts that are done; while flushing
 * That may wait until there are some, but not over a sleep: calls_unsettled().
 */
void calls_settle(struct shard *self);
bool calls_unsettled(const struct shard *self);

/* calls_under_way - how many calls and posts of this shard have not come back */
unsigned int calls_under_way(const struct shard *self);

/* calls_begun - how many began here since this was last asked */
uint64_t calls_begun(struct shard *self);

/* shard_call, shard_call_all - mn_call() and mn_call_all() that cancellation does not end */
int shard_call(unsigned int to, mn_fiber_fn fn, void *arg);
int shard_call_all(mn_fiber_fn fn, void *arg);

/* shard_post - run a function from the reactor of a shard; it must not suspend; -EAGAIN */
int shard_post(unsigned int to, int (*fn)(void *arg), void *arg);

/* The steps of a call that a fiber waits for: smp/call.c, for smp/call-all.c. */

/* A fiber that waits: for a credit while it is listed, then for the reply. */
struct caller {
	struct list entry;
	struct mn_fiber *fiber;
	struct mn_call *call;
	bool granted;
	bool stopped;
};

void call_init(struct mn_call *call, unsigned int shard, bool urgent);

/* call_cancel - mn_call_cancel() with a reason */
void call_cancel(struct mn_call *call, int why);

/* credit_wait - take a credit, or wait for one; @stop, called with @obj, may end the wait */
int credit_wait(struct caller *caller, void (*stop)(void *obj), void *obj);
void request_send(struct mn_call *call, enum msg_kind kind, mn_fiber_fn fn, void *arg);
int reply_wait(struct caller *caller, void (*stop)(void *obj), void *obj);

/* caller_stop - end the wait of a struct caller: cancellation, and its time-out */
void caller_stop(void *obj);

#endif
