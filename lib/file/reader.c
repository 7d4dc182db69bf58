// SPDX-License-Identifier: MIT
/*
 * Reads ahead. Chunks are free, ahead (being read, or read), or lent. Those
 * that are ahead are in a list, in order; what is dropped while it is being
 * read becomes free when that has ended.
 *
 * How many are ahead: one, and twice as many each time that the next one was
 * not there yet. Who reads slowly never gets more than that, and who jumps
 * about begins anew.
 */
#include <string.h>

#include "lib/file/stream.h"
#include "lib/mem/mem.h"
#include "lib/sync/wait.h"

enum chunk_state { FREE, READING, READY, DROPPED, LENT };

struct read_chunk {
	struct mn_op op;
	struct mn_task done;
	struct list entry;		/* ahead, or free */
	struct mn_file_reader *reader;
	uint8_t *base;
	int64_t off;
	int64_t res;
	enum chunk_state state;
};

struct mn_file_reader {
	struct mn_file *file;
	int64_t pos;			/* of what is handed out next */
	int64_t next;			/* of the next read */
	int64_t end;
	size_t chunk_size;
	unsigned int depth, depth_max;
	unsigned int nr_ahead, nr_busy;	/* being read or lent */
	bool closing;
	struct list ahead, free;
	struct mn_waitq waiting;
	uint8_t *memory;
	size_t memory_size;
	struct mn_span partly;		/* what mn_file_reader_read() has not copied yet */
	struct read_chunk chunk[];
};

static void wake(struct mn_file_reader *r)
{
	wait_grant_all(&r->waiting, 0);
}

/* ---- reading ahead ---- */

static int64_t down(const struct mn_file_reader *r, int64_t off)
{
	return off & ~((int64_t)r->file->offset_align - 1);
}

/* Past the page cache whole blocks, also at the end. */
static size_t length_at(const struct mn_file_reader *r, int64_t off)
{
	int64_t end = -down(r, -r->end);	/* rounded up */

	return (size_t)min((int64_t)r->chunk_size, end - off);
}

static void chunk_free(struct mn_file_reader *r, struct read_chunk *chunk)
{
	chunk->state = FREE;
	list_add_tail(&r->free, &chunk->entry);
}

static void read_done(struct mn_task *task)
{
	struct read_chunk *chunk = container_of(task, struct read_chunk, done);
	struct mn_file_reader *r = chunk->reader;

	chunk->res = mn_future_take(&chunk->op.done);
	r->nr_busy--;
	if (chunk->state == DROPPED)
		chunk_free(r, chunk);
	else
		chunk->state = READY;
	wake(r);
}

static void read_more(struct mn_file_reader *r)
{
	while (r->nr_ahead < r->depth && r->next < r->end && !list_empty(&r->free)) {
		struct read_chunk *chunk = list_first(&r->free, struct read_chunk, entry);

		list_del(&chunk->entry);
		list_add_tail(&r->ahead, &chunk->entry);
		chunk->state = READING;
		chunk->off = r->next;
		r->next += (int64_t)length_at(r, chunk->off);
		r->nr_ahead++;
		r->nr_busy++;
		mn_read_start(&chunk->op, r->file, chunk->base, length_at(r, chunk->off),
			      chunk->off);
		mn_future_then(&chunk->op.done, &chunk->done, read_done);
	}
}

static void drop(struct mn_file_reader *r)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &r->ahead) {
		struct read_chunk *chunk = container_of(pos, struct read_chunk, entry);

		list_del(&chunk->entry);
		if (chunk->state == READY) {
			chunk_free(r, chunk);
		} else {
			chunk->state = DROPPED;
			mn_op_cancel(&chunk->op);
		}
	}
	r->nr_ahead = 0;
	r->next = down(r, r->pos);
}

/* ---- handing out ---- */

static int64_t wait_for(struct mn_file_reader *r)
{
	struct mn_waiter entry = { .queue = &r->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	return wait_run(&wait, MN_NEVER);
}

/* The next that is ahead, read; NULL: *why it is not. */
static struct read_chunk *chunk_next(struct mn_file_reader *r, int64_t *why)
{
	struct read_chunk *chunk;

	read_more(r);
	while (list_empty(&r->ahead)) {		/* all are lent, or were dropped lately */
		*why = wait_for(r);
		if (*why)
			return NULL;
		read_more(r);
	}
	chunk = list_first(&r->ahead, struct read_chunk, entry);
	if (chunk->state == READING) {
		r->depth = min(2 * r->depth, r->depth_max);
		read_more(r);
	}
	while (chunk->state == READING) {
		*why = wait_for(r);
		if (*why)
			return NULL;
	}
	return chunk;
}

/* A read that ended early: the end, or an error that only the next one tells of. */
static int64_t chunk_lend(struct mn_file_reader *r, struct read_chunk *chunk, struct mn_span *span)
{
	int64_t skip = r->pos - chunk->off;
	int64_t n = min(chunk->res, r->end - chunk->off) - skip;

	if (n <= 0) {
		int64_t res = min(chunk->res, 0);

		drop(r);
		return res;
	}
	list_del(&chunk->entry);
	r->nr_ahead--;
	r->nr_busy++;
	chunk->state = LENT;
	*span = (struct mn_span){ chunk->base + skip, (size_t)n, chunk };
	r->pos += n;
	if (chunk->res < (int64_t)length_at(r, chunk->off))
		drop(r);
	else
		read_more(r);
	return n;
}

int64_t mn_file_reader_take(struct mn_file_reader *r, struct mn_span *span)
{
	struct read_chunk *chunk;
	int64_t why = 0;

	mn__waitq_check(&r->waiting);
	*span = (struct mn_span){ .data = NULL };
	if (r->partly.len) {
		*span = r->partly;
		r->partly = (struct mn_span){ .data = NULL };
		return (int64_t)span->len;
	}
	if (r->pos >= r->end)
		return 0;
	chunk = chunk_next(r, &why);
	return chunk ? chunk_lend(r, chunk, span) : why;
}

void mn_span_give(struct mn_span *span)
{
	struct read_chunk *chunk = span->owner;
	struct mn_file_reader *r;

	if (!chunk)
		return;
	*span = (struct mn_span){ .data = NULL };
	r = chunk->reader;
	BUG_ON(chunk->state != LENT);
	r->nr_busy--;
	chunk_free(r, chunk);
	if (!r->closing)
		read_more(r);
	wake(r);
}

int64_t mn_file_reader_read(struct mn_file_reader *r, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct mn_span span;
		int64_t n = mn_file_reader_take(r, &span);
		size_t part;

		if (n <= 0)
			return done ? (int64_t)done : n;
		part = min(len - done, span.len);
		memcpy((uint8_t *)buf + done, span.data, part);
		done += part;
		span.data += part;
		span.len -= part;
		if (span.len)
			r->partly = span;
		else
			mn_span_give(&span);
	}
	return (int64_t)done;
}

int mn_file_reader_seek(struct mn_file_reader *r, int64_t off)
{
	if (off < 0)
		return -EINVAL;
	if (r->partly.len) {
		r->pos -= (int64_t)r->partly.len;
		mn_span_give(&r->partly);
		drop(r);
	}
	if (off == r->pos)
		return 0;
	r->pos = off;
	r->depth = 1;
	drop(r);
	return 0;
}

unsigned int mn_file_reader_ahead(const struct mn_file_reader *r)
{
	return r->depth;
}

/* ---- open, close ---- */

int stream_options(const struct mn_file *file, size_t *chunk, unsigned int *depth)
{
	if (!*chunk)
		*chunk = STREAM_CHUNK;
	if (!*depth)
		*depth = STREAM_DEPTH;
	if (*chunk < STREAM_PAGE || *chunk > STREAM_CHUNK_MAX || *chunk % STREAM_PAGE)
		return -EINVAL;
	return *chunk % file->offset_align || *depth > STREAM_DEPTH_MAX ? -EINVAL : 0;
}

int mn_file_reader_open(struct mn_file_reader **reader, struct mn_file *file,
			const struct mn_file_reader_options *options)
{
	struct mn_file_reader_options o = options ? *options :
						    (struct mn_file_reader_options){ .off = 0 };
	struct mn_file_reader *r;
	unsigned int n;

	if (o.off < 0 || o.len < 0 || stream_options(file, &o.chunk, &o.depth))
		return -EINVAL;
	n = o.depth + 1;	/* one is in somebody's hands */
	r = mem_alloc(sizeof(*r) + n * sizeof(r->chunk[0]));
	if (!r)
		return -ENOMEM;
	r->memory_size = n * o.chunk;
	r->memory = mem_map(r->memory_size);
	if (!r->memory) {
		mem_free(r);
		return -ENOMEM;
	}
	r->file = file;
	r->pos = o.off;
	r->end = o.len && o.len < INT64_MAX - o.off ? o.off + o.len : STREAM_END;
	r->chunk_size = o.chunk;
	r->depth = 1;
	r->depth_max = o.depth;
	list_init(&r->ahead);
	list_init(&r->free);
	mn__waitq_init(&r->waiting, HERE);
	for (unsigned int i = 0; i < n; i++) {
		r->chunk[i].reader = r;
		r->chunk[i].base = r->memory + i * o.chunk;
		chunk_free(r, &r->chunk[i]);
	}
	drop(r);
	read_more(r);
	*reader = r;
	return 0;
}

void mn_file_reader_close(struct mn_file_reader *r)
{
	struct mn_waiter entry = { .queue = &r->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	mn_span_give(&r->partly);
	r->closing = true;
	drop(r);
	while (r->nr_busy)
		wait_surely(&wait);
	mn__waitq_destroy(&r->waiting);
	mem_unmap(r->memory, r->memory_size);
	mem_free(r);
}
