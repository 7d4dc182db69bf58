// SPDX-License-Identifier: MIT
/* timer.cancel on the bare wheel. */
#include <errno.h>
#include <stdlib.h>

#include "timers/timer_queue.h"
#include "tools/bench/bare-wheel.h"
#include "tools/bench/timer.h"

BUILD_BUG_ON(sizeof(struct bare_timer) != sizeof(struct mn_timer) && !IS_ENABLED(CONFIG_DEBUG));

struct bare_timers {
	uint64_t random;
	struct bare_timer *live;
	struct bare_wheel wheel;
};

static inline uint64_t tick_of(int64_t deadline_ns)
{
	return (uint64_t)deadline_ns / TIMER_TICK_NS;
}

static int bare_open(struct bench_case *c)
{
	struct bare_timers *timers = calloc(1, sizeof(*timers));
	int64_t deadline_ns;

	if (!timers)
		return -ENOMEM;
	timers->live = timers_alloc(sizeof(struct bare_timer));
	if (!timers->live) {
		free(timers);
		return -ENOMEM;
	}
	timers->random = 1;
	bare_wheel_init(&timers->wheel, tick_of(mn_now()));
	for (int i = 0; i < TIMERS_LIVE; i++) {
		random_timer(&timers->random, mn_now(), &deadline_ns);
		bare_wheel_arm(&timers->wheel, &timers->live[i], tick_of(deadline_ns));
	}
	c->state = timers;
	return 0;
}

static void bare_run(struct bench_case *c, uint64_t n)
{
	struct bare_timers *timers = c->state;
	int64_t now_ns = mn_now(), deadline_ns;

	for (; n; n--) {
		uint64_t i = random_timer(&timers->random, now_ns, &deadline_ns);

		bare_wheel_cancel(&timers->live[i]);
		bare_wheel_arm(&timers->wheel, &timers->live[i], tick_of(deadline_ns));
	}
}

static void bare_close(struct bench_case *c)
{
	struct bare_timers *timers = c->state;

	free(timers->live);
	free(timers);
}

static const struct bench timer_bare = {
	.name = "timer.bare",
	.family = "timer.cancel",
	.bare_of = "wheel",
	.open = bare_open,
	.run = bare_run,
	.close = bare_close,
};
bench_register(timer_bare);
