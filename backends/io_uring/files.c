// SPDX-License-Identifier: MIT
/*
 * Sockets that the kernel has at hand. A request that names a slot of the
 * ring's file table instead of a descriptor costs it two atomic operations
 * less, on a line that nobody else wants: 13 ns. Only who sends gains: a
 * multishot receive looks its socket up once.
 *
 * The slot of a socket is the number of its descriptor, which it keeps: so the
 * way back is to use that, everything that is no send always does, and there
 * are no slots to be allocated. A socket is put there by two system calls, one
 * of them when it leaves, that cost as much as USES sends gain: hence after as
 * many. What the table has no room for goes on as it was.
 *
 * The table holds the socket open. Therefore only sends of streams count,
 * whose descriptors are never closed but by MN_OP_CLOSE on the shard that has
 * them, nor taken along without a backend_forget().
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <miniss/log.h>
#include <miniss/param.h>

#include "backends/io_uring/uring.h"
#include "lib/mem/mem.h"
#include "smp/topology.h"

MN_PARAM(uint, files, 0, 0, 1 << 20,
	 "descriptors below this that a ring keeps at hand, when they are sockets with many sends");

#define USES	24

static uint8_t uses_min = USES;

void uring_files_set(unsigned int files, unsigned int uses)
{
	param_files = files;
	uses_min = (uint8_t)uses;
}

static int table_open(struct uring *u, unsigned int nr)
{
	int err;

	u->files.uses = mem_map(nr);
	if (!u->files.uses)
		return -ENOMEM;
	err = io_uring_register_files_sparse(&u->ring, nr);
	if (err) {
		mem_unmap(u->files.uses, nr);
		u->files.uses = NULL;
		return err;
	}
	u->files.nr = nr;
	return 0;
}

/* There is no descriptor beyond the limit; and liburing would raise that for a larger table. */
static unsigned int table_size(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= param_files)
		return param_files;
	return (unsigned int)limit.rlim_cur;
}

void uring_files_open(struct backend *const *be, unsigned int n)
{
	unsigned int nr = table_size();
	int err = 0;

	for (unsigned int i = 0; nr && !err && i < n; i++) {
		struct uring *u = to_uring(be[i]);

		if (!uring_has(u, URING_FIXED_FILES))
			return;
		topology_visit(u->be.shard->world, u->be.shard->cpu);
		err = table_open(u, nr);
	}
	if (err)
		mn_warn("io_uring: no table of %u files (--io_uring.files): %s", nr,
			strerror(-err));
}

void uring_files_close(struct uring *u)
{
	if (u->files.nr)
		mem_unmap(u->files.uses, u->files.nr);
	u->files.nr = 0;
}

unsigned int uring_file_use(struct uring *u, int fd)
{
	uint8_t *uses = &u->files.uses[fd];

	if (*uses == FILE_REFUSED || ++*uses < uses_min)
		return 0;
	stats_add(u->be.shard, STAT_SYSCALLS, 1);
	if (io_uring_register_files_update(&u->ring, (unsigned int)fd, &fd, 1) != 1) {
		*uses = FILE_REFUSED;
		return 0;
	}
	stats_add(u->be.shard, STAT_FILES_AT_HAND, 1);
	*uses = FILE_AT_HAND;
	return IOSQE_FIXED_FILE;
}

void uring_forget(struct backend *be, int fd)
{
	struct uring *u = to_uring(be);
	int none = -1;

	if ((unsigned int)fd >= u->files.nr)
		return;
	if (u->files.uses[fd] == FILE_AT_HAND) {
		stats_add(u->be.shard, STAT_SYSCALLS, 1);
		io_uring_register_files_update(&u->ring, (unsigned int)fd, &none, 1);
	}
	u->files.uses[fd] = 0;
}
