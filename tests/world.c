// SPDX-License-Identifier: MIT
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backends/io_uring/features.h"
#include "core/op.h"
#include "tests/spawn.h"
#include "tests/world.h"

/* "name" or "name:argument". */
static struct driver_choice backend_named(const char *name)
{
	struct driver_choice choice = { .driver = NULL };
	size_t len = strcspn(name, ":");
	const struct driver *const *drv;

	for (drv = backend_kind.start; drv < backend_kind.stop; drv++)
		if (!strncmp((*drv)->name, name, len) && !(*drv)->name[len])
			choice.driver = *drv;
	choice.arg = name[len] ? name + len + 1 : NULL;
	return choice;
}

bool world_opens(struct mn_world *world, unsigned int nr_shards)
{
	int err = world_open(world, nr_shards, NULL);

	if ((err == -ENODEV || err == -ENOMEM) && world_is(world, "io_uring") &&
	    memlock_is_short()) {
		printf("skipped: io_uring: RLIMIT_MEMLOCK is too low for %u rings\n", nr_shards);
		return false;
	}
	ck_assert_int_eq(err, 0);
	return true;
}

bool world_make(struct mn_world *world, const char *backend, unsigned int nr_shards)
{
	struct driver_choice choice = backend_named(backend);
	const struct driver *drv = choice.driver;
	int err = !drv ? -ENODEV : drv->probe ? drv->probe(choice.arg) : 0;

	*world = (struct mn_world){ .backend = choice };
	if (err) {
		printf("skipped: backend %s: %s\n", backend, strerror(-err));
		return false;
	}
	ck_assert_int_eq(driver_choose(&timer_queue_kind, NULL, NULL, NULL, &world->timer), 0);
	ck_assert_int_eq(driver_choose(&queue_kind, NULL, NULL, NULL, &world->queue), 0);
	return world_opens(world, nr_shards);
}

bool world_begin(struct mn_world *world, const char *backend, unsigned int nr_shards)
{
	if (!world_make(world, backend, nr_shards))
		return false;
	for (unsigned int i = nr_shards; i-- > 0;)
		ck_assert_int_eq(shard_start(world->shards[i]), 0);
	return true;
}

void world_end(struct mn_world *world)
{
	mn_self = NULL;
	world_close(world);
}

int nr_backends(void)
{
	return (int)(backend_kind.stop - backend_kind.start);
}

bool world_backend(struct mn_world *world, int i)
{
	return world_begin(world, backend_kind.start[i]->name, 1);
}

/* One without each of them, one without all, and two with what is not used uncalled for. */
int nr_variants(void)
{
	return nr_backends() + (IS_ENABLED(CONFIG_BACKEND_IO_URING) ? URING_FEATURES + 3 : 0);
}

const char *variant(int i, const char **without)
{
	int feature = i - nr_backends();

	*without = NULL;
	if (feature < 0)
		return backend_kind.start[i]->name;
	if (IS_ENABLED(CONFIG_BACKEND_IO_URING) && feature > URING_FEATURES) {
		uring_mask_set(NULL);
		uring_incremental_set(feature == URING_FEATURES + 1);
		uring_files_set(feature == URING_FEATURES + 2 ? 1024 : 0, 1);
	} else if (IS_ENABLED(CONFIG_BACKEND_IO_URING)) {
		*without = feature == URING_FEATURES ? "all" : uring_feature_name(feature);
		uring_mask_set(*without);
	}
	return "io_uring";
}

bool world_variant(struct mn_world *world, int i)
{
	const char *without;

	return world_begin(world, variant(i, &without), 1);
}

bool world_is(const struct mn_world *world, const char *backend)
{
	return !strcmp(world->backend.driver->name, backend);
}

/* No period that a buffer's size could hide. */
uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

void pattern_fill(uint8_t *base, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		base[i] = pattern(from + i);
}

static void track_chunk(struct track *t, struct mn_chunk *chunk, int64_t res)
{
	if (chunk->len != res)
		t->wrong++;
	for (int64_t i = 0; i < res; i++)
		t->wrong += chunk->data[i] != pattern(t->len + (uint64_t)i);
	t->len += (uint64_t)res;
	if (!t->hold) {
		pool_put(chunk);
		return;
	}
	chunk->next = t->held;
	t->held = chunk;
}

static void track_complete(struct mn_op *op, int64_t res)
{
	struct track *t = container_of(op, struct track, op);

	ck_assert_uint_eq(t->ends, 0); /* nothing comes after the end */
	if (!(op->flags & OP_MORE)) {
		t->res = res;
		t->ends++;
		return;
	}
	if (op->code == MN_OP_RECV_STREAM)
		track_chunk(t, op->chunk, res);
	else if (t->items < t->fds_max)
		t->fds[t->items] = (int)res;
	t->items++;
	if (t->cancel_at_item)
		mn_op_cancel(op);
}

void track_init(struct track *t, enum mn_opcode code, int fd)
{
	*t = (struct track){ 0 };
	op_init(&t->op, code, fd);
	t->op.complete = track_complete;
}

void track_start(struct track *t, enum mn_opcode code, int fd)
{
	track_init(t, code, fd);
	op_start(&t->op);
}

void track_release(struct track *t)
{
	t->hold = false;
	while (t->held) {
		struct mn_chunk *chunk = t->held;

		t->held = chunk->next;
		pool_put(chunk);
	}
}

int64_t track_finish(struct track *t)
{
	while (!t->ends)
		shard_step(mn_self, true);
	return t->res;
}

void settle(void)
{
	for (int quiet = 0; quiet < 200; quiet++)
		if (shard_step(mn_self, false))
			quiet = 0;
}

int64_t do_recv(int fd, void *base, size_t len)
{
	struct track t;

	track_init(&t, MN_OP_RECV, fd);
	t.op.buf.base = base;
	t.op.buf.len = len;
	op_start(&t.op);
	return track_finish(&t);
}

int64_t do_send(int fd, const void *base, size_t len)
{
	struct track t;

	track_init(&t, MN_OP_SEND, fd);
	t.op.buf.base = (void *)(uintptr_t)base;
	t.op.buf.len = len;
	op_start(&t.op);
	return track_finish(&t);
}

int64_t do_connect(int fd, const struct sockaddr_in *to)
{
	struct track t;

	track_init(&t, MN_OP_CONNECT, fd);
	t.op.addr.sa = (const struct sockaddr *)to;
	t.op.addr.len = sizeof(*to);
	op_start(&t.op);
	return track_finish(&t);
}

static int call(struct mn_op *op)
{
	return (int)op_call(op);
}

int do_socket(void)
{
	struct mn_op op;

	op_init(&op, MN_OP_SOCKET, -1);
	op.socket.family = AF_INET;
	op.socket.type = SOCK_STREAM;
	return call(&op);
}

int do_call(enum mn_opcode code, int fd, int value)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.value = value;
	return call(&op);
}

int do_bind(int fd, const struct sockaddr_in *sa)
{
	struct mn_op op;

	op_init(&op, MN_OP_BIND, fd);
	op.addr.sa = (const struct sockaddr *)sa;
	op.addr.len = sizeof(*sa);
	return call(&op);
}

int do_setsockopt(int fd, int level, int name, int value)
{
	struct mn_op op;

	op_init(&op, MN_OP_SETSOCKOPT, fd);
	op.sockopt.level = level;
	op.sockopt.name = name;
	op.sockopt.value = value;
	return call(&op);
}

int do_name(enum mn_opcode code, int fd, struct sockaddr_in *sa)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.addr.sa = (const struct sockaddr *)sa;
	op.addr.len = sizeof(*sa);
	return call(&op);
}

int do_catch(uint64_t set, uint64_t once)
{
	struct mn_op op;

	op_init(&op, MN_OP_SIGNAL_CATCH, -1);
	op.caught.set = set;
	op.caught.once = once;
	return call(&op);
}

void start_endless(struct mn_op *op)
{
	static uint32_t counts[MN_SIGNALS];

	ck_assert_int_eq(do_catch(MN_SIGNAL(SIGUSR2), 0), 0);
	op_init(op, MN_OP_SIGNAL, -1);
	op->signal.counts = counts;
	op_start(op);
}

struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int listener_with(struct sockaddr_in *sa, int backlog, int buffers)
{
	int fd = do_socket();

	*sa = loopback();
	ck_assert_int_ge(fd, 0);
	if (buffers)
		ck_assert_int_eq(do_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, buffers), 0);
	ck_assert_int_eq(do_bind(fd, sa), 0);
	ck_assert_int_eq(do_name(MN_OP_GETSOCKNAME, fd, sa), sizeof(*sa));
	ck_assert_int_ne(sa->sin_port, 0);
	ck_assert_int_eq(do_call(MN_OP_LISTEN, fd, backlog), 0);
	return fd;
}

int listener(struct sockaddr_in *sa, int backlog)
{
	return listener_with(sa, backlog, 0);
}

struct pair connected(int buffers)
{
	struct sockaddr_in sa;
	struct pair pair;
	int fd = listener_with(&sa, 16, buffers);

	pair.client = do_socket();
	ck_assert_int_ge(pair.client, 0);
	if (buffers) {
		ck_assert_int_eq(do_setsockopt(pair.client, SOL_SOCKET, SO_SNDBUF, buffers), 0);
		ck_assert_int_eq(do_setsockopt(pair.client, SOL_SOCKET, SO_RCVBUF, buffers), 0);
	}
	ck_assert_int_eq(do_connect(pair.client, &sa), 0);
	while ((pair.server = do_call(MN_OP_ACCEPT, fd, 0)) == -EAGAIN)
		shard_step(mn_self, false);
	ck_assert_int_ge(pair.server, 0);
	ck_assert_int_eq(do_call(MN_OP_CLOSE, fd, 0), 0);
	return pair;
}
