// SPDX-License-Identifier: MIT
/*
 * libev: completions emulated over readiness, through epoll on Linux and
 * whatever libev recommends elsewhere.
 *
 * An operation is tried where it is submitted: most sends and many receives
 * end there. What would block gets a watch, a pooled watcher that stays
 * started for as long as the operation is in flight; readiness is
 * level-triggered, so a receive stream costs no epoll_ctl() per message. The
 * two multishot operations are not tried at submission: they are long-lived,
 * and a fresh connection has seldom anything to say.
 *
 * A turn is one ev_run(). libev rounds its waits to milliseconds; a timerfd
 * that carries the deadline does not. It is set only to bring the next
 * wake-up forward: deadlines mostly move back (an idle timeout that was
 * re-armed), and then one wake-up that finds nothing to do is cheaper than a
 * system call for each wait.
 *
 * A callback touches neither watch nor operation after it delivered to the
 * core: the core may have cancelled, which frees the watch at once.
 */
#include <poll.h>

#include <miniss/log.h>

#include "backends/file.h"
#include "backends/inline.h"
#include "backends/libev/libev.h"
#include "backends/libev/try.h"
#include "backends/platform.h"
#include "lib/mem/mem.h"
#include "lib/time/clock.h"
#include "smp/topology.h"

#define ACCEPT_BATCH	64	/* connections of a listener at a turn */
#define LOOP_FLAGS	(EVFLAG_NOENV | EVFLAG_NOSIGMASK | EVFLAG_NOINOTIFY)
#define FAR_FUTURE_S	1e12

static struct libev *to_libev(struct backend *be)
{
	return container_of(be, struct libev, be);
}

static void finish(struct libev *ev, struct mn_op *op, int64_t res)
{
	ev->nr_done++;
	if (op->code == MN_OP_SIGNAL)
		signal_end();
	op_complete(op, res);
}

/* ---- watches ---- */

static void on_ready(struct ev_loop *loop, ev_io *io, int revents);

static int watch_events(const struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_SEND:
	case MN_OP_SENDMSG:
	case MN_OP_CONNECT:
		return EV_WRITE;
	case MN_OP_POLL:
		/* Errors and hang-ups show as readiness for reading. */
		return (op->poll.events & POLLOUT ? EV_WRITE : 0) |
		       (op->poll.events & POLLOUT && !(op->poll.events & POLLIN) ? 0 : EV_READ);
	default:
		return EV_READ;
	}
}

static int watches_grow(struct libev *ev)
{
	struct watch_slab *slab = mem_alloc(sizeof(*slab));

	if (!slab)
		return -ENOMEM;
	slab->next = ev->slabs;
	ev->slabs = slab;
	for (unsigned int i = 0; i < SLAB_WATCHES; i++)
		list_add_tail(&ev->free, &slab->watch[i].link);
	return 0;
}

static void watch_start(struct libev *ev, struct mn_op *op, uint64_t done)
{
	struct watch *w;

	if (list_empty(&ev->free) && watches_grow(ev)) {
		finish(ev, op, -ENOMEM);
		return;
	}
	/* The one that was freed last is the warm one. */
	w = container_of(ev->free.prev, struct watch, link);
	list_del(&w->link);
	w->op = op;
	w->done = done;
	w->life++;
	op->be.ptr = w;
	ev->nr_watches++;
	ev_io_init(&w->io, on_ready, op->fd, watch_events(op));
	ev_io_start(ev->loop, &w->io);
	count_syscalls(ev, 1);
}

void libev_finish(struct libev *ev, struct watch *w, int64_t res)
{
	struct mn_op *op = w->op;

	ev_io_stop(ev->loop, &w->io);
	list_del(&w->link);
	w->op = NULL;
	list_add_tail(&ev->free, &w->link);
	ev->nr_watches--;
	finish(ev, op, res);
}

/* ---- readiness ---- */

static void accept_ready(struct libev *ev, struct watch *w, int revents)
{
	uint32_t life = w->life;
	struct mn_op *op = w->op;

	for (int n = 0; n < ACCEPT_BATCH && w->op == op && w->life == life; n++) {
		int fd = platform_accept(op->fd, true);

		count_syscalls(ev, 1);
		if (fd >= 0) {
			ev->nr_done++;
			op_deliver(op, fd);
		} else if (fd == -EAGAIN || fd == -EWOULDBLOCK) {
			if (revents & EV_ERROR)
				libev_finish(ev, w, -EBADF);
			return;
		} else if (!accept_skips(-fd)) {
			libev_finish(ev, w, fd);
			return;
		}
	}
}

static void on_ready(struct ev_loop *loop, ev_io *io, int revents)
{
	struct watch *w = container_of(io, struct watch, io);
	struct libev *ev = ev_userdata(loop);
	int64_t res;

	if (w->op->code == MN_OP_RECV_STREAM || w->op->code == MN_OP_RECV_PACKETS) {
		libev_stream_ready(ev, w, revents);
		return;
	}
	if (w->op->code == MN_OP_ACCEPT_STREAM) {
		accept_ready(ev, w, revents);
		return;
	}
	count_syscalls(ev, 1);
	res = libev_try(w->op, &w->done);
	if (res == NOT_YET && revents & EV_ERROR)
		res = -EBADF; /* libev could not watch the descriptor and gave up */
	if (res != NOT_YET)
		libev_finish(ev, w, res);
}

/* ---- the contract ---- */

/* Files are always ready, also when they block: what the page cache has not is for threads. */
static void submit_file(struct libev *ev, struct mn_op *op)
{
	int64_t res;

	op->be.num = 0;
	res = file_try(op);
	if (res == FILE_BLOCK)
		file_pool_start(op);
	else
		finish(ev, op, res);
}

static void libev_submit(struct backend *be, struct mn_op *op)
{
	struct libev *ev = to_libev(be);
	uint64_t done = 0;
	int64_t res;

	if (op->code == MN_OP_SIGNAL) {
		op->fd = signal_begin();
		if (op->fd < 0) {	/* not begun, so not ended */
			ev->nr_done++;
			op_complete(op, op->fd);
			return;
		}
		res = NOT_YET;
	} else if (op_is_file(op)) {
		submit_file(ev, op);
		return;
	} else if (op_is_inline(op)) {
		res = inline_op(op, true);
	} else if (op->code == MN_OP_NOP) {
		res = 0;
	} else if (op->fd < 0) {
		res = -EBADF;
	} else if (op->code == MN_OP_RECV_STREAM || op->code == MN_OP_RECV_PACKETS ||
		   op->code == MN_OP_ACCEPT_STREAM) {
		res = NOT_YET;
	} else {
		count_syscalls(ev, 1);
		res = libev_try(op, &done);
	}
	if (res == NOT_YET)
		watch_start(ev, op, done);
	else
		finish(ev, op, res);
}

static void libev_cancel(struct backend *be, struct mn_op *op)
{
	struct watch *w;

	if (op_is_file(op)) {	/* and a thread's, for now */
		file_pool_cancel(op);
		return;
	}
	w = op->be.ptr;
	w->canceled = w->delivering;
	if (w->delivering)
		return;
	op->be.num = w->done;
	libev_finish(to_libev(be), w, -ECANCELED);
}

/* Waking is all that these are for. */
static void on_wake(struct ev_loop *loop, ev_async *async, int revents)
{
}

static void on_never(struct ev_loop *loop, ev_periodic *periodic, int revents)
{
}

static void on_timer_fd(struct ev_loop *loop, ev_io *io, int revents)
{
	struct libev *ev = ev_userdata(loop);

	platform_timer_read(ev->timer_fd);
	count_syscalls(ev, 1);
	ev->timer_ns = MN_NEVER;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct libev *ev = ev_userdata(loop);

	ev->timer_ns = MN_NEVER;
}

/* Only ever brought forward: see the top. */
static void timer_bring_forward(struct libev *ev, int64_t deadline_ns, int64_t now_ns)
{
	if (deadline_ns >= ev->timer_ns)
		return;
	ev->timer_ns = deadline_ns;
	if (ev->timer_fd >= 0) {
		platform_timer_set(ev->timer_fd, deadline_ns);
		count_syscalls(ev, 1);
		return;
	}
	ev_timer_stop(ev->loop, &ev->timer);
	ev_now_update(ev->loop);
	ev_timer_set(&ev->timer, (double)(deadline_ns - now_ns) * 1e-9, 0.);
	ev_timer_start(ev->loop, &ev->timer);
}

/* Look for what is ready, and wait for it if that is wanted. */
static void poll_events(struct libev *ev, int64_t deadline_ns)
{
	bool wait = deadline_ns > 0 && !ev->nr_done;

	if (wait && deadline_ns != MN_NEVER) {
		int64_t now_ns = clock_now_ns();

		wait = deadline_ns > now_ns;
		if (wait)
			timer_bring_forward(ev, deadline_ns, now_ns);
	}
	/* Without an operation that waits there is nothing to ask the kernel. */
	if (wait || ev->nr_watches) {
		ev_run(ev->loop, wait ? EVRUN_ONCE : EVRUN_NOWAIT);
		count_syscalls(ev, 1);
	}
}

static unsigned int libev_turn(struct backend *be, int64_t deadline_ns)
{
	struct libev *ev = to_libev(be);
	unsigned int n;

	if (!list_empty(&ev->starved))
		libev_starved_resume(ev);
	ev->nr_received = 0;
	if (!list_empty(&ev->ready))
		libev_streams_go_on(ev);
	else
		poll_events(ev, deadline_ns);
	n = ev->nr_done;
	ev->nr_done = 0;
	stats_add(be->shard, STAT_COMPLETIONS, n);
	return n;
}

static int64_t libev_now(struct backend *be)
{
	return clock_now_ns();
}

static void libev_wake(struct backend *be)
{
	ev_async_send(to_libev(be)->loop, &to_libev(be)->waker);
}

/* libev would take its own preference from the environment, or select(). */
static struct ev_loop *loop_new(void)
{
	unsigned int backends = ev_recommended_backends();

	if (ev_supported_backends() & EVBACKEND_EPOLL)
		backends = EVBACKEND_EPOLL;
	return ev_loop_new(backends | LOOP_FLAGS);
}

static int loop_open(struct libev *ev)
{
	list_init(&ev->ready);
	list_init(&ev->starved);
	list_init(&ev->free);
	ev->timer_ns = MN_NEVER;
	ev->timer_fd = -1;
	if (watches_grow(ev))
		return -ENOMEM;
	ev->loop = loop_new();
	if (!ev->loop)
		return errno ? -errno : -ENOSYS;
	ev_set_userdata(ev->loop, ev);
	ev_async_init(&ev->waker, on_wake);
	ev_async_start(ev->loop, &ev->waker);
	/*
	 * libev ends each wait after a minute to see whether the wall clock
	 * jumped; while somebody waits for a wall time, it has the kernel tell
	 * it, where the kernel can. An idle shard is to sleep.
	 */
	ev_periodic_init(&ev->never, on_never, FAR_FUTURE_S, 0., NULL);
	ev_periodic_start(ev->loop, &ev->never);
	ev_timer_init(&ev->timer, on_timer, 0., 0.);
	ev->timer_fd = platform_timer_open();
	if (ev->timer_fd >= 0) {
		ev_io_init(&ev->timer_io, on_timer_fd, ev->timer_fd, EV_READ);
		ev_io_start(ev->loop, &ev->timer_io);
	}
	return 0;
}

static void libev_close(struct backend *be)
{
	struct libev *ev = to_libev(be);
	struct watch_slab *slab;

	if (ev->loop)
		ev_loop_destroy(ev->loop);
	if (ev->timer_fd >= 0)
		close(ev->timer_fd);
	while ((slab = ev->slabs)) {
		ev->slabs = slab->next;
		mem_free(slab);
	}
}

static int libev_open(struct backend *const *be, unsigned int n, const char *arg)
{
	for (unsigned int i = 0; i < n; i++) {
		int err;

		topology_visit(be[i]->shard->world, be[i]->shard->cpu);
		err = loop_open(to_libev(be[i]));
		if (!err)
			continue;
		mn_err("libev: shard %u: cannot make an event loop: %s", i, strerror(-err));
		do {
			libev_close(be[i]);
		} while (i--);
		return err;
	}
	return 0;
}

static int libev_start(struct backend *be)
{
	return 0;
}

static void libev_describe(struct backend *be, char *text, size_t size)
{
	struct libev *ev = to_libev(be);
	const char *how = ev_backend(ev->loop) == EVBACKEND_EPOLL  ? "epoll" :
			  ev_backend(ev->loop) == EVBACKEND_KQUEUE ? "kqueue" :
								     "other";

	snprintf(text, size, "libev %d.%d, %s, %s", ev_version_major(), ev_version_minor(), how,
		 ev->timer_fd >= 0 ? "timerfd" : "its own timer");
}

static int libev_probe(const char *arg)
{
	struct ev_loop *loop;

	if (arg)
		return -EINVAL;
	errno = 0;
	loop = loop_new();
	if (!loop)
		return errno ? -errno : -ENOSYS;
	ev_loop_destroy(loop);
	return 0;
}

static const struct backend_ops libev_ops = {
	.submit = libev_submit,
	.cancel = libev_cancel,
	.turn = libev_turn,
	.now = libev_now,
	.wake = libev_wake,
	.open = libev_open,
	.start = libev_start,
	.close = libev_close,
	.describe = libev_describe,
	.state_size = sizeof(struct libev),
	.drv = { .name = "libev", .rating = 150, .probe = libev_probe },
};
backend_driver(libev_ops);
