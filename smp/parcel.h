/* SPDX-License-Identifier: MIT */
/*
 * Parcels: objects that one shard keeps and now and then shows to another.
 * Sending one again while it waits to go costs nothing: it goes once, with
 * what is to be said by then. What is under way between two shards is one
 * batch at a time; its message has a place of its own in the rings (smp/mesh.c),
 * so that this needs no credit and cannot fail.
 *
 *	pack	on the sending shard, when it goes: write what the other one
 *		is to read. Nothing else of it may be written before the next time
 *	receive	on the other shard, from the reactor; afterwards the runtime does
 *		not look at the parcel any more, on either side, unless it is
 *		sent again
 */
#ifndef SMP_PARCEL_H
#define SMP_PARCEL_H

#include <miniss/channel.h>

#include "core/shard.h"

int parcels_open(struct mn_world *world);
void parcels_close(struct mn_world *world);

static inline void parcel_init(struct mn_parcel *parcel, unsigned int to,
			       void (*pack)(struct mn_parcel *parcel),
			       void (*receive)(struct mn_parcel *parcel))
{
	*parcel = (struct mn_parcel){ .pack = pack, .receive = receive, .to = to };
}

/* parcel_send - have a parcel go out, at the end of a turn */
void parcel_send(struct mn_parcel *parcel);

/* parcels_flush - stage batches; while flushing */
void parcels_flush(struct shard *self);

/* parcels_receive - a batch has come, or the answer to one; called while draining */
void parcels_receive(struct shard *self, const struct mn_msg *msg);

#endif
