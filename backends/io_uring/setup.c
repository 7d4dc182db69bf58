// SPDX-License-Identifier: MIT
/*
 * Rings: of which sizes, found by trying, never from a version.
 *
 * The rings of all shards are made on the starting thread, disabled, with
 * one decision about their sizes; each shard enables its own. So a start
 * that fails fails before anything runs. Memory of rings counts against
 * RLIMIT_MEMLOCK for users without privilege, and memory of rings that were
 * closed is given back late: hence the retries.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "backends/io_uring/uring.h"
#include "lib/mem/mem.h"
#include "smp/topology.h"

MN_PARAM(uint, sq_entries, 256, 16, 32768, "submission queue entries per shard");
MN_PARAM(uint, cq_entries, 4096, 32, 65536, "completion queue entries per shard");
MN_PARAM(uint, buffers, 256, 8, 4096, "receive buffers that the kernel holds, per shard");
MN_PARAM(bool, incremental, false, 0, 0,
	 "several receives into a buffer: for many connections with little unread input each");
MN_PARAM(uint, workers, 4, 1, 64,
	 "kernel worker threads per shard, for what cannot be asynchronous");

void uring_incremental_set(bool on)
{
	param_incremental = on;
}

#define SQ_MIN		64
#define CQ_MIN		512
#define BUFFERS_MIN	64
#define RETRIES		6	/* after 1, 2, 4 ... ms: 63 ms in all */

/* All of these are in 5.15; a kernel without them is for libev. */
#define FEATURES                                                                  \
	(IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | \
	 IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS)

int uring_bufs_register(struct uring *u, unsigned int entries, bool incremental)
{
	size_t size = entries * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = { .ring_entries = entries };
	int err;

	u->bufs_mem = mem_map(size);
	if (!u->bufs_mem)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)u->bufs_mem;
	reg.pad = incremental ? URING_PBUF_RING_INC : 0;
	err = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (err) {
		mem_unmap(u->bufs_mem, size);
		u->bufs_mem = NULL;
		return err;
	}
	u->bufs = u->bufs_mem;
	u->buf_mask = (uint16_t)(entries - 1);
	u->buf_tail = 0;
	u->nr_bufs = 0;
	u->incremental = incremental;
	return 0;
}

void uring_ring_close(struct uring *u)
{
	size_t size = ((size_t)u->buf_mask + 1) * sizeof(struct io_uring_buf);

	io_uring_queue_exit(&u->ring);
	uring_files_close(u);
	if (u->bufs_mem)
		mem_unmap(u->bufs_mem, size);
	u->bufs_mem = NULL;
	if (u->wake_fd >= 0)
		close(u->wake_fd);
	u->wake_fd = -1;
}

int uring_ring_open(struct uring *u, const struct uring_plan *plan)
{
	struct io_uring_params params = {
		.flags = plan->flags | IORING_SETUP_R_DISABLED,
		.cq_entries = plan->cq_entries,
	};
	int err = io_uring_queue_init_params(plan->sq_entries, &u->ring, &params);

	if (err)
		return err;
	u->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (u->wake_fd < 0)
		err = -errno;
	else if ((params.features & FEATURES) != FEATURES)
		err = -EOPNOTSUPP;
	else if (plan->features & URING_BIT(URING_BUF_RING))
		err = uring_bufs_register(u, plan->buffers,
					  param_incremental &&
						  plan->features & URING_BIT(URING_BUF_RING_INC));
	if (err) {
		uring_ring_close(u);
		return err;
	}
	u->plan = *plan;
	u->msg_fd = u->ring.ring_fd;
	u->enter_fd = u->ring.ring_fd;
	u->enter_flags = 0;
	if (uring_has(u, URING_NO_IOWAIT) && params.features & URING_FEAT_NO_IOWAIT)
		u->enter_flags = URING_ENTER_NO_IOWAIT;
	op_list_init(&u->unqueued);
	op_list_init(&u->uncanceled);
	op_list_init(&u->starved);
	op_list_init(&u->heard);
	return 0;
}

int uring_ring_enable(struct uring *u)
{
	int err = io_uring_register((unsigned int)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
				    NULL, 0);

	if (err < 0)
		return err;
	if (uring_has(u, URING_REGISTERED_RING) && io_uring_register_ring_fd(&u->ring) == 1) {
		u->enter_fd = u->ring.enter_ring_fd;
		u->enter_flags |= IORING_ENTER_REGISTERED_RING;
	}
	return 0;
}

/* One ring for each, or none. */
static int rings_open(struct backend *const *be, unsigned int n, const struct uring_plan *plan)
{
	for (unsigned int i = 0; i < n; i++) {
		int err;

		/* Then the kernel's memory of the ring is near, too. */
		topology_visit(be[i]->shard->world, be[i]->shard->cpu);
		err = uring_ring_open(to_uring(be[i]), plan);
		if (!err)
			continue;
		while (i-- > 0)
			uring_ring_close(to_uring(be[i]));
		return err;
	}
	return 0;
}

/* Memory of rings that were closed, by a process before this one too: wait for it? */
static bool memory_may_come(int err, unsigned int tries)
{
	const struct timespec pause = { .tv_nsec = MN_MSEC << tries };

	if (err != -ENOMEM || tries == RETRIES)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int rings_open_patiently(struct backend *const *be, unsigned int n,
				const struct uring_plan *plan)
{
	unsigned int tries = 0;
	int err;

	do {
		err = rings_open(be, n, plan);
	} while (memory_may_come(err, tries++));
	return err;
}

int uring_ring_open_patiently(struct uring *u, const struct uring_plan *plan)
{
	unsigned int tries = 0;
	int err;

	do {
		err = uring_ring_open(u, plan);
	} while (memory_may_come(err, tries++));
	return err;
}

int uring_small_open(struct uring *u, struct uring_plan *plan)
{
	int err = -EINVAL;

	for (unsigned int i = 0; err == -EINVAL && uring_flags(i, plan); i++) {
		plan->features |= URING_BIT(URING_REGISTERED_RING) & ~uring_mask();
		err = uring_ring_open_patiently(u, plan);
	}
	if (err)
		return err == -EINVAL ? -EOPNOTSUPP : err;
	err = uring_ring_enable(u);
	if (err)
		uring_ring_close(u);
	return err;
}

/* A smaller plan, or false. Completions are what costs most. */
static bool plan_shrink(struct uring_plan *plan)
{
	if (plan->cq_entries / 2 >= CQ_MIN && plan->cq_entries > 8 * plan->sq_entries)
		plan->cq_entries /= 2;
	else if (plan->sq_entries / 2 >= SQ_MIN && plan->cq_entries / 2 >= CQ_MIN) {
		plan->sq_entries /= 2;
		plan->cq_entries /= 2;
	} else if (plan->buffers / 2 >= BUFFERS_MIN) {
		plan->buffers /= 2;
	} else {
		return false;
	}
	return true;
}

/* May it lock more memory? True once at most: then it is at its hard limit. */
static bool memlock_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == limit.rlim_max)
		return false;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

static unsigned int power_of_two(unsigned int n)
{
	while (n & (n - 1))
		n &= n - 1;
	return n;
}

/* All rings with the largest sizes that there are. */
static int rings_plan(struct backend *const *be, unsigned int n, struct uring_plan *plan)
{
	int err;

	do {
		err = rings_open_patiently(be, n, plan);
	} while (err == -ENOMEM && (memlock_raise() || plan_shrink(plan)));
	return err == -EINVAL ? -EOPNOTSUPP : err;
}

/* What the kernel has is found out with a small ring. */
static int features_find(struct uring_plan *plan)
{
	struct uring_plan small = PLAN_SMALL;
	struct uring u = { .wake_fd = -1 };
	unsigned int tries = 0;
	int err;

	do {
		err = uring_small_open(&u, &small);
		if (err)
			return err;
		err = uring_find(&u, &small);
		uring_ring_close(&u);
	} while (memory_may_come(err, tries++));
	plan->flags = small.flags;
	plan->name = small.name;
	plan->features = small.features;
	return err;
}

int uring_open(struct backend *const *be, unsigned int n, const char *arg)
{
	struct uring_plan plan = {
		.sq_entries = param_sq_entries,
		.cq_entries = max(param_cq_entries, 2 * param_sq_entries),
		.buffers = power_of_two(param_buffers),
	};
	int err = features_find(&plan);

	if (!err)
		err = rings_plan(be, n, &plan);
	if (err == -ENOMEM)
		mn_warn("io_uring: no memory for %u rings of %u/%u entries; RLIMIT_MEMLOCK is too low",
			n, plan.sq_entries, plan.cq_entries);
	else if (!err && plan.cq_entries < param_cq_entries)
		mn_warn("io_uring: RLIMIT_MEMLOCK allows %u rings of %u/%u entries with %u buffers only",
			n, plan.sq_entries, plan.cq_entries, plan.buffers);
	if (err)
		return err;
	err = waker_choose(arg, n, &plan);
	for (unsigned int i = 0; i < n; i++) {
		to_uring(be[i])->plan = plan;
		if (err)
			uring_ring_close(to_uring(be[i]));
	}
	if (!err)
		uring_files_open(be, n);
	return err;
}

bool uring_shrunk(struct backend *be)
{
	const struct uring_plan *plan = &to_uring(be)->plan;

	return plan->cq_entries < param_cq_entries || plan->buffers < power_of_two(param_buffers);
}

int uring_start(struct backend *be)
{
	struct uring *u = to_uring(be);
	unsigned int workers[2] = { param_workers, param_workers };
	int err = uring_ring_enable(u);

	if (err)
		return err;
	/* Without a bound the kernel may start one for each blocked operation. */
	io_uring_register_iowq_max_workers(&u->ring, workers);
	uring_refill(u);
	uring_arm_wake(u);
	u->messages = u->plan.waker == WAKER_MSG_RING;
	be->zero_copy = uring_has(u, URING_SEND_ZC);
	return 0;
}

void uring_close(struct backend *be)
{
	uring_ring_close(to_uring(be));
}

int uring_probe(const char *arg)
{
	struct uring_plan plan = PLAN_SMALL;
	int err = features_find(&plan);

	return err || !arg ? err : waker_probe(arg, plan.flags);
}
