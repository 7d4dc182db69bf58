// SPDX-License-Identifier: MIT
/*
 * The tasks on a ring by hand: reads, and two threads that send each other
 * messages through their rings. For echo see bare-uring-echo.
 */
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tasks.h"

static void ring_begin(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	};

	if (io_uring_queue_init_params(2 * WINDOW, ring, &params) ||
	    io_uring_register_ring_fd(ring) != 1)
		errx(EXIT_FAILURE, "no ring");
}

/* ---- two threads ---- */

static struct io_uring asks, answers;
static _Atomic int up;

/* A message is a completion there: its length is how many this one stands for. */
static void send_to(struct io_uring *from, const struct io_uring *to, uint64_t n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(from);

	io_uring_prep_msg_ring(sqe, to->ring_fd, (unsigned int)n, 1, 0);
	sqe->user_data = 0;
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

static uint64_t take(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;
	uint64_t n = 0;

	while (!n) {
		nr = 0;
		io_uring_submit_and_wait(ring, 1);
		io_uring_for_each_cqe(ring, head, cqe)
		{
			nr++;
			if (cqe->user_data)
				n += (uint64_t)cqe->res;
		}
		io_uring_cq_advance(ring, nr);
	}
	return n;
}

static void *answering(void *arg)
{
	ring_begin(&answers);
	atomic_store(&up, 1);
	for (;;)
		send_to(&answers, &asks, take(&answers));
	return NULL;
}

static void threads_prepare(void)
{
	pthread_t thread;

	ring_begin(&asks);
	if (pthread_create(&thread, NULL, answering, NULL))
		errx(EXIT_FAILURE, "no thread");
	while (!atomic_load(&up))
		;
}

static void ask(uint64_t n, uint64_t window)
{
	uint64_t first = n < window ? n : window, unasked = n - first;

	send_to(&asks, &answers, first);
	while (n) {
		uint64_t got = take(&asks), more = got < unasked ? got : unasked;

		n -= got;
		unasked -= more;
		if (more)
			send_to(&asks, &answers, more);
	}
}

static void roundtrip_run(uint64_t n)
{
	ask(n, 1);
}

static void pipelined_run(uint64_t n)
{
	ask(n, WINDOW);
}

/* ---- files ---- */

static struct io_uring ring;
static char buf[DEPTH][BLOCK];
static off_t offsets[DEPTH];

/* The file is registered: it is cheaper so. */
static void read_prepare(void)
{
	int fd = file_to_read();

	ring_begin(&ring);
	if (io_uring_register_files(&ring, &fd, 1))
		errx(EXIT_FAILURE, "no registered files");
}

static void read_start(uint64_t i)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	offsets[i] = random_offset();
	io_uring_prep_read(sqe, 0, buf[i], BLOCK, (uint64_t)offsets[i]);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = i;
}

static void read_run(uint64_t n, uint64_t depth)
{
	uint64_t begun = 0;

	for (; begun < n && begun < depth; begun++)
		read_start(begun);
	while (n) {
		struct io_uring_cqe *cqe;
		unsigned int head, nr = 0;

		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			nr++;
			block_check(buf[cqe->user_data], cqe->res, offsets[cqe->user_data]);
			if (--n >= depth)	/* else all are under way */
				read_start(cqe->user_data);
		}
		io_uring_cq_advance(&ring, nr);
	}
}

static void read1_run(uint64_t n)
{
	read_run(n, 1);
}

static void read32_run(uint64_t n)
{
	read_run(n, DEPTH);
}

static const struct task tasks[] = {
	{ "roundtrip", roundtrip_run, threads_prepare },
	{ "pipelined", pipelined_run, threads_prepare },
	{ "read1", read1_run, read_prepare },
	{ "read32", read32_run, read_prepare },
	{ .name = NULL },
};

#ifndef VERSION	/* which only its pkg-config file tells */
#define VERSION "?"
#endif

int main(int argc, char **argv)
{
	return tasks_main(argc, argv, VERSION, tasks);
}
