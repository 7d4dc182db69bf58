// SPDX-License-Identifier: MIT
/* Several timer queues were built: calls go through the table of the queue. */
#include "timers/timer_queue.h"

TIMER_QUEUE_CALLS(tq->ops)
