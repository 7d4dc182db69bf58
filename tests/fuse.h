/* SPDX-License-Identifier: MIT */
/*
 * A file system of one file, in a process of its own, that fails when it is
 * told to. Nothing of it is cached: what is asked of the file is asked of it.
 */
#ifndef TESTS_FUSE_H
#define TESTS_FUSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FUSE_SIZE_MAX	(1 << 20)

/* Shared with that process. Errors are positive, and given as long as they stand here. */
struct fuse_faults {
	atomic_uint read_max, write_max;	/* bytes of a request that are done; 0: all */
	atomic_int read_err, write_err;
	atomic_uint err_from;			/* offset from which on these are given */
	atomic_int once_err;			/* of the next read or write alone */
	atomic_int sync_err, flush_err, open_err;
	atomic_bool hold;			/* reads and syncs wait for this to be false */
	atomic_uint nr_held, nr_syncs, nr_reads, nr_writes, nr_releases;
	atomic_uint size;
	uint8_t data[FUSE_SIZE_MAX];
};

struct fuse {
	struct fuse_faults *faults;
	pid_t pid;
	char path[64];			/* of the file */
	char dir[48];
};

/* fuse_start - mount it, for this process alone; false, with the reason printed, where it cannot */
bool fuse_start(struct fuse *fuse);

/* fuse_kill - the process, in the midst of what it does */
void fuse_kill(struct fuse *fuse);
void fuse_end(struct fuse *fuse);

#endif
