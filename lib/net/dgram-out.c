// SPDX-License-Identifier: MIT
/*
 * Sending datagrams: many in one system call, without waiting; only if the
 * kernel has no room does the fiber wait. Neighbours to the same peer, of the
 * same size but for the last, are one message that the kernel divides (GSO):
 * it goes through the stack once.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "core/shard.h"
#include "lib/net/dgram.h"
#include "lib/net/socket.h"

#define SEND_MSGS	32	/* of a system call */
#define SEND_PACKETS	64	/* in these; as many as Linux divides one into */
#define SEGMENTED_MAX	65000	/* bytes of one that is divided, less than an IP packet holds */
#define UNIX_PAUSE_MIN	(MN_MSEC / 4)
#define UNIX_PAUSE_MAX	(8 * MN_MSEC)

struct control {
	uint8_t data[CMSG_SPACE(MN_PACKET_FDS * sizeof(int))] __attribute__((aligned(16)));
};

/* What one system call sends. */
struct outgoing {
	unsigned int nr_msgs, nr_packets;
	struct mn_mmsg msg[SEND_MSGS];
	unsigned int packets_of[SEND_MSGS];
	struct iovec iov[SEND_PACKETS];
	struct control control[SEND_MSGS];
};

static bool same_peer(const struct mn_addr *a, const struct mn_addr *b)
{
	return a->len == b->len && !memcmp(&a->sa, &b->sa, a->len);
}

/* How many of these can leave as one: all of the first one's size, but for the last. */
static unsigned int run_of(const struct mn_packet *packets, unsigned int n)
{
	size_t size = packets[0].buf.len, sum = size;
	unsigned int run = 1;

	if (!size || packets[0].nr_fds)
		return 1;
	while (run < n && packets[run - 1].buf.len == size) {
		const struct mn_packet *next = &packets[run];

		sum += next->buf.len;
		if (!next->buf.len || next->buf.len > size || sum > SEGMENTED_MAX || next->nr_fds ||
		    !same_peer(&packets[0].peer, &next->peer))
			break;
		run++;
	}
	return run;
}

static void msg_add(struct outgoing *out, struct mn_packet *packets, unsigned int run)
{
	struct iovec *iov = &out->iov[out->nr_packets];
	struct control *control = &out->control[out->nr_msgs];
	struct msghdr *hdr = &out->msg[out->nr_msgs].hdr;

	for (unsigned int i = 0; i < run; i++)
		iov[i] = (struct iovec){ packets[i].buf.data, packets[i].buf.len };
	*hdr = (struct msghdr){ .msg_iov = iov, .msg_iovlen = run };
	if (packets->peer.len) {
		hdr->msg_name = &packets->peer.sa;
		hdr->msg_namelen = packets->peer.len;
	}
	if (run > 1)
		hdr->msg_controllen = packet_segmented((uint16_t)packets->buf.len, control->data,
						       sizeof(*control));
	else if (packets->nr_fds)
		hdr->msg_controllen = packet_fds(packets, control->data, sizeof(*control));
	if (hdr->msg_controllen)
		hdr->msg_control = control->data;
	out->packets_of[out->nr_msgs++] = run;
	out->nr_packets += run;
}

/* Out of line: it has much on the stack. */
static void out_fill(const struct mn_dgram *dgram, struct outgoing *out, struct mn_packet *packets,
		     unsigned int n)
{
	out->nr_msgs = out->nr_packets = 0;
	n = min(n, (unsigned int)SEND_PACKETS);
	while (out->nr_packets < n && out->nr_msgs < SEND_MSGS) {
		struct mn_packet *next = &packets[out->nr_packets];

		msg_add(out, next, dgram->gso ? run_of(next, n - out->nr_packets) : 1);
	}
}

/* Is it that it cannot be divided? Then they go one by one from here on. */
static bool gso_failed(struct mn_dgram *dgram, const struct outgoing *out, int err)
{
	if (out->packets_of[0] == 1 || (err != -EINVAL && err != -EIO && err != -EMSGSIZE &&
					err != -EOPNOTSUPP && err != -ENOPROTOOPT))
		return false;
	dgram->gso = false;
	return true;
}

/* What can be sent now: how many packets, or -errno. */
static int send_now(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n)
{
	struct outgoing out;
	int nr = 0, sent;

	do {
		out_fill(dgram, &out, packets, n);
		sent = socket_send(dgram->fd, out.msg, out.nr_msgs);
	} while (sent < 0 && gso_failed(dgram, &out, sent));
	for (int i = 0; i < sent; i++)
		nr += (int)out.packets_of[i];
	return sent < 0 ? sent : nr;
}

/*
 * Whether an Unix socket's peer has room again is only told to those that are
 * connected to it.
 */
static int wait_room(struct mn_dgram *dgram, bool foreign_peer, int64_t *pause_ns)
{
	int err;

	if (!foreign_peer)
		return socket_wait(dgram->fd, POLLOUT);
	err = mn_sleep(*pause_ns);
	*pause_ns = min(2 * *pause_ns, UNIX_PAUSE_MAX);
	return err;
}

static int packets_check(const struct mn_dgram *dgram, const struct mn_packet *packets,
			 unsigned int n)
{
	if (dgram->listening || !n)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		if (packets[i].nr_fds > MN_PACKET_FDS || (dgram->seqpacket && !packets[i].buf.len))
			return -EINVAL;
	return 0;
}

/* At least one of them: how many, or why not. */
static int send_some(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n)
{
	bool foreign_peer = packets->peer.len && packets->peer.sa.sa_family == AF_UNIX;
	int64_t pause_ns = UNIX_PAUSE_MIN;
	int sent;

	while ((sent = send_now(dgram, packets, n)) == -EAGAIN || sent == -ENOBUFS) {
		int err = wait_room(dgram, foreign_peer || sent == -ENOBUFS, &pause_ns);

		if (err)
			return err;
	}
	return sent;
}

int mn_dgram_send(struct mn_dgram *dgram, struct mn_packet *packets, unsigned int n)
{
	int err = packets_check(dgram, packets, n), sent;
	unsigned int done = 0;

	while (!err && done < n) {
		sent = send_some(dgram, packets + done, n - done);
		if (sent < 0) {
			err = sent;
			break;
		}
		for (int i = 0; i < sent; i++, done++) {
			stats_add(mn_self, STAT_BYTES_OUT, packets[done].buf.len);
			mn_buf_free(&packets[done].buf);
		}
		dgram->stats.sent += (unsigned int)sent;
	}
	return done ? (int)done : err;
}

int mn_dgram_send_copy(struct mn_dgram *dgram, const struct mn_addr *peer, const void *data,
		       size_t len)
{
	struct mn_packet packet = { .buf = mn_buf_static(data, len) };
	int res;

	if (peer)
		packet.peer = *peer;
	res = mn_dgram_send(dgram, &packet, 1);
	return res < 0 ? res : 0;
}
