// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/event/sys.h"

int sys_watch_open(void)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int sys_watch_add(int fd, const char *path, uint32_t mask)
{
	int id = inotify_add_watch(fd, path, mask);

	return id < 0 ? -errno : id;
}

int sys_watch_remove(int fd, int id)
{
	return inotify_rm_watch(fd, id) ? -errno : 0;
}

long sys_watch_read(int fd, void *base, size_t size)
{
	long n = read(fd, base, size);

	return n < 0 ? -errno : n;
}

void sys_watch_close(int fd)
{
	close(fd);
}
