// SPDX-License-Identifier: MIT
/*
 * Datagrams arrive by themselves, each in a chunk of its own. When the queue is
 * full the receive is stopped, and it goes on when half of them were taken.
 *
 * Of a socket whose datagrams may be larger than a chunk, or come many at a
 * time, each receive fills one large buffer, from which they are copied into
 * chunks. What is in there waits for chunks and for room; nothing is lost.
 */
#include <errno.h>
#include <string.h>

#include "backends/packet.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/net/dgram.h"

#define RETRY_NS	MN_MSEC	/* chunks may have come back */

static void reader_wake(struct mn_dgram *dgram)
{
	if (dgram->reader)
		task_schedule(mn_self, dgram->reader);
}

/* When buffers are short nobody may hold many that it has not taken. */
static bool in_full(const struct mn_dgram *dgram)
{
	return dgram->in_nr >= dgram->in_max || (dgram->in_nr && pool_pressed(&mn_self->pool));
}

static void in_append(struct mn_dgram *dgram, struct mn_chunk *chunk)
{
	chunk->next = NULL;
	*dgram->in_tail = chunk;
	dgram->in_tail = &chunk->next;
	dgram->in_nr++;
}

static struct packet_head *head_of(const struct mn_chunk *chunk)
{
	return (struct packet_head *)(void *)chunk->data;
}

static void in_count(struct mn_dgram *dgram, size_t len)
{
	dgram->stats.received++;
	stats_add(mn_self, STAT_BYTES_IN, len);
}

/* The receive is over: for the limit, for an error, or for good. */
static void in_stopped(struct mn_dgram *dgram, int res)
{
	mn_future_resolve(&dgram->recv.done, 0);
	if (dgram->closing || dgram->in_ended)
		return;
	if (dgram->in_paused && res == -ECANCELED) {
		/* Taken already while the cancellation was under way? */
		if (!dgram->in_nr)
			dgram_in_start(dgram);
		return;
	}
	dgram->in_paused = false;
	dgram->in_err = res;
	reader_wake(dgram);
}

/* ---- straight into chunks ---- */

/* Of a connection, nothing at all is the end. */
static bool is_end(const struct mn_dgram *dgram, const struct packet_head *head)
{
	return dgram->seqpacket && !head->len && !head->control_len;
}

static void in_push(struct mn_dgram *dgram, struct mn_chunk *chunk)
{
	bool end = is_end(dgram, head_of(chunk));

	if (dgram->in_ended || end) {
		dgram->in_ended = true;
		pool_put(chunk);
	} else {
		in_append(dgram, chunk);
		in_count(dgram, head_of(chunk)->len);
		if (in_full(dgram))
			dgram->in_paused = true;
	}
	if (dgram->in_paused || dgram->in_ended)
		mn_op_cancel(&dgram->recv);
	reader_wake(dgram);
}

static void received(struct mn_op *op, int64_t res)
{
	struct mn_dgram *dgram = container_of(op, struct mn_dgram, recv);

	if (op->flags & OP_MORE)
		in_push(dgram, op->chunk);
	else
		in_stopped(dgram, (int)res);
}

/* ---- through a large buffer ---- */

/* Descriptors that came along are with the first piece, or it was not made yet. */
static void gather_drop(struct gather *g)
{
	struct mn_chunk *chunk = g->first;

	if (g->some && !g->segment && !g->pos)
		packet_fds_close(g->control, g->hdr.msg_controllen);
	else if (chunk)
		packet_fds_close((uint8_t *)(head_of(chunk) + 1) + g->dgram->room.msg_namelen,
				 head_of(chunk)->control_len);
	while ((chunk = g->first)) {
		g->first = chunk->next;
		pool_put(chunk);
	}
	g->last = &g->first;
}

/* The next piece of a datagram goes into a chunk; is the datagram complete? */
static bool gather_piece(struct mn_dgram *dgram, struct mn_chunk *chunk)
{
	struct gather *g = dgram->gather;
	size_t overhead = packet_overhead(&dgram->room);
	size_t end = g->segment ? min(g->pos + g->segment, g->end) : g->end;
	size_t len = min(end - g->pos, chunk->home->chunk_size - overhead);
	struct packet_head *head = head_of(chunk);
	uint8_t *name = (uint8_t *)(head + 1);

	*head = (struct packet_head){
		.name_len = g->hdr.msg_namelen,
		.control_len = g->first || g->segment ? 0 : (uint32_t)g->hdr.msg_controllen,
		.len = (uint32_t)len,
		.flags = (uint32_t)g->hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC),
	};
	memcpy(name, &g->name, min((size_t)g->hdr.msg_namelen, (size_t)dgram->room.msg_namelen));
	memcpy(name + dgram->room.msg_namelen, g->control, head->control_len);
	memcpy(chunk->data + overhead, g->data + g->pos, len);
	g->pos += len;
	if (g->pos < end)
		head->flags |= PACKET_MORE;
	chunk->next = NULL;
	*g->last = chunk;
	g->last = &chunk->next;
	return g->pos == end;
}

static void gather_queue(struct mn_dgram *dgram)
{
	struct gather *g = dgram->gather;
	struct mn_chunk *chunk;
	size_t len = 0;

	while ((chunk = g->first)) {
		g->first = chunk->next;
		len += head_of(chunk)->len;
		in_append(dgram, chunk);
	}
	g->last = &g->first;
	in_count(dgram, len);
	g->some = g->pos < g->end;
	reader_wake(dgram);
}

/* As many as there is room for; then the next receive. */
static void gather_move(struct mn_dgram *dgram)
{
	struct gather *g = dgram->gather;

	while (g->some && (g->first || !in_full(dgram))) {
		struct mn_chunk *chunk = pool_get(&mn_self->pool);

		if (!chunk) {
			mn_timer_arm(&g->retry, mn_now() + RETRY_NS, 0);
			return;
		}
		if (gather_piece(dgram, chunk))
			gather_queue(dgram);
	}
	if (g->some || in_full(dgram))
		dgram->in_paused = true;
	else
		task_schedule(mn_self, &g->again);
}

static void gathered(struct mn_op *op, int64_t res)
{
	struct mn_dgram *dgram = container_of(op, struct mn_dgram, recv);
	struct gather *g = dgram->gather;

	if (res < 0) {
		in_stopped(dgram, (int)res);
		return;
	}
	mn_future_resolve(&op->done, 0);
	if (!res && dgram->seqpacket && !g->hdr.msg_controllen) {
		dgram->in_ended = true;
		reader_wake(dgram);
		return;
	}
	g->some = true;
	g->pos = 0;
	g->end = (size_t)res;
	g->segment = packet_segment(&g->hdr);
	gather_move(dgram);
}

static void gather_start(struct mn_dgram *dgram)
{
	struct gather *g = dgram->gather;

	g->hdr = (struct msghdr){
		.msg_name = &g->name,
		.msg_namelen = dgram->room.msg_namelen,
		.msg_control = g->control,
		.msg_controllen = dgram->room.msg_controllen,
		.msg_iov = &g->iov,
		.msg_iovlen = 1,
	};
	op_init(&dgram->recv, MN_OP_RECVMSG, dgram->fd);
	dgram->recv.msg.hdr = &g->hdr;
	dgram->recv.complete = gathered;
	op_start(&dgram->recv);
}

static void gather_again(struct mn_task *task)
{
	gather_start(container_of(task, struct gather, again)->dgram);
}

static void gather_retry(struct mn_task *task)
{
	struct gather *g = container_of(mn_timer_of(task), struct gather, retry);

	gather_move(g->dgram);
}

/* ---- both ---- */

void dgram_in_open(struct mn_dgram *dgram)
{
	struct gather *g = dgram->gather;

	dgram->in_tail = &dgram->in_head;
	if (!g)
		return;
	g->dgram = dgram;
	g->last = &g->first;
	g->iov = (struct iovec){ g->data, DGRAM_SIZE_MAX };
	mn_task_init(&g->again, gather_again);
	mn_timer_init(&g->retry, gather_retry);
}

void dgram_in_start(struct mn_dgram *dgram)
{
	dgram->in_paused = false;
	if (dgram->gather && dgram->gather->some) {
		gather_move(dgram);
	} else if (dgram->gather) {
		gather_start(dgram);
	} else {
		op_init(&dgram->recv, MN_OP_RECV_PACKETS, dgram->fd);
		dgram->recv.msg.hdr = &dgram->room;
		dgram->recv.complete = received;
		op_start(&dgram->recv);
	}
}

void dgram_in_end(struct mn_dgram *dgram)
{
	struct mn_packet packet;

	dgram->closing = true;
	mn_op_cancel(&dgram->recv);
	if (mn_op_in_flight(&dgram->recv))
		fiber_wait(&dgram->recv.done);
	if (dgram->gather) {
		mn_timer_cancel(&dgram->gather->retry);
		task_unqueue(mn_self, &dgram->gather->again);
		gather_drop(dgram->gather);
		mem_free(dgram->gather);
	}
	while (mn_dgram_try_recv(dgram, &packet, 1) == 1)
		mn_packet_free(&packet);
}

static void in_resume(struct mn_dgram *dgram)
{
	bool half = dgram->in_nr <= dgram->in_max / 2 && !pool_pressed(&mn_self->pool);

	if (dgram->in_paused && !dgram->closing && (half || !dgram->in_nr) &&
	    !mn_op_in_flight(&dgram->recv))
		dgram_in_start(dgram);
}

/* Told once; then it may be that more comes. */
static int in_error(struct mn_dgram *dgram)
{
	int err = dgram->in_err;

	if (!err)
		return dgram->in_ended ? 0 : -EAGAIN;
	dgram->in_err = 0;
	if (!dgram->closing)
		dgram_in_start(dgram);
	return err;
}

int mn_dgram_try_recv(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n)
{
	unsigned int i;

	if (dgram->listening || !n)
		return -EINVAL;
	for (i = 0; i < n && dgram->in_head; i++) {
		struct mn_chunk *chunk = dgram->in_head;

		dgram->in_head = chunk->next;
		dgram->in_nr--;
		packet_take(dgram, chunk, &packets[i]);
	}
	if (!dgram->in_head)
		dgram->in_tail = &dgram->in_head;
	in_resume(dgram);
	return i ? (int)i : in_error(dgram);
}

static void recv_cancel(void *obj)
{
	reader_wake(obj);
}

int mn_dgram_recv(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n)
{
	struct mn_fiber *fiber = mn_self->fiber;
	int res;

	while ((res = mn_dgram_try_recv(dgram, packets, n)) == -EAGAIN) {
		if (fiber->stop)
			return fiber->stop;
		dgram->reader = &fiber->task;
		fiber_park(recv_cancel, dgram);
		dgram->reader = NULL;
	}
	return res;
}

int64_t mn_dgram_recv_copy(struct mn_dgram *dgram, void *data, size_t size, struct mn_addr *peer)
{
	struct mn_packet packet = { .more = true };
	size_t done = 0;
	int n = mn_dgram_recv(dgram, &packet, 1);

	if (n <= 0)
		return n;
	if (peer)
		*peer = packet.peer;
	while (n == 1) {
		memcpy((uint8_t *)data + min(done, size), packet.buf.data,
		       min(packet.buf.len, size - min(done, size)));
		done += packet.buf.len;
		n = packet.more ? 1 : 0;
		mn_packet_free(&packet);
		if (n)
			n = mn_dgram_try_recv(dgram, &packet, 1);
	}
	return (int64_t)done;
}
