/* SPDX-License-Identifier: MIT */
/* The cheap socket calls, as operations that complete at once; 0 or -errno. */
#ifndef LIB_NET_SOCKET_H
#define LIB_NET_SOCKET_H

#include "lib/net/addr.h"

int socket_open(int family);		/* a TCP socket, or -errno */
int socket_bind(int fd, const struct addr *addr);
int socket_listen(int fd, int backlog);
int socket_accept(int fd);		/* what is queued; -EAGAIN when nothing is */
int socket_set(int fd, int level, int name, int value);
int socket_name(int fd, struct addr *addr);
int socket_peer(int fd, struct addr *addr);
int socket_shutdown(int fd, int how);
void socket_close(int fd);

#endif
