// SPDX-License-Identifier: MIT
/* What debug builds keep of a future: where it was made, and whose it is. */
#include "core/future.h"
#include "core/shard.h"

void mn_future_init_at(struct mn_future *future, const char *origin)
{
	future->waiter = NULL;
	future->origin = origin;
	future->shard = mn_self ? mn_self->id : 0;
	future->magic = FUTURE_MAGIC;
}

void future_check(const struct mn_future *future)
{
	if (future->magic != FUTURE_MAGIC)
		bug("this memory is not an initialised future", HERE);
	if (!mn_self || future->shard != mn_self->id)
		bugf(HERE, "a future of shard %u was used %s %d; it was made at %s", future->shard,
		     mn_self ? "on shard" : "on a thread that is no shard:",
		     mn_self ? (int)mn_self->id : -1, future->origin);
}

const char *future_origin(const struct mn_future *future)
{
	return future->origin;
}

void mn__origin(const char *origin)
{
	if (mn_self)
		mn_self->origin = origin;
}

void future_made(struct mn_future *future, const char *origin)
{
	future->origin = mn_self && mn_self->origin ? mn_self->origin : origin;
	if (mn_self)
		mn_self->origin = NULL;
}
