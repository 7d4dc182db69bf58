// SPDX-License-Identifier: MIT
/* Connections that we begin. */
#include <errno.h>

#include "backends/backend.h"
#include "core/op.h"
#include "core/shard.h"
#include "lib/dns/dns.h"
#include "lib/mem/mem.h"
#include "lib/net/socket.h"
#include "lib/net/sockopt.h"
#include "lib/net/stream.h"

#define UNIX_PAUSE_MIN	(MN_MSEC / 4)
#define UNIX_PAUSE_MAX	(16 * MN_MSEC)

/*
 * A Unix socket connects at once, or the backlog is full: of the place that
 * comes free then nobody is told, and a thread of the kernel that waits for it
 * would be one of few.
 */
static int connect_unix(int fd, const struct mn_addr *addr, int64_t timeout_ns)
{
	int64_t pause_ns = UNIX_PAUSE_MIN, waited_ns, from_ns = backend_now(mn_self->be);
	int err;

	while ((err = socket_connect_now(fd, addr)) == -EAGAIN) {
		waited_ns = backend_now(mn_self->be) - from_ns;
		if (waited_ns >= timeout_ns)
			return fiber_stopped(mn_self->fiber, -ETIMEDOUT);
		err = mn_sleep(min(pause_ns, timeout_ns - waited_ns));
		if (err)
			return err;
		pause_ns = min(2 * pause_ns, UNIX_PAUSE_MAX);
	}
	return err;
}

static int connect_inet(int fd, const struct mn_addr *addr, int64_t timeout_ns)
{
	struct mn_op op;

	op_init(&op, MN_OP_CONNECT, fd);
	op.addr.sa = &addr->sa;
	op.addr.len = addr->len;
	op_start(&op);
	return (int)mn_op_await(&op, timeout_ns);
}

int socket_connect(int fd, const struct mn_addr *addr, int64_t timeout_ns)
{
	return addr->sa.sa_family == AF_UNIX ? connect_unix(fd, addr, timeout_ns) :
					       connect_inet(fd, addr, timeout_ns);
}

static int connected(const struct mn_addr *addr, int64_t timeout_ns)
{
	int fd = socket_open(addr->sa.sa_family);
	int err;

	if (fd < 0)
		return fd;
	err = sockopt_apply(fd, addr->sa.sa_family, SOCKOPT_CLIENT, NULL);
	if (!err)
		err = socket_connect(fd, addr, timeout_ns);
	if (!err)
		return fd;
	socket_close(fd);
	return err;
}

/* "NAME:PORT": one address after another, in the time that there is for all. */
static int connect_name(const char *text, int64_t timeout_ns)
{
	struct mn_addr addr[DNS_ADDRS_MAX];
	int64_t from_ns = backend_now(mn_self->be), left_ns = timeout_ns;
	int n = dns_name_port(text, addr, ARRAY_SIZE(addr), timeout_ns);
	int fd = n;

	for (int i = 0; i < n; i++) {
		if (timeout_ns != MN_NEVER)
			left_ns = timeout_ns - (backend_now(mn_self->be) - from_ns);
		fd = connected(&addr[i], left_ns);
		if (fd >= 0 || mn_self->fiber->stop || left_ns <= 0)
			break;
	}
	return fd;
}

int mn_connect(const char *text, int64_t timeout_ns, struct mn_stream **stream)
{
	struct mn_addr addr;
	int fd = mn_addr_parse(text, &addr);

	if (!fd)
		fd = connected(&addr, timeout_ns);
	else if (fd == -EINVAL)
		fd = connect_name(text, timeout_ns);
	if (fd < 0)
		return fd;
	*stream = mem_alloc(sizeof(**stream));
	if (!*stream) {
		socket_close(fd);
		return -ENOMEM;
	}
	stream_init(*stream, fd);
	stream_begin(*stream, MN_NEVER);
	return 0;
}
