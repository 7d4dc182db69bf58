// SPDX-License-Identifier: MIT
/*
 * A turn with nothing to do. One operation waits, as on any shard that
 * serves: without that, a backend need not even ask the kernel.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/bench/bench.h"

struct quiet {
	int fd[2];
	struct mn_op op;
};

static int empty_open(struct bench_case *c)
{
	struct quiet *quiet = calloc(1, sizeof(*quiet));

	if (!quiet)
		return -ENOMEM;
	if (pipe(quiet->fd)) {
		int err = -errno;

		free(quiet);
		return err;
	}
	c->state = quiet;
	mn_poll_start(&quiet->op, quiet->fd[0], POLLIN);
	for (int i = 0; i < 10; i++)
		case_step(c);
	return 0;
}

static void empty_run(struct bench_case *c, uint64_t n)
{
	for (; n; n--)
		case_step(c);
}

static void empty_close(struct bench_case *c)
{
	struct quiet *quiet = c->state;

	mn_op_cancel(&quiet->op);
	while (mn_op_in_flight(&quiet->op))
		case_step(c);
	mn_future_take(&quiet->op.done);
	close(quiet->fd[0]);
	close(quiet->fd[1]);
	free(quiet);
}

static const struct bench turn_empty = {
	.name = "turn.empty",
	.kind = &backend_kind,
	.open = empty_open,
	.run = empty_run,
	.close = empty_close,
};
bench_register(turn_empty);
