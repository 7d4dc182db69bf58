// SPDX-License-Identifier: MIT
#include <string.h>

#include "core/ledger.h"
#include "lib/mem/check.h"
#include "lib/mem/mem.h"
#include "lib/mem/poison.h"

#define REDZONE_BYTE	0xfd

enum { TAKEN = 0x7a, FREED = 0xf7 };

/* The last of an object. The word holds the size, and whether it is in use. */
struct tail {
	uint64_t size, word;
};

static struct tail *tail_of(const void *ptr)
{
	return (struct tail *)((uintptr_t)ptr + heap_usable(ptr)) - 1;
}

static uint64_t tail_word(const void *ptr, uint64_t size, int state)
{
	return ((uintptr_t)ptr << 8 | (uint64_t)state) ^ size << 40 ^ size;
}

/* The first byte from there to @end that is another one, or NULL. */
static const uint8_t *other_than(int byte, const void *from, const void *end)
{
	const uint8_t *at = from;

	while (at < (const uint8_t *)end && *at == byte)
		at++;
	return at < (const uint8_t *)end ? at : NULL;
}

/* The first bytes of what is free are the heap's. */
static uint8_t *beyond_link(void *ptr)
{
	return (uint8_t *)ptr + sizeof(void *);
}

void check_taken(void *ptr, size_t size)
{
	struct tail *tail = tail_of(ptr);
	const uint8_t *wrong;

	if (tail->word == tail_word(ptr, tail->size, FREED)) {
		wrong = other_than(POISON_BYTE, beyond_link(ptr), tail);
		if (wrong)
			bugf(HERE,
			     "memory at %p, %llu bytes, was written to at %+ld after it was freed",
			     ptr, (unsigned long long)tail->size, (long)(wrong - (uint8_t *)ptr));
	}
	*tail = (struct tail){ .size = size, .word = tail_word(ptr, size, TAKEN) };
	memset((uint8_t *)ptr + size, REDZONE_BYTE,
	       (size_t)((uint8_t *)tail - (uint8_t *)ptr) - size);
}

/* Before anything is read from where a pointer leads. */
static bool is_object(const void *ptr)
{
	struct heap_segment *segment = heap_segment_of(ptr);
	struct heap_block *block = heap_block_of(segment, ptr);

	if (!mem_mapped(segment) || segment->magic != heap_magic(segment))
		return false;
	if (segment->large)
		return (char *)ptr == (char *)segment + HEAP_HEADER;
	return (char *)ptr >= heap_block_base(block) && block->size &&
	       (size_t)((char *)ptr - heap_block_base(block)) % block->size == 0;
}

void check_given(void *ptr)
{
	const uint8_t *wrong;
	struct tail *tail;
	size_t size;

	if (!is_object(ptr))
		bugf(HERE, "memory at %p was freed, and is not from here", ptr);
	tail = tail_of(ptr);
	size = tail->size;
	if (tail->word == tail_word(ptr, size, FREED))
		bugf(HERE, "memory at %p, %zu bytes, was freed twice", ptr, size);
	if (tail->word != tail_word(ptr, size, TAKEN))
		bugf(HERE,
		     "memory at %p was freed, and is not in use, or was written to far beyond its end",
		     ptr);
	wrong = other_than(REDZONE_BYTE, (uint8_t *)ptr + size, tail);
	if (wrong)
		bugf(HERE, "memory at %p, %zu bytes, was written to beyond its end, at %+ld", ptr,
		     size, (long)(wrong - (uint8_t *)ptr));
	ledger_freed(ptr, size);
	tail->word = tail_word(ptr, size, FREED);
	memset(beyond_link(ptr), POISON_BYTE, (size_t)((uint8_t *)tail - beyond_link(ptr)));
}

size_t check_size(const void *ptr)
{
	return tail_of(ptr)->size;
}
