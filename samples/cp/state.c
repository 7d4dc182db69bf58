// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "cp.h"

/* At the start of the sums: what they are of. Another version of the source is another file. */
struct header {
	char magic[8];
	uint64_t size, ino, dev;
	int64_t mtime_ns, block;
};

static struct header header_of(const struct copy *c)
{
	struct header h = {
		.size = c->stat.size,
		.ino = c->stat.ino,
		.dev = c->stat.dev,
		.mtime_ns = c->stat.mtime_ns,
		.block = BLOCK,
	};

	memcpy(h.magic, "mn-cp 1\n", sizeof(h.magic));
	return h;
}

static int64_t digest_off(size_t n)
{
	return (int64_t)(sizeof(struct header) + n * sizeof(uint64_t));
}

/* How many sums there are, of this source. */
static int64_t sums_read(struct copy *c, size_t max)
{
	struct header want = header_of(c), h;
	int64_t n = mn_read(&c->sums, &h, sizeof(h), 0);

	if (n < 0)
		return n;
	if (n < (int64_t)sizeof(h) || memcmp(&h, &want, sizeof(h)))
		return 0;
	n = mn_read(&c->sums, c->digest, max * sizeof(uint64_t), digest_off(0));
	return n < 0 ? n : n / (int64_t)sizeof(uint64_t);
}

/* Up to the end of a block that is right. */
static int blocks_check(struct copy *c, size_t nr)
{
	const struct mn_file_reader_options options = { .len = (int64_t)nr * BLOCK,
							.chunk = c->chunk,
							.depth = c->depth };
	struct xxh64 sum = c->sum;
	struct mn_file_reader *r;
	struct mn_span span;
	int64_t n, pos = 0;
	int err = mn_file_reader_open(&r, &c->part, &options);

	if (err)
		return err;
	while ((n = mn_file_reader_take(r, &span)) > 0) {
		xxh64_update(&sum, span.data, span.len);
		mn_span_give(&span);
		pos += n;
		if (pos % BLOCK)
			continue;
		if (xxh64_digest(&sum) != c->digest[pos / BLOCK - 1])
			break;
		c->sum = sum;
		c->pos = pos;
		if (mn_need_preempt())
			mn_yield();
	}
	mn_file_reader_close(r);
	return n < 0 ? (int)n : 0;
}

int sums_check(struct copy *c)
{
	size_t max = c->stat.size / BLOCK;
	int64_t nr;
	int err;

	xxh64_init(&c->sum);
	c->pos = 0;
	c->digest = calloc(max + 1, sizeof(uint64_t));
	if (!c->digest)
		return -ENOMEM;
	if (!c->resume || !max)
		return 0;
	nr = sums_read(c, max);
	err = nr > 0 ? blocks_check(c, (size_t)nr) : (int)nr;
	c->nr_digests = c->nr_written = (size_t)(c->pos / BLOCK);
	return err;
}

int sums_begin(struct copy *c)
{
	struct header h = header_of(c);
	int64_t n = mn_write(&c->sums, &h, sizeof(h), 0);

	if (n != (int64_t)sizeof(h))
		return n < 0 ? (int)n : -ENOSPC;
	return mn_file_truncate(&c->sums, digest_off(c->nr_digests));
}

/* Those that could not be written are missed when somebody resumes, and not before. */
static void sums_write(struct copy *c)
{
	if (c->writing && mn_future_ready(&c->write.done)) {
		mn_future_take(&c->write.done);
		c->writing = false;
	}
	if (c->writing || c->nr_written == c->nr_digests)
		return;
	mn_write_start(&c->write, &c->sums, c->digest + c->nr_written,
		       (c->nr_digests - c->nr_written) * sizeof(uint64_t),
		       digest_off(c->nr_written));
	c->nr_written = c->nr_digests;
	c->writing = true;
}

void sums_add(struct copy *c)
{
	c->digest[c->nr_digests++] = xxh64_digest(&c->sum);
	sums_write(c);
}

void sums_end(struct copy *c)
{
	if (c->writing)
		mn_op_await(&c->write, MN_NEVER);
	c->writing = false;
	free(c->digest);
	c->digest = NULL;
}
