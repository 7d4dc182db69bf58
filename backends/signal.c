// SPDX-License-Identifier: MIT
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "backends/inline.h"
#include "backends/platform.h"

/*
 * Signals belong to the process, and their handler has no argument: this is
 * all the state there is. The first handler to run takes @armed_fd, so that
 * one that is late on another thread cannot write to what the number has
 * become since.
 */
static _Atomic int armed_fd = -1;
static _Atomic int write_fd = -1; /* the pipe's end, while there is one */
static uint64_t wanted;
static bool heard; /* the byte was read: the handler is done with the pipe */

static void restore_defaults(void)
{
	const struct sigaction act = { .sa_handler = SIG_DFL };

	for (int sig = 1; sig <= 64; sig++)
		if (wanted >> (sig - 1) & 1)
			sigaction(sig, &act, NULL);
}

static void on_signal(int sig)
{
	int saved = errno, fd = atomic_exchange(&armed_fd, -1);
	uint8_t byte = (uint8_t)sig;

	restore_defaults();
	if (fd >= 0)
		(void)!write(fd, &byte, 1); /* into an empty pipe */
	errno = saved;
}

static int handlers_install(uint64_t set)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	wanted = set;
	sigfillset(&act.sa_mask); /* the handler is not interrupted by another of the set */
	for (int sig = 1; sig <= 64; sig++)
		if ((set >> (sig - 1) & 1) && sigaction(sig, &act, NULL)) {
			int err = -errno;

			restore_defaults();
			return err;
		}
	return 0;
}

int signal_open(uint64_t set)
{
	int fd[2], err, none = -1;

	if (pipe(fd))
		return -errno;
	err = platform_fd_flags(fd[0], true);
	if (!err)
		err = platform_fd_flags(fd[1], true);
	if (!err && !atomic_compare_exchange_strong(&write_fd, &none, fd[1]))
		err = -EBUSY;
	if (err)
		goto out_pipe;
	heard = false;
	atomic_store(&armed_fd, fd[1]);
	err = handlers_install(set);
	if (err)
		goto out_owner;
	return fd[0];
out_owner:
	atomic_store(&armed_fd, -1);
	atomic_store(&write_fd, -1);
out_pipe:
	close(fd[0]);
	close(fd[1]);
	return err;
}

int signal_read(int fd)
{
	uint8_t byte;

	if (read(fd, &byte, 1) != 1)
		return -EAGAIN;
	heard = true;
	return byte;
}

void signal_close(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	restore_defaults();
	/* A handler that has the descriptor is about to write to it: let it. */
	if (atomic_exchange(&armed_fd, -1) < 0 && !heard)
		while (poll(&pfd, 1, -1) < 0)
			;
	close(fd);
	close(atomic_exchange(&write_fd, -1));
}
