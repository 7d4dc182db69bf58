// SPDX-License-Identifier: MIT
/*
 * Buffers that the kernel knows. What is read from a file into a buffer of the
 * pool, or written from one, need not be looked up and held for each transfer
 * if it is registered once.
 *
 * A slab of the pool is registered when it was used so often that it pays, and
 * not the whole arena at the start: that would take its memory, 32 MiB a
 * shard, from programs that never touch a file, and more than a user without
 * privilege may lock. When locking is refused it stays as it was.
 */
#include <errno.h>
#include <string.h>

#include <miniss/log.h>

#include "backends/io_uring/uring.h"
#include "lib/mem/mem.h"

/* It takes 10 to 60 us, and each transfer gains 60 ns. */
#define USES_MIN	256

static int slab_register(struct uring *u, unsigned int slab)
{
	const struct pool *pool = &u->be.shard->pool;
	struct iovec iov = { pool->arena.base + slab * pool_slab_bytes(pool),
			     pool_slab_bytes(pool) };
	__u64 tag = 0;
	int ret = 0;

	if (!u->fixed.slabs)
		ret = io_uring_register_buffers_sparse(&u->ring, POOL_SLABS_MAX);
	if (!ret)
		ret = io_uring_register_buffers_update_tag(&u->ring, slab, &iov, &tag, 1);
	return ret < 0 ? ret : 0;
}

static __cold bool slab_try(struct uring *u, unsigned int slab)
{
	int err = slab_register(u, slab);

	if (!err) {
		u->fixed.slabs |= UINT64_C(1) << slab;
		return true;
	}
	mn_debug("io_uring: buffers are not registered for files any more: %s (RLIMIT_MEMLOCK?)",
		 strerror(-err));
	u->fixed.refused = true;
	return false;
}

int uring_fixed(struct uring *u, const void *base, size_t len)
{
	const struct pool *pool = &u->be.shard->pool;
	size_t off = (uintptr_t)base - (uintptr_t)pool->arena.base;
	unsigned int slab;

	if (off >= pool->arena.size || !uring_has(u, URING_FIXED_BUFS))
		return -1;
	slab = (uint32_t)off / (uint32_t)pool_slab_bytes(pool);
	if (!len || off + len > (slab + 1) * pool_slab_bytes(pool))
		return -1;
	if (u->fixed.slabs >> slab & 1)
		return (int)slab;
	if (u->fixed.refused || ++u->fixed.uses[slab] < USES_MIN)
		return -1;
	return slab_try(u, slab) ? (int)slab : -1;
}

int uring_try_fixed(struct uring *u)
{
	struct iovec iov = { .iov_len = 1 << 20 };
	__u64 tag = 0;
	int ret;

	iov.iov_base = mem_map(iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	ret = io_uring_register_buffers_sparse(&u->ring, POOL_SLABS_MAX);
	if (!ret) {
		ret = io_uring_register_buffers_update_tag(&u->ring, 0, &iov, &tag, 1);
		io_uring_unregister_buffers(&u->ring);
	}
	mem_unmap(iov.iov_base, iov.iov_len);
	return ret < 0 ? ret : 0;
}
