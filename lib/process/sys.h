/* SPDX-License-Identifier: MIT */
/*
 * What the system has for processes. Only lib/process/ uses it, and only in
 * worlds whose time is the real one.
 */
#ifndef LIB_PROCESS_SYS_H
#define LIB_PROCESS_SYS_H

#include <miniss/process.h>

/* Instead of a descriptor, for the child. */
#define SYS_INHERIT	(-1)
#define SYS_NULL	(-2)
#define SYS_OUT		(-3)

struct sys_spawn {
	const struct mn_process_options *options;
	int fd[3];		/* what becomes its 0, 1 and 2: 3 or more, or one of these */
	bool no_pidfd;
	int pid;		/* the results */
	int pidfd;		/* -1: there is none */
};

/* sys_spawn - start it; blocks: not on a shard's thread. 0 or -errno */
int sys_spawn(struct sys_spawn *spawn);

/*
 * sys_pair - two ends of a pipe that is a socket, close-on-exec
 * @fd: [0] is for us, [1] for the child, and not one of 0 to 2
 * @to_child: which of the two directions it has
 */
int sys_pair(int fd[2], bool to_child);
void sys_close(int fd);

/* sys_reap - 0: it has ended, this is how; -EAGAIN: it has not; -ECHILD. Does not wait */
int sys_reap(int pid, struct mn_process_status *status);

/* sys_kill - to the process, or to its group; not reaped yet */
int sys_kill(int pid, int pidfd, bool group, int signal);

#endif
