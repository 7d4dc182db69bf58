// SPDX-License-Identifier: MIT
/* Names of files. */
#include "lib/file/file.h"
#include "lib/file/how.h"

void names_init(struct mn_op *op, enum mn_opcode code, const char *path, int flags)
{
	op_init(op, code, FILE_NO_DIR);
	op->names.path = path;
	op->names.to_fd = FILE_NO_DIR;
	op->names.flags = flags;
}

static int one_name(enum mn_opcode code, const char *path, int flags)
{
	struct mn_op op;

	names_init(&op, code, path, flags);
	return (int)file_do(&op);
}

static int two_names(enum mn_opcode code, const char *path, const char *to, int flags)
{
	struct mn_op op;

	names_init(&op, code, path, flags);
	op.names.to = to;
	return (int)file_do(&op);
}

int mn_rename(const char *from, const char *to)
{
	return two_names(MN_OP_RENAME, from, to, 0);
}

int mn_rename_new(const char *from, const char *to)
{
	return two_names(MN_OP_RENAME, from, to, RENAME_NEW);
}

int mn_link(const char *path, const char *to)
{
	return two_names(MN_OP_LINK, path, to, 0);
}

int mn_symlink(const char *target, const char *path)
{
	return two_names(MN_OP_SYMLINK, target, path, 0);
}

int mn_unlink(const char *path)
{
	return one_name(MN_OP_UNLINK, path, 0);
}

int mn_mkdir(const char *path, mode_t mode)
{
	return one_name(MN_OP_MKDIR, path, (int)mode);
}

int mn_rmdir(const char *path)
{
	return one_name(MN_OP_UNLINK, path, AT_REMOVEDIR);
}

int64_t mn_readlink(const char *path, char *buf, size_t size)
{
	struct mn_op op;
	int64_t len;

	if (!size)
		return -EINVAL;
	op_init(&op, MN_OP_READLINK, FILE_NO_DIR);
	op.link.path = path;
	op.link.buf = buf;
	op.link.len = size;
	len = file_do(&op);
	if (len < 0)
		return len;
	if ((size_t)len == size)	/* or more: it does not say */
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return len;
}
