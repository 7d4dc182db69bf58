// SPDX-License-Identifier: MIT
#include <errno.h>

#include "core/compiler.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/idle.h"

/* One timer that follows the activity late: what is read or sent does not move it. */
static void idle_check(struct mn_task *task)
{
	struct idle_limit *idle = container_of(mn_timer_of(task), struct idle_limit, timer);

	if (idle->stream->sent)
		idle->active_ns = mn_now();
	idle->stream->sent = false;
	if (idle->active_ns + idle->limit_ns <= mn_now())
		stream_abort(idle->stream, -ETIMEDOUT);
	else
		idle_start(idle->stream);
}

int idle_set(struct mn_stream *stream, int64_t limit_ns)
{
	struct idle_limit *idle;

	if (limit_ns >= MN_NEVER / 2)
		return 0;
	idle = mem_alloc(sizeof(*idle));
	if (!idle)
		return -ENOMEM;
	mn_timer_init(&idle->timer, idle_check);
	idle->stream = stream;
	idle->limit_ns = limit_ns;
	idle->active_ns = mn_now();
	stream->idle = idle;
	return 0;
}

int idle_take(struct mn_stream *to, const struct mn_stream *from)
{
	int err;

	if (!from->idle)
		return 0;
	err = idle_set(to, from->idle->limit_ns);
	if (!err)
		to->idle->active_ns = from->idle->active_ns;
	return err;
}

void idle_start(struct mn_stream *stream)
{
	struct idle_limit *idle = stream->idle;

	if (idle)
		mn_timer_arm(&idle->timer, idle->active_ns + idle->limit_ns,
			     (uint32_t)min(idle->limit_ns / 8, MN_SEC));
}

void idle_stop(struct mn_stream *stream)
{
	if (stream->idle)
		mn_timer_cancel(&stream->idle->timer);
}

void idle_drop(struct mn_stream *stream)
{
	idle_stop(stream);
	mem_free(stream->idle);
	stream->idle = NULL;
}
