// SPDX-License-Identifier: MIT
/*
 * Unix sockets that have a name in a directory. The name outlives the socket:
 * who died left it behind, and who binds it next is refused. So a name at
 * which nobody answers is replaced, and one that is served is not.
 *
 * Two that start at once could both find the same dead name, and the second
 * would remove what the first has made. The directory is locked for that time.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "backends/inline.h"
#include "backends/platform.h"
#include "core/compiler.h"

#define LOCK_TRIES	100
#define LOCK_PAUSE_NS	1000000

static const char *path_of(const struct sockaddr *sa)
{
	return ((const struct sockaddr_un *)(const void *)sa)->sun_path;
}

/* Which file is there, if it is a socket; or -errno. */
static int64_t socket_file(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	return S_ISSOCK(st.st_mode) ? (int64_t)(st.st_ino & INT64_MAX) : -ENOTSOCK;
}

/* Where it cannot be opened or locked, it has to do without. */
static int directory_lock(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)max(slash - path, 1) : 0;
	int fd;

	memcpy(dir, path, len);
	if (len)
		dir[len] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB); i++)
		nanosleep(&pause, NULL);
	return fd;
}

/* Is it a socket that nobody has any more? Only a refusal says so. */
static bool is_dead(const struct mn_op *op)
{
	socklen_t len = sizeof(int);
	int type, fd;
	bool dead;

	if (socket_file(path_of(op->bind.sa)) < 0 ||
	    getsockopt(op->fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return false;
	fd = platform_socket(AF_UNIX, type, true);
	if (fd < 0)
		return false;
	dead = connect(fd, op->bind.sa, op->bind.len) && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

static int bind_once(const struct mn_op *op)
{
	return bind(op->fd, op->bind.sa, op->bind.len) ? -errno : 0;
}

static int64_t bind_locked(const struct mn_op *op)
{
	const char *path = path_of(op->bind.sa);
	int err;

	/* Linux takes it over to the file; others have it set below, before anybody can connect. */
	if (op->bind.mode)
		(void)!fchmod(op->fd, op->bind.mode);
	err = bind_once(op);
	if (err == -EADDRINUSE && is_dead(op)) {
		unlink(path);
		err = bind_once(op);
	}
	if (err)
		return err;
	if ((op->bind.mode && chmod(path, op->bind.mode)) ||
	    (op->bind.backlog && listen(op->fd, op->bind.backlog))) {
		err = -errno;
		unlink(path);
		return err;
	}
	return socket_file(path);
}

int64_t unix_bind(const struct mn_op *op)
{
	int64_t res;
	int lock;

	if (!*path_of(op->bind.sa))
		return bind_once(op);
	lock = directory_lock(path_of(op->bind.sa));
	res = bind_locked(op);
	if (lock >= 0)
		close(lock);
	return res;
}

int64_t unix_unbind(const struct mn_op *op)
{
	const char *path = path_of(op->unbind.sa);

	if (*path && socket_file(path) == (int64_t)op->unbind.ino)
		unlink(path);
	return 0;
}
