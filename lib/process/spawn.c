// SPDX-License-Identifier: MIT
/* Starting a process: options, pipes, and a thread that does it. */
#include <errno.h>
#include <string.h>

#include <miniss/blocking.h>
#include <miniss/log.h>
#include <miniss/param.h>

#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/stream.h"
#include "lib/process/process.h"

MN_PARAM(bool, pidfd, true, 0, 0,
	 "wait for processes by descriptor, where the kernel has that; off: by SIGCHLD");

/* What becomes of the child's 0, 1 and 2, and our ends of that. */
struct stdio {
	int child[3];
	int ours[3];
};

static int refused(const char *why)
{
	mn_err("mn_process_spawn: %s", why);
	return -EINVAL;
}

static int options_check(const struct mn_process_options *o)
{
	if (!o->argv || !o->argv[0] || !*o->argv[0])
		return refused("argv names no program");
	if (o->cwd && !*o->cwd)
		return refused("cwd is empty");
	if ((unsigned int)o->in > MN_STDIO_PIPE)
		return refused("in is none of INHERIT, NULL and PIPE");
	if ((unsigned int)o->out > MN_STDIO_PIPE)
		return refused("out is none of INHERIT, NULL and PIPE");
	if ((unsigned int)o->err > MN_STDIO_OUT)
		return refused("err is none of INHERIT, NULL, PIPE and OUT");
	for (const char *const *var = o->env; var && *var; var++)
		if (!strchr(*var, '='))
			return refused("a variable of env has no =");
	return 0;
}

static void stdio_close(int fd[3])
{
	for (int i = 0; i < 3; i++)
		sys_close(fd[i]);
}

/* Ours are counted: they are the streams' later, or closed here. */
static void ours_close(int fd[3])
{
	for (int i = 0; i < 3; i++)
		fds_add(fd[i] >= 0 ? -1 : 0);
	stdio_close(fd);
}

static int stdio_open(struct stdio *io, const struct mn_process_options *o)
{
	static const int others[] = { SYS_INHERIT, SYS_NULL, 0, SYS_OUT };
	const enum mn_stdio want[] = { o->in, o->out, o->err };
	int err = 0;

	*io = (struct stdio){ { -1, -1, -1 }, { -1, -1, -1 } };
	for (int i = 0; i < 3 && !err; i++) {
		int fd[2];

		if (want[i] != MN_STDIO_PIPE) {
			io->child[i] = others[want[i]];
			continue;
		}
		err = sys_pair(fd, i == 0);
		if (err)
			break;
		io->ours[i] = fd[0];
		fds_add(1);
		io->child[i] = fd[1];
	}
	if (err) {
		stdio_close(io->child);
		ours_close(io->ours);
	}
	return err;
}

static void process_forget(struct mn_process *p)
{
	for (int i = 0; i < 3; i++)
		mem_free(p->pipe[i]);
	mem_free(p);
}

static void name_set(struct mn_process *p, const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash && slash[1] ? slash + 1 : program;
	size_t i = 0;

	for (; i < sizeof(p->name) - 1 && name[i]; i++)
		p->name[i] = name[i];
}

/* All memory first: once the child runs, nothing can fail. */
static struct mn_process *process_new(const struct mn_process_options *o, const struct stdio *io)
{
	struct mn_process *p = mem_alloc(sizeof(*p));

	if (!p)
		return NULL;
	list_init(&p->waiters);
	p->group = o->new_group || o->new_session;
	name_set(p, o->argv[0]);
	for (int i = 0; i < 3; i++) {
		if (io->ours[i] < 0)
			continue;
		p->pipe[i] = mem_alloc(sizeof(struct mn_stream));
		if (!p->pipe[i]) {
			process_forget(p);
			return NULL;
		}
		stream_init(p->pipe[i], io->ours[i]);
	}
	return p;
}

static int spawn_there(void *arg)
{
	return sys_spawn(arg);
}

static int spawn(struct mn_process *p, const struct mn_process_options *o, const struct stdio *io)
{
	struct sys_spawn how = {
		.options = o,
		.fd = { io->child[0], io->child[1], io->child[2] },
		.no_pidfd = !param_pidfd,
	};
	int err = mn_blocking(spawn_there, &how);

	if (err)
		return err;
	p->pid = how.pid;
	p->pidfd = how.pidfd;
	fds_add(p->pidfd >= 0);
	return 0;
}

int mn_process_spawn(struct mn_process **process, const struct mn_process_options *options)
{
	struct mn_process *p;
	struct stdio io;
	int err;

	BUG_ON(!mn_self->fiber);
	err = options_check(options);
	if (!err && mn_self->virtual_time)
		err = -EOPNOTSUPP;
	if (!err && mn_self->fiber->stop)
		err = mn_self->fiber->stop;
	if (!err)
		err = stdio_open(&io, options);
	if (err)
		return err;
	p = process_new(options, &io);
	err = p ? spawn(p, options, &io) : -ENOMEM;
	stdio_close(io.child);
	if (err) {
		ours_close(io.ours);
		if (p)
			process_forget(p);
		return err;
	}
	for (int i = 0; i < 3; i++)
		if (p->pipe[i])
			stream_begin(p->pipe[i]);
	process_watch(p, p->pidfd < 0 && !children_watch());
	*process = p;
	return 0;
}

int mn_process_pid(const struct mn_process *process)
{
	return process->pid;
}

struct mn_stream *mn_process_stdin(struct mn_process *process)
{
	return process->pipe[0];
}

struct mn_stream *mn_process_stdout(struct mn_process *process)
{
	return process->pipe[1];
}

struct mn_stream *mn_process_stderr(struct mn_process *process)
{
	return process->pipe[2];
}
