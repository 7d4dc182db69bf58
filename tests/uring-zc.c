// SPDX-License-Identifier: MIT
/*
 * What the kernel may say to a send without a copy, in every order, also what
 * takes a lack of memory to be said: completion entries that are made up. What
 * the backend then sends by a copy is real.
 */
#include <errno.h>
#include <string.h>

#include "backends/io_uring/uring.h"
#include "tests/suites.h"
#include "tests/world.h"

#define LEN	1000
#define MORE	IORING_CQE_F_MORE
#define NOTIF	IORING_CQE_F_NOTIF
#define COPIED	((int)URING_NOTIF_ZC_COPIED)

/* The one that is under way. */
static struct {
	struct mn_op op;
	struct msghdr hdr;
	struct iovec iov[2];
	uint8_t bytes[LEN];
	unsigned int nr_delivered, nr_ended;
	int64_t delivered, ended;
} zc;

static void zc_told(struct mn_op *op, int64_t res)
{
	if (op->flags & OP_MORE) {
		ck_assert_uint_eq(zc.nr_ended, 0);
		zc.nr_delivered++;
		zc.delivered = res;
	} else {
		ck_assert_uint_eq(zc.nr_delivered, 1);
		zc.nr_ended++;
		zc.ended = res;
	}
}

/* As if it had been submitted. */
static void zc_begin(int fd)
{
	memset(&zc, 0, sizeof(zc));
	pattern_fill(zc.bytes, 0, LEN);
	zc.iov[0] = (struct iovec){ zc.bytes, 600 };
	zc.iov[1] = (struct iovec){ zc.bytes + 600, LEN - 600 };
	zc.hdr = (struct msghdr){ .msg_iov = zc.iov, .msg_iovlen = 2 };
	op_init(&zc.op, MN_OP_SENDMSG_ZC, fd);
	zc.op.msg.hdr = &zc.hdr;
	zc.op.msg.copied = 0;
	zc.op.complete = zc_told;
	zc.op.state = OP_IN_FLIGHT;
	zc.op.priv = OP_IN_RING;
	zc.op.be.num = 0;
	zc.op.pprev = NULL;
	ledger_op(&zc.op, HERE);
	mn_self->hygiene.nr_ops++;
}

static void zc_say(int res, unsigned int flags)
{
	struct io_uring_cqe cqe = { .res = res, .flags = flags };

	uring_zc_reap(to_uring(mn_self->be), &zc.op, &cqe);
}

/* What is said, and what is to become of it. */
struct saying {
	struct {
		int res;
		unsigned int flags;
		bool sent;	/* before that, the rest went out by a copy */
	} said[2];
	int64_t delivered, ended;
	int from;		/* where in the message a real send begins; 0 with @all */
	bool all;
	bool cancel;
};

#define SAID(r, f)                       \
	{                                \
		.res = (r), .flags = (f) \
	}
#define BEHIND(r, f)                                   \
	{                                              \
		.res = (r), .flags = (f), .sent = true \
	}

/* clang-format off */
static const struct saying sayings[] = {
	{ .said = { SAID(LEN, MORE), SAID(0, NOTIF) }, .delivered = LEN, .ended = 0 },
	{ .said = { SAID(LEN, MORE), SAID(COPIED, NOTIF) }, .delivered = LEN, .ended = 1 },
	{ .said = { SAID(LEN, 0) }, .delivered = LEN, .ended = 0 },
	{ .said = { SAID(-ECONNRESET, MORE), SAID(0, NOTIF) }, .delivered = -ECONNRESET, .ended = 0 },
	{ .said = { SAID(-EPIPE, 0) }, .delivered = -EPIPE, .ended = 0 },

	/* What cannot be done so is done with a copy, whenever it is let go of. */
	{ .said = { SAID(-EOPNOTSUPP, MORE), BEHIND(COPIED, NOTIF) }, .delivered = LEN, .ended = -EOPNOTSUPP, .all = true },
	{ .said = { SAID(-EOPNOTSUPP, MORE), SAID(COPIED, NOTIF) }, .delivered = LEN, .ended = -EOPNOTSUPP, .all = true },
	{ .said = { SAID(-ENOMEM, MORE), BEHIND(0, NOTIF) }, .delivered = LEN, .ended = -ENOMEM, .all = true },
	{ .said = { SAID(-ENOBUFS, 0) }, .delivered = LEN, .ended = -ENOBUFS, .all = true },

	/* And so is what is left. */
	{ .said = { SAID(700, MORE), BEHIND(0, NOTIF) }, .delivered = LEN, .ended = 0, .from = 700 },
	{ .said = { SAID(600, MORE), SAID(COPIED, NOTIF) }, .delivered = LEN, .ended = 1, .from = 600 },
	{ .said = { SAID(1, 0) }, .delivered = LEN, .ended = 0, .from = 1 },
	{ .said = { SAID(-EINTR, MORE), BEHIND(0, NOTIF) }, .delivered = LEN, .ended = 0, .all = true },

	/* Unless that is not wanted any more. */
	{ .said = { SAID(700, MORE), SAID(0, NOTIF) }, .delivered = -ECANCELED, .ended = 0, .cancel = true },
	{ .said = { SAID(-ECANCELED, MORE), SAID(COPIED, NOTIF) }, .delivered = -ECANCELED, .ended = 1, .cancel = true },
	{ .said = { SAID(-ENOMEM, 0) }, .delivered = -ECANCELED, .ended = -ENOMEM, .cancel = true },
	{ .said = { SAID(LEN, MORE), SAID(0, NOTIF) }, .delivered = LEN, .ended = 0, .cancel = true },
};
/* clang-format on */

/* The rest, and nothing else, comes out at the other end. */
static void ck_rest(const struct saying *s, const struct pair *pair)
{
	struct track in;
	uint8_t bytes[LEN];

	for (int from = s->from; (s->all || s->from) && from < LEN;) {
		int64_t n = do_recv(pair->server, bytes, sizeof(bytes));

		ck_assert_int_gt(n, 0);
		ck_assert_int_le(n, LEN - from);
		ck_assert_int_eq(memcmp(bytes, zc.bytes + from, (size_t)n), 0);
		from += (int)n;
	}
	track_init(&in, MN_OP_RECV, pair->server);
	in.op.buf.base = bytes;
	in.op.buf.len = sizeof(bytes);
	op_start(&in.op);
	settle();
	ck_assert_uint_eq(in.ends, 0);
	mn_op_cancel(&in.op);
	ck_assert_int_eq(track_finish(&in), -ECANCELED);
}

static void ck_saying(const struct saying *s)
{
	struct pair pair = connected(0);
	int64_t nr_ops = mn_self->hygiene.nr_ops;

	zc_begin(pair.client);
	if (s->cancel)
		zc.op.state = OP_CANCELING;
	zc_say(s->said[0].res, s->said[0].flags);
	if (s->said[1].sent || !s->said[1].flags)
		while (!zc.nr_delivered)
			shard_step(mn_self, false);
	if (s->said[1].flags) {
		ck_assert_uint_eq(zc.nr_ended, 0);
		zc_say(s->said[1].res, s->said[1].flags);
	}
	while (!zc.nr_ended)
		shard_step(mn_self, false);
	ck_assert_int_eq(zc.delivered, s->delivered);
	ck_assert_int_eq(zc.ended, s->ended);
	if (s->delivered == -ECANCELED)
		ck_assert_uint_eq(zc.op.be.num, s->said[0].res > 0 ? (uint64_t)s->said[0].res : 0);
	ck_assert_int_eq(mn_self->hygiene.nr_ops, nr_ops);
	ck_rest(s, &pair);
	do_call(MN_OP_CLOSE, pair.client, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
}

START_TEST(whatever_the_kernel_says_there_is_one_result_and_one_end)
{
	struct mn_world world;

	if (!world_begin(&world, "io_uring", 1))
		return;
	ck_saying(&sayings[_i]);
	world_end(&world);
}
END_TEST

/* The world has ended without it; see zc_abandon(). */
START_TEST(what_nobody_waits_for_any_more_is_heard_and_ignored)
{
	struct mn_world world;
	struct pair pair;

	if (!world_begin(&world, "io_uring", 1))
		return;
	pair = connected(0);
	zc_begin(pair.client);
	zc_say(LEN, MORE);
	zc.op.flags &= ~OP_PINNED;
	op_complete(&zc.op, -ECANCELED);
	zc_say(0, NOTIF);
	ck_assert_uint_eq(zc.nr_ended, 1);
	ck_assert_int_eq(zc.ended, -ECANCELED);
	do_call(MN_OP_CLOSE, pair.client, 0);
	do_call(MN_OP_CLOSE, pair.server, 0);
	world_end(&world);
}
END_TEST

Suite *suite_uring_zc(void)
{
	Suite *s = suite_create("uring_zc");
	TCase *tc = tcase_create("uring_zc");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, whatever_the_kernel_says_there_is_one_result_and_one_end, 0,
			    ARRAY_SIZE(sayings));
	tcase_add_test(tc, what_nobody_waits_for_any_more_is_heard_and_ignored);
	suite_add_tcase(s, tc);
	return s;
}
