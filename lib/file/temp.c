// SPDX-License-Identifier: MIT
/*
 * Files without a name, that get one when they are complete. The kernel can
 * give one a name that is free, but not one that is taken: then it gets a
 * name of chance first, and is renamed. So it is, too, where the file system
 * has no files without names.
 */
#include <stdio.h>

#include <miniss/param.h>

#include "core/random.h"
#include "lib/file/file.h"
#include "lib/file/how.h"

MN_PARAM(bool, tmpfile, true, 0, 0,
	 "temporary files without names, where the file system has them; off: with names");

#define TRIES	100	/* names of chance that others have */

static void name_make(struct mn_temp *temp)
{
	snprintf(temp->name, sizeof(temp->name), ".mn-%016llx",
		 (unsigned long long)shard_random(mn_self));
}

static int named_open(struct mn_temp *temp, mode_t mode)
{
	int err = -EEXIST;

	for (int i = 0; i < TRIES && err == -EEXIST; i++) {
		struct open_how how = { .flags = O_RDWR | O_CREAT | O_EXCL, .mode = mode & 07777 };

		name_make(temp);
		err = file_open_how(&temp->file, temp->dir.fd, temp->name, &how);
	}
	if (err)
		temp->name[0] = '\0';
	return err;
}

static int unnamed_open(struct mn_temp *temp, mode_t mode)
{
	struct open_how how = { .flags = O_RDWR | O_TMPFILE, .mode = mode & 07777 };

	return file_open_how(&temp->file, temp->dir.fd, ".", &how);
}

int mn_temp_open(struct mn_temp *temp, const char *dir, mode_t mode)
{
	int err;

	*temp = (struct mn_temp){ .file = MN_FILE_CLOSED, .dir = MN_FILE_CLOSED };
	err = mn_file_open(&temp->dir, dir, O_RDONLY | O_DIRECTORY, 0);
	if (err)
		return err;
	err = param_tmpfile ? unnamed_open(temp, mode) : -EOPNOTSUPP;
	if (err == -EOPNOTSUPP || err == -EISDIR || err == -EINVAL)
		err = named_open(temp, mode);
	if (err)
		mn_file_close(&temp->dir);
	return err;
}

/* ---- a name ---- */

static int link_to(struct mn_temp *temp, const char *name)
{
	char path[32];
	struct mn_op op;
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", temp->file.fd);
	names_init(&op, MN_OP_LINK, path, AT_SYMLINK_FOLLOW);
	op.names.to_fd = temp->dir.fd;
	op.names.to = name;
	err = (int)file_do(&op);
	if (err != -ENOENT)
		return err;
	/* There may be no /proc; who may read everything needs none. */
	names_init(&op, MN_OP_LINK, "", AT_EMPTY_PATH);
	op.fd = temp->file.fd;
	op.names.to_fd = temp->dir.fd;
	op.names.to = name;
	return (int)file_do(&op);
}

static int link_by_chance(struct mn_temp *temp)
{
	int err = -EEXIST;

	for (int i = 0; i < TRIES && err == -EEXIST; i++) {
		name_make(temp);
		err = link_to(temp, temp->name);
	}
	if (err)
		temp->name[0] = '\0';
	return err;
}

static int unlink_name(struct mn_temp *temp)
{
	struct mn_op op;

	names_init(&op, MN_OP_UNLINK, temp->name, 0);
	op.fd = temp->dir.fd;
	return (int)file_finish(&op);
}

/* From the name that it has, in one step. */
static int rename_to(struct mn_temp *temp, const char *name, int flags)
{
	struct mn_op op;
	int err;

	names_init(&op, MN_OP_RENAME, temp->name, flags);
	op.fd = temp->dir.fd;
	op.names.to_fd = temp->dir.fd;
	op.names.to = name;
	err = (int)file_do(&op);
	if (!err)
		temp->name[0] = '\0';
	return err;
}

/* Where names cannot be changed on condition. */
static int link_and_unlink(struct mn_temp *temp, const char *name)
{
	struct mn_op op;
	int err;

	names_init(&op, MN_OP_LINK, temp->name, 0);
	op.fd = temp->dir.fd;
	op.names.to_fd = temp->dir.fd;
	op.names.to = name;
	err = (int)file_do(&op);
	if (err)
		return err;
	unlink_name(temp);
	temp->name[0] = '\0';
	return 0;
}

/* A name of chance stays when the rest fails: once without one, the kernel gives no other. */
static int name_give(struct mn_temp *temp, const char *name, bool is_new)
{
	int err;

	if (is_new && !temp->name[0])
		return link_to(temp, name);
	if (!temp->name[0]) {
		err = link_by_chance(temp);
		if (err)
			return err;
	}
	err = rename_to(temp, name, is_new ? RENAME_NEW : 0);
	if (is_new && (err == -EINVAL || err == -EOPNOTSUPP))
		err = link_and_unlink(temp, name);
	return err;
}

int mn_temp_commit(struct mn_temp *temp, const char *name, unsigned int flags)
{
	bool sync = !(flags & MN_TEMP_NO_SYNC);
	int err = 0;

	if (sync)
		err = mn_file_sync(&temp->file);
	if (!err)
		err = name_give(temp, name, flags & MN_TEMP_NEW);
	if (!err && sync)
		err = mn_file_sync(&temp->dir);
	return err;
}

int mn_temp_close(struct mn_temp *temp)
{
	int err = 0, close_err;

	if (temp->name[0] && temp->dir.fd >= 0)
		err = unlink_name(temp);
	temp->name[0] = '\0';
	close_err = mn_file_close(&temp->file);
	mn_file_close(&temp->dir);
	return close_err ? close_err : err;
}
