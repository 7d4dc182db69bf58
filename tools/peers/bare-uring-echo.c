// SPDX-License-Identifier: MIT
/*
 * An echo server by hand on io_uring: what miniss's io_uring backend is
 * measured against. One thread, one ring, and one system call a pass that
 * submits, runs the kernel's deferred work and waits.
 *
 *	accept	multishot: armed once
 *	recv	multishot, into buffers of a ring that all connections share
 *	send	straight from the buffer received into, one in flight a
 *		connection so that bytes stay in order; the rest queues, small
 *		pieces copied together
 *
 * A buffer belongs to the kernel until a recv names it, then to the queue of
 * one connection until it is sent. What can end an arm is handled in one
 * place, conn_advance(): out of buffers (-ENOBUFS: wait until some are back),
 * a queue that is too long (we cancel the recv: the client does not read, so
 * we do not read from it), or the kernel's own reasons (F_MORE is gone).
 *
 * A connection is freed when no request holds it: never while sending or
 * receiving.
 */
#define _GNU_SOURCE
#include "bare-common.h"
#include "bare-ring.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define BUF_SIZE 4096u
#define BUF_GROUP 0
#define NR_BUFS 1024 /* a power of two, at most 32768 */
#define NO_BUF UINT16_MAX
#define QUEUE_MAX 16 /* buffers of one connection: stop receiving */
#define QUEUE_LOW 4 /* and start again */
#define DIRECT_MAX 4096 /* slots of the file table */
#define SPIN_USEC 100
#define SPIN_USEC_MAX 1000000

/* The low bits of user_data; the rest is the connection. */
enum tag { TAG_NONE, TAG_ACCEPT, TAG_RECV, TAG_SEND, TAG_MASK = 3 };

struct buf {
	uint16_t next; /* in the queue of the connection */
	uint16_t off; /* sent already */
	uint16_t len; /* still to send */
};

struct conn {
	int fd; /* or the slot in the file table */
	uint16_t head; /* queue of buffers; the head is being sent */
	uint16_t tail;
	uint16_t nr_queued;
	bool receiving; /* a recv is armed */
	bool stopping; /* and being cancelled */
	bool sending;
	bool starved; /* on the list of those that want a buffer */
	bool ended; /* nothing more to receive: close when idle */
	struct conn *next; /* starved or free */
};

struct server {
	/* every completion */
	struct ring ring;
	struct io_uring_buf_ring *buf_ring;
	char *buf_mem;
	uint32_t nr_bufs_held; /* not the kernel's */
	int nr_bufs_back; /* returned in this pass, not yet published */
	uint8_t sqe_flags; /* IOSQE_FIXED_FILE with --direct */
	bool direct;
	bool accept_paused; /* out of descriptors, until one is closed */

	/* every pass */
	int64_t spin_ns; /* 0: sleep at once */
	struct conn *starved_head;
	struct conn **starved_tail;

	/* every connection */
	struct conn *free_conns;
	int listen_fd;

	struct buf bufs[NR_BUFS];
};

static struct server server;

/* The prep functions of liburing do not touch user_data: it is set first. */
static struct io_uring_sqe *sqe_get(struct server *s, struct conn *c, enum tag tag)
{
	struct io_uring_sqe *sqe = ring_sqe(&s->ring);

	sqe->user_data = (uintptr_t)c | tag;
	return sqe;
}

/* Buffers */

static char *buf_addr(const struct server *s, uint16_t bid)
{
	return s->buf_mem + (size_t)bid * BUF_SIZE;
}

static void buf_put(struct server *s, uint16_t bid)
{
	io_uring_buf_ring_add(s->buf_ring, buf_addr(s, bid), BUF_SIZE, bid, NR_BUFS - 1,
			      s->nr_bufs_back++);
	s->nr_bufs_held--;
}

static void bufs_publish(struct server *s)
{
	if (!s->nr_bufs_back)
		return;
	io_uring_buf_ring_advance(s->buf_ring, s->nr_bufs_back);
	s->nr_bufs_back = 0;
}

/* Connections */

static struct conn *conn_new(struct server *s, int fd)
{
	struct conn *c = s->free_conns;

	if (c)
		s->free_conns = c->next;
	else
		c = malloc(sizeof(*c));
	if (!c)
		err(EXIT_FAILURE, "connection");
	*c = (struct conn){ .fd = fd, .head = NO_BUF, .tail = NO_BUF };
	return c;
}

static void accept_arm(struct server *s)
{
	struct io_uring_sqe *sqe = sqe_get(s, NULL, TAG_ACCEPT);

	if (s->direct)
		io_uring_prep_multishot_accept_direct(sqe, s->listen_fd, NULL, NULL, 0);
	else
		io_uring_prep_multishot_accept(sqe, s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void conn_close(struct server *s, struct conn *c)
{
	struct io_uring_sqe *sqe = sqe_get(s, NULL, TAG_NONE);

	if (s->direct)
		io_uring_prep_close_direct(sqe, (unsigned int)c->fd);
	else
		io_uring_prep_close(sqe, c->fd);
	c->next = s->free_conns;
	s->free_conns = c;
	if (unlikely(s->accept_paused)) {
		s->accept_paused = false;
		accept_arm(s);
	}
}

static void conn_recv(struct server *s, struct conn *c)
{
	struct io_uring_sqe *sqe = sqe_get(s, c, TAG_RECV);

	io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
	sqe->flags = s->sqe_flags | IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUF_GROUP;
	c->receiving = true;
}

static void conn_stop(struct server *s, struct conn *c)
{
	struct io_uring_sqe *sqe;

	if (!c->receiving || c->stopping)
		return;
	sqe = sqe_get(s, NULL, TAG_NONE);
	io_uring_prep_cancel64(sqe, (uintptr_t)c | TAG_RECV, 0);
	c->stopping = true;
}

static void conn_send(struct server *s, struct conn *c)
{
	struct io_uring_sqe *sqe = sqe_get(s, c, TAG_SEND);
	const struct buf *b = &s->bufs[c->head];

	/* WAITALL: the kernel itself goes on after a short send. */
	io_uring_prep_send(sqe, c->fd, buf_addr(s, c->head) + b->off, b->len,
			   MSG_WAITALL | MSG_NOSIGNAL);
	sqe->flags = s->sqe_flags;
	c->sending = true;
}

static void conn_pop(struct server *s, struct conn *c)
{
	uint16_t bid = c->head;

	c->head = s->bufs[bid].next;
	c->nr_queued--;
	buf_put(s, bid);
}

static void conn_push(struct server *s, struct conn *c, uint16_t bid, uint16_t len)
{
	struct buf *tail;

	/* Append to a buffer that waits rather than send twice. */
	if (c->nr_queued > c->sending) {
		tail = &s->bufs[c->tail];
		if (tail->off + tail->len + len <= (int)BUF_SIZE) {
			memcpy(buf_addr(s, c->tail) + tail->off + tail->len, buf_addr(s, bid), len);
			tail->len = (uint16_t)(tail->len + len);
			buf_put(s, bid);
			return;
		}
	}
	s->bufs[bid] = (struct buf){ .next = NO_BUF, .len = len };
	if (c->nr_queued++)
		s->bufs[c->tail].next = bid;
	else
		c->head = bid;
	c->tail = bid;
}

/* The peer is gone: what is queued goes nowhere. */
static void conn_drop(struct server *s, struct conn *c)
{
	c->ended = true;
	if (c->sending)
		return; /* its completion comes back here */
	while (c->nr_queued)
		conn_pop(s, c);
}

static void conn_starve(struct server *s, struct conn *c)
{
	c->starved = true;
	c->next = NULL;
	*s->starved_tail = c;
	s->starved_tail = &c->next;
}

/* Start whatever the state of the connection now asks for. */
static void conn_advance(struct server *s, struct conn *c)
{
	if (c->nr_queued && !c->sending)
		conn_send(s, c);
	if (unlikely(c->ended)) {
		if (c->receiving)
			conn_stop(s, c);
		else if (!c->sending && !c->starved)
			conn_close(s, c);
	} else if (likely(c->receiving)) {
		if (unlikely(c->nr_queued > QUEUE_MAX))
			conn_stop(s, c);
	} else if (c->nr_queued <= QUEUE_LOW && !c->starved) {
		conn_recv(s, c);
	}
}

/* Completions */

static void on_accept(struct server *s, const struct io_uring_cqe *cqe)
{
	if (likely(cqe->res >= 0))
		conn_advance(s, conn_new(s, cqe->res));
	if (likely(cqe->flags & IORING_CQE_F_MORE))
		return;
	if (cqe->res == -EINVAL || cqe->res == -EBADF || cqe->res == -ENOTSOCK)
		errx(EXIT_FAILURE, "multishot accept: %s", strerror(-cqe->res));
	if (cqe->res == -EMFILE || cqe->res == -ENFILE || cqe->res == -ENOMEM)
		s->accept_paused = true; /* conn_close() arms it */
	else
		accept_arm(s);
}

static void on_recv(struct server *s, struct conn *c, const struct io_uring_cqe *cqe)
{
	uint16_t bid = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	bool stopped = false;

	if (unlikely(!(cqe->flags & IORING_CQE_F_MORE))) {
		stopped = c->stopping;
		c->receiving = false;
		c->stopping = false;
	}
	if (likely(cqe->flags & IORING_CQE_F_BUFFER)) {
		s->nr_bufs_held++;
		if (unlikely(cqe->res <= 0 || c->ended))
			buf_put(s, bid);
		else
			conn_push(s, c, bid, (uint16_t)cqe->res);
	}
	if (unlikely(cqe->res <= 0)) {
		if (!cqe->res)
			c->ended = true; /* what is queued is sent first */
		else if (cqe->res == -ENOBUFS && !c->ended)
			conn_starve(s, c);
		else if (!(cqe->res == -ECANCELED && stopped))
			conn_drop(s, c);
	}
	conn_advance(s, c);
}

static void on_send(struct server *s, struct conn *c, const struct io_uring_cqe *cqe)
{
	struct buf *b = &s->bufs[c->head];

	c->sending = false;
	if (likely(cqe->res == b->len)) {
		conn_pop(s, c);
	} else if (cqe->res >= 0) {
		b->off = (uint16_t)(b->off + cqe->res);
		b->len = (uint16_t)(b->len - cqe->res);
	} else {
		conn_drop(s, c);
	}
	conn_advance(s, c);
}

static void ring_reap(struct server *s)
{
	struct io_uring_cq *cq = &s->ring.io.cq;
	unsigned int head = *cq->khead;
	/* Acquire: pairs with the kernel's release once entries are written. */
	unsigned int tail = io_uring_smp_load_acquire(cq->ktail);
	const struct io_uring_cqe *cqe;
	struct conn *c;

	for (; head != tail; head++) {
		cqe = &cq->cqes[head & cq->ring_mask];
		c = (struct conn *)(uintptr_t)(cqe->user_data & ~(__u64)TAG_MASK);
		switch ((enum tag)(cqe->user_data & TAG_MASK)) {
		case TAG_RECV:
			on_recv(s, c, cqe);
			break;
		case TAG_SEND:
			on_send(s, c, cqe);
			break;
		case TAG_ACCEPT:
			on_accept(s, cqe);
			break;
		default:
			break;
		}
	}
	/* Release: entries are read before the kernel may write them again. */
	io_uring_smp_store_release(cq->khead, head);
}

/*
 * Arm as many of the starved as there are buffers. An arm takes none until
 * there is data, so the others may have their turn at once: true means do not
 * sleep yet.
 */
static bool starved_resume(struct server *s)
{
	uint32_t n = NR_BUFS - s->nr_bufs_held;
	struct conn *c;

	for (; n && s->starved_head; n--) {
		c = s->starved_head;
		s->starved_head = c->next;
		if (!s->starved_head)
			s->starved_tail = &s->starved_head;
		c->starved = false;
		conn_advance(s, c);
	}
	return s->starved_head && s->nr_bufs_held < NR_BUFS;
}

static void server_run(struct server *s)
{
	bool busy;

	for (;;) {
		ring_reap(s);
		busy = starved_resume(s);
		bufs_publish(s);
		if (s->spin_ns && !busy)
			busy = ring_unsubmitted(&s->ring) || ring_spin(&s->ring, s->spin_ns);
		ring_enter(&s->ring, !busy, IORING_ENTER_GETEVENTS);
	}
}

/* Set-up */

static void files_init(struct server *s)
{
	unsigned int nr_slots = DIRECT_MAX;
	struct rlimit lim;
	int n;

	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_max < nr_slots)
		nr_slots = (unsigned int)lim.rlim_max; /* liburing raises the soft one */
	n = io_uring_register_files_sparse(&s->ring.io, nr_slots);
	if (n)
		errx(EXIT_FAILURE, "file table: %s", strerror(-n));
	s->sqe_flags = IOSQE_FIXED_FILE;
}

static void bufs_init(struct server *s)
{
	const size_t ring_len = NR_BUFS * sizeof(struct io_uring_buf);
	const size_t mem_len = (size_t)NR_BUFS * BUF_SIZE;
	struct io_uring_buf_reg reg = { .ring_entries = NR_BUFS, .bgid = BUF_GROUP };
	unsigned int bid;
	int n;

	s->buf_ring =
		mmap(NULL, ring_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s->buf_mem =
		mmap(NULL, mem_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->buf_ring == MAP_FAILED || s->buf_mem == MAP_FAILED)
		err(EXIT_FAILURE, "buffers");
	madvise(s->buf_mem, mem_len, MADV_HUGEPAGE); /* a hint */
	reg.ring_addr = (uintptr_t)s->buf_ring;
	n = io_uring_register_buf_ring(&s->ring.io, &reg, 0);
	if (n)
		errx(EXIT_FAILURE, "buffer ring: %s", strerror(-n));
	io_uring_buf_ring_init(s->buf_ring);
	s->nr_bufs_held = NR_BUFS;
	for (bid = 0; bid < NR_BUFS; bid++)
		buf_put(s, (uint16_t)bid);
	bufs_publish(s);
}

int main(int argc, char **argv)
{
	struct bare_opts opts = { .listen = "127.0.0.1:7777", .cpu = -1 };
	struct server *s = &server;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--direct"))
			s->direct = true;
		else if (!strcmp(argv[i], "--spin"))
			s->spin_ns = SPIN_USEC * 1000L;
		else if (!strncmp(argv[i], "--spin=", 7))
			s->spin_ns = bare_number(argv[i] + 7, SPIN_USEC_MAX) * 1000L;
		else if (!bare_option(&opts, argv[i]))
			errx(EXIT_USAGE,
			     "'%s'? usage: bare-uring-echo [--listen=ADDR:PORT] "
			     "[--cpu=N] [--reuseport] [--direct] [--spin[=USEC]]",
			     argv[i]);
	}
	bare_pin(opts.cpu);
	bare_signals();
	ring_init(&s->ring);
	if (s->direct)
		files_init(s);
	s->starved_tail = &s->starved_head;
	bufs_init(s);
	s->listen_fd = bare_listen(&opts, 0);
	accept_arm(s);
	bare_announce(s->listen_fd);
	server_run(s);
	return EXIT_SUCCESS;
}
