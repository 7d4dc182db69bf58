// SPDX-License-Identifier: MIT
/*
 * Stacks for fibers. They are mapped a slab at a time and never unmapped
 * before the pool closes: a fiber that ended leaves its stack, warm, to the
 * next one. With guards in the page table a slab is one mapping; 100,000
 * stacks do not meet the limit on mappings.
 *
 * All guards of a slab are made before any of its stacks is touched. That
 * also keeps the kernel from backing a slab with huge pages, where a parked
 * fiber would take 2 MiB.
 */
#include <errno.h>
#include <string.h>

#include <miniss/param.h>

#include "core/shard.h"
#include "lib/mem/mem.h"

MN_PARAM(uint, fiber_stack_kib, CONFIG_FIBER_STACK_KIB, 16, 1024, "stack of a fiber, KiB");

#define PATTERN		0xa5
#define PATTERN_WORD	UINT64_C(0xa5a5a5a5a5a5a5a5)

static struct stack_slab *slab_open(struct fiber_pool *pool)
{
	size_t guard = guard_size();
	size_t size = ((size_t)param_fiber_stack_kib * 1024 + guard - 1) / guard * guard;
	struct stack_slab *slab = mem_alloc(sizeof(*slab));
	int err = 0;

	if (!slab)
		return NULL;
	if (pool->guard == GUARD_UNKNOWN)
		pool->guard = guard_probe();
	slab->stride = guard + size;
	slab->base = mem_map(slab->stride * STACKS_PER_SLAB);
	if (!slab->base)
		goto out_slab;
	for (size_t i = 0; i < STACKS_PER_SLAB && !err; i++)
		err = guard_install(pool->guard, slab->base + i * slab->stride);
	if (err)
		goto out_map;
	return slab;
out_map:
	mem_unmap(slab->base, slab->stride * STACKS_PER_SLAB);
out_slab:
	mem_free(slab);
	return NULL;
}

static int slab_add(struct fiber_pool *pool)
{
	struct stack_slab *slab = pool->reserved;

	if (slab)
		pool->reserved = slab->next;
	else if (!pool->fixed)
		slab = slab_open(pool);
	if (!slab)
		return -ENOMEM;
	slab->next = pool->slabs;
	pool->slabs = slab;
	return 0;
}

int stack_get(struct fiber_pool *pool, void **low, size_t *size)
{
	struct stack_slab *slab = pool->slabs;
	size_t guard = guard_size();

	if (!slab || slab->nr_cut == STACKS_PER_SLAB) {
		if (slab_add(pool))
			return -ENOMEM;
		slab = pool->slabs;
	}
	*low = slab->base + slab->nr_cut++ * slab->stride + guard;
	*size = slab->stride - guard;
	return 0;
}

int stack_reserve(struct fiber_pool *pool, unsigned int nr)
{
	for (unsigned int n = 0; n < nr; n += STACKS_PER_SLAB) {
		struct stack_slab *slab = slab_open(pool);

		if (!slab)
			return -ENOMEM;
		slab->next = pool->reserved;
		pool->reserved = slab;
	}
	pool->fixed = true;
	return 0;
}

static void slabs_close(struct stack_slab *slab)
{
	while (slab) {
		struct stack_slab *next = slab->next;

		mem_unmap(slab->base, slab->stride * STACKS_PER_SLAB);
		mem_free(slab);
		slab = next;
	}
}

void stack_close(struct fiber_pool *pool)
{
	slabs_close(pool->slabs);
	slabs_close(pool->reserved);
	pool->slabs = pool->reserved = NULL;
}

const char *stack_guard_kind(const struct fiber_pool *pool)
{
	switch (pool->guard) {
	case GUARD_MADVISE:
		return "madvise";
	case GUARD_MPROTECT:
		return "mprotect";
	case GUARD_UNKNOWN:
		break;
	}
	return "none yet";
}

void stack_fill(void *low, size_t size)
{
	memset(low, PATTERN, size);
}

/* Each fiber's, when it ends, all of it: a sanitizer need not look at each word. */
__no_sanitize size_t stack_used(const void *low, size_t size)
{
	const uint64_t *word = low;
	size_t untouched = 0;

	while (untouched < size / sizeof(*word) && word[untouched] == PATTERN_WORD)
		untouched++;
	return size - untouched * sizeof(*word);
}

/* In a signal handler printf() is not allowed. */
static size_t put(char *line, size_t size, size_t len, const char *text)
{
	while (*text && len < size)
		line[len++] = *text++;
	return len;
}

static size_t put_number(char *line, size_t size, size_t len, size_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return put(line, size, len, digits + at);
}

/*
 * Only the running fiber can overflow. What reaches another one's guard is a
 * stray pointer, and an ordinary fault.
 */
size_t guard_explain(const void *addr, char *line, size_t size)
{
	const struct mn_fiber *fiber = mn_self ? mn_self->fiber : NULL;
	uintptr_t below;
	size_t len;

	if (!fiber)
		return 0;
	below = (uintptr_t)fiber->stack_low - (uintptr_t)addr;
	if (below == 0 || below > guard_size())
		return 0;
	len = put(line, size, 0, "fiber ");
	len = put(line, size - 40, len, fiber->name ? fiber->name : "(unnamed)");
	len = put(line, size, len, ": stack overflow (");
	len = put_number(line, size, len, fiber->stack_size / 1024);
	return put(line, size, len, " KiB)\n");
}
