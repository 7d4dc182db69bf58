// SPDX-License-Identifier: MIT
/* The operations that are one cheap system call. */
#include <poll.h>
#include <unistd.h>

#include "backends/file.h"
#include "backends/inline.h"
#include "backends/platform-splice.h"
#include "backends/platform.h"
#include "core/shard.h"

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

bool accept_skips(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return true;
	default:
		return false;
	}
}

/* What is queued now. A blocking listener must not be asked when nothing is. */
static int accept_queued(int fd, bool nonblock)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int res;

	if (!nonblock && poll(&pfd, 1, 0) == 0)
		return -EAGAIN;
	do {
		res = platform_accept(fd, nonblock);
	} while (res < 0 && accept_skips(-res));
	return res;
}

/* The room is in addr.len, where the operation keeps it for the caller. */
static int name_of(struct mn_op *op, int (*get)(int, struct sockaddr *, socklen_t *))
{
	socklen_t len = op->addr.len;

	if (get(op->fd, (struct sockaddr *)(uintptr_t)op->addr.sa, &len))
		return -errno;
	return (int)len;
}

/* Whatever it says, the descriptor is gone: trying again could close another's. */
static int close_once(int fd)
{
	int res = result(close(fd));

	return res == -EBADF ? res : 0;
}

static int64_t getsockopt_mem(const struct mn_op *op)
{
	socklen_t len = op->sockmem.len;

	if (getsockopt(op->fd, op->sockmem.level, op->sockmem.name, op->sockmem.base, &len))
		return -errno;
	return len;
}

/* Of a blocking socket: such a connect either is done at once, or tries again later. */
static int connect_now(const struct mn_op *op)
{
	int flags = fcntl(op->fd, F_GETFL), err = 0;

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK))
		fcntl(op->fd, F_SETFL, flags | O_NONBLOCK);
	if (connect(op->fd, op->addr.sa, op->addr.len))
		err = -errno;
	if (!(flags & O_NONBLOCK))
		fcntl(op->fd, F_SETFL, flags);
	return err;
}

static int getsockname_plain(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getsockname(fd, sa, len);
}

static int getpeername_plain(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getpeername(fd, sa, len);
}

int64_t inline_op(struct mn_op *op, bool nonblock)
{
	switch (op->code) {
	case MN_OP_SOCKET:
		return platform_socket(op->socket.family, op->socket.type, nonblock);
	case MN_OP_BIND:
		return result(bind(op->fd, op->addr.sa, op->addr.len));
	case MN_OP_GETSOCKOPT:
		return getsockopt_mem(op);
	case MN_OP_SETSOCKMEM:
		return result(setsockopt(op->fd, op->sockmem.level, op->sockmem.name,
					 op->sockmem.base, op->sockmem.len));
	case MN_OP_SEND_PACKETS:
		return platform_sendmmsg(op->fd, op->packets.msg, op->packets.n);
	case MN_OP_CONNECT_NOW:
		return connect_now(op);
	case MN_OP_UNIX_BIND:
		return unix_bind(op);
	case MN_OP_UNIX_UNBIND:
		return unix_unbind(op);
	case MN_OP_LISTEN:
		return result(listen(op->fd, op->value));
	case MN_OP_ACCEPT:
		return accept_queued(op->fd, nonblock);
	case MN_OP_SETSOCKOPT:
		return result(setsockopt(op->fd, op->sockopt.level, op->sockopt.name,
					 &op->sockopt.value, sizeof(op->sockopt.value)));
	case MN_OP_GETSOCKNAME:
		return name_of(op, getsockname_plain);
	case MN_OP_GETPEERNAME:
		return name_of(op, getpeername_plain);
	case MN_OP_NONBLOCK:
		return platform_fd_flags(op->fd, true);
	case MN_OP_PIPE:
		return platform_pipe(op->pipe.fds);
	case MN_OP_SHUTDOWN:
		return result(shutdown(op->fd, op->value));
	case MN_OP_SIGNAL_CATCH:
		return signal_catch(mn_self->world, op->caught.set, op->caught.once);
	case MN_OP_CLOSE:
		return close_once(op->fd);
	case MN_OP_FSTAT:
		return file_stat(op);
	default:
		return -EOPNOTSUPP;
	}
}
