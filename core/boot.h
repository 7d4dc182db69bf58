/* SPDX-License-Identifier: MIT */
#ifndef CORE_BOOT_H
#define CORE_BOOT_H

#include "core/shard.h"

/* stop_request - wake everybody who waits for the end; on shard 0 */
void stop_request(struct mn_world *world);

/* stop_listen - from now on the signals to stop are caught; on shard 0 */
void stop_listen(struct mn_world *world);

/* stop_close - stop listening for them; on shard 0 */
void stop_close(struct mn_world *world);

#endif
