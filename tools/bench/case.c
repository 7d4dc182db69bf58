// SPDX-License-Identifier: MIT
/* A case: a bench, the drivers it runs on, and the world it runs in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/bench/bench.h"

struct bench_case *case_new(const struct bench *bench, const struct driver_choice *choice,
			    const char *suffix)
{
	struct bench_case *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->bench = bench;
	c->driver = choice->driver;
	c->arg = choice->arg;
	snprintf(c->name, sizeof(c->name), "%s%s%s%s%s", bench->name, suffix ? "." : "",
		 suffix ? suffix : "", c->arg ? "." : "", c->arg ? c->arg : "");
	return c;
}

void case_free(struct bench_case *c)
{
	free(c->ns);
	free(c);
}

const char *case_family(const struct bench_case *c)
{
	return c->bench->family ? c->bench->family : c->bench->name;
}

/* The drivers of the program, but for the one that the case is about. */
static void case_choose(struct bench_case *c, const struct mn_world *program)
{
	const struct driver_kind *kind = c->bench->wakers ? &backend_kind : c->bench->kind;
	struct driver_choice *choice = kind == &backend_kind ? &c->world.backend :
				       kind == &queue_kind   ? &c->world.queue :
							       &c->world.timer;

	c->world.backend = program->backend;
	c->world.timer = program->timer;
	c->world.queue = program->queue;
	if (c->driver && (c->arg || choice->driver != c->driver))
		*choice = (struct driver_choice){ .driver = c->driver, .arg = c->arg };
}

int case_open(struct bench_case *c)
{
	struct shard *home = mn_self;
	int err;

	case_choose(c, home->world);
	err = world_open(&c->world, 1, NULL);
	if (err)
		return err;
	c->shard = c->world.shards[0];
	err = shard_start(c->shard);
	if (!err && c->bench->open)
		err = c->bench->open(c);
	mn_self = home;
	if (err)
		world_close(&c->world);
	return err;
}

void case_close(struct bench_case *c)
{
	struct shard *home = mn_self;

	mn_self = c->shard;
	if (c->bench->close)
		c->bench->close(c);
	mn_self = home;
	world_close(&c->world);
}
