// SPDX-License-Identifier: MIT
/* The timer queues that were built, for driver_choose(). */
#include "timers/timer_queue.h"

section_declare(timer_queue_drivers, struct driver);

const struct driver_kind timer_queue_kind = {
	.title		= "timer queue",
	.option		= "--timer",
	.preferred	= CONFIG_TIMER_DEFAULT,
	.start		= __start_timer_queue_drivers,
	.stop		= __stop_timer_queue_drivers,
};
