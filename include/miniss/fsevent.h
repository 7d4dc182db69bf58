/* SPDX-License-Identifier: MIT */
/*
 * Events of the file system: what happens to files, and in directories, but
 * not in those below. Linux (inotify).
 *
 *	mn_fswatch_open(&watch);
 *	id = mn_fswatch_add(watch, "/etc/app", MN_FS_WRITTEN | MN_FS_RENAMED);
 *	while (!(err = mn_fswatch_next(watch, &event, MN_NEVER)))
 *		...
 *	mn_fswatch_close(watch);
 *
 * Events wait in the kernel, up to fs.inotify.max_queued_events of them; what
 * comes beyond is lost, and MN_FS_OVERFLOW says so. Equal ones that follow each
 * other may be one. A program that must not miss anything looks at the files
 * again then, and also after it has added a watch.
 */
#ifndef MINISS_FSEVENT_H
#define MINISS_FSEVENT_H

#include <miniss/types.h>

struct mn_fswatch;

/* What can be asked for, and what happened: one of them. */
enum mn_fsevent_kind {
	MN_FS_CREATED = 1 << 0,		/* @name, in the directory */
	MN_FS_DELETED = 1 << 1,		/* @name, of the directory */
	MN_FS_RENAMED = 1 << 2,		/* @name to @to; one side may not be watched, see below */
	MN_FS_CHANGED = 1 << 3,		/* its contents */
	MN_FS_WRITTEN = 1 << 4,		/* it was closed by somebody who had it open to write */
	MN_FS_ATTRIBUTES = 1 << 5,	/* mode, owner, times, number of links */

	/* Reported in any case. */
	MN_FS_MOVED = 1 << 8,		/* what is watched has another path now, and is still watched */
	MN_FS_GONE = 1 << 9,		/* it was deleted or unmounted; its @id is over */
	MN_FS_OVERFLOW = 1 << 10,	/* events were lost; @id is -1 */
};

#define MN_FS_ALL                                                                        \
	(MN_FS_CREATED | MN_FS_DELETED | MN_FS_RENAMED | MN_FS_CHANGED | MN_FS_WRITTEN | \
	 MN_FS_ATTRIBUTES)

/**
 * struct mn_fsevent - what happened; a plain value
 * @kind: one of enum mn_fsevent_kind
 * @id: of the watch; RENAMED: where it was, -1: in a directory not watched
 * @to_id: RENAMED: where it is now, -1: in a directory not watched
 * @dir: it is a directory
 * @name: in the directory that is watched; "" for what is watched itself, and
 *	where nothing is known
 * @to: RENAMED: the name that it has now, likewise
 */
struct mn_fsevent {
	enum mn_fsevent_kind kind;
	int id, to_id;
	bool dir;
	char name[256], to[256];
};

/**
 * mn_fswatch_open - begin to watch
 * @watch: ends with mn_fswatch_close(); this shard's
 *
 * Does not suspend.
 *
 * Return: 0; -EMFILE: the user has too many (fs.inotify.max_user_instances), or
 * the program too many descriptors; -ENOMEM; -EOPNOTSUPP in a world whose time
 * is not the real one.
 */
MN_API int mn_fswatch_open(struct mn_fswatch **watch);

/**
 * mn_fswatch_add - watch a file or a directory
 * @path: symbolic links are followed
 * @events: of MN_FS_CREATED to MN_FS_ATTRIBUTES
 *
 * From a fiber; suspends, since a path may have to be read from a disk.
 *
 * Return: a number >= 0 that events have for @id; -EINVAL for other @events;
 * -EEXIST for what is watched already, by whatever path; -ENOENT, -EACCES,
 * -ENOSPC (fs.inotify.max_user_watches), -ENOMEM, -ECANCELED.
 */
MN_API int mn_fswatch_add(struct mn_fswatch *watch, const char *path, uint32_t events);

/**
 * mn_fswatch_remove - do not watch that any more
 * @id: of mn_fswatch_add()
 *
 * Events that have happened before may still be told. Does not suspend.
 *
 * Return: 0; -EINVAL for what is not watched, or not any more.
 */
MN_API int mn_fswatch_remove(struct mn_fswatch *watch, int id);

/**
 * mn_fswatch_next - the next event
 * @timeout_ns: from now; <= 0: what there is already
 *
 * From one fiber at a time; suspends until there is one. The two halves of a
 * renaming are brought together; for the second one there is a wait of a
 * millisecond at most.
 *
 * Return: 0 with an event; -ETIMEDOUT, -ECANCELED.
 */
MN_API int mn_fswatch_next(struct mn_fswatch *watch, struct mn_fsevent *event, int64_t timeout_ns);

/** mn_fswatch_close - end; nobody waits in mn_fswatch_next(). Does not suspend */
MN_API void mn_fswatch_close(struct mn_fswatch *watch);

#endif
