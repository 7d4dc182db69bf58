// SPDX-License-Identifier: MIT
/*
 * File systems that wait where they say that they do not.
 *
 * One that another process serves, and that does without the page cache, is
 * taken by the ring for one that never waits: a read then stops the shard
 * until that process answers. And after a short one the kernel goes on from
 * the wrong place: reading past the end of a file gives more bytes than it has
 * (seen with Linux 6.18). Files there are read and written by threads.
 *
 * To ask for the type of a file system would be to ask that process, too. Its
 * number, and the list of what is mounted, are the kernel's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/io_uring/uring.h"

/* Of a line of mountinfo. */
static bool is_served(const char *line)
{
	const char *type = strstr(line, " - ");

	return type && (!strncmp(type + 3, "fuse", 4) || !strncmp(type + 3, "virtiofs", 8));
}

static bool look_up(unsigned int major, unsigned int minor)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	unsigned int line_major, line_minor;
	char *line = NULL;
	bool waits = false;
	size_t size = 0;

	while (mounts && !waits && getline(&line, &size, mounts) > 0)
		waits = sscanf(line, "%*d %*d %u:%u", &line_major, &line_minor) == 2 &&
			line_major == major && line_minor == minor && is_served(line);
	free(line);
	if (mounts)
		fclose(mounts);
	return waits;
}

bool uring_file_waits(struct uring *u, int fd)
{
	struct statx st;
	unsigned int i;
	uint64_t dev;

	/* What is on a disk has a major number. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) || st.stx_dev_major)
		return false;
	dev = st.stx_dev_minor + UINT64_C(1);	/* 0: none yet */
	for (i = 0; i < URING_MOUNTS; i++)
		if (u->mounts.dev[i] == dev)
			return u->mounts.waits[i];
	i = u->mounts.next++ % URING_MOUNTS;
	u->mounts.dev[i] = dev;
	u->mounts.waits[i] = look_up(0, st.stx_dev_minor);
	return u->mounts.waits[i];
}
