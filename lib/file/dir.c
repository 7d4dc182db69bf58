// SPDX-License-Identifier: MIT
/* Directories are listed, a buffer at a time. */
#include "lib/file/file.h"

/* As Linux lays it out. */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int fill(struct mn_dir *dir)
{
	struct mn_op op;
	int64_t n;

	op_init(&op, MN_OP_LIST, dir->file.fd);
	op.buf.base = dir->buf;
	op.buf.len = sizeof(dir->buf);
	n = file_do(&op);
	if (n <= 0)
		return (int)n;
	dir->at = 0;
	dir->end = (uint32_t)n;
	return 1;
}

int mn_dir_open(struct mn_dir *dir, const char *path)
{
	dir->at = dir->end = 0;
	return mn_file_open(&dir->file, path, O_RDONLY | O_DIRECTORY, 0);
}

int mn_dir_next(struct mn_dir *dir, struct mn_dirent *entry)
{
	const struct entry *next;

	do {
		int ret = dir->at < dir->end ? 1 : fill(dir);

		if (ret <= 0)
			return ret;
		next = (const void *)&dir->buf[dir->at];
		dir->at += next->len;
	} while (is_dots(next->name));
	*entry = (struct mn_dirent){ .name = next->name, .ino = next->ino, .type = next->type };
	return 1;
}

int mn_dir_close(struct mn_dir *dir)
{
	return mn_file_close(&dir->file);
}
