// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/bench/file.h"

static const char *tmp_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir ? dir : "/tmp";
}

static int fill(int fd)
{
	static char block[64 * FILE_BLOCK_SIZE] __attribute__((aligned(FILE_BLOCK_SIZE)));

	for (unsigned int i = 0; i < FILE_BLOCKS / 64; i++)
		if (pwrite(fd, block, sizeof(block), (off_t)i * (off_t)sizeof(block)) !=
		    (ssize_t)sizeof(block))
			return -EIO;
	return fsync(fd) ? -errno : 0;
}

int bench_file(int flags)
{
	int fd = open(tmp_dir(), O_RDWR | O_TMPFILE | O_CLOEXEC | flags, 0600), err;

	if (fd < 0)
		return -errno;
	err = fill(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

char *bench_path(void)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/mn-bench-XXXXXX", tmp_dir());
	fd = mkstemp(path);
	if (fd < 0)
		return NULL;
	close(fd);
	return strdup(path);
}

void bench_path_end(char *path)
{
	unlink(path);
	free(path);
}
