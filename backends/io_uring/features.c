// SPDX-License-Identifier: MIT
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "backends/io_uring/uring.h"
#include "core/log.h"
#include "lib/mem/mem.h"

MN_PARAM(str, mask, NULL, 0, 512,
	 "kernel features to do without, NAME,NAME... or all: to try what is done on older kernels");

static const struct {
	const char *name;
	const char *since;	/* of Linux */
	const char *lost;	/* without it */
} features[] = {
	[URING_SUBMIT_ALL] = { "submit_all", "5.18", "a bad request delays those behind it" },
	[URING_COOP_TASKRUN] = { "coop_taskrun", "5.19", "completions interrupt what runs" },
	[URING_SINGLE_ISSUER] = { "single_issuer", "6.0", "the kernel locks the ring" },
	[URING_DEFER_TASKRUN] = { "defer_taskrun", "6.1",
				  "completions are made when it suits the "
							  "kernel, not the shard" },
	[URING_REGISTERED_RING] = { "registered_ring", "5.18", "some 20 ns more for each call" },
	[URING_BUF_RING] = { "buf_ring", "5.19",
			     "streams wait for readiness, then receive: a "
						 "system call for each" },
	[URING_MULTISHOT_RECV] = { "multishot_recv", "6.0", "a request for each receive" },
	[URING_MULTISHOT_ACCEPT] = { "multishot_accept", "5.19", "a request for each connection" },
	[URING_MSG_RING] = { "msg_ring", "5.18",
			     "shards wake each other by eventfd, a system call" },
	[URING_NO_IOWAIT] = { "no_iowait", "6.15", "an idle shard counts as waiting for I/O" },
	[URING_SEND_ZC] = { "send_zc", "6.2", "large sends are copied by the kernel" },
	[URING_FIXED_BUFS] = { "fixed_bufs", "5.19",
			       "files cost 6 % more where they are read into buffers of the pool" },
	[URING_BUF_RING_INC] = { "buf_ring_inc", "6.12",
				 "--io_uring.incremental does nothing: a buffer for each receive" },
	[URING_FIXED_FILES] = { "fixed_files", "5.19",
				"--io_uring.files does nothing: some 13 ns more for each send" },
};

BUILD_BUG_ON(ARRAY_SIZE(features) != URING_FEATURES);

/* ---- the mask ---- */

/* A feature, URING_FEATURES for all of them, or -1. */
static int feature_named(const char *name, size_t len)
{
	if (len == 3 && !strncmp(name, "all", len))
		return URING_FEATURES;
	for (int i = 0; i < URING_FEATURES; i++)
		if (!strncmp(features[i].name, name, len) && !features[i].name[len])
			return i;
	return -1;
}

unsigned int uring_mask(void)
{
	const char *name = param_mask;
	unsigned int mask = 0;

	while (name && *name) {
		size_t len = strcspn(name, ",");
		int feature = feature_named(name, len);

		if (feature >= 0)
			mask |= feature == URING_FEATURES ? URING_ALL : URING_BIT(feature);
		name += len + (name[len] == ',');
	}
	return mask;
}

void uring_mask_set(const char *list)
{
	param_mask = list;
}

const char *uring_feature_name(enum uring_feature feature)
{
	return features[feature].name;
}

static void refuse(const char *name, int len)
{
	char known[256] = "all";
	size_t used = 3;

	for (int i = 0; i < URING_FEATURES && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, ", %s",
					 features[i].name);
	mn_err("%s: no feature %.*s; known: %s", param_origin_mask, len, name, known);
}

int uring_check(void)
{
	const char *name = param_mask;

	while (name && *name) {
		size_t len = strcspn(name, ",");

		if (feature_named(name, len) < 0) {
			refuse(name, (int)len);
			return -EINVAL;
		}
		name += len + (name[len] == ',');
	}
	return 0;
}

/* ---- the flags of a ring ---- */

#define FLAGS_ANY	(IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP)
#define FLAGS_5_18	(FLAGS_ANY | IORING_SETUP_SUBMIT_ALL)
#define FLAGS_5_19	(FLAGS_5_18 | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* From the best to the oldest; EINVAL means: the next. */
static const struct {
	const char *name;
	unsigned int flags;
	unsigned int features;
} ladder[] = {
	{ "DEFER_TASKRUN",
	  FLAGS_5_18 | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
		  IORING_SETUP_DEFER_TASKRUN,
	  URING_BIT(URING_DEFER_TASKRUN) | URING_BIT(URING_SINGLE_ISSUER) },
	{ "COOP_TASKRUN, single issuer", FLAGS_5_19 | IORING_SETUP_SINGLE_ISSUER,
	  URING_BIT(URING_COOP_TASKRUN) | URING_BIT(URING_SINGLE_ISSUER) },
	{ "COOP_TASKRUN", FLAGS_5_19, URING_BIT(URING_COOP_TASKRUN) },
	{ "SUBMIT_ALL", FLAGS_5_18, URING_BIT(URING_SUBMIT_ALL) },
	{ "plain", FLAGS_ANY, 0 },
};

bool uring_flags(unsigned int n, struct uring_plan *plan)
{
	unsigned int mask = uring_mask();

	for (unsigned int i = 0; i < ARRAY_SIZE(ladder); i++) {
		if (ladder[i].features & mask || n-- > 0)
			continue;
		plan->name = ladder[i].name;
		plan->flags = ladder[i].flags;
		plan->features = ladder[i].features;
		if (mask & URING_BIT(URING_SUBMIT_ALL))
			plan->flags &= ~IORING_SETUP_SUBMIT_ALL;
		if (plan->flags & IORING_SETUP_SUBMIT_ALL)
			plan->features |= URING_BIT(URING_SUBMIT_ALL);
		return true;
	}
	return false;
}

/* ---- the others ---- */

/* What becomes of a request that was made or submitted; its flags. Of others nobody waits for the rest. */
static int result(struct uring *u, uint64_t id, unsigned int *flags)
{
	struct __kernel_timespec patience = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	bool found;
	int res;

	do {
		res = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &patience, NULL);
		if (res < 0)
			return res == -ETIME ? -EOPNOTSUPP : res;
		res = cqe->res;
		*flags = cqe->flags;
		found = cqe->user_data == id;
		io_uring_cqe_seen(&u->ring, cqe);
	} while (!found);
	return res;
}

static int request(struct uring *u, struct io_uring_sqe *sqe, unsigned int *flags)
{
	uint64_t id = u->ring.sq.sqe_tail;

	io_uring_sqe_set_data64(sqe, id);
	return result(u, id, flags);
}

/* Receive one byte the way servers will: multishot, into the buffer ring. */
static int recv_byte(struct uring *u, int fd)
{
	char memory[16] __attribute__((aligned(16))) = "";
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	unsigned int flags = 0;
	int res;

	io_uring_buf_ring_add(u->bufs, memory, sizeof(memory), 0, u->buf_mask, 0);
	io_uring_buf_ring_advance(u->bufs, 1);
	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	res = request(u, sqe, &flags);
	if (res < 0)
		return res;
	return res == 1 && flags & IORING_CQE_F_BUFFER ? 0 : -EOPNOTSUPP;
}

static int try_recv(struct uring *u)
{
	int pair[2], err;

	if (!u->bufs)
		return -EOPNOTSUPP;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	err = write(pair[1], "x", 1) == 1 ? recv_byte(u, pair[0]) : -errno;
	close(pair[0]);
	close(pair[1]);
	return err;
}

/* Of a buffer that it has not filled the kernel says that there is more to come. */
static int recv_part(struct uring *u, struct io_uring_buf_ring *bufs, int fd)
{
	char memory[16] __attribute__((aligned(16))) = "";
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	unsigned int flags = 0;
	int res;

	io_uring_buf_ring_add(bufs, memory, sizeof(memory), 0, 0, 0);
	io_uring_buf_ring_advance(bufs, 1);
	io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 1;
	res = request(u, sqe, &flags);
	if (res < 0)
		return res;
	return res == 1 && flags & URING_CQE_F_BUF_MORE ? 0 : -EOPNOTSUPP;
}

static int try_incremental(struct uring *u)
{
	struct io_uring_buf_reg reg = { .ring_entries = 1, .bgid = 1, .pad = URING_PBUF_RING_INC };
	struct io_uring_buf_ring *bufs = mem_map(sizeof(struct io_uring_buf));
	int pair[2], err = -ENOMEM;

	if (!bufs)
		return err;
	reg.ring_addr = (uintptr_t)bufs;
	err = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (err)
		goto out;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		err = -errno;
		goto out_ring;
	}
	err = write(pair[1], "x", 1) == 1 ? recv_part(u, bufs, pair[0]) : -errno;
	close(pair[0]);
	close(pair[1]);
out_ring:
	io_uring_unregister_buf_ring(&u->ring, 1);
out:
	mem_unmap(bufs, sizeof(struct io_uring_buf));
	return err;
}

/* Nobody can accept of a datagram socket; but that is not what a kernel says that knows no such request. */
static int try_accept(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), res;
	unsigned int flags;

	if (fd < 0)
		return -errno;
	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	res = request(u, sqe, &flags);
	close(fd);
	return res == -EOPNOTSUPP ? 0 : res < 0 ? res : -EPROTO;
}

/* Likewise: a kernel that has it says that of this socket, and lets go of the memory. */
static int try_send_zc(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), res;
	struct msghdr hdr = { .msg_iovlen = 0 };
	unsigned int flags = 0;

	if (fd < 0)
		return -errno;
	io_uring_prep_sendmsg_zc(sqe, fd, &hdr, MSG_NOSIGNAL);
	sqe->ioprio = URING_SEND_ZC_REPORT_USAGE;
	res = request(u, sqe, &flags);
	close(fd);
	if (flags & IORING_CQE_F_MORE)
		result(u, sqe->user_data, &flags);
	return res == -EOPNOTSUPP ? 0 : res < 0 ? res : -EPROTO;
}

/* Ask whether a socket that is in the table, and nowhere else, can be sent to. */
static int poll_slot(struct uring *u)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), res;
	struct io_uring_sqe *sqe;
	unsigned int flags;

	if (fd < 0)
		return -errno;
	res = io_uring_register_files_update(&u->ring, 0, &fd, 1);
	close(fd);
	if (res < 0)
		return res;
	sqe = io_uring_get_sqe(&u->ring);
	io_uring_prep_poll_add(sqe, 0, POLLOUT);
	sqe->flags |= IOSQE_FIXED_FILE;
	res = request(u, sqe, &flags);
	if (res < 0)
		return res;
	return res & POLLOUT ? 0 : -EPROTO;
}

static int try_files(struct uring *u)
{
	int err = io_uring_register_files_sparse(&u->ring, 1);

	if (err)
		return err;
	err = poll_slot(u);
	io_uring_unregister_files(&u->ring);
	return err;
}

static int feature_try(struct uring *u, enum uring_feature feature)
{
	struct waker_costs costs;

	switch (feature) {
	case URING_REGISTERED_RING:
		return u->enter_flags & IORING_ENTER_REGISTERED_RING ? 0 : -EINVAL;
	case URING_BUF_RING:
		return uring_bufs_register(u, u->plan.buffers, false);
	case URING_MULTISHOT_RECV:
		return try_recv(u);
	case URING_MULTISHOT_ACCEPT:
		return try_accept(u);
	case URING_MSG_RING:
		return waker_try(u->plan.flags, &costs);
	case URING_SEND_ZC:
		return try_send_zc(u);
	case URING_NO_IOWAIT:
		return u->ring.features & URING_FEAT_NO_IOWAIT ? 0 : -EINVAL;
	case URING_FIXED_BUFS:
		return uring_try_fixed(u);
	case URING_BUF_RING_INC:
		return try_incremental(u);
	case URING_FIXED_FILES:
		return try_files(u);
	default:
		return u->plan.features & URING_BIT(feature) ? 0 : -EINVAL;
	}
}

int uring_find(struct uring *u, struct uring_plan *plan)
{
	static const enum uring_feature tried[] = { URING_BUF_RING, URING_MULTISHOT_RECV,
						    URING_MULTISHOT_ACCEPT, URING_SEND_ZC,
						    URING_BUF_RING_INC };
	unsigned int wanted = ~uring_mask();

	/* These are asked for anew with each ring. */
	plan->features |= wanted & (URING_BIT(URING_REGISTERED_RING) | URING_BIT(URING_NO_IOWAIT) |
				    URING_BIT(URING_FIXED_BUFS) | URING_BIT(URING_FIXED_FILES));
	for (unsigned int i = 0; i < ARRAY_SIZE(tried); i++) {
		int err;

		if (!(wanted & URING_BIT(tried[i])))
			continue;
		err = feature_try(u, tried[i]);
		if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
			return err;
		if (!err)
			plan->features |= URING_BIT(tried[i]);
	}
	return 0;
}

void uring_without(const struct uring_plan *plan, char *text, unsigned long size)
{
	unsigned long used = 0;

	text[0] = '\0';
	for (int i = 0; i < URING_FEATURES && used < size; i++) {
		/* With deferred work there is nothing to be cooperative about. */
		if (plan->features & URING_BIT(i) ||
		    (i == URING_COOP_TASKRUN && plan->features & URING_BIT(URING_DEFER_TASKRUN)))
			continue;
		if (i == URING_MSG_RING && !(uring_mask() & URING_BIT(i)))
			continue; /* the waker speaks for itself */
		used += (unsigned long)snprintf(text + used, size - used, "%s%s",
						used ? ", " : "; without ", features[i].name);
	}
}

/* ---- the report ---- */

/* With this flag, and what it needs, is there a ring? */
static int try_flag(unsigned int flags)
{
	struct uring_plan plan = PLAN_SMALL;
	struct uring u = { .wake_fd = -1 };
	int err;

	plan.flags = FLAGS_ANY | flags;
	err = uring_ring_open_patiently(&u, &plan);
	if (!err)
		uring_ring_close(&u);
	return err;
}

static int report_try(struct uring *u, enum uring_feature feature)
{
	switch (feature) {
	case URING_SUBMIT_ALL:
		return try_flag(IORING_SETUP_SUBMIT_ALL);
	case URING_COOP_TASKRUN:
		return try_flag(IORING_SETUP_COOP_TASKRUN);
	case URING_SINGLE_ISSUER:
		return try_flag(IORING_SETUP_SINGLE_ISSUER);
	case URING_DEFER_TASKRUN:
		return try_flag(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	default:
		return feature_try(u, feature);
	}
}

static void report_feature(struct uring *u, enum uring_feature feature)
{
	const char *name = features[feature].name, *lost = features[feature].lost;
	int err;

	if (uring_mask() & URING_BIT(feature)) {
		print_out("  %-16s masked     %s\n", name, lost);
		return;
	}
	err = report_try(u, feature);
	if (err)
		print_out("  %-16s refused    %s (it came with Linux %s): %s\n", name,
			  strerror(-err), features[feature].since, lost);
	else
		print_out("  %-16s got\n", name);
}

int uring_report(void)
{
	struct uring_plan plan = PLAN_SMALL;
	struct uring u = { .wake_fd = -1 };
	int err = uring_small_open(&u, &plan);

	if (err)
		return err;
	for (int i = 0; i < URING_FEATURES; i++)
		report_feature(&u, i);
	uring_ring_close(&u);
	return 0;
}
