/* SPDX-License-Identifier: MIT */
/*
 * hiredis on a shard of miniss: the socket of an asynchronous context gets a
 * watch. Copy this into a program of your own.
 */
#ifndef SAMPLES_HIREDIS_ADAPTER_H
#define SAMPLES_HIREDIS_ADAPTER_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <miniss/miniss.h>

/*
 * redis_attach - a context that was just made runs on this shard from now on
 * @gone: resolved when the context has ended and nothing of it is left
 * Return: 0, or -ENOMEM.
 */
int redis_attach(redisAsyncContext *context, struct mn_future *gone);

#endif
