// SPDX-License-Identifier: MIT
/*
 * What travels beside the bytes of a Unix stream.
 *
 * A stream that takes descriptors receives as a datagram socket does, one
 * message at a time: the kernel joins bytes with descriptors to those before, but
 * nothing to these. They are kept at the end of the chunk, where no bytes
 * are received to, until it is read or dropped.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <miniss/passing.h>

#include "backends/packet.h"
#include "core/shard.h"
#include "lib/net/idle.h"
#include "lib/net/passing.h"
#include "lib/net/socket.h"

#define CHUNK_MIN	4096

/* At the end of each chunk of such a stream. */
struct passed {
	struct mn_cred cred;
	uint32_t lost;
	uint32_t nr;
	int32_t fd[MN_PASSED_MAX];
};

#define FDS_SPACE	CMSG_SPACE(MN_PASSED_MAX * sizeof(int))

static const struct msghdr room = { .msg_controllen =
					    FDS_SPACE + CMSG_SPACE(sizeof(struct mn_cred)) };

/* The bytes that are moved to the front never reach the end. */
BUILD_BUG_ON(sizeof(struct packet_head) + FDS_SPACE < sizeof(struct passed) ||
	     sizeof(struct passed) != PASSING_ROOM || PASSING_ROOM % 8);

static struct passed *passed_of(const struct mn_chunk *chunk)
{
	return (void *)(chunk->data + chunk->home->chunk_size - PASSING_ROOM);
}

static bool is_unix(int fd)
{
	int domain = 0;

	return socket_get(fd, SOL_SOCKET, SO_DOMAIN, &domain, sizeof(domain)) > 0 &&
	       domain == AF_UNIX;
}

bool passing_wanted(int fd, const struct mn_sockopt *opt)
{
	return opt && opt->fds && mn_self->pool.chunk_size >= CHUNK_MIN && is_unix(fd);
}

void passing_prepare(struct mn_op *op)
{
	op->msg.hdr = (struct msghdr *)(uintptr_t)&room;
	op->flags |= OP_ONE;
}

static void fds_close(struct passed *passed)
{
	for (uint32_t i = 0; i < passed->nr; i++)
		socket_close_foreign(passed->fd[i]);
	passed->nr = 0;
}

static void control_take(struct passed *passed, struct msghdr *hdr)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		size_t len = cmsg->cmsg_len - CMSG_LEN(0);

		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_RIGHTS) {
			BUG_ON(len > sizeof(passed->fd));
			memcpy(passed->fd, CMSG_DATA(cmsg), len);
			passed->nr = (uint32_t)(len / sizeof(int));
		} else if (cmsg->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&passed->cred, CMSG_DATA(cmsg), sizeof(passed->cred));
		}
	}
}

bool passing_unpack(struct mn_stream *stream, struct mn_chunk *chunk)
{
	const struct packet_head head = *(const struct packet_head *)(void *)chunk->data;
	struct passed passed = { .lost = head.flags & MSG_CTRUNC };
	struct msghdr hdr = { .msg_control = chunk->data + sizeof(head),
			      .msg_controllen = head.control_len };

	control_take(&passed, &hdr);
	if (passed.lost)	/* some are worth nothing without the others */
		fds_close(&passed);
	stream->in_fds += (uint16_t)passed.nr;
	memmove(chunk->data, chunk->data + packet_overhead(&room), head.len);
	memcpy(passed_of(chunk), &passed,
	       offsetof(struct passed, fd) + passed.nr * sizeof(passed.fd[0]));
	chunk->len = head.len;
	return head.len;
}

bool passing_any(const struct mn_chunk *chunk)
{
	const struct passed *passed = passed_of(chunk);

	return passed->nr || passed->lost || passed->cred.pid;
}

void passing_drop(struct mn_stream *stream, const struct mn_chunk *chunk)
{
	struct passed *passed = passed_of(chunk);

	stream->in_fds -= (uint16_t)passed->nr;
	fds_close(passed);
}

/* ---- receiving ---- */

static int passed_take(struct mn_stream *stream, struct passed *from, struct mn_passed *passed)
{
	if (from->lost) {
		from->lost = 0;
		return -EMFILE;
	}
	if (from->nr > passed->fds_max)
		return -EMSGSIZE;
	if (from->nr)
		memcpy(passed->fds, from->fd, from->nr * sizeof(from->fd[0]));
	passed->nr_fds = from->nr;
	passed->cred = from->cred;
	stream->in_fds -= (uint16_t)from->nr;
	from->nr = 0;
	return 0;
}

int64_t mn_stream_recv_fds(struct mn_stream *stream, struct mn_buf *in, struct mn_passed *passed)
{
	int64_t res;

	passed->nr_fds = 0;
	passed->cred = (struct mn_cred){ .pid = 0 };
	if (!stream->passing)
		return -EOPNOTSUPP;
	while (stream->aborted || !stream->in_head) {
		res = mn_stream_try_read(stream, in);
		if (res != -EAGAIN)
			return res;
		res = stream_in_wait(stream);
		if (res)
			return res;
	}
	res = passed_take(stream, passed_of(stream->in_head), passed);
	return res ? res : mn_stream_try_read(stream, in);
}

/* ---- sending ---- */

/* As much as there is room for: how many bytes, or -errno. */
static int64_t send_now(int fd, const void *data, size_t len, const int *fds, unsigned int n)
{
	uint8_t control[FDS_SPACE] __attribute__((aligned(16)));
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct mn_mmsg msg = { .hdr = { .msg_iov = &iov,
					.msg_iovlen = 1,
					.msg_control = control,
					.msg_controllen = CMSG_SPACE(n * sizeof(int)) } };
	struct cmsghdr *cmsg = (void *)control;
	int sent;

	memset(control, 0, msg.hdr.msg_controllen);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	sent = socket_send(fd, &msg, 1);
	return sent < 0 ? sent : (int64_t)msg.len;
}

/* Whoever aborts the stream ends its send: that is what waits. */
static int room_wait(struct mn_stream *stream)
{
	int64_t res;

	op_init(&stream->send, MN_OP_POLL, stream->fd);
	stream->send.poll.events = POLLOUT;
	op_start(&stream->send);
	res = mn_op_await(&stream->send, MN_NEVER);
	if (stream->out_err)
		return stream->out_err;
	return res < 0 ? (int)res : 0;
}

static int64_t send_first(struct mn_stream *stream, const void *data, size_t len, const int *fds,
			  unsigned int n)
{
	int64_t sent;
	int err;

	while ((sent = send_now(stream->fd, data, len, fds, n)) == -EAGAIN) {
		err = room_wait(stream);
		if (err)
			return err;
	}
	return sent;
}

static int send_check(const struct mn_stream *stream, size_t len, unsigned int n)
{
	BUG_ON(stream->moving || stream->lent);
	if (!len || !n || n > MN_PASSED_MAX)
		return -EINVAL;
	if (stream->out_err)
		return stream->out_err;
	if (stream->shut)
		return -EPIPE;
	return stream->passing || is_unix(stream->fd) ? 0 : -EOPNOTSUPP;
}

int mn_stream_send_fds(struct mn_stream *stream, const void *data, size_t len, const int *fds,
		       unsigned int n)
{
	int err = send_check(stream, len, n);
	int64_t sent;

	if (!err)
		err = out_wait(stream, 0);
	if (err)
		return err;
	idle_touch(stream);
	stream->lent = true;
	sent = send_first(stream, data, len, fds, n);
	stream->lent = false;
	if (sent < 0)
		return (int)sent;
	stream->sent = true;
	stats_add(mn_self, STAT_BYTES_OUT, sent);
	return mn_stream_write_copy(stream, (const uint8_t *)data + sent, len - (size_t)sent);
}
