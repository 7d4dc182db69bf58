/* SPDX-License-Identifier: MIT */
/* Scopes inside: what fibers and the reactor need of them. */
#ifndef CORE_SCOPE_H
#define CORE_SCOPE_H

#include <miniss/scope.h>

struct shard;

/* scope_stop - mn_scope_cancel() here, with a reason: -ECANCELED or -ETIMEDOUT */
void scope_stop(struct mn_scope *scope, int why);

/* scope_spawn - mn_scope_spawn() with or without a handle; @from: FIBER_FROM */
int scope_spawn(struct mn_scope *scope, mn_fiber_fn fn, void *arg, struct mn_fiber **handle,
		const void *from);

/*
 * scope_ends - a fiber that is in a scope has returned from its function
 * Return: what of its result is not the scope's.
 */
int scope_ends(struct mn_fiber *fiber, int res);

/* scopes_arm - the deadlines of those that were opened in this turn and are open */
void scopes_arm(struct shard *shard);

#endif
