/* SPDX-License-Identifier: MIT */
/* The bytes of core/log.c: whole lines, oldest first; and who wrote how many. */
#ifndef CORE_LOG_RING_H
#define CORE_LOG_RING_H

#include <stdio.h>
#include <string.h>

#include "core/log.h"

#define LOG_RING_BYTES 16384 /* a power of two: indices run free */
#define LOG_LINE_MAX 512 /* with its newline; well below PIPE_BUF */
#define LOG_PLACES 16

struct log_ring {
	uint32_t head, tail; /* taken, put */
	uint32_t dropped; /* lines that did not fit since the last notice */
	struct {
		const char *format;
		struct log_limit limit;
	} place[LOG_PLACES];
	char data[LOG_RING_BYTES];
};

static inline uint32_t ring_used(const struct log_ring *ring)
{
	return ring->tail - ring->head;
}

static inline bool ring_put(struct log_ring *ring, const char *line, size_t len)
{
	uint32_t at = ring->tail % LOG_RING_BYTES;
	size_t first = min(len, (size_t)(LOG_RING_BYTES - at));

	if (len > LOG_RING_BYTES - ring_used(ring))
		return false;
	memcpy(ring->data + at, line, first);
	memcpy(ring->data, line + first, len - first);
	ring->tail += (uint32_t)len;
	return true;
}

/* ring_peek - copy out as many whole lines as fit */
static inline size_t ring_peek(const struct log_ring *ring, char *data, size_t size)
{
	size_t len = min((size_t)ring_used(ring), size);
	uint32_t at = ring->head % LOG_RING_BYTES;
	size_t first = min(len, (size_t)(LOG_RING_BYTES - at));

	memcpy(data, ring->data + at, first);
	memcpy(data + first, ring->data, len - first);
	while (len && data[len - 1] != '\n')
		len--;
	return len;
}

static inline void ring_skip(struct log_ring *ring, size_t len)
{
	ring->head += (uint32_t)len;
}

/* ring_notice - if lines were dropped, say so, if there is room: true if a line was added */
static inline bool ring_notice(struct log_ring *ring, const char *program, uint32_t shard)
{
	char line[LOG_LINE_MAX];
	int len;

	if (!ring->dropped)
		return false;
	len = snprintf(line, sizeof(line), "%s[%u]: warning: %u log lines dropped\n", program,
		       shard, ring->dropped);
	if (!ring_put(ring, line, (size_t)len))
		return false;
	ring->dropped = 0;
	return true;
}

/*
 * ring_limit - the limit of a place, which its format string stands for
 * Two places that share an entry take it from each other: a little less is
 * limited then, and never the wrong one.
 */
static inline struct log_limit *ring_limit(struct log_ring *ring, const char *format)
{
	size_t i = ((uintptr_t)format * UINT64_C(0x9e3779b97f4a7c15)) >> 60;

	BUILD_BUG_ON(LOG_PLACES != 16);
	if (ring->place[i].format != format) {
		ring->place[i].format = format;
		ring->place[i].limit = (struct log_limit){ 0 };
	}
	return &ring->place[i].limit;
}

#endif
