// SPDX-License-Identifier: MIT
/* Files are opened and closed. */
#include <miniss/param.h>

#include "backends/statx.h"
#include "lib/file/disk.h"
#include "lib/file/file.h"
#include "lib/file/how.h"

int64_t file_do(struct mn_op *op)
{
	int stop = file_stopped();

	if (stop)
		return stop;
	op_start(op);
	return file_await(op);
}

int64_t file_finish(struct mn_op *op)
{
	BUG_ON(!mn_self->fiber);
	op_start(op);
	return fiber_wait(&op->done);
}

MN_PARAM(bool, scheduler, true, 0, 0,
	 "what is opened with O_DIRECT goes through the disk scheduler");

/* Who has not said how to align gets what every device can do. */
#define ALIGN_SAFE	4096

static int direct_begin(struct mn_file *file)
{
	struct mn_stat stat;
	int err = mn_file_stat(file, &stat);

	if (err)
		return err;
	file->mem_align = stat.mem_align ? stat.mem_align : ALIGN_SAFE;
	file->offset_align = stat.offset_align ? stat.offset_align : ALIGN_SAFE;
	if (param_scheduler)
		file->disk = disk_of(stat.dev);
	return 0;
}

int file_open_how(struct mn_file *file, int dir, const char *path, struct open_how *how)
{
	struct mn_op op;
	int64_t fd;
	int err = 0;

	*file = MN_FILE_CLOSED;
	how->flags |= O_CLOEXEC;
	op_init(&op, MN_OP_OPEN, dir);
	op.file = file;
	op.open.path = path;
	op.open.how = how;
	fd = file_do(&op);
	if (fd < 0)
		return (int)fd;
	mn_self->hygiene.nr_fds++;
	file->fd = (int)fd;
	if (how->flags & O_DIRECT)
		err = direct_begin(file);
	if (err)
		mn_file_close(file);
	return err;
}

/* What the system would call too much is not the caller's fault: a mode that nothing needs. */
static struct open_how how_of(int flags, mode_t mode)
{
	bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;

	return (struct open_how){ .flags = (unsigned int)flags, .mode = makes ? mode & 07777 : 0 };
}

int mn_file_open(struct mn_file *file, const char *path, int flags, mode_t mode)
{
	struct open_how how = how_of(flags, mode);

	return file_open_how(file, FILE_NO_DIR, path, &how);
}

int mn_file_open_beneath(struct mn_file *file, const struct mn_file *dir, const char *path,
			 int flags, mode_t mode)
{
	struct open_how how = how_of(flags, mode);

	how.resolve = HOW_BENEATH;
	return file_open_how(file, dir->fd, path, &how);
}

int mn_file_close(struct mn_file *file)
{
	struct mn_op op;
	int err;

	if (file->fd < 0)
		return file->failed;
	op_init(&op, MN_OP_CLOSE_FILE, file->fd);
	file->fd = -1;
	err = (int)file_finish(&op);
	mn_self->hygiene.nr_fds--;
	return file->failed ? file->failed : err;
}
