/* SPDX-License-Identifier: MIT */
/* The cheap socket calls, as operations that complete at once; 0 or -errno. */
#ifndef LIB_NET_SOCKET_H
#define LIB_NET_SOCKET_H

#include <miniss/addr.h>
#include <miniss/op.h>
#include <miniss/socket.h>

int socket_open(int family);		/* for streams: a descriptor, or -errno */
int socket_open_type(int family, int type);
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
void socket_close_foreign(int fd);	/* one that was not opened here, but sent */

/* socket_connect - as mn_connect() does; from a fiber */
int socket_connect(int fd, const struct mn_addr *addr, int64_t timeout_ns);

/* socket_cred - who is at the other end of a Unix socket */
int socket_cred(int fd, struct mn_cred *cred);

/* socket_wait - until it is ready for @events; 0, or what ended the wait. From a fiber */
int socket_wait(int fd, uint32_t events);

/* socket_get - getsockopt() of what is more than a number: its length, or -errno */
int socket_get(int fd, int level, int name, void *base, size_t len);
int socket_set_mem(int fd, int level, int name, const void *base, size_t len);

/* socket_send - of @n messages without waiting: how many were sent, or -errno */
int socket_send(int fd, struct mn_mmsg *msg, unsigned int n);

/* socket_pipe - a pipe in @fds, to be closed likewise: how much it holds, or -errno */
int socket_pipe(int *fds);

#endif
