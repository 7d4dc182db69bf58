// SPDX-License-Identifier: MIT
/*
 * Operations on files. What is in the page cache is a matter of CPU time;
 * what a disk or another thread does is measured by the clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <miniss/file.h>

#include "lib/time/clock.h"
#include "tools/bench/bench.h"
#include "tools/bench/file.h"

#define PREPARED	64	/* that fit into a ring */
#define PREPARE_ROUNDS	32

struct transfer {
	struct mn_op op;
	struct mn_task task;
	struct files *all;
	void *buf;
	struct mn_buf pooled;
};

struct files {
	struct mn_file file;
	uint64_t random;
	uint64_t nr_unstarted;
	unsigned int nr_in_flight;
	unsigned int depth;
	bool write;
	char *path;
	char *bufs;
	struct transfer transfer[PREPARED];
};

static int files_open(struct bench_case *c, int flags, unsigned int depth)
{
	struct files *f = calloc(1, sizeof(*f));
	int fd;

	if (!f)
		return -ENOMEM;
	fd = bench_file(flags);
	f->bufs = aligned_alloc(FILE_BLOCK_SIZE, PREPARED * FILE_BLOCK_SIZE);
	if (fd < 0 || !f->bufs) {
		free(f->bufs);
		free(f);
		return fd < 0 ? fd : -ENOMEM;
	}
	f->file = MN_FILE_CLOSED;
	f->file.fd = fd;
	if (flags)
		f->file.mem_align = f->file.offset_align = 512;
	f->random = 1;
	f->depth = depth;
	for (unsigned int i = 0; i < PREPARED; i++) {
		f->transfer[i].all = f;
		f->transfer[i].buf = f->bufs + (size_t)i * FILE_BLOCK_SIZE;
	}
	c->state = f;
	mn_self->hygiene.nr_fds++;
	return 0;
}

static int close_fiber(void *arg)
{
	return mn_file_close(arg);
}

static void steps(struct bench_case *c)
{
	while (c->shard->fibers.nr_live)
		case_step(c);
}

static void files_close(struct bench_case *c)
{
	struct files *f = c->state;

	mn_spawn(close_fiber, &f->file, NULL);
	steps(c);
	if (f->path)
		bench_path_end(f->path);
	free(f->bufs);
	free(f);
}

/* ---- many at once, by continuations ---- */

static void next(struct mn_task *task);

static void transfer_start(struct transfer *t)
{
	struct files *f = t->all;

	if (!f->nr_unstarted)
		return;
	f->nr_unstarted--;
	f->nr_in_flight++;
	if (f->write)
		mn_write_start(&t->op, &f->file, t->buf, FILE_BLOCK_SIZE,
			       bench_offset(bench_random(&f->random)));
	else
		mn_read_start(&t->op, &f->file, t->buf, FILE_BLOCK_SIZE,
			      bench_offset(bench_random(&f->random)));
	mn_future_then(&t->op.done, &t->task, next);
}

static void next(struct mn_task *task)
{
	struct transfer *t = container_of(task, struct transfer, task);

	t->all->nr_in_flight--;
	if (mn_future_take(&t->op.done) != FILE_BLOCK_SIZE)
		abort();
	transfer_start(t);
}

static void deep_run(struct bench_case *c, uint64_t n)
{
	struct files *f = c->state;

	f->nr_unstarted = n;
	for (unsigned int i = 0; i < f->depth; i++)
		transfer_start(&f->transfer[i]);
	while (f->nr_in_flight)
		case_step(c);
}

/* ---- one after the other, from a fiber ---- */

static int read_fiber(void *arg)
{
	struct files *f = arg;

	for (; f->nr_unstarted; f->nr_unstarted--)
		if (mn_read(&f->file, f->bufs, FILE_BLOCK_SIZE,
			    bench_offset(bench_random(&f->random))) != FILE_BLOCK_SIZE)
			abort();
	return 0;
}

static void fiber_run(struct bench_case *c, uint64_t n, mn_fiber_fn fn)
{
	((struct files *)c->state)->nr_unstarted = n;
	mn_spawn(fn, c->state, NULL);
	steps(c);
}

static void qd1_run(struct bench_case *c, uint64_t n)
{
	fiber_run(c, n, read_fiber);
}

static int cached_open(struct bench_case *c)
{
	return files_open(c, 0, FILE_DEPTH);
}

/* The same into buffers of the pool, which the kernel may know. */
static int pooled_open(struct bench_case *c)
{
	int err = files_open(c, 0, FILE_DEPTH);
	struct files *f = c->state;

	for (unsigned int i = 0; i < PREPARED && !err; i++) {
		struct mn_buf *buf = &f->transfer[i].pooled;

		err = mn_buf_alloc(buf);
		if (err || buf->len < FILE_BLOCK_SIZE)
			abort();
		f->transfer[i].buf = buf->data;
	}
	return err;
}

static void pooled_close(struct bench_case *c)
{
	struct files *f = c->state;

	for (unsigned int i = 0; i < PREPARED; i++)
		mn_buf_free(&f->transfer[i].pooled);
	files_close(c);
}

static const struct bench file_read4k_qd1 = {
	.name = "file.read4k.qd1",
	.kind = &backend_kind,
	.open = cached_open,
	.run = qd1_run,
	.close = files_close,
};
bench_register(file_read4k_qd1);

static const struct bench file_read4k_qd32 = {
	.name = "file.read4k.qd32",
	.kind = &backend_kind,
	.open = cached_open,
	.run = deep_run,
	.close = files_close,
};
bench_register(file_read4k_qd32);

static const struct bench file_read4k_pooled = {
	.name = "file.read4k.pooled.qd32",
	.kind = &backend_kind,
	.open = pooled_open,
	.run = deep_run,
	.close = pooled_close,
};
bench_register(file_read4k_pooled);

/* ---- by the clock ---- */

#define CLOCKED_DEEP	1000
#define CLOCKED_ONE	200

static double by_clock(struct bench_case *c, void (*run)(struct bench_case *c, uint64_t n),
		       uint64_t n)
{
	int64_t from_ns = clock_now_ns();

	run(c, n);
	return (double)(clock_now_ns() - from_ns) / (double)n;
}

static int direct_open(struct bench_case *c)
{
	return files_open(c, O_DIRECT, FILE_DEPTH);
}

static double direct_qd1_measure(struct bench_case *c)
{
	return by_clock(c, qd1_run, CLOCKED_ONE);
}

static double deep_measure(struct bench_case *c)
{
	return by_clock(c, deep_run, CLOCKED_DEEP);
}

static const struct bench file_read4k_direct_qd1 = {
	.name = "file.read4k.direct.qd1",
	.kind = &backend_kind,
	.open = direct_open,
	.measure = direct_qd1_measure,
	.close = files_close,
};
bench_register(file_read4k_direct_qd1);

static const struct bench file_read4k_direct_qd32 = {
	.name = "file.read4k.direct.qd32",
	.kind = &backend_kind,
	.open = direct_open,
	.measure = deep_measure,
	.close = files_close,
};
bench_register(file_read4k_direct_qd32);

static int write_open(struct bench_case *c)
{
	int err = files_open(c, 0, FILE_DEPTH);

	if (!err)
		((struct files *)c->state)->write = true;
	return err;
}

static const struct bench file_write4k = {
	.name = "file.write4k.qd32",
	.kind = &backend_kind,
	.open = write_open,
	.measure = deep_measure,
	.close = files_close,
};
bench_register(file_write4k);

/* ---- names and what there is to know ---- */

static int path_open(struct bench_case *c)
{
	int err = files_open(c, 0, 1);
	struct files *f = c->state;

	if (err)
		return err;
	f->path = bench_path();
	if (f->path)
		return 0;
	files_close(c);
	return -EACCES;
}

static int open_close_fiber(void *arg)
{
	struct files *f = arg;
	struct mn_file file;

	for (; f->nr_unstarted; f->nr_unstarted--)
		if (mn_file_open(&file, f->path, O_RDONLY, 0) || mn_file_close(&file))
			abort();
	return 0;
}

static void open_close_run(struct bench_case *c, uint64_t n)
{
	fiber_run(c, n, open_close_fiber);
}

static double open_close_measure(struct bench_case *c)
{
	return by_clock(c, open_close_run, CLOCKED_ONE);
}

static const struct bench file_open_close = {
	.name = "file.open_close",
	.kind = &backend_kind,
	.open = path_open,
	.measure = open_close_measure,
	.close = files_close,
};
bench_register(file_open_close);

static void stat_run(struct bench_case *c, uint64_t n)
{
	struct files *f = c->state;
	struct mn_stat st;

	while (n--)
		bench_keep(mn_file_stat(&f->file, &st));
}

static const struct bench file_stat = {
	.name = "file.stat",
	.kind = &backend_kind,
	.open = cached_open,
	.run = stat_run,
	.close = files_close,
};
bench_register(file_stat);

static int stat_path_fiber(void *arg)
{
	struct files *f = arg;
	struct mn_stat st;

	for (; f->nr_unstarted; f->nr_unstarted--)
		if (mn_stat(f->path, &st))
			abort();
	return 0;
}

static void stat_path_run(struct bench_case *c, uint64_t n)
{
	fiber_run(c, n, stat_path_fiber);
}

static double stat_path_measure(struct bench_case *c)
{
	return by_clock(c, stat_path_run, CLOCKED_ONE);
}

static const struct bench file_stat_path = {
	.name = "file.stat_path",
	.kind = &backend_kind,
	.open = path_open,
	.measure = stat_path_measure,
	.close = files_close,
};
bench_register(file_stat_path);

/* ---- what it takes to start one, without the kernel ---- */

static double prepare_measure(struct bench_case *c)
{
	struct files *f = c->state;
	int64_t ns = 0;

	for (unsigned int round = 0; round < PREPARE_ROUNDS; round++) {
		int64_t from_ns = clock_now_ns();

		for (unsigned int i = 0; i < PREPARED; i++)
			mn_read_start(&f->transfer[i].op, &f->file, f->transfer[i].buf,
				      FILE_BLOCK_SIZE, (int64_t)i * FILE_BLOCK_SIZE);
		ns += clock_now_ns() - from_ns;
		for (unsigned int i = 0; i < PREPARED; i++) {
			while (!mn_future_ready(&f->transfer[i].op.done))
				case_step(c);
			bench_keep(mn_future_take(&f->transfer[i].op.done));
		}
	}
	return (double)ns / (PREPARE_ROUNDS * PREPARED);
}

static const struct bench file_prepare = {
	.name = "file.prepare",
	.kind = &backend_kind,
	.open = cached_open,
	.measure = prepare_measure,
	.close = files_close,
};
bench_register(file_prepare);
