// SPDX-License-Identifier: MIT
/* The same on files, by hand: with liburing alone, and with the system calls that wait. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/time/clock.h"
#include "tools/bench/bench.h"
#include "tools/bench/file.h"

#define PREPARED	64
#define PREPARE_ROUNDS	32
#define CLOCKED_DEEP	1000
#define CLOCKED_ONE	200

struct bare {
	struct io_uring ring;
	int fd;
	bool write;
	uint64_t random;
	char *path;
	char *bufs;
};

static int ring_open(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
	};
	int err = io_uring_queue_init_params(2 * PREPARED, ring, &params);

	if (err == -EINVAL) {	/* before Linux 6.1 */
		params = (struct io_uring_params){ .flags = 0 };
		err = io_uring_queue_init_params(2 * PREPARED, ring, &params);
	}
	if (!err)
		io_uring_register_ring_fd(ring);
	return err;
}

static void bare_close(struct bench_case *c)
{
	struct bare *b = c->state;

	io_uring_queue_exit(&b->ring);
	if (b->path)
		bench_path_end(b->path);
	close(b->fd);
	free(b->bufs);
	free(b);
}

static int bare_open(struct bench_case *c, int flags)
{
	struct bare *b = calloc(1, sizeof(*b));
	unsigned int workers[2] = { 4, 4 };
	int err;

	if (!b)
		return -ENOMEM;
	err = ring_open(&b->ring);
	if (err) {
		free(b);
		return err;
	}
	io_uring_register_iowq_max_workers(&b->ring, workers);
	c->state = b;
	b->random = 1;
	b->bufs = aligned_alloc(FILE_BLOCK_SIZE, PREPARED * FILE_BLOCK_SIZE);
	b->fd = bench_file(flags);
	b->path = bench_path();
	if (b->bufs && b->fd >= 0 && b->path)
		return 0;
	bare_close(c);
	return -EIO;
}

static int cached_open(struct bench_case *c)
{
	return bare_open(c, 0);
}

static int direct_open(struct bench_case *c)
{
	return bare_open(c, O_DIRECT);
}

static int write_open(struct bench_case *c)
{
	int err = bare_open(c, 0);

	if (!err)
		((struct bare *)c->state)->write = true;
	return err;
}

/* ---- liburing ---- */

static void prep(struct bare *b, unsigned int buf, int64_t off)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
	char *base = b->bufs + (size_t)buf * FILE_BLOCK_SIZE;

	if (b->write)
		io_uring_prep_write(sqe, b->fd, base, FILE_BLOCK_SIZE, (uint64_t)off);
	else
		io_uring_prep_read(sqe, b->fd, base, FILE_BLOCK_SIZE, (uint64_t)off);
	io_uring_sqe_set_data64(sqe, buf);
}

/* Keep @depth of them under way until @n are done: each that ends starts the next. */
static void keep_going(struct bare *b, unsigned int depth, uint64_t n)
{
	uint64_t unstarted = n;
	unsigned int in_flight = 0;

	for (; in_flight < depth && unstarted; unstarted--)
		prep(b, in_flight++, bench_offset(bench_random(&b->random)));
	while (in_flight) {
		struct io_uring_cqe *cqe;
		unsigned int head, nr = 0;

		io_uring_submit_and_get_events(&b->ring);
		/* clang-format off */
		io_uring_for_each_cqe(&b->ring, head, cqe) {
			nr++;
			in_flight--;
			if (cqe->res != FILE_BLOCK_SIZE)
				abort();
			if (!unstarted)
				continue;
			unstarted--;
			in_flight++;
			prep(b, (unsigned int)cqe->user_data,
			     bench_offset(bench_random(&b->random)));
		}
		/* clang-format on */
		io_uring_cq_advance(&b->ring, nr);
	}
}

static void qd1_run(struct bench_case *c, uint64_t n)
{
	keep_going(c->state, 1, n);
}

static void deep_run(struct bench_case *c, uint64_t n)
{
	keep_going(c->state, FILE_DEPTH, n);
}

static double by_clock(struct bench_case *c, void (*run)(struct bench_case *c, uint64_t n),
		       uint64_t n)
{
	int64_t from_ns = clock_now_ns();

	run(c, n);
	return (double)(clock_now_ns() - from_ns) / (double)n;
}

static double qd1_measure(struct bench_case *c)
{
	return by_clock(c, qd1_run, CLOCKED_ONE);
}

static double deep_measure(struct bench_case *c)
{
	return by_clock(c, deep_run, CLOCKED_DEEP);
}

/* ---- without the kernel ---- */

static double prepare_measure(struct bench_case *c)
{
	struct bare *b = c->state;
	int64_t ns = 0;

	for (unsigned int round = 0; round < PREPARE_ROUNDS; round++) {
		int64_t from_ns = clock_now_ns();
		unsigned int left = PREPARED;

		for (unsigned int i = 0; i < PREPARED; i++)
			prep(b, i, (int64_t)i * FILE_BLOCK_SIZE);
		ns += clock_now_ns() - from_ns;
		while (left) {
			struct io_uring_cqe *cqe;
			unsigned int head, nr = 0;

			io_uring_submit_and_get_events(&b->ring);
			/* clang-format off */
			io_uring_for_each_cqe(&b->ring, head, cqe)
				nr++;
			/* clang-format on */
			io_uring_cq_advance(&b->ring, nr);
			left -= nr;
		}
	}
	return (double)ns / (PREPARE_ROUNDS * PREPARED);
}

/* ---- system calls ---- */

static void pread_run(struct bench_case *c, uint64_t n)
{
	struct bare *b = c->state;

	while (n--)
		if (pread(b->fd, b->bufs, FILE_BLOCK_SIZE,
			  bench_offset(bench_random(&b->random))) != FILE_BLOCK_SIZE)
			abort();
}

static double pread_measure(struct bench_case *c)
{
	return by_clock(c, pread_run, CLOCKED_ONE);
}

static double pwrite_measure(struct bench_case *c)
{
	struct bare *b = c->state;
	int64_t from_ns = clock_now_ns();

	for (int i = 0; i < CLOCKED_DEEP; i++)
		if (pwrite(b->fd, b->bufs, FILE_BLOCK_SIZE,
			   bench_offset(bench_random(&b->random))) != FILE_BLOCK_SIZE)
			abort();
	return (double)(clock_now_ns() - from_ns) / CLOCKED_DEEP;
}

static double open_close_measure(struct bench_case *c)
{
	struct bare *b = c->state;
	int64_t from_ns = clock_now_ns();

	for (int i = 0; i < CLOCKED_ONE; i++)
		if (close(open(b->path, O_RDONLY | O_CLOEXEC)))
			abort();
	return (double)(clock_now_ns() - from_ns) / CLOCKED_ONE;
}

static void stat_run(struct bench_case *c, uint64_t n)
{
	struct bare *b = c->state;
	struct statx st;

	while (n--)
		bench_keep(statx(b->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st));
}

static double stat_path_measure(struct bench_case *c)
{
	struct bare *b = c->state;
	int64_t from_ns = clock_now_ns();
	struct statx st;

	for (int i = 0; i < CLOCKED_ONE; i++)
		if (statx(AT_FDCWD, b->path, 0, STATX_BASIC_STATS, &st))
			abort();
	return (double)(clock_now_ns() - from_ns) / CLOCKED_ONE;
}

#define BARE(id, of_family, suffix, of, ...)				\
	static const struct bench id = { .name = of_family "." suffix, \
		.family = of_family,					\
		.bare_of = of,						\
		.close = bare_close,					\
					 __VA_ARGS__ };                \
	bench_register(id)

/* clang-format off */
BARE(prepare, "file.prepare", "bare", "io_uring", .open = cached_open, .measure = prepare_measure);
BARE(read_1, "file.read4k.qd1", "bare", "io_uring", .open = cached_open, .run = qd1_run);
BARE(read_1_pread, "file.read4k.qd1", "pread", "libev", .open = cached_open, .run = pread_run);
BARE(read_32, "file.read4k.qd32", "bare", "io_uring", .open = cached_open, .run = deep_run);
BARE(read_32_pread, "file.read4k.qd32", "pread", "libev", .open = cached_open, .run = pread_run);
BARE(direct_1, "file.read4k.direct.qd1", "bare", "io_uring", .open = direct_open,
     .measure = qd1_measure);
BARE(direct_1_pread, "file.read4k.direct.qd1", "pread", "libev", .open = direct_open,
     .measure = pread_measure);
BARE(direct_32, "file.read4k.direct.qd32", "bare", "io_uring", .open = direct_open,
     .measure = deep_measure);
BARE(write_32, "file.write4k.qd32", "bare", "io_uring", .open = write_open,
     .measure = deep_measure);
BARE(write_32_pwrite, "file.write4k.qd32", "pwrite", "libev", .open = write_open,
     .measure = pwrite_measure);
BARE(open_close, "file.open_close", "bare", "*", .open = cached_open,
     .measure = open_close_measure);
BARE(stat_fd, "file.stat", "bare", "*", .open = cached_open, .run = stat_run);
BARE(stat_name, "file.stat_path", "bare", "*", .open = cached_open,
     .measure = stat_path_measure);
/* clang-format on */
