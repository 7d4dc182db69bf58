/* SPDX-License-Identifier: MIT */
/* What the benches of files share: a file without a name, in TMPDIR or /tmp. */
#ifndef BENCH_FILE_H
#define BENCH_FILE_H

#include <stdint.h>

#define FILE_BLOCK_SIZE	4096
#define FILE_BLOCKS	4096	/* 16 MiB */
#define FILE_DEPTH	32

/* bench_file - its descriptor, written and synced; @flags: O_DIRECT, or 0. -errno */
int bench_file(int flags);

/* bench_path - of a file that is there; NULL if it cannot be made. bench_path_end() removes it */
char *bench_path(void);
void bench_path_end(char *path);

static inline int64_t bench_offset(uint64_t random)
{
	return (int64_t)(random % FILE_BLOCKS) * FILE_BLOCK_SIZE;
}

#endif
