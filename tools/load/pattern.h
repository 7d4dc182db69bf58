/* SPDX-License-Identifier: MIT */
/*
 * What requests consist of: words that tell connection, request and place
 * apart, so that bytes which were lost, repeated, reordered or given to
 * another connection do not match. The generator is often the bottleneck:
 * a request costs one mix, and each of its words an addition.
 */
#ifndef LOAD_PATTERN_H
#define LOAD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PATTERN_STEP	UINT64_C(0x9e3779b97f4a7c15)
#define PATTERN_MIX	UINT64_C(0xbf58476d1ce4e5b9)

/* A bijection, so that two requests of a connection never have the same seed. */
static inline uint64_t pattern_mix(uint64_t x)
{
	x = (x ^ x >> 32) * PATTERN_MIX;
	x = (x ^ x >> 29) * PATTERN_STEP;
	return x ^ x >> 32;
}

static inline uint64_t pattern_key(uint64_t conn)
{
	return pattern_mix(~conn);
}

static inline uint64_t pattern_seed(uint64_t key, uint64_t request)
{
	return pattern_mix(key + request);
}

static inline uint8_t pattern_byte(uint64_t seed, size_t offset)
{
	uint64_t word = seed + offset / 8 * PATTERN_STEP;
	uint8_t bytes[8];

	memcpy(bytes, &word, 8);
	return bytes[offset % 8];
}

/* How many of @len bytes at @offset come before the first whole word. */
static inline size_t pattern_head(size_t offset, size_t len)
{
	size_t head = -offset % 8;

	return head < len ? head : len;
}

/* pattern_fill - write bytes @offset to @offset + @len of a request */
static inline void pattern_fill(uint64_t seed, size_t offset, uint8_t *data, size_t len)
{
	size_t head = pattern_head(offset, len);
	uint64_t word = seed + (offset + 7) / 8 * PATTERN_STEP;

	for (size_t i = 0; i < head; i++)
		data[i] = pattern_byte(seed, offset + i);
	for (data += head, len -= head; len >= 8; data += 8, len -= 8) {
		memcpy(data, &word, 8);
		word += PATTERN_STEP;
	}
	memcpy(data, &word, len);
}

/* pattern_check - is that what pattern_fill() would have written? */
static inline bool pattern_check(uint64_t seed, size_t offset, const uint8_t *data, size_t len)
{
	size_t head = pattern_head(offset, len);
	uint64_t word = seed + (offset + 7) / 8 * PATTERN_STEP;
	uint64_t found, differ = 0;

	for (size_t i = 0; i < head; i++)
		differ |= data[i] ^ pattern_byte(seed, offset + i);
	/* No way out of the loop: what is wrong is rare, and long requests are vectorised. */
	for (data += head, len -= head; len >= 8; data += 8, len -= 8) {
		memcpy(&found, data, 8);
		differ |= found ^ word;
		word += PATTERN_STEP;
	}
	return !differ && !memcmp(data, &word, len);
}

#endif
