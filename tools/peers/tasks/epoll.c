// SPDX-License-Identifier: MIT
/*
 * The tasks by system calls: two threads with eventfds and epoll, reads with
 * pread(). For echo see bare-epoll-echo.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "tasks.h"

struct side {
	int epoll, event;
	_Atomic uint64_t nr;
};

static struct side asks, answers;

static void side_begin(struct side *side)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	side->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	side->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (side->event < 0 || side->epoll < 0 ||
	    epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->event, &ev))
		err(EXIT_FAILURE, "epoll");
}

static void send_to(struct side *side, uint64_t n)
{
	const uint64_t one = 1;

	/* Who found nothing sleeps, or is about to. */
	if (!atomic_fetch_add(&side->nr, n) && write(side->event, &one, sizeof(one)) < 0)
		abort();
}

static uint64_t take(struct side *side)
{
	struct epoll_event ev;
	uint64_t n;

	while (!(n = atomic_exchange(&side->nr, 0)))
		epoll_wait(side->epoll, &ev, 1, -1);
	return n;
}

static void *answering(void *arg)
{
	for (;;)
		send_to(&asks, take(&answers));
	return NULL;
}

static void threads_prepare(void)
{
	pthread_t thread;

	side_begin(&asks);
	side_begin(&answers);
	if (pthread_create(&thread, NULL, answering, NULL))
		errx(EXIT_FAILURE, "no thread");
}

static void ask(uint64_t n, uint64_t window)
{
	uint64_t first = n < window ? n : window, unasked = n - first;

	send_to(&answers, first);
	while (n) {
		uint64_t got = take(&asks), more = got < unasked ? got : unasked;

		n -= got;
		unasked -= more;
		if (more)
			send_to(&answers, more);
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

static int fd;

static void read_prepare(void)
{
	fd = file_to_read();
}

static void read1_run(uint64_t n)
{
	static char buf[BLOCK];

	for (; n; n--) {
		off_t offset = random_offset();

		block_check(buf, pread(fd, buf, BLOCK, offset), offset);
	}
}

static const struct task tasks[] = {
	{ "roundtrip", roundtrip_run, threads_prepare },
	{ "pipelined", pipelined_run, threads_prepare },
	{ "read1", read1_run, read_prepare },
	{ .name = NULL },
};

int main(int argc, char **argv)
{
	return tasks_main(argc, argv, "epoll, eventfd, pread", tasks);
}
