// SPDX-License-Identifier: MIT
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/sharded.h"
#include "tests/silent.h"
#include "tests/site.h"
#include "tests/world.h"

/* On every shard: all that is large enough to be worth a look is sent so. */
static int small_min(void *arg)
{
	if (mn_self->be->zero_copy)
		mn_self->zc.min = 1000;
	mn_self->zc.insist = arg;
	return 0;
}

void zc_eager(bool insist)
{
	mn_call_all(small_min, insist ? mn_self : NULL);
}

/* What is not root's may be too much to be locked, and is then copied. */
bool ck_pins(void)
{
	return mn_self->be->zero_copy && !geteuid();
}

void ck_stat_grew(enum stat_id id, uint64_t before)
{
	if (IS_ENABLED(CONFIG_STATS) && ck_pins())
		ck_assert_uint_gt(mn_self->stats[id], before);
}

/* Until the kernel has let go of everything that this shard has sent. */
void let_go(void)
{
	for (int i = 0; mn_self->zc.nr_pinned && i < 10000; i++)
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_uint_eq(mn_self->zc.nr_pinned, 0);
	ck_assert(list_empty(&mn_self->zc.batches));
}

void peer_listen(struct peer *peer)
{
	struct sockaddr_in sa = loopback();
	socklen_t len = sizeof(sa);
	int room = 16384, mss = 1000;	/* many of them: else the window opens late */

	*peer = (struct peer){ .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	peer->fd = dup(peer->listener);	/* until there is a connection */
	ck_assert_int_eq(setsockopt(peer->listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	ck_assert_int_eq(setsockopt(peer->listener, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)), 0);
	ck_assert_int_eq(bind(peer->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(peer->listener, 16), 0);
	ck_assert_int_eq(getsockname(peer->listener, (struct sockaddr *)&sa, &len), 0);
	snprintf(peer->addr, sizeof(peer->addr), "127.0.0.1:%u", ntohs(sa.sin_port));
}

/* A stream to it, whose socket takes a lot. */
struct mn_stream *peer_connect(struct peer *peer)
{
	struct mn_stream *stream;
	int fd, room = 600000;	/* of which Linux takes twice as many, for its own needs, too */

	ck_assert_int_eq(mn_connect(peer->addr, 10 * MN_SEC, &stream), 0);
	ck_assert_int_eq(setsockopt(stream->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	fd = accept(peer->listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup3(fd, peer->fd, O_CLOEXEC), peer->fd);
	close(fd);
	return stream;
}

void peer_narrow(const struct mn_stream *stream)
{
	int room = 4096;

	ck_assert_int_eq(setsockopt(stream->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
}

bool peer_take(struct peer *peer)
{
	uint8_t bytes[16384];
	ssize_t n;

	while ((n = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++)
			peer->wrong += bytes[i] != pattern(peer->got++);
	if (!n)
		return false;
	ck_assert_int_eq(errno, EAGAIN);
	return true;
}

void peer_close(struct peer *peer)
{
	close(peer->fd);
	close(peer->listener);
}

/* Read to the end, which is after @len bytes. */
void peer_read(struct peer *peer, uint64_t len)
{
	while (peer_take(peer))
		ck_assert_int_eq(mn_sleep(MN_MSEC), 0);
	ck_assert_uint_eq(peer->got, len);
	ck_assert_uint_eq(peer->wrong, 0);
}

/* Written, sent as far as the stream is concerned, and held. */
struct mn_stream *hold(struct peer *peer)
{
	struct mn_stream *stream = peer_connect(peer);

	send_pattern(stream, 0, PARCEL);
	ck_assert_int_eq(mn_stream_flush(stream), 0);
	ck_assert_uint_eq(stream->out_bytes, 0);
	ck_assert_ptr_null(stream->sending);
	if (ck_pins())
		ck_assert_uint_gt(stream->nr_pinned, 0);
	ck_assert_uint_eq(!mn_self->zc.nr_pinned, !stream->nr_pinned);
	return stream;
}

int nr_real(void)
{
	return 2 * nr_backends();
}

void run_real(int i, mn_fiber_fn fn)
{
	const struct driver *drv = backend_kind.start[i % nr_backends()];

	if (!container_of(drv, struct backend_ops, drv)->virtual_time)
		sharded_run_shards(drv->name, i / nr_backends() + 1, fn);
}
