// SPDX-License-Identifier: MIT
/* Waits for signals, child processes, combinators and the like, for tests/cancel.c. */
#include <check.h>
#include <signal.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "core/shard.h"
#include "tests/cancel.h"
#include "tests/world.h"

#define SHORT_NS	(100 * MN_USEC)

/* --- signals --- */

/* One that does nothing when it comes too late. */
static int signals_partner(void *arg)
{
	for (int i = 0; i < 2; i++) {
		mn_sleep(SHORT_NS);
		kill(getpid(), SIGURG);
	}
	return 0;
}

static int wait_for_signals(void *arg)
{
	struct mn_signals signals;
	struct mn_signal signal;
	int err = cancel_in_time(mn_signal_wait_timeout(MN_SIGNAL(SIGURG), 5 * SHORT_NS));

	if (err >= 0)
		err = cancel_in_time(mn_signal_wait_timeout(MN_SIGNAL(SIGUSR1), SHORT_NS));
	if (err < 0)
		return err;
	err = mn_signals_open(&signals, MN_SIGNAL(SIGURG) | MN_SIGNAL(SIGUSR1));
	if (err)
		return err;
	err = cancel_in_time(mn_signals_next_timeout(&signals, &signal, SHORT_NS));
	if (!err)
		err = cancel_in_time(mn_signals_next_timeout(&signals, &signal, SHORT_NS));
	mn_signals_close(&signals);
	return err;
}

int scenario_signals(void *arg)
{
	return cancel_with_partner(signals_partner, wait_for_signals, NULL);
}

/* --- child processes --- */

static int talk(struct mn_process *process)
{
	struct mn_stream *in = mn_process_stdin(process), *out = mn_process_stdout(process);
	struct mn_buf buf;
	int64_t len;
	int err = mn_stream_write_copy(in, "text\n", 5);

	if (!err)
		err = mn_stream_flush(in);
	if (!err)
		err = mn_stream_shutdown(in);
	if (err)
		return err;
	while ((len = mn_stream_read(out, &buf)) > 0)
		mn_buf_free(&buf);
	return (int)len;
}

int scenario_processes(void *arg)
{
	static const char *const argv[] = { "cat", NULL };
	struct mn_process_options options = { .argv = argv,
					      .in = MN_STDIO_PIPE,
					      .out = MN_STDIO_PIPE };
	struct mn_process_status status;
	struct mn_process *process;
	int err;

	if (mn_self->virtual_time)
		return mn_sleep(SHORT_NS);
	err = mn_process_spawn(&process, &options);
	if (err)
		return err;
	err = cancel_in_time(mn_process_wait_timeout(process, &status, SHORT_NS, MN_PROCESS_LEAVE));
	if (!err)
		err = talk(process);
	if (!err)
		err = mn_process_wait(process, &status, 0);
	mn_process_close(process);
	return err;
}

/* --- combinators --- */

struct later {
	struct mn_timer timer;
	struct mn_future future;
};

static void later_run(struct mn_task *task)
{
	mn_future_resolve(&container_of(mn_timer_of(task), struct later, timer)->future, 0);
}

static struct mn_future *later_start(struct later *later)
{
	mn_future_init(&later->future);
	mn_timer_init(&later->timer, later_run);
	mn_timer_arm(&later->timer, mn_now() + SHORT_NS, 0);
	return &later->future;
}

static struct mn_future *later_each(void *arg, size_t i, unsigned int slot)
{
	return later_start(&((struct later *)arg)[slot]);
}

/* Waits for it; and if that was ended, asks it to end and waits for that. */
static int combined(struct mn_combine *combine)
{
	int64_t res = mn_await(&combine->done);

	if (!mn_future_ready(&combine->done))
		mn_combine_stop(combine);
	return res < 0 ? (int)res : 0;
}

static int combine_ops(void)
{
	struct mn_timed timed;
	struct mn_op op;
	int err;

	start_endless(&op);
	mn_with_timeout(&timed, &op.done, SHORT_NS);
	mn_combine_on_cancel(&timed.combine, mn_cancel_op, NULL);
	err = cancel_in_time((int)mn_await(&timed.done));
	if (!mn_future_ready(&timed.done)) {
		struct mn_scope shield;

		mn_combine_cancel(&timed.combine);
		mn_scope_open(&shield, &(struct mn_scope_options){ .shield = true });
		mn_await(&timed.done);
		mn_scope_join(&shield);
	}
	ck_assert(!mn_op_in_flight(&op));
	return err;
}

int scenario_combinators(void *arg)
{
	struct later a[3];
	struct mn_future *all[3];
	struct mn_input wait[3];
	struct mn_when_all when_all;
	struct mn_when_any when_any;
	struct mn_for_each each;
	int err;

	for (int i = 0; i < 3; i++)
		all[i] = later_start(&a[i]);
	mn_when_all(&when_all, wait, all, 3);
	err = combined(&when_all.combine);
	if (!err) {
		for (int i = 0; i < 3; i++)
			all[i] = later_start(&a[i]);
		mn_when_any(&when_any, wait, all, 3);
		err = combined(&when_any.combine);
	}
	for (int i = 0; i < 3; i++)
		mn_timer_cancel(&a[i].timer);
	if (!err) {
		mn_parallel_for_each(&each, wait, 2, 4, later_each, a);
		err = combined(&each.combine);
	}
	for (int i = 0; i < 3; i++)
		mn_timer_cancel(&a[i].timer);
	return err ? err : combine_ops();
}

/* --- parts of scopes --- */

struct part {
	struct mn_scope_part part;
	struct mn_op op;
	struct mn_task task;
};

static void part_stop(struct mn_task *task)
{
	mn_op_cancel(&container_of(task, struct part, part.stop)->op);
}

static void part_end(struct mn_task *task)
{
	struct part *p = container_of(task, struct part, task);

	mn_future_take(&p->op.done);
	mn_scope_end(&p->part, 0);
}

int scenario_parts(void *arg)
{
	struct mn_scope scope;
	struct part p;
	int err, stop;

	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 3 * SHORT_NS });
	err = mn_scope_begin(&scope, &p.part, part_stop);
	if (!err) {
		start_endless(&p.op);
		mn_future_then(&p.op.done, &p.task, part_end);
	}
	mn_sleep(SHORT_NS);
	mn_scope_join(&scope);
	stop = mn_self->fiber->stop;
	return stop ? stop : err == -ETIMEDOUT ? 0 : err;
}

/* --- scheduling groups --- */

int scenario_groups(void *arg)
{
	unsigned int group;
	int err;

	ck_assert_int_eq(mn_group_create("group", 200, &group), 0);
	ck_assert_int_eq(mn_group_enter(group), 0);
	ck_assert_int_eq(mn_group_set_shares(group, 100), 0);
	err = mn_sleep(SHORT_NS);
	ck_assert_int_eq(mn_group_enter(MN_GROUP_DEFAULT), 0);
	ck_assert_int_eq(mn_group_destroy(group), 0);
	return err;
}
