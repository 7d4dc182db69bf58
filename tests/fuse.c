// SPDX-License-Identifier: MIT
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/compiler.h"
#include "tests/fuse.h"

#define WRITE_MAX	65536
#define ROOT		1
#define THE_FILE	2

/* In the server. */
static struct fuse_faults *faults;
static int dev;

static void reply(uint64_t unique, int err, const void *data, size_t len)
{
	static char buf[sizeof(struct fuse_out_header) + FUSE_SIZE_MAX];
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + (err ? 0 : len)),
		.error = -err,
		.unique = unique,
	};

	memcpy(buf, &out, sizeof(out));
	if (!err && len)
		memcpy(buf + sizeof(out), data, len);
	/* Who asked may have been interrupted, and be gone. */
	if (write(dev, buf, out.len) < 0 && errno != ENOENT)
		_exit(1);
}

static void attr_fill(struct fuse_attr *attr, uint64_t node)
{
	*attr = (struct fuse_attr){
		.ino = node,
		.size = node == THE_FILE ? atomic_load(&faults->size) : 0,
		.mode = node == THE_FILE ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void reply_attr(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr_valid = 0 };

	attr_fill(&out.attr, in->nodeid);
	reply(in->unique, 0, &out, sizeof(out));
}

static void do_init(const struct fuse_in_header *in, const struct fuse_init_in *init)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = min(init->minor, (uint32_t)FUSE_KERNEL_MINOR_VERSION),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = WRITE_MAX,
		.time_gran = 1,
	};

	reply(in->unique, 0, &out, sizeof(out));
}

static void do_lookup(const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out out = { .nodeid = THE_FILE };

	attr_fill(&out.attr, THE_FILE);
	reply(in->unique, strcmp(name, "file") ? ENOENT : 0, &out, sizeof(out));
}

static void do_setattr(const struct fuse_in_header *in, const struct fuse_setattr_in *set)
{
	if (set->valid & FATTR_SIZE)
		atomic_store(&faults->size, (unsigned int)set->size);
	reply_attr(in);
}

static void held(void)
{
	if (!atomic_load(&faults->hold))
		return;
	atomic_fetch_add(&faults->nr_held, 1);
	while (atomic_load(&faults->hold))
		usleep(500);
}

static int transfer_err(const atomic_int *err, uint64_t off)
{
	int once = atomic_exchange(&faults->once_err, 0);

	if (once)
		return once;
	return off >= atomic_load(&faults->err_from) ? atomic_load(err) : 0;
}

/* What may be done of it: not beyond a fault, and no more than is wanted. */
static uint32_t transfer_len(const atomic_int *err, uint64_t off, uint64_t len,
			     unsigned int len_max)
{
	uint64_t from = atomic_load(&faults->err_from);

	if (len_max)
		len = min(len, len_max);
	if (atomic_load(err) && off < from)
		len = min(len, from - off);
	return (uint32_t)len;
}

static void do_read(const struct fuse_in_header *in, const struct fuse_read_in *rd)
{
	uint32_t size = atomic_load(&faults->size), len = 0;
	int err;

	atomic_fetch_add(&faults->nr_reads, 1);
	held();
	err = transfer_err(&faults->read_err, rd->offset);
	if (rd->offset < size)
		len = transfer_len(&faults->read_err, rd->offset, min(rd->size, size - rd->offset),
				   atomic_load(&faults->read_max));
	reply(in->unique, err, faults->data + rd->offset, len);
}

static void do_write(const struct fuse_in_header *in, const struct fuse_write_in *wr)
{
	struct fuse_write_out out = {
		.size = transfer_len(&faults->write_err, wr->offset, wr->size,
				     atomic_load(&faults->write_max)),
	};
	int err = transfer_err(&faults->write_err, wr->offset);

	atomic_fetch_add(&faults->nr_writes, 1);
	if (!err && wr->offset + out.size > FUSE_SIZE_MAX)
		err = EFBIG;
	if (!err) {
		memcpy(faults->data + wr->offset, wr + 1, out.size);
		if (wr->offset + out.size > atomic_load(&faults->size))
			atomic_store(&faults->size, (unsigned int)wr->offset + out.size);
	}
	reply(in->unique, err, &out, sizeof(out));
}

static void do_open(const struct fuse_in_header *in)
{
	struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO };

	reply(in->unique, atomic_load(&faults->open_err), &out, sizeof(out));
}

static void do_sync(const struct fuse_in_header *in)
{
	atomic_fetch_add(&faults->nr_syncs, 1);
	held();
	reply(in->unique, atomic_load(&faults->sync_err), NULL, 0);
}

static void serve(const struct fuse_in_header *in)
{
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT:
		do_init(in, arg);
		break;
	case FUSE_LOOKUP:
		do_lookup(in, arg);
		break;
	case FUSE_GETATTR:
		reply_attr(in);
		break;
	case FUSE_SETATTR:
		do_setattr(in, arg);
		break;
	case FUSE_OPEN:
		do_open(in);
		break;
	case FUSE_READ:
		do_read(in, arg);
		break;
	case FUSE_WRITE:
		do_write(in, arg);
		break;
	case FUSE_FSYNC:
		do_sync(in);
		break;
	case FUSE_FLUSH:
		reply(in->unique, atomic_load(&faults->flush_err), NULL, 0);
		break;
	case FUSE_RELEASE:
		atomic_fetch_add(&faults->nr_releases, 1);
		reply(in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:	/* as a disk, it does not hear of that */
		break;
	case FUSE_DESTROY:
		_exit(0);
	default:
		reply(in->unique, ENOSYS, NULL, 0);
	}
}

static void server(void)
{
	static char buf[WRITE_MAX + 65536] __attribute__((aligned(8)));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		ssize_t n = read(dev, buf, sizeof(buf));

		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			serve((const void *)buf);
		else if (n >= 0 || (errno != EINTR && errno != ENOENT))
			_exit(0);
	}
}

static bool give_up(const char *what)
{
	printf("skipped: a file system of one's own: %s: %s\n", what, strerror(errno));
	return false;
}

bool fuse_start(struct fuse *fuse)
{
	char options[100];

	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return give_up("/dev/fuse");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		close(dev);
		return give_up("unshare");
	}
	strcpy(fuse->dir, "/tmp/mn-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fuse->dir));
	snprintf(fuse->path, sizeof(fuse->path), "%s/file", fuse->dir);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	if (mount("mn-test", fuse->dir, "fuse", MS_NOSUID | MS_NODEV, options)) {
		give_up("mount");
		rmdir(fuse->dir);
		close(dev);
		return false;
	}
	faults = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(faults, MAP_FAILED);
	fuse->faults = faults;
	fuse->pid = fork();
	ck_assert_int_ge(fuse->pid, 0);
	if (!fuse->pid)
		server();
	close(dev);
	return true;
}

void fuse_kill(struct fuse *fuse)
{
	if (fuse->pid <= 0)
		return;
	kill(fuse->pid, SIGKILL);
	waitpid(fuse->pid, NULL, 0);
	fuse->pid = 0;
}

void fuse_end(struct fuse *fuse)
{
	fuse_kill(fuse);
	umount2(fuse->dir, MNT_DETACH);
	rmdir(fuse->dir);
	munmap(fuse->faults, sizeof(*fuse->faults));
}
