// SPDX-License-Identifier: MIT
/* The cross-shard queues that were built, for driver_choose(). */
#include "smp/queue.h"

section_declare(queue_drivers, struct driver);

const struct driver_kind queue_kind = {
	.title = "queue",
	.option = "--queue",
	.preferred = CONFIG_QUEUE_DEFAULT,
	.start = __start_queue_drivers,
	.stop = __stop_queue_drivers,
};
