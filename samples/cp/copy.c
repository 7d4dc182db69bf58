// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cp.h"

#define LOCK_NS		(2 * MN_SEC)
#define SYNC_BYTES	(INT64_C(64) << 20)	/* the disk writes while we read */

int copy_failed(const char *what, const char *path, int err)
{
	if (err != -ECANCELED)
		mn_err("%s: %s: %s", path, what, strerror(-err));
	return err;
}

static int refused(const char *path, const char *why)
{
	mn_err("%s: %s", path, why);
	return MN_EXIT_FAILED;
}

/* ---- what is to be copied where ---- */

static int names(struct copy *c)
{
	const char *slash = strrchr(c->target_path, '/');
	int dir = slash == c->target_path ? 1 : slash ? (int)(slash - c->target_path) : 0;
	size_t max = sizeof(c->part_path);

	if (!*c->source_path || !*c->target_path)
		return refused("mn-cp", "a name is empty");
	if ((size_t)snprintf(c->part_path, max, "%s.mn-cp", c->target_path) >= max ||
	    (size_t)snprintf(c->sums_path, max, "%s.mn-cp-sums", c->target_path) >= max)
		return copy_failed("cannot copy to it", c->target_path, -ENAMETOOLONG);
	snprintf(c->dir_path, max, "%.*s", dir ? dir : 1, dir ? c->target_path : ".");
	return 0;
}

static int source_open(struct copy *c)
{
	int err = mn_stat(c->source_path, &c->stat);	/* what is no file may not like to be opened */

	if (err)
		return copy_failed("cannot read it", c->source_path, err);
	if (S_ISDIR(c->stat.mode))
		return refused(c->source_path, "is a directory");
	if (!S_ISREG(c->stat.mode))
		return refused(c->source_path, "is not a regular file");
	err = mn_file_open(&c->source, c->source_path, O_RDONLY | (c->direct ? O_DIRECT : 0), 0);
	if (!err)
		err = mn_file_stat(&c->source, &c->stat);
	return err ? copy_failed("cannot read it", c->source_path, err) : 0;
}

static int target_check(const struct copy *c)
{
	struct mn_stat stat;
	int err = mn_stat(c->target_path, &stat);

	if (err == -ENOENT)
		return 0;
	if (err)
		return copy_failed("cannot copy to it", c->target_path, err);
	if (S_ISDIR(stat.mode))
		return refused(c->target_path, "is a directory; name the file that is to be made");
	if (!S_ISREG(stat.mode))
		return refused(c->target_path, "is not a regular file");
	if (stat.ino == c->stat.ino && stat.dev == c->stat.dev)
		return refused(c->target_path, "is the same file as the source");
	return 0;
}

/* What one that was killed had under way may end a little later than it. */
static int part_lock(struct copy *c)
{
	struct mn_scope scope;
	int err;

	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = LOCK_NS });
	err = mn_file_lock(&c->part, MN_LOCK_EXCLUSIVE, 0, 0);
	mn_scope_join(&scope);
	return err;
}

static int part_open(struct copy *c)
{
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW;
	int err = mn_file_open(&c->part, c->part_path, flags | (c->direct ? O_DIRECT : 0), 0600);

	if (err)
		return copy_failed("cannot create it", c->part_path, err);
	err = part_lock(c);
	if (err == -ETIMEDOUT) {
		mn_file_close(&c->part);	/* and leave it to the other one */
		return refused(c->target_path, "another mn-cp copies to it");
	}
	if (!err)
		err = mn_file_open(&c->sums, c->sums_path, flags, 0600);
	return err ? copy_failed("cannot create it", c->sums_path, err) : 0;
}

/* ---- the copy ---- */

/* All space at first: a disk that is too full says so before an hour is gone. */
static int space(struct copy *c)
{
	int err = mn_file_truncate(&c->part, c->pos);

	if (!err && c->stat.size > (uint64_t)c->pos)
		err = mn_file_allocate(&c->part, c->pos, (int64_t)c->stat.size - c->pos, true);
	if (err == -EOPNOTSUPP)
		err = 0;
	return err ? copy_failed("no space for the copy", c->target_path, err) : 0;
}

/* Sums are of whole blocks, and a span is never of two of them unless the source changes. */
static void sum(struct copy *c, const struct mn_span *span)
{
	size_t done = 0;

	while (done < span->len) {
		size_t n = span->len - done, left = (size_t)(BLOCK - c->pos % BLOCK);

		n = n < left ? n : left;
		xxh64_update(&c->sum, span->data + done, n);
		done += n;
		c->pos += (int64_t)n;
		if (c->pos % BLOCK == 0 && (uint64_t)c->pos <= c->stat.size)
			sums_add(c);
	}
}

static int pump(struct copy *c, struct mn_file_reader *reader, struct mn_file_writer *writer)
{
	struct mn_span span;
	int64_t n;
	int err;

	while ((n = mn_file_reader_take(reader, &span)) > 0) {
		if ((uint64_t)c->pos + span.len > c->stat.size) {	/* longer than it was */
			mn_span_give(&span);
			return -ESTALE;
		}
		sum(c, &span);
		err = mn_file_writer_splice(writer, &span);
		if (err)
			return copy_failed("cannot write the copy", c->target_path, err);
		if (mn_need_preempt())
			mn_yield();
		if (mn_fiber_canceled())
			return -ECANCELED;
	}
	return n < 0 ? copy_failed("cannot read it", c->source_path, (int)n) : 0;
}

static int transfer(struct copy *c)
{
	const struct mn_file_reader_options in = { .off = c->pos,
						   .chunk = c->chunk,
						   .depth = c->depth };
	const struct mn_file_writer_options out = { .off = c->pos,
						    .chunk = c->chunk,
						    .depth = c->depth,
						    .sync_bytes = c->sync ? SYNC_BYTES : 0 };
	struct mn_file_reader *reader;
	struct mn_file_writer *writer;
	int err = mn_file_reader_open(&reader, &c->source, &in), res;

	if (err)
		return copy_failed("cannot read it", c->source_path, err);
	err = mn_file_writer_open(&writer, &c->part, &out);
	if (err) {
		mn_file_reader_close(reader);
		return copy_failed("cannot write the copy", c->target_path, err);
	}
	err = pump(c, reader, writer);
	res = mn_file_writer_close(writer);
	mn_file_reader_close(reader);
	if (res && !err)
		err = copy_failed("cannot write the copy", c->target_path, res);
	return err;
}

/* Was it the same all the time? */
static int source_check(struct copy *c)
{
	struct mn_stat now;
	int err = mn_file_stat(&c->source, &now);

	if (err)
		return copy_failed("cannot read it", c->source_path, err);
	if ((uint64_t)c->pos != c->stat.size || now.size != c->stat.size ||
	    now.mtime_ns != c->stat.mtime_ns)
		return refused(c->source_path, "has changed while it was copied");
	return 0;
}

/* From the disk, as far as the system lets us: what was written is forgotten first. */
static int verify(struct copy *c)
{
	const struct mn_file_reader_options options = { .chunk = c->chunk, .depth = c->depth };
	uint64_t want = xxh64_digest(&c->sum);
	struct mn_file_reader *r;
	struct mn_span span;
	int64_t n;
	int err = mn_file_advise(&c->part, 0, 0, POSIX_FADV_DONTNEED);

	if (!err)
		err = mn_file_reader_open(&r, &c->part, &options);
	if (err)
		return copy_failed("cannot read the copy", c->target_path, err);
	c->doing = "verifying";
	xxh64_init(&c->sum);
	c->pos = c->from = 0;
	while ((n = mn_file_reader_take(r, &span)) > 0) {
		xxh64_update(&c->sum, span.data, span.len);
		mn_span_give(&span);
		c->pos += n;
		if (mn_need_preempt())
			mn_yield();
	}
	mn_file_reader_close(r);
	if (n < 0)
		return copy_failed("cannot read the copy", c->target_path, (int)n);
	if ((uint64_t)c->pos != c->stat.size || xxh64_digest(&c->sum) != want)
		return refused(c->target_path, "the copy is not what was written");
	return 0;
}

/* ---- the end ---- */

static int dir_sync(const struct copy *c)
{
	struct mn_file dir;
	int err = mn_file_open(&dir, c->dir_path, O_RDONLY | O_DIRECTORY, 0);

	if (!err)
		err = mn_file_sync(&dir);
	if (err == -EINVAL)	/* some file systems have no such thing */
		err = 0;
	mn_file_close(&dir);
	return err;
}

static int name(struct copy *c)
{
	int err = mn_rename(c->part_path, c->target_path);

	if (!err)
		mn_unlink(c->sums_path);
	if (!err && c->sync)
		err = dir_sync(c);
	return err ? copy_failed("cannot create it", c->target_path, err) : 0;
}

static int clean(struct copy *c)
{
	mn_unlink(c->part_path);
	mn_unlink(c->sums_path);
	return 0;
}

/* What is not to be interrupted in the middle. */
static int shielded(struct copy *c, int (*fn)(struct copy *c))
{
	struct mn_scope scope;
	int err;

	mn_scope_open(&scope, &(struct mn_scope_options){ .shield = true });
	err = fn(c);
	mn_scope_join(&scope);
	return err;
}

static int publish(struct copy *c)
{
	int err = fchmod(c->part.fd, c->stat.mode & 07777) ? -errno : 0;

	if (!err && c->sync)
		err = mn_file_sync(&c->part);
	if (err)
		return copy_failed("cannot write the copy", c->target_path, err);
	if (c->verify) {
		err = verify(c);
		if (err)
			return err;
	}
	return shielded(c, name);
}

static int copy(struct copy *c)
{
	int err = sums_check(c);

	if (!err)
		err = sums_begin(c);
	if (err)
		return copy_failed("cannot use it", c->sums_path, err);
	if (c->pos)
		mn_info("%s: going on after %lld bytes", c->target_path, (long long)c->pos);
	c->from = c->pos;
	err = space(c);
	if (!err)
		err = transfer(c);
	if (!err || err == -ESTALE)
		err = source_check(c);
	return err ? err : publish(c);
}

int copy_run(struct copy *c)
{
	int err = names(c);

	c->source = c->part = c->sums = MN_FILE_CLOSED;
	if (!err)
		err = source_open(c);
	if (!err)
		err = target_check(c);
	if (!err)
		err = part_open(c);
	if (!err) {
		err = copy(c);
		sums_end(c);
	}
	if (err && err != -ECANCELED && c->part.fd >= 0)
		shielded(c, clean);
	mn_file_close(&c->source);
	mn_file_close(&c->part);
	mn_file_close(&c->sums);
	return err;
}
