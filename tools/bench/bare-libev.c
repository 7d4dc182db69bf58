// SPDX-License-Identifier: MIT
/* turn.empty on libev alone: a loop that watches one descriptor. */
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/bench/bench.h"

struct bare_loop {
	struct ev_loop *loop;
	ev_io io;
	int fd[2];
};

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
}

static int bare_open(struct bench_case *c)
{
	struct bare_loop *bare = calloc(1, sizeof(*bare));
	int err;

	if (!bare)
		return -ENOMEM;
	err = pipe(bare->fd) ? -errno : 0;
	if (err)
		goto out_bare;
	bare->loop = ev_loop_new(EVFLAG_NOENV);
	err = bare->loop ? 0 : -ENOSYS;
	if (err)
		goto out_pipe;
	ev_io_init(&bare->io, on_readable, bare->fd[0], EV_READ);
	ev_io_start(bare->loop, &bare->io);
	ev_run(bare->loop, EVRUN_NOWAIT);
	c->state = bare;
	return 0;
out_pipe:
	close(bare->fd[0]);
	close(bare->fd[1]);
out_bare:
	free(bare);
	return err;
}

static void bare_run(struct bench_case *c, uint64_t n)
{
	struct bare_loop *bare = c->state;

	for (; n; n--)
		ev_run(bare->loop, EVRUN_NOWAIT);
}

static void bare_close(struct bench_case *c)
{
	struct bare_loop *bare = c->state;

	ev_loop_destroy(bare->loop);
	close(bare->fd[0]);
	close(bare->fd[1]);
	free(bare);
}

static const struct bench turn_empty_bare = {
	.name = "turn.empty.bare",
	.family = "turn.empty",
	.bare_of = "libev",
	.open = bare_open,
	.run = bare_run,
	.close = bare_close,
};
bench_register(turn_empty_bare);
