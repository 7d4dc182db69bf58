/* SPDX-License-Identifier: MIT */
/*
 * Files inside.
 *
 *	file.c		open, close
 *	transfer.c	read, write and their like
 *	sync.c		sync, and errors that are final
 *	space.c		allocate, punch, truncate, advise
 *	stat.c		what there is to know
 *	names.c		rename, link, unlink, directories are made
 *	dir.c		directories are listed
 *	temp.c		files without a name
 *	lock.c		locks
 */
#ifndef LIB_FILE_FILE_H
#define LIB_FILE_FILE_H

#include <miniss/file.h>

#include "core/op.h"
#include "core/shard.h"

#define FILE_NO_DIR	AT_FDCWD

/* file_op - initialise an operation on an open file */
#define file_op(op, code, file)						\
	do {								\
		op_init(op, code, (file)->fd);				\
		(op)->file = (file);					\
	} while (0)

/* file_stopped - is this fiber to begin nothing any more? 0, or why */
static inline int file_stopped(void)
{
	BUG_ON(!mn_self->fiber);
	return mn_self->fiber->stop;
}

/* file_await - the result of an operation that was started; what did not begin ends with its fiber */
static inline int64_t file_await(struct mn_op *op)
{
	return mn_op_await(op, MN_NEVER);
}

/* file_do - start an initialised operation, and wait for it */
int64_t file_do(struct mn_op *op);

/* file_finish - the same, whatever becomes of the fiber: for clean-up */
int64_t file_finish(struct mn_op *op);

/* names.c: relative to directories. A mode, or the flags of the call. */
void names_init(struct mn_op *op, enum mn_opcode code, const char *path, int flags);

struct open_how;

/* file_open_how - mn_file_open() from a directory, with all that the system can be told */
int file_open_how(struct mn_file *file, int dir, const char *path, struct open_how *how);

#endif
