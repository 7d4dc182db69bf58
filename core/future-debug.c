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
		bug("a future was used by another shard than its own", future->origin);
}

const char *future_origin(const struct mn_future *future)
{
	return future->origin;
}
