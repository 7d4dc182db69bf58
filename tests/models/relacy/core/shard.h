/* SPDX-License-Identifier: MIT */
/* In place of core/shard.h: what a door needs of a shard. C++. */
#ifndef CORE_SHARD_H
#define CORE_SHARD_H

#include "core/driver.h"
#include "smp/door.h"

struct backend {
	unsigned woken;
};

struct shard {
	struct backend *be;
	_Atomic(uint32_t) asleep;
	struct door door;
};

#endif
