/* SPDX-License-Identifier: MIT */
/* The cheap socket calls, as operations that complete at once; 0 or -errno. */
#ifndef LIB_NET_SOCKET_H
#define LIB_NET_SOCKET_H

#include <miniss/addr.h>

int socket_open(int family);		/* a TCP socket, or -errno */
int socket_connect_now(int fd, const struct mn_addr *addr);	/* -EAGAIN: try again later */

/* socket_bind_unix - bind and listen; @ino: for socket_unbind_unix() */
int socket_bind_unix(int fd, const struct mn_addr *addr, uint16_t mode, uint16_t backlog,
		     uint64_t *ino);
void socket_unbind_unix(const struct mn_addr *addr, uint64_t ino);
int socket_bind(int fd, const struct mn_addr *addr);
int socket_listen(int fd, int backlog);
int socket_accept(int fd);		/* what is queued; -EAGAIN when nothing is */
int socket_set(int fd, int level, int name, int value);
int socket_name(int fd, struct mn_addr *addr);
int socket_peer(int fd, struct mn_addr *addr);
int socket_shutdown(int fd, int how);
int socket_nonblock(int fd);	/* for what is spliced */
void socket_close(int fd);

/* socket_pipe - a pipe in @fds, to be closed likewise: how much it holds, or -errno */
int socket_pipe(int *fds);

#endif
