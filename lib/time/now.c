// SPDX-License-Identifier: MIT
/* The clocks of a world, as its program reads them. */
#include <errno.h>

#include <miniss/clock.h>

#include "backends/backend.h"
#include "core/shard.h"
#include "lib/time/clock.h"

#define VIRTUAL_EPOCH_NS	(INT64_C(946684800) * MN_SEC)	/* 2000-01-01 */

int64_t mn_clock_steady(void)
{
	return backend_now(mn_self->be);
}

int64_t mn_clock_coarse(void)
{
	return mn_self->virtual_time ? backend_now(mn_self->be) : clock_coarse_ns();
}

int64_t mn_clock_wall(void)
{
	if (mn_self->virtual_time)
		return VIRTUAL_EPOCH_NS + backend_now(mn_self->be);
	return clock_wall_ns();
}

int mn_clock_advance(int64_t ns)
{
	struct mn_op op;

	if (ns < 0)
		return -EINVAL;
	op_init(&op, MN_OP_ADVANCE, -1);
	op.advance.ns = ns;
	op_start(&op);
	return (int)mn_op_await(&op, MN_NEVER);
}
