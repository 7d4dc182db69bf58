/* SPDX-License-Identifier: MIT */
/*
 * Files. What a shard would wait for is done by the kernel meanwhile, or by a
 * thread that may block: the shard goes on with other fibers.
 *
 * A file is the caller's, embedded, and belongs to the shard that opened it;
 * to move it, copy it while nothing is under way, and use the copy alone.
 *
 * All suspend, unless it says otherwise, and are for fibers; the *_start()
 * forms are for whoever has a place for an operation, never suspend, and
 * resolve op->done with what the other form returns. Until then the file, the
 * buffers and the operation belong to the runtime; at most as many run at a
 * time as the system does, the others wait.
 *
 * A fiber that is cancelled, or whose scope has run out of time, gets
 * -ECANCELED or -ETIMEDOUT from whatever has not begun. What has begun cannot
 * be stopped: the call returns when it is done, with its result; of a
 * transfer, what is done by then. Every function returns these two, and what
 * the system says; what is listed is what is worth knowing.
 */
#ifndef MINISS_FILE_H
#define MINISS_FILE_H

#include <fcntl.h>
#include <sys/types.h>

#include <miniss/op.h>

struct mn_disk;

/**
 * struct mn_file - an open file
 * @fd: its descriptor; -1 once it is closed
 * @failed: 0, or the first error of a sync, for ever. After that the system no
 *	longer knows what it has not written, and says that all is well
 * @mem_align: with O_DIRECT: addresses of buffers are multiples of this; else 1
 * @offset_align: likewise for offsets and lengths
 * @disk: a scheduler that its transfers go through (miniss/disk.h), or NULL
 */
struct mn_file {
	int fd;
	int failed;
	uint32_t mem_align;
	uint32_t offset_align;
	struct mn_disk *disk;
	bool told;		/* the runtime's: that something was not aligned */
	bool by_thread;		/* likewise: to transfer means to wait, whatever the system says */
};

#define MN_FILE_CLOSED	((struct mn_file){ .fd = -1, .mem_align = 1, .offset_align = 1 })

/**
 * mn_file_open - open a file
 * @file: filled in; after a failure it is closed
 * @flags: as of open(); O_CLOEXEC always goes with them
 * @mode: of a file that O_CREAT or O_TMPFILE makes, before the umask; else ignored
 *
 * For what is on a disk; what is no such thing may be waited for, or not (a FIFO
 * without a writer).
 *
 * Return: 0; -EMFILE, -ENOENT and so on. -EINVAL, too, for O_DIRECT where the
 * file system has no such thing.
 */
MN_API int mn_file_open(struct mn_file *file, const char *path, int flags, mode_t mode);

/**
 * mn_file_open_beneath - the same for a path that may come from a stranger
 * @dir: open directory, that the path starts at and does not leave: not by an
 *	absolute path, not by "..", not by a symbolic link, and not by one that
 *	somebody puts there meanwhile
 *
 * Return: as mn_file_open(); -EXDEV: the path leads out; -EOPNOTSUPP, -ENOSYS: the
 * system cannot tell.
 */
MN_API int mn_file_open_beneath(struct mn_file *file, const struct mn_file *dir, const char *path,
				int flags, mode_t mode);

/**
 * mn_file_close - close a file
 * @file: with nothing under way; closed afterwards, whatever this returns
 *
 * Cancellation does not end it. Does not sync: what was written may be lost with
 * the power, and an error of writing it is nobody's. Closing a closed file
 * does nothing.
 *
 * Return: 0; @file->failed; or what close() says, of a file that is on another
 * machine: -EIO, -ENOSPC, -EDQUOT.
 */
MN_API int mn_file_close(struct mn_file *file);

/* ---- transfers ---- */

/**
 * mn_read - read from a place of a file
 * @buf: where to; its contents are undefined after an error
 * @off: in the file, from 0
 *
 * Return: how many bytes; fewer than @len only at the end of the file, or when
 * the rest failed, which reading on will tell. -EINVAL: @off is negative, or with
 * O_DIRECT something is not aligned (logged, once for a file).
 */
MN_API int64_t mn_read(struct mn_file *file, void *buf, size_t len, int64_t off);

/**
 * mn_write - write to a place of a file
 *
 * All of it, or until something fails: on a full disk it returns what there
 * was room for, and -ENOSPC when it is asked to go on.
 *
 * Return: how many bytes; -ENOSPC, -EDQUOT, -EFBIG; -EINVAL as of mn_read().
 */
MN_API int64_t mn_write(struct mn_file *file, const void *buf, size_t len, int64_t off);

#define MN_IOV_MAX	1024

/**
 * mn_readv, mn_writev - the same for several buffers, one after the other
 * @iov: not changed; must stay as it is, and where it is, until the end
 * @nr: up to MN_IOV_MAX, else -EINVAL
 */
MN_API int64_t mn_readv(struct mn_file *file, const struct iovec *iov, size_t nr, int64_t off);
MN_API int64_t mn_writev(struct mn_file *file, const struct iovec *iov, size_t nr, int64_t off);

/**
 * mn_append - write to the end of a file, wherever that is
 *
 * Who appends at the same time does not overwrite this, nor this them. Needs no
 * O_APPEND on Linux; other systems do.
 *
 * Return: as mn_write(). What was continued after a part may have somebody
 * else's bytes in between; with less than a gigabyte that takes a full disk.
 */
MN_API int64_t mn_append(struct mn_file *file, const void *buf, size_t len);

/* ---- what must not get lost ---- */

/**
 * mn_file_sync - return when all that was written before is on the disk
 *
 * Everything for which a write had returned. With a new file, its name too must
 * be synced: open its directory and sync that.
 *
 * An error is final: every later sync, and close, return it. The data is to
 * be written again, to another file.
 *
 * Return: 0; -EIO, -ENOSPC; -EINVAL: this is nothing that can be synced.
 */
MN_API int mn_file_sync(struct mn_file *file);

/** mn_file_datasync - the same without times and such, which nobody needs to read it again */
MN_API int mn_file_datasync(struct mn_file *file);

/**
 * mn_file_sync_range - begin writing a range to the disk, or wait for that
 * @len: 0: to the end
 * @flags: SYNC_FILE_RANGE_*
 *
 * Makes nothing safe: sizes and places may not be on the disk, nor is the disk's
 * own cache. For getting a long write started early. Errors are final as of
 * mn_file_sync().
 *
 * Return: 0, -EIO; -EOPNOTSUPP: not on this system.
 */
MN_API int mn_file_sync_range(struct mn_file *file, int64_t off, int64_t len, unsigned int flags);

/* ---- space ---- */

/**
 * mn_file_allocate - see to it that writing to a range does not want for space
 * @keep_size: the file does not become longer
 *
 * Return: 0; -ENOSPC, -EOPNOTSUPP; -EINVAL: @off is negative, or @len not positive.
 */
MN_API int mn_file_allocate(struct mn_file *file, int64_t off, int64_t len, bool keep_size);

/** mn_file_punch - give the space of a range back; it reads as zeros, the size stays */
MN_API int mn_file_punch(struct mn_file *file, int64_t off, int64_t len);

/** mn_file_truncate - cut a file off, or make it longer with zeros */
MN_API int mn_file_truncate(struct mn_file *file, int64_t size);

/**
 * mn_file_advise - say what will become of a range
 * @len: 0: to the end
 * @advice: POSIX_FADV_*
 *
 * Return: 0; -EINVAL: no such advice.
 */
MN_API int mn_file_advise(struct mn_file *file, int64_t off, int64_t len, int advice);

/* ---- what there is to know ---- */

/** struct mn_stat - what there is to know of a file; times are of the wall clock, ns */
struct mn_stat {
	uint64_t size;		/* bytes */
	uint64_t allocated;	/* bytes, of the disk */
	uint64_t ino;
	uint64_t dev;		/* that it is on, as of makedev() */
	uint64_t rdev;		/* that it is, if it is one */
	uint32_t mode;		/* S_ISREG() and so on */
	uint32_t nlink;
	uint32_t uid, gid;
	uint32_t blksize;	/* bytes to transfer at once */
	uint32_t mem_align, offset_align;	/* for O_DIRECT; 0: none, or unknown */
	int64_t atime_ns, mtime_ns, ctime_ns;
	int64_t btime_ns;	/* when it was made; 0: unknown */
};

/** mn_file_stat - of an open file; does not suspend. Of one on another machine: what was last heard */
MN_API int mn_file_stat(struct mn_file *file, struct mn_stat *stat);

/** mn_stat - of whatever a path leads to */
MN_API int mn_stat(const char *path, struct mn_stat *stat);

/** mn_lstat - the same, of a symbolic link itself */
MN_API int mn_lstat(const char *path, struct mn_stat *stat);

/* ---- names ---- */

/**
 * mn_rename - give a file, or a directory, another name; what has that name is gone
 *
 * At no time does neither of the two exist under it. To be found there after the
 * power failed, both directories must be synced.
 *
 * Return: 0; -ENOENT, -EXDEV: on another file system; -ENOTEMPTY, -EISDIR, -ENOTDIR.
 */
MN_API int mn_rename(const char *from, const char *to);

/** mn_rename_new - the same, but -EEXIST if something has that name; -EINVAL: cannot be had here */
MN_API int mn_rename_new(const char *from, const char *to);

/** mn_link - give a file another name beside the one that it has; -EEXIST: it is taken */
MN_API int mn_link(const char *path, const char *to);

/** mn_symlink - make a link that says @target, whatever that is */
MN_API int mn_symlink(const char *target, const char *path);

/**
 * mn_readlink - what a link says
 * @buf: with a NUL at the end
 *
 * Return: its length without that; -EINVAL: it is none; -ENAMETOOLONG: more than @size - 1.
 */
MN_API int64_t mn_readlink(const char *path, char *buf, size_t size);

/** mn_unlink - take a name from a file; without any, and closed, it is gone. -EISDIR, -ENOENT */
MN_API int mn_unlink(const char *path);

MN_API int mn_mkdir(const char *path, mode_t mode);

/** mn_rmdir - remove a directory that is empty; -ENOTEMPTY */
MN_API int mn_rmdir(const char *path);

/* ---- directories ---- */

#define MN_DIR_BUFFER	4096

/** struct mn_dir - a directory that is being listed; the runtime's, in the caller's memory */
struct mn_dir {
	struct mn_file file;
	uint32_t at, end;	/* in the buffer */
	char buf[MN_DIR_BUFFER] __attribute__((aligned(8)));
};

/**
 * struct mn_dirent - an entry of a directory
 * @name: until the next one is asked for, or the end
 * @type: DT_REG and so on; DT_UNKNOWN where the file system does not say
 */
struct mn_dirent {
	const char *name;
	uint64_t ino;
	uint8_t type;
};

/** mn_dir_open - begin to list a directory; -ENOTDIR, -ENOENT */
MN_API int mn_dir_open(struct mn_dir *dir, const char *path);

/**
 * mn_dir_next - the next entry, in no order; "." and ".." are left out
 *
 * What is made or removed meanwhile is there or not; the rest is there once.
 * Suspends once for many entries.
 *
 * Return: 1; 0 at the end; -errno, and may be called again. -EOPNOTSUPP: this
 * system is not Linux.
 */
MN_API int mn_dir_next(struct mn_dir *dir, struct mn_dirent *entry);

MN_API int mn_dir_close(struct mn_dir *dir);

/* ---- temporary files ---- */

/** struct mn_temp - a file that has no name yet; the runtime's but for @file, in the caller's memory */
struct mn_temp {
	struct mn_file file;	/* open for reading and writing */
	struct mn_file dir;
	char name[24];		/* where a file must have one; else "" */
};

/* flags of mn_temp_commit() */
#define MN_TEMP_NEW	1	/* -EEXIST if something has the name already; else that is replaced */
#define MN_TEMP_NO_SYNC	2	/* it may be lost with the power, or be there without its contents */

/**
 * mn_temp_open - make a file that nobody sees, in a directory
 * @temp: filled in; after a failure there is nothing to close
 * @mode: that it will have, before the umask
 *
 * It is gone when it is closed, or the program ends, unless it was given a name.
 * Where the file system has no files without names, it has one that begins
 * with ".mn-", which a program that is killed leaves behind.
 */
MN_API int mn_temp_open(struct mn_temp *temp, const char *dir, mode_t mode);

/**
 * mn_temp_commit - give it its name, all at once
 * @name: in its directory, or a path from there, on the same file system
 * @flags: MN_TEMP_*
 *
 * Whoever opens the name, at any time and after a crash, finds what was there
 * before or this, whole: the file is synced before, and the directory (of @temp,
 * that is) after. When this has failed the name is as it was, unless it was
 * that last sync that failed.
 *
 * Return: 0; -EEXIST; -ENOSPC and the like; @temp->file.failed.
 */
MN_API int mn_temp_commit(struct mn_temp *temp, const char *name, unsigned int flags);

/** mn_temp_close - close it; without a name it is gone. Cancellation does not end it */
MN_API int mn_temp_close(struct mn_temp *temp);

/* ---- locks ---- */

enum mn_lock { MN_LOCK_SHARED, MN_LOCK_EXCLUSIVE };

/**
 * mn_file_lock - wait until a range of a file is locked
 * @file: open for writing, if @how is exclusive, and reading if not: else -EBADF
 * @off, @len: the range; @len 0: to the end, wherever that will be
 *
 * Against other open files, here and in other processes, that lock, too: nobody
 * else is kept out. The lock is the open file's: it replaces one of its own that
 * it has there, and closing it gives it back. Who waits looks again and
 * again, up to 20 times a second; there is no order among those that wait, and
 * nobody sees a deadlock: so wait in a scope with a deadline.
 *
 * Return: 0; -ENOLCK; -EOPNOTSUPP: the system has locks of processes only.
 */
MN_API int mn_file_lock(struct mn_file *file, enum mn_lock how, int64_t off, int64_t len);

/** mn_file_trylock - the same without waiting: -EAGAIN */
MN_API int mn_file_trylock(struct mn_file *file, enum mn_lock how, int64_t off, int64_t len);

/** mn_file_unlock - give it back; cancellation does not end it */
MN_API int mn_file_unlock(struct mn_file *file, int64_t off, int64_t len);

/* ---- operations that the caller has ---- */

MN_API void mn_read_start(struct mn_op *op, struct mn_file *file, void *buf, size_t len,
			  int64_t off);
MN_API void mn_write_start(struct mn_op *op, struct mn_file *file, const void *buf, size_t len,
			   int64_t off);
MN_API void mn_readv_start(struct mn_op *op, struct mn_file *file, const struct iovec *iov,
			   size_t nr, int64_t off);
MN_API void mn_writev_start(struct mn_op *op, struct mn_file *file, const struct iovec *iov,
			    size_t nr, int64_t off);
MN_API void mn_append_start(struct mn_op *op, struct mn_file *file, const void *buf, size_t len);
MN_API void mn_file_sync_start(struct mn_op *op, struct mn_file *file);
MN_API void mn_file_datasync_start(struct mn_op *op, struct mn_file *file);
MN_API void mn_file_sync_range_start(struct mn_op *op, struct mn_file *file, int64_t off,
				     int64_t len, unsigned int flags);
MN_API void mn_file_allocate_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len,
				   bool keep_size);
MN_API void mn_file_punch_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len);
MN_API void mn_file_truncate_start(struct mn_op *op, struct mn_file *file, int64_t size);
MN_API void mn_file_advise_start(struct mn_op *op, struct mn_file *file, int64_t off, int64_t len,
				 int advice);

#ifdef CONFIG_DEBUG	/* so that reports can say where */
#define mn_read_start(...)	(mn__origin(MN__HERE), mn_read_start(__VA_ARGS__))
#define mn_write_start(...)	(mn__origin(MN__HERE), mn_write_start(__VA_ARGS__))
#define mn_readv_start(...)	(mn__origin(MN__HERE), mn_readv_start(__VA_ARGS__))
#define mn_writev_start(...)	(mn__origin(MN__HERE), mn_writev_start(__VA_ARGS__))
#define mn_append_start(...)	(mn__origin(MN__HERE), mn_append_start(__VA_ARGS__))
#define mn_file_sync_start(...)	(mn__origin(MN__HERE), mn_file_sync_start(__VA_ARGS__))
#define mn_file_datasync_start(...) (mn__origin(MN__HERE), mn_file_datasync_start(__VA_ARGS__))
#endif

#endif
