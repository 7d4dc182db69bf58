// SPDX-License-Identifier: MIT
/*
 * Writes behind. What is written is copied into a slot, and that is handed to
 * the system when it is full; who writes waits when all slots are under way. A
 * span of a reader is a slot without a copy.
 */
#include <string.h>

#include "core/op.h"
#include "lib/file/stream.h"
#include "lib/mem/mem.h"
#include "lib/sync/wait.h"

#ifndef SYNC_FILE_RANGE_WRITE
#define SYNC_FILE_RANGE_WRITE 2	/* where there is no such call, this is not looked at */
#endif

struct write_slot {
	struct mn_op op;
	struct mn_task done;
	struct list entry;		/* when free */
	struct mn_file_writer *writer;
	uint8_t *base;			/* its memory */
	struct mn_span span;		/* or else that of a reader */
	int64_t off;			/* of the first byte in it */
	size_t len;			/* in it */
	size_t written;			/* of that; of the current one by flushes */
	const uint8_t *from;		/* under way: what is left, and where it goes */
	size_t left;
	int64_t at;
	bool busy;
};

struct mn_file_writer {
	struct mn_file *file;
	int64_t pos;
	size_t chunk_size;
	int err;			/* final */
	struct write_slot *current;	/* that is being filled, or NULL */
	unsigned int nr_busy, nr_slots;
	bool padded;			/* beyond the end there are zeros */
	struct list free;
	struct mn_waitq waiting;

	int64_t sync_bytes, synced;	/* all before that is on its way to the disk */
	bool syncing;
	struct mn_op sync;
	struct mn_task sync_done;

	uint8_t *memory;
	size_t memory_size;
	struct write_slot slot[];
};

static void failed(struct mn_file_writer *w, int err)
{
	if (!w->err)
		w->err = err;
}

static bool is_aligned(const struct mn_file_writer *w, uint64_t n)
{
	return !(n & (w->file->offset_align - 1));
}

static size_t up(const struct mn_file_writer *w, size_t n)
{
	return (n + w->file->offset_align - 1) & ~(size_t)(w->file->offset_align - 1);
}

/* ---- to the disk, early ---- */

/* Everything before that was written. */
static int64_t watermark(const struct mn_file_writer *w)
{
	int64_t off = w->current ? w->current->off : w->pos;

	for (unsigned int i = 0; i < w->nr_slots; i++)
		if (w->slot[i].busy)
			off = min(off, w->slot[i].off);
	return off;
}

static void sync_begin(struct mn_file_writer *w)
{
	int64_t until;

	if (!w->sync_bytes || w->syncing || w->err)
		return;
	until = watermark(w);
	if (until - w->synced < w->sync_bytes)
		return;
	w->syncing = true;
	mn_file_sync_range_start(&w->sync, w->file, w->synced, until - w->synced,
				 SYNC_FILE_RANGE_WRITE);
	mn_future_then(&w->sync.done, &w->sync_done, w->sync_done.fn);
	w->synced = until;
}

static void sync_done(struct mn_task *task)
{
	struct mn_file_writer *w = container_of(task, struct mn_file_writer, sync_done);

	w->syncing = false;
	if (mn_future_take(&w->sync.done) < 0)
		w->sync_bytes = 0;	/* not here, then */
	if (w->file->failed)
		failed(w, w->file->failed);
	sync_begin(w);
	wait_grant_all(&w->waiting, 0);
}

/* ---- slots ---- */

static void slot_free(struct mn_file_writer *w, struct write_slot *slot)
{
	mn_span_give(&slot->span);
	list_add_tail(&w->free, &slot->entry);
}

static void slot_start(struct write_slot *slot)
{
	mn_write_start(&slot->op, slot->writer->file, slot->from, slot->left, slot->at);
	mn_future_then(&slot->op.done, &slot->done, slot->done.fn);
}

static void slot_submit(struct mn_file_writer *w, struct write_slot *slot, const uint8_t *from,
			size_t len, int64_t at)
{
	slot->from = from;
	slot->left = len;
	slot->at = at;
	slot->busy = true;
	w->nr_busy++;
	slot_start(slot);
}

/* Of a write that ends early, going on tells why. */
static void write_done(struct mn_task *task)
{
	struct write_slot *slot = container_of(task, struct write_slot, done);
	struct mn_file_writer *w = slot->writer;
	int64_t res = mn_future_take(&slot->op.done);

	if (res > 0 && (size_t)res < slot->left) {
		slot->from += res;
		slot->left -= (size_t)res;
		slot->at += res;
		slot_start(slot);
		return;
	}
	if (res <= 0)
		failed(w, res ? (int)res : -EIO);
	slot->busy = false;
	w->nr_busy--;
	if (slot != w->current)
		slot_free(w, slot);
	sync_begin(w);
	wait_grant_all(&w->waiting, 0);
}

static int wait_for(struct mn_file_writer *w)
{
	struct mn_waiter entry = { .queue = &w->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	return (int)wait_run(&wait, MN_NEVER);
}

static int slot_get(struct mn_file_writer *w, struct write_slot **slot)
{
	int err = 0;

	while (!err && !w->err && list_empty(&w->free))
		err = wait_for(w);
	if (err || w->err)
		return w->err ? w->err : err;
	*slot = list_first(&w->free, struct write_slot, entry);
	list_del(&(*slot)->entry);
	(*slot)->off = w->pos;
	(*slot)->len = (*slot)->written = 0;
	return 0;
}

/* The current one, not under way; perhaps a new one. */
static int current_get(struct mn_file_writer *w)
{
	int err = 0;

	while (!err && !w->err && w->current && w->current->busy)
		err = wait_for(w);
	if (err || w->err)
		return w->err ? w->err : err;
	return w->current ? 0 : slot_get(w, &w->current);
}

/* What is in the current slot and was not written; past the page cache in whole blocks. */
static void current_submit(struct mn_file_writer *w, bool full)
{
	struct write_slot *slot = w->current;
	size_t from = slot->written & ~(size_t)(w->file->offset_align - 1), to = up(w, slot->len);

	if (full)
		w->current = NULL;
	if (to > slot->len) {
		memset(slot->base + slot->len, 0, to - slot->len);
		w->padded = true;
	}
	slot->written = slot->len;
	slot_submit(w, slot, slot->base + from, to - from, slot->off + (int64_t)from);
}

/* ---- writing ---- */

int mn_file_writer_write(struct mn_file_writer *w, const void *data, size_t len)
{
	const uint8_t *from = data;

	mn__waitq_check(&w->waiting);
	while (len) {
		struct write_slot *slot;
		int err = current_get(w);
		size_t n;

		if (err) {
			if (from != data)
				failed(w, err);
			return err;
		}
		slot = w->current;
		n = min(len, w->chunk_size - slot->len);
		memcpy(slot->base + slot->len, from, n);
		slot->len += n;
		w->pos += (int64_t)n;
		from += n;
		len -= n;
		if (slot->len == w->chunk_size)
			current_submit(w, true);
	}
	return w->err;
}

static bool must_copy(const struct mn_file_writer *w, const struct mn_span *span)
{
	return !is_aligned(w, (uint64_t)w->pos | span->len) ||
	       ((uintptr_t)span->data & (w->file->mem_align - 1));
}

/* What was written before it goes first, whatever there is of it. */
static int span_write(struct mn_file_writer *w, struct mn_span *span)
{
	struct write_slot *slot;
	int err = w->current ? current_get(w) : 0;

	if (!err && w->current && w->current->len > w->current->written) {
		current_submit(w, true);
	} else if (!err && w->current) {
		slot_free(w, w->current);
		w->current = NULL;
	}
	if (!err)
		err = slot_get(w, &slot);
	if (err)
		return err;
	slot->span = *span;
	slot->len = slot->written = span->len;
	w->pos += (int64_t)span->len;
	slot_submit(w, slot, span->data, span->len, slot->off);
	*span = (struct mn_span){ .data = NULL };
	return 0;
}

int mn_file_writer_splice(struct mn_file_writer *w, struct mn_span *span)
{
	int err;

	mn__waitq_check(&w->waiting);
	if (!span->len || must_copy(w, span))
		err = mn_file_writer_write(w, span->data, span->len);
	else
		err = span_write(w, span);
	mn_span_give(span);
	return err;
}

int mn_file_writer_flush(struct mn_file_writer *w)
{
	struct write_slot *slot = w->current;
	int err = 0;

	mn__waitq_check(&w->waiting);
	if (slot && slot->len > slot->written) {
		err = current_get(w);
		if (!err)
			err = mn_self->fiber->stop;
		if (!err)
			current_submit(w, false);
	}
	while (!err && w->nr_busy)
		err = wait_for(w);
	if (!err && !w->err && w->padded) {
		err = mn_file_truncate(w->file, w->pos);
		w->padded = err != 0;
	}
	return w->err ? w->err : err;
}

int64_t mn_file_writer_pos(const struct mn_file_writer *w)
{
	return w->pos;
}

/* ---- open, close ---- */

static int writer_memory(struct mn_file_writer *w)
{
	w->memory_size = w->nr_slots * w->chunk_size;
	w->memory = mem_map(w->memory_size);
	return w->memory ? 0 : -ENOMEM;
}

int mn_file_writer_open(struct mn_file_writer **writer, struct mn_file *file,
			const struct mn_file_writer_options *options)
{
	struct mn_file_writer_options o = options ? *options :
						    (struct mn_file_writer_options){ .off = 0 };
	struct mn_file_writer *w;

	if (o.off < 0 || o.sync_bytes < 0 || stream_options(file, &o.chunk, &o.depth) ||
	    o.off & (int64_t)(file->offset_align - 1))
		return -EINVAL;
	w = mem_alloc(sizeof(*w) + o.depth * sizeof(w->slot[0]));
	if (!w)
		return -ENOMEM;
	w->file = file;
	w->pos = w->synced = o.off;
	w->chunk_size = o.chunk;
	w->nr_slots = o.depth;
	w->sync_bytes = o.sync_bytes;
	if (writer_memory(w)) {
		mem_free(w);
		return -ENOMEM;
	}
	mn_task_init(&w->sync_done, sync_done);
	list_init(&w->free);
	mn__waitq_init(&w->waiting, HERE);
	for (unsigned int i = 0; i < o.depth; i++) {
		w->slot[i].writer = w;
		w->slot[i].base = w->memory + i * o.chunk;
		mn_task_init(&w->slot[i].done, write_done);
		slot_free(w, &w->slot[i]);
	}
	*writer = w;
	return 0;
}

int mn_file_writer_close(struct mn_file_writer *w)
{
	struct mn_waiter entry = { .queue = &w->waiting };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int err = mn_file_writer_flush(w);

	while (w->nr_busy || w->syncing)
		wait_surely(&wait);
	if (w->err)
		err = w->err;
	mn__waitq_destroy(&w->waiting);
	mem_unmap(w->memory, w->memory_size);
	mem_free(w);
	return err;
}
