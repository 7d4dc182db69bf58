/* SPDX-License-Identifier: MIT */
/*
 * Child processes. A process belongs to the shard that spawned it: only its
 * fibers use the handle. Every process is reaped, whatever becomes of the
 * handle: there are no zombies.
 *
 * The child has the standard descriptors that were asked for and, of this
 * program's others, those without close-on-exec; the runtime has none such.
 * Its signal mask is empty, SIGPIPE has its default action, and what else the
 * program ignores stays ignored, as exec has it.
 *
 * What reaps for itself (a handler of SIGCHLD that calls wait(), or SIGCHLD
 * ignored) takes the status away: mn_process_wait() then returns -ECHILD.
 */
#ifndef MINISS_PROCESS_H
#define MINISS_PROCESS_H

#include <miniss/fiber.h>
#include <miniss/stream.h>

struct mn_process;

enum mn_stdio {
	MN_STDIO_INHERIT,	/* this program's own */
	MN_STDIO_NULL,		/* /dev/null */
	MN_STDIO_PIPE,		/* a stream of the process */
	MN_STDIO_OUT,		/* err only: wherever out goes */
};

/**
 * struct mn_process_options - what to run, and how; zero is the plain form
 * @argv: the program and its arguments, NULL at the end. A name without a
 *	slash is looked for in this program's PATH
 * @env: NAME=VALUE, NULL at the end; NULL: this program's
 * @cwd: where it starts; NULL: here
 * @in, @out, @err: its standard descriptors
 * @new_group: in a process group of its own; killing is then for the group
 * @new_session: in a session, and a group, of its own
 *
 * All are read before mn_process_spawn() returns, and not after.
 */
struct mn_process_options {
	const char *const *argv;
	const char *const *env;
	const char *cwd;
	enum mn_stdio in, out, err;
	bool new_group;
	bool new_session;
};

/* How it ended: by itself with a code, or by a signal, and then @signal is not 0. */
struct mn_process_status {
	int code;
	int signal;
};

/**
 * mn_process_spawn - start a program
 * @process: the handle; ends with mn_process_close() or mn_process_detach()
 *
 * From a fiber; suspends, since starting a process takes its time: that is
 * done on a thread of mn_blocking().
 *
 * Return: 0 when the program has begun to run. -EINVAL for options that make
 * no sense, with a line in the log; -ECANCELED, if nothing was begun;
 * -EOPNOTSUPP in a world whose time is not the real one; -EMFILE, -ENOMEM,
 * -EAGAIN; else what exec or chdir reports: -ENOENT, -EACCES, -ENOEXEC, ...
 */
MN_API int mn_process_spawn(struct mn_process **process, const struct mn_process_options *options);

/* mn_process_pid - its number, also when it has ended */
MN_API int mn_process_pid(const struct mn_process *process);

/**
 * mn_process_stdin, mn_process_stdout, mn_process_stderr - its pipes
 *
 * A stream, or NULL if that is not a pipe. They are the process's: it closes
 * them. mn_stream_shutdown() of the first is the end of the child's input;
 * reading the others gets 0 when all who had the other end have closed it,
 * which may be others than the child. A write that the child will not read is
 * -EPIPE, or -ECONNRESET when it left some unread. They are socket pairs, one
 * way only: what a program sees of that is that it cannot open /dev/stdin and
 * the like by name.
 *
 * Output that nobody reads stops the child when it is more than the kernel
 * and the stream (--net.in_max) hold: read while you wait, in another fiber.
 */
MN_API struct mn_stream *mn_process_stdin(struct mn_process *process);
MN_API struct mn_stream *mn_process_stdout(struct mn_process *process);
MN_API struct mn_stream *mn_process_stderr(struct mn_process *process);

#define MN_PROCESS_LEAVE	(-1)	/* as @grace_ns: it goes on when the wait is over */

/**
 * mn_process_wait - wait for its end
 * @status: how it ended, if it has; may be NULL
 * @grace_ns: what happens to it when this fiber is cancelled: it gets SIGTERM,
 *	and after this time SIGKILL; 0: SIGKILL at once; MN_PROCESS_LEAVE: nothing
 *
 * From a fiber, several at a time; suspends. After a cancellation that ends
 * the process this returns when it is reaped: within @grace_ns, unless the
 * kernel holds it in a system call. --stop_timeout_ms should be longer than that.
 *
 * Return: 0 when it has ended, now or before; else -ECANCELED, and if it was
 * ended for that, @status says how; -ECHILD if somebody else reaped it.
 */
MN_API int mn_process_wait(struct mn_process *process, struct mn_process_status *status,
			   int64_t grace_ns);

/**
 * mn_process_wait_timeout - the same, for a time
 * @timeout_ns: from now; then what a cancellation does happens, and -ETIMEDOUT
 *	is returned. <= 0: at once. With MN_PROCESS_LEAVE it can be waited for again
 */
MN_API int mn_process_wait_timeout(struct mn_process *process, struct mn_process_status *status,
				   int64_t timeout_ns, int64_t grace_ns);

/**
 * mn_process_kill - send it a signal; with @new_group or @new_session its group
 *
 * Does not suspend. The number is never another process's.
 *
 * Return: 0; -ESRCH when it has ended; -EINVAL, -EPERM.
 */
MN_API int mn_process_kill(struct mn_process *process, int signal);

/**
 * mn_process_close - free the handle; what still runs is killed and reaped
 * @process: no other fiber uses it, or its streams
 *
 * Queued input is dropped: mn_stream_flush() it before, if it matters. From a
 * fiber; suspends, and cancellation does not end that.
 */
MN_API void mn_process_close(struct mn_process *process);

/**
 * mn_process_detach - free the handle, and let the process run
 * @process: as for mn_process_close()
 *
 * What was queued as its input is sent before, and its pipes are closed. It is
 * reaped when it ends; if it is still running when the program ends, it goes on.
 */
MN_API void mn_process_detach(struct mn_process *process);

#endif
