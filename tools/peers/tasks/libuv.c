// SPDX-License-Identifier: MIT
/* The tasks on libuv: callbacks, so that there is nothing to spawn or to yield to. */
#include <pthread.h>
#include <sys/socket.h>
#include <uv.h>

#include "tasks.h"

static uv_loop_t *loop;

/* ---- two threads: a queue under a lock for each, and uv_async_send() ---- */

struct side {
	uv_loop_t loop;
	uv_async_t async;
	pthread_mutex_t lock;
	uint64_t nr;		/* messages that wait; what they say does not matter */
	struct side *other;
	uint64_t left, begun;	/* of who asks */
};

static struct side asks, answers;

static void send_to(struct side *side, uint64_t n)
{
	pthread_mutex_lock(&side->lock);
	side->nr += n;
	pthread_mutex_unlock(&side->lock);
	uv_async_send(&side->async);
}

static uint64_t take(struct side *side)
{
	uint64_t n;

	pthread_mutex_lock(&side->lock);
	n = side->nr;
	side->nr = 0;
	pthread_mutex_unlock(&side->lock);
	return n;
}

static void on_question(uv_async_t *async)
{
	uint64_t n = take(&answers);

	if (n)
		send_to(&asks, n);
}

static void on_answer(uv_async_t *async)
{
	uint64_t n = take(&asks), more;

	asks.left -= n;
	more = n < asks.begun ? n : asks.begun;
	asks.begun -= more;
	if (more)
		send_to(&answers, more);
	if (!asks.left)
		uv_stop(&asks.loop);
}

static void *answering(void *arg)
{
	uv_run(&answers.loop, UV_RUN_DEFAULT);
	return NULL;
}

static void side_begin(struct side *side, uv_async_cb cb)
{
	pthread_mutex_init(&side->lock, NULL);
	uv_loop_init(&side->loop);
	uv_async_init(&side->loop, &side->async, cb);
}

static void threads_prepare(void)
{
	pthread_t thread;

	side_begin(&asks, on_answer);
	side_begin(&answers, on_question);
	if (pthread_create(&thread, NULL, answering, NULL))
		errx(EXIT_FAILURE, "no thread");
}

static void ask(uint64_t n, uint64_t window)
{
	uint64_t first = n < window ? n : window;

	asks.left = n;
	asks.begun = n - first;
	send_to(&answers, first);
	uv_run(&asks.loop, UV_RUN_DEFAULT);
}

static void roundtrip_run(uint64_t n)
{
	ask(n, 1);
}

static void pipelined_run(uint64_t n)
{
	ask(n, WINDOW);
}

/* ---- timers ---- */

static uv_timer_t *timers;

static void expired(uv_timer_t *timer)
{
}

static void timers_prepare(void)
{
	loop = uv_default_loop();
	timers = calloc(TIMERS, sizeof(*timers));
	if (!timers)
		abort();
	for (int i = 0; i < TIMERS; i++) {
		uv_timer_init(loop, &timers[i]);
		uv_timer_start(&timers[i], expired, random_timeout_ms(), 0);
	}
}

static void timers_run(uint64_t n)
{
	for (; n; n--) {
		uv_timer_t *timer = &timers[next_random() % TIMERS];

		uv_timer_stop(timer);
		uv_timer_start(timer, expired, random_timeout_ms(), 0);
	}
}

static void timers_check(void)
{
	for (int i = 0; i < TIMERS; i++)
		if (!uv_is_active((uv_handle_t *)&timers[i]) || !uv_timer_get_due_in(&timers[i]))
			errx(EXIT_FAILURE, "a timer is not set");
}

/* ---- files: on its pool of threads ---- */

struct reading {
	uv_fs_t req;
	off_t offset;
	char buf[BLOCK];
};

static struct reading readings[DEPTH];
static uint64_t unstarted;
static int fd;

static void read_start(struct reading *r);

static void read_done(uv_fs_t *req)
{
	struct reading *r = (struct reading *)req;

	block_check(r->buf, req->result, r->offset);
	uv_fs_req_cleanup(req);
	read_start(r);
}

static void read_start(struct reading *r)
{
	uv_buf_t buf = uv_buf_init(r->buf, BLOCK);

	if (!unstarted)
		return;
	unstarted--;
	r->offset = random_offset();
	uv_fs_read(loop, &r->req, fd, &buf, 1, r->offset, read_done);
}

static void read_prepare(void)
{
	loop = uv_default_loop();
	fd = file_to_read();
}

static void read_run(uint64_t n, int depth)
{
	unstarted = n;
	for (int i = 0; i < depth; i++)
		read_start(&readings[i]);
	uv_run(loop, UV_RUN_DEFAULT);
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
	{ "timers", timers_run, timers_prepare, timers_check },
	{ "read1", read1_run, read_prepare },
	{ "read32", read32_run, read_prepare },
	{ .name = NULL },
};

/* ---- echo ---- */

struct conn {
	uv_tcp_t tcp;
	char buf[65536];
};

struct reply {
	uv_write_t req;
	char data[];
};

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_written(uv_write_t *req, int status)
{
	free(req);
}

static void give_room(uv_handle_t *handle, size_t want, uv_buf_t *buf)
{
	*buf = uv_buf_init(((struct conn *)handle)->buf, 65536);
}

/* At once, if the socket takes it: the quick way that its guide shows. */
static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	uv_buf_t out;
	int sent;

	if (n < 0) {
		uv_close((uv_handle_t *)stream, on_closed);
		return;
	}
	out = uv_buf_init(buf->base, (unsigned int)n);
	sent = n ? uv_try_write(stream, &out, 1) : 0;
	if (sent < 0)
		sent = 0;
	if (sent < n) {
		struct reply *reply = malloc(sizeof(*reply) + (size_t)(n - sent));

		if (!reply)
			abort();
		memcpy(reply->data, buf->base + sent, (size_t)(n - sent));
		out = uv_buf_init(reply->data, (unsigned int)(n - sent));
		uv_write(&reply->req, stream, &out, 1, on_written);
	}
}

static void on_conn(uv_stream_t *listener, int status)
{
	struct conn *conn = malloc(sizeof(*conn));

	if (!conn)
		abort();
	uv_tcp_init(loop, &conn->tcp);
	if (uv_accept(listener, (uv_stream_t *)&conn->tcp)) {
		uv_close((uv_handle_t *)&conn->tcp, on_closed);
		return;
	}
	uv_tcp_nodelay(&conn->tcp, 1);
	uv_read_start((uv_stream_t *)&conn->tcp, give_room, on_input);
}

static void echo(int port)
{
	struct sockaddr_in sa;
	uv_tcp_t listener;
	int len = sizeof(sa), one = 1;
	uv_os_fd_t sock;

	loop = uv_default_loop();
	uv_ip4_addr("127.0.0.1", port, &sa);
	if (uv_tcp_init_ex(loop, &listener, AF_INET) ||
	    uv_fileno((uv_handle_t *)&listener, &sock) ||
	    setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    uv_tcp_bind(&listener, (struct sockaddr *)&sa, 0) ||
	    uv_listen((uv_stream_t *)&listener, 4096, on_conn) ||
	    uv_tcp_getsockname(&listener, (struct sockaddr *)&sa, &len))
		errx(EXIT_FAILURE, "cannot listen");
	printf("listening on 127.0.0.1:%u\n", ntohs(sa.sin_port));
	fflush(stdout);
	uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
	int port = echo_port(argc, argv);

	if (port >= 0)
		echo(port);
	return tasks_main(argc, argv, uv_version_string(), tasks);
}
