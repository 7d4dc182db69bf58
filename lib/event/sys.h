/* SPDX-License-Identifier: MIT */
/* What the system has for events of files. Only lib/event/ uses it. */
#ifndef LIB_EVENT_SYS_H
#define LIB_EVENT_SYS_H

#include <stddef.h>
#include <stdint.h>

int sys_watch_open(void);			/* a descriptor, or -errno */
int sys_watch_add(int fd, const char *path, uint32_t mask);	/* a number, or -errno */
int sys_watch_remove(int fd, int id);
long sys_watch_read(int fd, void *base, size_t size);	/* bytes, or -errno: -EAGAIN */
void sys_watch_close(int fd);

#endif
