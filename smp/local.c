// SPDX-License-Identifier: MIT
#include <errno.h>

#include "core/shard.h"
#include "lib/mem/mem.h"

#define LOCALS_MIN	16

/* Addresses differ in the middle bits most: mix them, and take the top. */
static uint32_t slot_of(const struct locals *locals, const void *key)
{
	return (uint32_t)((uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15) >> 40) & locals->mask;
}

/* Where the key is, or the free entry that ends the search for it. */
static uint32_t locals_find(const struct locals *locals, const void *key)
{
	uint32_t i = slot_of(locals, key);

	while (locals->entry[i].key && locals->entry[i].key != key)
		i = (i + 1) & locals->mask;
	return i;
}

void *local_find(struct shard *self, const void *key)
{
	const struct locals *locals = &self->locals;

	return locals->entry ? locals->entry[locals_find(locals, key)].value : NULL;
}

static int locals_grow(struct locals *locals)
{
	uint32_t size = locals->entry ? 2 * (locals->mask + 1) : LOCALS_MIN;
	struct locals grown = { .mask = size - 1, .n = locals->n };

	grown.entry = mem_alloc(size * sizeof(*grown.entry));
	if (!grown.entry)
		return -ENOMEM;
	for (uint32_t i = 0; locals->entry && i <= locals->mask; i++) {
		const struct local_entry *entry = &locals->entry[i];

		if (entry->key)
			grown.entry[locals_find(&grown, entry->key)] = *entry;
	}
	mem_free(locals->entry);
	*locals = grown;
	return 0;
}

int local_add(struct shard *self, const void *key, void *value)
{
	struct locals *locals = &self->locals;

	if (2 * locals->n >= locals->mask && locals_grow(locals))
		return -ENOMEM;
	locals->entry[locals_find(locals, key)] =
		(struct local_entry){ .key = key, .value = value };
	locals->n++;
	return 0;
}

/* What follows moves up to where a search for it would have stopped. */
void local_remove(struct shard *self, const void *key)
{
	struct locals *locals = &self->locals;
	uint32_t hole = locals_find(locals, key), i = hole;

	BUG_ON(!locals->entry[hole].key);
	for (;;) {
		i = (i + 1) & locals->mask;
		if (!locals->entry[i].key)
			break;
		/* Not if its search begins behind the hole. */
		if (((i - slot_of(locals, locals->entry[i].key)) & locals->mask) <
		    ((i - hole) & locals->mask))
			continue;
		locals->entry[hole] = locals->entry[i];
		hole = i;
	}
	locals->entry[hole] = (struct local_entry){ .key = NULL };
	locals->n--;
}

void local_close(struct locals *locals)
{
	for (uint32_t i = 0; locals->entry && i <= locals->mask; i++)
		mem_free(locals->entry[i].value);
	mem_free(locals->entry);
	locals->entry = NULL;
}

static __cold void *local_make(const struct mn_local_slot *slot)
{
	void *value = mem_alloc(slot->size);

	if (!value || local_add(mn_self, slot, value))
		bug("out of memory for what a shard has one of", slot->name);
	return value;
}

void *mn_local_get(const struct mn_local_slot *slot)
{
	void *value = local_find(mn_self, slot);

	return value ? value : local_make(slot);
}
