// SPDX-License-Identifier: MIT
/*
 * Events of files, by inotify. The queue is the kernel's, which bounds it and
 * says when it ran over; here is only what one read() brings.
 *
 * A renaming is two events with one cookie. The kernel queues them one right
 * after the other, but what others do may come in between, and a read() may
 * fall in between: so the second is looked for in what is there, and waited
 * for a moment if nothing more is.
 */
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>

#include <miniss/blocking.h>
#include <miniss/fsevent.h>
#include <miniss/poll.h>

#include "backends/backend.h"
#include "core/shard.h"
#include "lib/event/sys.h"
#include "lib/mem/mem.h"

#define BUFFER_BYTES	4096	/* some fifteen events at least */
#define PAIR_PATIENCE_NS MN_MSEC
#define TAKEN		IN_ISDIR	/* alone: no event that the kernel makes */

BUILD_BUG_ON(sizeof(((struct mn_fsevent *)0)->name) < NAME_MAX + 1);

struct mn_fswatch {
	int fd;
	bool reading;
	uint32_t at, len;	/* of the buffer */
	_Alignas(struct inotify_event) char buffer[BUFFER_BYTES];
};

static const struct {
	uint32_t mask;
	enum mn_fsevent_kind kind;
} kinds[] = {
	{ IN_CREATE, MN_FS_CREATED },	   { IN_DELETE, MN_FS_DELETED },
	{ IN_MOVE, MN_FS_RENAMED },	   { IN_MODIFY, MN_FS_CHANGED },
	{ IN_CLOSE_WRITE, MN_FS_WRITTEN }, { IN_ATTRIB, MN_FS_ATTRIBUTES },
	{ IN_MOVE_SELF, MN_FS_MOVED },	   { IN_DELETE_SELF | IN_UNMOUNT, MN_FS_GONE },
	{ IN_Q_OVERFLOW, MN_FS_OVERFLOW },
};

/* ---- what is watched ---- */

int mn_fswatch_open(struct mn_fswatch **watch)
{
	if (mn_self->virtual_time)
		return -EOPNOTSUPP;
	*watch = mem_alloc(sizeof(**watch));
	if (!*watch)
		return -ENOMEM;
	(*watch)->fd = sys_watch_open();
	if ((*watch)->fd < 0) {
		int err = (*watch)->fd;

		mem_free(*watch);
		return err;
	}
	mn_self->hygiene.nr_fds++;
	return 0;
}

struct add {
	int fd;
	const char *path;
	uint32_t mask;
};

static int add_here(void *arg)
{
	const struct add *add = arg;

	return sys_watch_add(add->fd, add->path, add->mask);
}

int mn_fswatch_add(struct mn_fswatch *watch, const char *path, uint32_t events)
{
	struct add add = {
		.fd = watch->fd,
		.path = path,
		.mask = IN_MASK_CREATE | IN_MOVE_SELF | IN_DELETE_SELF,
	};

	if (events & ~(uint32_t)MN_FS_ALL)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (events & kinds[i].kind)
			add.mask |= kinds[i].mask;
	return mn_blocking(add_here, &add);
}

int mn_fswatch_remove(struct mn_fswatch *watch, int id)
{
	return sys_watch_remove(watch->fd, id);
}

void mn_fswatch_close(struct mn_fswatch *watch)
{
	BUG_ON(watch->reading);
	sys_watch_close(watch->fd);
	mn_self->hygiene.nr_fds--;
	mem_free(watch);
}

/* ---- what happens ---- */

static const struct inotify_event *event_at(const struct mn_fswatch *watch, uint32_t at)
{
	return (const struct inotify_event *)(const void *)(watch->buffer + at);
}

/* Wait for events, if there are none; 0 or -errno. */
static int fill(struct mn_fswatch *watch, int64_t timeout_ns)
{
	int64_t from_ns = backend_now(mn_self->be), left_ns = timeout_ns;
	long n;

	while (watch->at == watch->len) {
		int ready;

		n = sys_watch_read(watch->fd, watch->buffer, sizeof(watch->buffer));
		if (n > 0) {
			watch->at = 0;
			watch->len = (uint32_t)n;
			break;
		}
		if (n < 0 && n != -EAGAIN && n != -EINTR)
			return (int)n;
		if (timeout_ns != MN_NEVER)
			left_ns = timeout_ns - (backend_now(mn_self->be) - from_ns);
		ready = mn_poll(watch->fd, POLLIN, left_ns);
		if (ready < 0)
			return ready;
	}
	return 0;
}

static enum mn_fsevent_kind kind_of(uint32_t mask)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (mask & kinds[i].mask)
			return kinds[i].kind;
	return 0;
}

static void name_of(const struct inotify_event *e, char name[static NAME_MAX + 1])
{
	size_t len = strnlen(e->name, min(e->len, (uint32_t)NAME_MAX));

	memcpy(name, e->name, len);
	name[len] = '\0';
}

/* The other half of a renaming, if it is there; it is taken. */
static bool pair_find(struct mn_fswatch *watch, uint32_t cookie, struct mn_fsevent *event)
{
	for (uint32_t at = watch->at; at < watch->len;) {
		const struct inotify_event *e = event_at(watch, at);
		uint32_t taken = TAKEN;

		if (e->cookie == cookie && e->mask & IN_MOVED_TO) {
			event->to_id = e->wd;
			name_of(e, event->to);
			memcpy(watch->buffer + at + offsetof(struct inotify_event, mask), &taken,
			       sizeof(taken));
			return true;
		}
		at += (uint32_t)sizeof(*e) + e->len;
	}
	return false;
}

static void renamed(struct mn_fswatch *watch, uint32_t mask, uint32_t cookie,
		    struct mn_fsevent *event)
{
	if (mask & IN_MOVED_TO) {	/* nobody has seen it leave */
		event->to_id = event->id;
		event->id = -1;
		memcpy(event->to, event->name, sizeof(event->to));
		event->name[0] = '\0';
	} else if (!pair_find(watch, cookie, event) && watch->at == watch->len &&
		   !fill(watch, PAIR_PATIENCE_NS)) {
		pair_find(watch, cookie, event);
	}
}

/* Whether the next one in the buffer is for the caller. */
static bool take(struct mn_fswatch *watch, struct mn_fsevent *event)
{
	const struct inotify_event *e = event_at(watch, watch->at);
	uint32_t mask = e->mask, cookie = e->cookie;

	watch->at += (uint32_t)sizeof(*e) + e->len;
	event->kind = kind_of(mask);
	if (!event->kind)	/* IN_IGNORED: its watch is over, as was said or wanted */
		return false;
	event->id = e->wd;
	event->to_id = -1;
	event->dir = mask & IN_ISDIR;
	event->to[0] = '\0';
	name_of(e, event->name);
	if (event->kind == MN_FS_RENAMED)
		renamed(watch, mask, cookie, event);
	return true;
}

int mn_fswatch_next(struct mn_fswatch *watch, struct mn_fsevent *event, int64_t timeout_ns)
{
	int err;

	BUG_ON(watch->reading);
	watch->reading = true;
	do
		err = fill(watch, timeout_ns);
	while (!err && !take(watch, event));
	watch->reading = false;
	return err;
}
