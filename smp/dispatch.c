// SPDX-License-Identifier: MIT
/* With several queues built, calls go through the table of the object. */
#include "smp/queue.h"

QUEUE_CALLS(queue->ops)
