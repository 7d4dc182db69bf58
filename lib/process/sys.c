// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/compiler.h"
#include "lib/process/sys.h"

#define SLACK_NS	50000UL	/* what the kernel gives its first process */

extern char **environ;

/* ---- starting ---- */

/*
 * posix_spawn() runs nothing of ours in the child, and does not copy this
 * program's page tables, but holds the calling thread until the child has
 * begun: so it is called on one that may wait.
 */

static int attributes_set(posix_spawnattr_t *attr, const struct mn_process_options *options)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t set;

	sigemptyset(&set);
	posix_spawnattr_setsigmask(attr, &set);
	sigaddset(&set, SIGPIPE);	/* ignored is inherited, handlers are not */
	posix_spawnattr_setsigdefault(attr, &set);
	if (options->new_session)
		flags |= POSIX_SPAWN_SETSID;
	else if (options->new_group)
		flags |= POSIX_SPAWN_SETPGROUP;
	return posix_spawnattr_setflags(attr, flags);
}

static int stdio_set(posix_spawn_file_actions_t *actions, const int fd[3])
{
	int err = 0;

	for (int i = 0; i < 3 && !err; i++) {
		if (fd[i] >= 0)
			err = posix_spawn_file_actions_adddup2(actions, fd[i], i);
		else if (fd[i] == SYS_NULL)
			err = posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0);
		else if (fd[i] == SYS_OUT)
			err = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, i);
	}
	return err;
}

static int spawn_with(struct sys_spawn *spawn, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attr)
{
	const struct mn_process_options *options = spawn->options;
	char *const *argv = (char *const *)(uintptr_t)options->argv;
	char *const *env = options->env ? (char *const *)(uintptr_t)options->env : environ;
	pid_t pid;
	int err = posix_spawnp(&pid, argv[0], actions, attr, argv, env);

	spawn->pid = err ? 0 : (int)pid;
	return err;
}

/* Not reaped, so its number is its own until we say otherwise. */
static int pidfd_open_for(int pid)
{
#ifdef SYS_pidfd_open
	return (int)syscall(SYS_pidfd_open, pid, 0);	/* close-on-exec by itself */
#else
	return -1;
#endif
}

int sys_spawn(struct sys_spawn *spawn)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err)
		goto out_actions;
	/* The thread has it from the shard that made it, and the child would, too. */
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	err = attributes_set(&attr, spawn->options);
	if (!err)
		err = stdio_set(&actions, spawn->fd);
	if (!err && spawn->options->cwd)
		err = posix_spawn_file_actions_addchdir_np(&actions, spawn->options->cwd);
	if (!err)
		err = spawn_with(spawn, &actions, &attr);
	if (!err)
		spawn->pidfd = spawn->no_pidfd ? -1 : pidfd_open_for(spawn->pid);
	posix_spawnattr_destroy(&attr);
out_actions:
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/* ---- pipes ---- */

/* The child's end must not be one of those that it is to become. */
static int above_stdio(int *fd)
{
	int high;

	if (*fd > STDERR_FILENO)
		return 0;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

int sys_pair(int fd[2], bool to_child)
{
	int err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return -errno;
	err = above_stdio(&fd[1]);
	if (!err)
		err = above_stdio(&fd[0]);
	/* As a pipe: what goes the other way finds that nobody is there. */
	if (!err && shutdown(fd[0], to_child ? SHUT_RD : SHUT_WR))
		err = -errno;
	if (err) {
		close(fd[0]);
		close(fd[1]);
	}
	return err;
}

void sys_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- ending ---- */

int sys_reap(int pid, struct mn_process_status *status)
{
	siginfo_t info = { .si_pid = 0 };
	int ret;

	do
		ret = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
	while (ret && errno == EINTR);
	if (ret)
		return -errno;
	if (!info.si_pid)
		return -EAGAIN;
	if (info.si_code == CLD_EXITED)
		*status = (struct mn_process_status){ .code = info.si_status };
	else
		*status = (struct mn_process_status){ .signal = info.si_status };
	return 0;
}

int sys_kill(int pid, int pidfd, bool group, int signal)
{
#ifdef SYS_pidfd_send_signal
	if (!group && pidfd >= 0) {
		if (!syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0))
			return 0;
		if (errno != ENOSYS && errno != EPERM)	/* a filter says EPERM, too */
			return -errno;
	}
#endif
	return kill(group ? -pid : pid, signal) ? -errno : 0;
}
