// SPDX-License-Identifier: MIT
/*
 * Pipes. As with channels: there are bytes, or readers wait, never both; and
 * writers wait only while the ring is full. What a reader takes makes room for
 * what the first writer has left.
 */
#include <string.h>

#include "lib/sync/wait.h"
#include <miniss/channel.h>

void mn__pipe_init(struct mn_pipe *pipe, void *ring, size_t capacity, const char *origin)
{
	BUG_ON(!capacity);
	*pipe = (struct mn_pipe){ .ring = ring, .capacity = capacity };
	mn__waitq_init(&pipe->writers, origin);
	mn__waitq_init(&pipe->readers, origin);
}

void mn_pipe_destroy(struct mn_pipe *pipe)
{
	mn__waitq_destroy(&pipe->writers);
	mn__waitq_destroy(&pipe->readers);
}

/* Bytes still to be written, or room still to be filled: the entry's own. */
static void entry_skip(struct mn_waiter *entry, size_t n)
{
	entry->item = (char *)entry->item + n;
	entry->size -= n;
}

/* Around the end of the ring: two copies. */
static void ring_put(struct mn_pipe *pipe, struct mn_waiter *from)
{
	size_t n = min(from->size, pipe->capacity - pipe->n);

	for (size_t part; n; n -= part) {
		size_t at = pipe->head + pipe->n;

		if (at >= pipe->capacity)
			at -= pipe->capacity;
		part = min(n, pipe->capacity - at);
		memcpy(pipe->ring + at, from->item, part);
		pipe->n += part;
		entry_skip(from, part);
	}
}

static void ring_get(struct mn_pipe *pipe, struct mn_waiter *to)
{
	size_t n = min(to->size, pipe->n);

	for (size_t part; n; n -= part) {
		part = min(n, pipe->capacity - pipe->head);
		memcpy(to->item, pipe->ring + pipe->head, part);
		pipe->n -= part;
		pipe->head += part;
		if (pipe->head == pipe->capacity)
			pipe->head = 0;
		entry_skip(to, part);
	}
}

static void writers_go_on(struct mn_pipe *pipe)
{
	struct mn_waiter *first;

	while ((first = pipe->writers.first) && pipe->n < pipe->capacity) {
		ring_put(pipe, first);
		if (!first->size)
			wait_grant(first, 0);
	}
}

/* Those that wait first: from hand to hand. */
static void write_now(struct mn_pipe *pipe, struct mn_waiter *from)
{
	struct mn_waiter *reader;

	while (from->size && (reader = pipe->readers.first)) {
		size_t n = min(from->size, reader->size);

		memcpy(reader->item, from->item, n);
		entry_skip(from, n);
		wait_grant(reader, (int64_t)n);
	}
	ring_put(pipe, from);
}

int64_t mn_pipe_write_timeout(struct mn_pipe *pipe, const void *base, size_t len,
			      int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &pipe->writers,
				   .item = (void *)(uintptr_t)base,
				   .size = len };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int64_t err;

	mn__waitq_check(&pipe->writers);
	if (pipe->closed)
		return -EPIPE;
	if (!pipe->writers.first)
		write_now(pipe, &entry);
	if (!entry.size)
		return (int64_t)len;
	err = wait_run(&wait, timeout_ns);
	return entry.size < len ? (int64_t)(len - entry.size) : err;
}

int64_t mn_pipe_read_timeout(struct mn_pipe *pipe, void *base, size_t len, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &pipe->readers, .item = base, .size = len };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	mn__waitq_check(&pipe->readers);
	if (!len)
		return 0;
	if (!pipe->n)
		return pipe->closed ? 0 : wait_run(&wait, timeout_ns);
	while (entry.size && pipe->n) {
		ring_get(pipe, &entry);
		writers_go_on(pipe);
	}
	return (int64_t)(len - entry.size);
}

void mn_pipe_close(struct mn_pipe *pipe)
{
	mn__waitq_check(&pipe->writers);
	pipe->closed = true;
	wait_grant_all(&pipe->readers, 0);
	wait_grant_all(&pipe->writers, -EPIPE);
}
