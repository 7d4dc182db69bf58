// SPDX-License-Identifier: MIT
/*
 * mn-run: run a program, pass on its output and our signals, and end as it
 * does.
 *
 *	mn-run [--timeout=S] [--grace=S] [runtime options] -- PROGRAM [ARGUMENT...]
 *
 * When its time is up the program, with all that it has started, gets SIGTERM,
 * and SIGKILL after a grace. Exit codes are those of timeout(1): the program's,
 * or 128 and the signal that ended it; 124 the time was up, 126 it cannot be
 * run, 127 there is no such program; 1 failed, 2 usage.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <miniss/miniss.h>

MN_APP_PARAM(uint, timeout, 0, 0, 1000000, "seconds for the program to end; 0: no limit");
MN_APP_PARAM(uint, grace, 5, 0, 1000000, "seconds between SIGTERM and SIGKILL");

#define EXIT_LATE	124
#define EXIT_UNFIT	126
#define EXIT_UNKNOWN	127
#define EXIT_SIGNAL	128

/* ---- output ---- */

struct text {
	int fd;
	const uint8_t *data;
	size_t len;
};

/* On a thread that may wait: nobody knows who reads it, and how fast. */
static int write_out(void *arg)
{
	struct text *text = arg;

	while (text->len) {
		ssize_t n = write(text->fd, text->data, text->len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text->data += n > 0 ? n : 0;
		text->len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int pass_on(struct mn_stream *from, int fd)
{
	struct mn_buf in;
	int64_t res;

	while ((res = mn_stream_read(from, &in)) > 0) {
		struct text text = { .fd = fd, .data = in.data, .len = in.len };
		int err = mn_blocking(write_out, &text);

		mn_buf_free(&in);
		if (err)
			return err;
	}
	return (int)res;
}

static int pass_out(void *process)
{
	return pass_on(mn_process_stdout(process), STDOUT_FILENO);
}

static int pass_err(void *process)
{
	return pass_on(mn_process_stderr(process), STDERR_FILENO);
}

/* ---- signals ---- */

static struct mn_signals signals;

static int pass_signals(void *process)
{
	struct mn_signal signal;
	int err;

	while (!(err = mn_signals_next(&signals, &signal)))
		mn_process_kill(process, signal.number);	/* it may have ended just now */
	return err == -ECANCELED ? 0 : err;
}

/* ---- the program ---- */

/* Until it has ended and all that it wrote was passed on; what it left behind may still write. */
static int run(struct mn_process *process, struct mn_process_status *status)
{
	int64_t timeout_ns = param_timeout ? param_timeout * MN_SEC : MN_NEVER;
	struct mn_scope scope, output;
	int err, ret, waited;

	mn_scope_open(&scope, &(struct mn_scope_options){ .keep_going = true });
	err = mn_scope_spawn(&scope, pass_signals, process);
	mn_scope_open(&output, &(struct mn_scope_options){ .keep_going = true });
	if (!err)
		err = mn_scope_spawn(&output, pass_out, process);
	if (!err)
		err = mn_scope_spawn(&output, pass_err, process);
	waited = mn_process_wait_timeout(process, status, err ? 0 : timeout_ns,
					 param_grace * MN_SEC);
	ret = mn_scope_join(&output);
	mn_scope_cancel(&scope);
	mn_scope_join(&scope);
	return err ? err : waited ? waited : ret;
}

static int start(struct mn_process **process, char **argv)
{
	int err = mn_process_spawn(process,
				   &(struct mn_process_options){ .argv = (const char *const *)argv,
						    .out = MN_STDIO_PIPE,
						    .err = MN_STDIO_PIPE,
						    .new_group = true });

	if (err)
		fprintf(stderr, "mn-run: %s: %s\n", argv[0], strerror(-err));
	return err;
}

static int app(void *arg)
{
	struct mn_process_status status = { 0 };
	struct mn_process *process;
	char **argv = arg;
	int err;

	if (argv[1] && argv[1][0] == '-')
		return mn_args_end((char *[]){ argv[0], argv[1], NULL }, 0);
	if (!argv[1]) {
		fprintf(stderr, "usage: mn-run [--timeout=S] -- PROGRAM [ARGUMENT...]\n");
		return MN_EXIT_USAGE;
	}
	/* Caught before there is anybody to pass them on to: those come to the stream. */
	err = mn_signals_open(&signals, MN_SIGNAL(SIGHUP) | MN_SIGNAL(SIGINT) | MN_SIGNAL(SIGTERM) |
						MN_SIGNAL(SIGUSR1) | MN_SIGNAL(SIGUSR2));
	if (err)
		return err;
	err = start(&process, argv + 1);
	if (err) {
		mn_signals_close(&signals);
		return err == -ENOENT ? EXIT_UNKNOWN : err == -EACCES ? EXIT_UNFIT : err;
	}
	err = run(process, &status);
	mn_process_close(process);
	mn_signals_close(&signals);
	if (err)
		return err == -ETIMEDOUT ? EXIT_LATE : err;
	return status.signal ? EXIT_SIGNAL + status.signal : status.code;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
