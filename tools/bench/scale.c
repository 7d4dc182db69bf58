// SPDX-License-Identifier: MIT
/*
 * What one operation costs among many: timers, fibers, connections, shards,
 * bytes. The number is the end of a bench's name. They take gigabytes and
 * minutes, so that they run only when they are asked for by name.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <miniss/smp.h>

#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "lib/time/clock.h"
#include "timers/timer.h"
#include "tools/bench/bench.h"

#define MESSAGE_BYTES	64

/* How many there are of what the bench is about. */
static uint64_t scale_of(const struct bench_case *c)
{
	return strtoull(strrchr(c->bench->name, '.') + 1, NULL, 10);
}

#define SCALE_BENCH(id, ...)                                               \
	static const struct bench id = { .on_request = true, __VA_ARGS__ }; \
	bench_register(id)

/* ---- timers: one of many is armed anew ---- */

struct timers {
	uint64_t random, nr;
	struct mn_timer *timer;
};

static void on_expiry(struct mn_task *task)
{
}

static void rearm(struct timers *t, uint64_t i)
{
	int64_t in_ns = MN_SEC + (int64_t)(bench_random(&t->random) % (uint64_t)(60 * MN_SEC));

	mn_timer_arm(&t->timer[i], mn_now() + in_ns, 0);
}

static int timers_open(struct bench_case *c)
{
	struct timers *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->random = 1;
	t->nr = scale_of(c);
	t->timer = mem_map(t->nr * sizeof(*t->timer));
	if (!t->timer) {
		free(t);
		return -ENOMEM;
	}
	timers_expire(c->shard);	/* the queue's time begins at 0: bring it to today */
	for (uint64_t i = 0; i < t->nr; i++) {
		mn_timer_init(&t->timer[i], on_expiry);
		rearm(t, i);
	}
	c->state = t;
	return 0;
}

static void timers_run(struct bench_case *c, uint64_t n)
{
	struct timers *t = c->state;

	for (; n; n--)
		rearm(t, bench_random(&t->random) % t->nr);
}

static void timers_close(struct bench_case *c)
{
	struct timers *t = c->state;

	for (uint64_t i = 0; i < t->nr; i++)
		mn_timer_cancel(&t->timer[i]);
	mem_unmap(t->timer, t->nr * sizeof(*t->timer));
	free(t);
}

#define TIMERS_BENCH(n)                                                        \
	SCALE_BENCH(timers_##n, .name = "scale.timers." #n, .kind = &timer_queue_kind, \
		    .open = timers_open, .run = timers_run, .close = timers_close)
TIMERS_BENCH(1000);
TIMERS_BENCH(10000);
TIMERS_BENCH(100000);
TIMERS_BENCH(1000000);
TIMERS_BENCH(10000000);

/* ---- fibers: each gives way to the next ---- */

struct fibers {
	uint64_t nr_yields;
	bool stop;
};

static int yields(void *arg)
{
	struct fibers *f = arg;

	for (; !f->stop; f->nr_yields++)
		mn_yield();
	return 0;
}

static int fibers_open(struct bench_case *c)
{
	struct fibers *f = calloc(1, sizeof(*f));
	int err = f ? 0 : -ENOMEM;

	for (uint64_t n = scale_of(c); !err && n; n--)
		err = mn_spawn(yields, f, NULL);
	c->state = f;
	return err;
}

static double fibers_measure(struct bench_case *c)
{
	struct fibers *f = c->state;
	uint64_t from = f->nr_yields, n = max(scale_of(c), (uint64_t)100000);
	int64_t from_ns = clock_now_ns();

	while (f->nr_yields - from < n)
		case_step(c);
	return (double)(clock_now_ns() - from_ns) / (double)(f->nr_yields - from);
}

static void fibers_close(struct bench_case *c)
{
	struct fibers *f = c->state;

	f->stop = true;
	while (c->shard->fibers.nr_live)
		case_step(c);
	free(f);
}

#define FIBERS_BENCH(n)                                                \
	SCALE_BENCH(fibers_##n, .name = "scale.fibers." #n, .open = fibers_open, \
		    .measure = fibers_measure, .close = fibers_close)
FIBERS_BENCH(1000);
FIBERS_BENCH(10000);
FIBERS_BENCH(100000);
FIBERS_BENCH(1000000);

/* ---- connections: a message over one of many, and back ---- */

struct conns {
	uint64_t random, nr, left;
	struct mn_stream **stream;	/* both ends of each, side by side */
};

static int ends(int listener, int *fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int one = 1;

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (fd[0] < 0 || getsockname(listener, (struct sockaddr *)&sa, &len) ||
	    connect(fd[0], (struct sockaddr *)&sa, len))
		return -errno;
	fd[1] = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK);
	if (fd[1] < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int conns_connect(struct conns *k)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd[2], err = 0;

	if (listener < 0)
		return -errno;
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(listener, 1))
		err = -errno;
	for (uint64_t i = 0; !err && i < k->nr; i++) {
		err = ends(listener, fd);
		for (uint64_t e = 0; !err && e < 2; e++) {
			struct mn_stream *end = mem_alloc(sizeof(*end));

			if (!end)
				return -ENOMEM;
			k->stream[2 * i + e] = end;
			stream_init(end, fd[e]);
			stream_begin(end);
		}
	}
	close(listener);
	return err;
}

static int conns_open(struct bench_case *c)
{
	struct conns *k;

	if (c->shard->virtual_time)
		return -EOPNOTSUPP;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->random = 1;
	k->nr = scale_of(c);
	k->stream = mem_map(2 * k->nr * sizeof(*k->stream));
	c->state = k;
	return k->stream ? conns_connect(k) : -ENOMEM;
}

static void pass(struct mn_stream *from, struct mn_stream *to)
{
	static const char zeros[MESSAGE_BYTES];
	struct mn_buf buf = mn_buf_static(zeros, sizeof(zeros));

	if (mn_stream_write(from, &buf) || mn_stream_read(to, &buf) != MESSAGE_BYTES)
		abort();
	mn_buf_free(&buf);
}

static int pass_fiber(void *arg)
{
	struct conns *k = arg;

	for (; k->left; k->left--) {
		struct mn_stream **end = &k->stream[2 * (bench_random(&k->random) % k->nr)];

		pass(end[0], end[1]);
		pass(end[1], end[0]);
	}
	return 0;
}

static void until_idle(struct bench_case *c)
{
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static void conns_run(struct bench_case *c, uint64_t n)
{
	struct conns *k = c->state;

	k->left = n;
	mn_spawn(pass_fiber, k, NULL);
	until_idle(c);
}

static int close_fiber(void *arg)
{
	struct conns *k = arg;

	for (uint64_t i = 0; i < 2 * k->nr; i++)
		mn_stream_close(k->stream[i]);
	return 0;
}

static void conns_close(struct bench_case *c)
{
	struct conns *k = c->state;

	mn_spawn(close_fiber, k, NULL);
	until_idle(c);
	mem_unmap(k->stream, 2 * k->nr * sizeof(*k->stream));
	free(k);
}

#define CONNS_BENCH(n)                                                      \
	SCALE_BENCH(conns_##n, .name = "scale.conns." #n, .kind = &backend_kind, \
		    .open = conns_open, .run = conns_run, .close = conns_close)
CONNS_BENCH(1);
CONNS_BENCH(10);
CONNS_BENCH(100);
CONNS_BENCH(1000);
CONNS_BENCH(9000);

/* ---- shards: a call to one of many, all on this thread ---- */

struct shards {
	uint64_t random, nr;
	struct mn_world world;
};

static int shards_open(struct bench_case *c)
{
	struct shards *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->random = 1;
	s->nr = scale_of(c);
	s->world.backend = c->world.backend;
	s->world.timer = c->world.timer;
	s->world.queue = c->world.queue;
	err = world_open(&s->world, (unsigned int)s->nr + 1, NULL);
	for (unsigned int i = 0; !err && i <= s->nr; i++)
		err = shard_start(s->world.shards[i]);
	c->state = s;
	mn_self = c->shard;
	return err;
}

static int nothing(void *arg)
{
	return 0;
}

static void shards_run(struct bench_case *c, uint64_t n)
{
	struct shards *s = c->state;
	struct shard *caller = s->world.shards[0];
	struct mn_call call;

	mn_self = caller;
	for (; n; n--) {
		unsigned int to = 1 + (unsigned int)(bench_random(&s->random) % s->nr);

		mn_call_start(&call, to, nothing, NULL);
		shard_step(caller, false);
		while (!mn_future_ready(&call.done)) {
			shard_step(s->world.shards[to], false);
			shard_step(s->world.shards[to], false);
			shard_step(caller, false);
		}
		mn_future_take(&call.done);
	}
	mn_self = c->shard;
}

static void shards_close(struct bench_case *c)
{
	struct shards *s = c->state;

	world_close(&s->world);
	free(s);
	mn_self = c->shard;
}

#define SHARDS_BENCH(n)                                                     \
	SCALE_BENCH(shards_##n, .name = "scale.shards." #n, .kind = &queue_kind, \
		    .open = shards_open, .run = shards_run, .close = shards_close)
SHARDS_BENCH(1);
SHARDS_BENCH(4);
SHARDS_BENCH(16);
SHARDS_BENCH(64);
SHARDS_BENCH(128);

/* ---- bytes: a message of so many over one connection ---- */

struct bytes {
	struct conns conns;
	uint64_t len, left;
	char *data;
};

static int bytes_open(struct bench_case *c)
{
	struct bytes *b;

	if (c->shard->virtual_time)
		return -EOPNOTSUPP;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->len = scale_of(c);
	b->conns.nr = 1;
	b->conns.stream = mem_map(2 * sizeof(*b->conns.stream));
	b->data = calloc(1, b->len);
	c->state = b;
	return b->conns.stream && b->data ? conns_connect(&b->conns) : -ENOMEM;
}

static int write_fiber(void *arg)
{
	struct bytes *b = arg;

	for (uint64_t n = b->left; n; n--) {
		struct mn_buf out = mn_buf_static(b->data, b->len);

		if (mn_stream_write(b->conns.stream[0], &out))
			abort();
	}
	return 0;
}

static int read_fiber(void *arg)
{
	struct bytes *b = arg;
	struct mn_buf in;

	for (uint64_t left = b->left * b->len; left;) {
		int64_t n = mn_stream_read(b->conns.stream[1], &in);

		if (n <= 0)
			abort();
		left -= (uint64_t)n;
		mn_buf_free(&in);
	}
	return 0;
}

static void bytes_run(struct bench_case *c, uint64_t n)
{
	struct bytes *b = c->state;

	b->left = n;
	mn_spawn(read_fiber, b, NULL);
	mn_spawn(write_fiber, b, NULL);
	until_idle(c);
}

static void bytes_close(struct bench_case *c)
{
	struct bytes *b = c->state;

	mn_spawn(close_fiber, &b->conns, NULL);
	until_idle(c);
	mem_unmap(b->conns.stream, 2 * sizeof(*b->conns.stream));
	free(b->data);
	free(b);
}

#define BYTES_BENCH(n)                                                      \
	SCALE_BENCH(bytes_##n, .name = "scale.bytes." #n, .kind = &backend_kind, \
		    .open = bytes_open, .run = bytes_run, .close = bytes_close)
BYTES_BENCH(64);
BYTES_BENCH(512);
BYTES_BENCH(4096);
BYTES_BENCH(32768);
BYTES_BENCH(262144);
BYTES_BENCH(2097152);
