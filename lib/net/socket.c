// SPDX-License-Identifier: MIT
#include <errno.h>

#include "core/op.h"
#include "core/shard.h"
#include "lib/net/socket.h"

int socket_open_type(int family, int type)
{
	struct mn_op op;

	op_init(&op, MN_OP_SOCKET, -1);
	op.socket.family = family;
	op.socket.type = type;
	return (int)op_call(&op);
}

int socket_open(int family)
{
	return socket_open_type(family, SOCK_STREAM);
}

static int call_addr(enum mn_opcode code, int fd, const struct mn_addr *addr)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.addr.sa = &addr->sa;
	op.addr.len = addr->len;
	return (int)op_call(&op);
}

int socket_bind(int fd, const struct mn_addr *addr)
{
	return call_addr(MN_OP_BIND, fd, addr);
}

int socket_connect_now(int fd, const struct mn_addr *addr)
{
	return call_addr(MN_OP_CONNECT_NOW, fd, addr);
}

int socket_bind_unix(int fd, const struct mn_addr *addr, uint16_t mode, uint16_t backlog,
		     uint64_t *ino)
{
	struct mn_op op;
	int64_t res;

	op_init(&op, MN_OP_UNIX_BIND, fd);
	op.bind.sa = &addr->sa;
	op.bind.len = addr->len;
	op.bind.mode = mode;
	op.bind.backlog = backlog;
	res = op_call(&op);
	if (res < 0)
		return (int)res;
	*ino = (uint64_t)res;
	return 0;
}

void socket_unbind_unix(const struct mn_addr *addr, uint64_t ino)
{
	struct mn_op op;

	op_init(&op, MN_OP_UNIX_UNBIND, -1);
	op.unbind.sa = &addr->sa;
	op.unbind.ino = ino;
	op_call(&op);
}

static int call_value(enum mn_opcode code, int fd, int value)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.value = value;
	return (int)op_call(&op);
}

int socket_listen(int fd, int backlog)
{
	return call_value(MN_OP_LISTEN, fd, backlog);
}

int socket_accept(int fd)
{
	return call_value(MN_OP_ACCEPT, fd, 0);
}

int socket_set(int fd, int level, int name, int value)
{
	struct mn_op op;

	op_init(&op, MN_OP_SETSOCKOPT, fd);
	op.sockopt.level = level;
	op.sockopt.name = name;
	op.sockopt.value = value;
	return (int)op_call(&op);
}

static int call_name(enum mn_opcode code, int fd, struct mn_addr *addr)
{
	struct mn_op op;
	int64_t len;

	op_init(&op, code, fd);
	op.addr.sa = &addr->sa;
	op.addr.len = sizeof(addr->un);
	len = op_call(&op);
	if (len < 0)
		return (int)len;
	addr->len = (socklen_t)len;
	return 0;
}

int socket_name(int fd, struct mn_addr *addr)
{
	return call_name(MN_OP_GETSOCKNAME, fd, addr);
}

int socket_peer(int fd, struct mn_addr *addr)
{
	return call_name(MN_OP_GETPEERNAME, fd, addr);
}

int socket_shutdown(int fd, int how)
{
	return call_value(MN_OP_SHUTDOWN, fd, how);
}

int socket_nonblock(int fd)
{
	return call_value(MN_OP_NONBLOCK, fd, 0);
}

int socket_pipe(int *fds)
{
	struct mn_op op;

	op_init(&op, MN_OP_PIPE, -1);
	op.pipe.fds = fds;
	return (int)op_call(&op);
}

void socket_close(int fd)
{
	call_value(MN_OP_CLOSE, fd, 0);
}

void socket_close_foreign(int fd)
{
	fds_add(1);
	socket_close(fd);
}

int socket_wait(int fd, uint32_t events)
{
	struct mn_op op;
	int64_t res;

	op_init(&op, MN_OP_POLL, fd);
	op.poll.events = events;
	op_start(&op);
	res = mn_op_await(&op, MN_NEVER);
	return res < 0 ? (int)res : 0;
}

static int call_mem(enum mn_opcode code, int fd, int level, int name, void *base, size_t len)
{
	struct mn_op op;

	op_init(&op, code, fd);
	op.sockmem.level = level;
	op.sockmem.name = name;
	op.sockmem.base = base;
	op.sockmem.len = (socklen_t)len;
	return (int)op_call(&op);
}

int socket_get(int fd, int level, int name, void *base, size_t len)
{
	return call_mem(MN_OP_GETSOCKOPT, fd, level, name, base, len);
}

int socket_set_mem(int fd, int level, int name, const void *base, size_t len)
{
	return call_mem(MN_OP_SETSOCKMEM, fd, level, name, (void *)(uintptr_t)base, len);
}

int socket_send(int fd, struct mn_mmsg *msg, unsigned int n)
{
	struct mn_op op;

	op_init(&op, MN_OP_SEND_PACKETS, fd);
	op.packets.msg = msg;
	op.packets.n = n;
	return (int)op_call(&op);
}

int socket_cred(int fd, struct mn_cred *cred)
{
	int len = socket_get(fd, SOL_SOCKET, SO_PEERCRED, cred, sizeof(*cred));

	if (len < 0)
		return len;
	/* Of what is no Unix socket Linux knows nobody. */
	return len == sizeof(*cred) && cred->uid != UINT32_MAX ? 0 : -EOPNOTSUPP;
}
