/* SPDX-License-Identifier: MIT */
/* Channels inside: the two steps that everything is made of. */
#ifndef LIB_SYNC_CHAN_H
#define LIB_SYNC_CHAN_H

#include <string.h>

#include <miniss/channel.h>

#include "lib/sync/wait.h"

/* Most items are a word. */
static inline void item_copy(void *to, const void *from, size_t size)
{
	if (size == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, size);
}

/* chan_push - hand over an item now: 0, -EAGAIN or -EPIPE */
int chan_push(struct mn_chan *chan, const void *item);

/* chan_pop - take an item now: 1, -EAGAIN, or 0 at the end */
int chan_pop(struct mn_chan *chan, void *item);

/* remote_chan_closed - tell the other shard; lib/sync/remote.c */
void remote_chan_closed(struct mn_chan_remote *remote);

#endif
