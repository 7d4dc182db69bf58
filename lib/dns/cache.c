// SPDX-License-Identifier: MIT
/*
 * Answers that are remembered: a table of sets of four. A name belongs to one
 * set; there it takes the place that is free or over, or else of the one that
 * was not asked for the longest.
 */
#include <string.h>

#include "lib/dns/dns.h"
#include "lib/mem/mem.h"

#define WAYS	4

struct dns_entry {
	int64_t until_ns;	/* 0: free */
	int64_t used_ns;
	struct dns_answer answer;
	char name[DNS_NAME_MAX + 1];
};

static struct dns_entry *set_of(const struct dns_cache *cache, const char *name)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &cache->entry[(size_t)(hash % cache->nr_sets) * WAYS];
}

int dns_cache_open(struct dns_cache *cache, uint32_t nr)
{
	cache->nr_sets = (nr + WAYS - 1) / WAYS;
	cache->entry = NULL;
	if (nr)
		cache->entry = mem_map(cache->nr_sets * WAYS * sizeof(struct dns_entry));
	return nr && !cache->entry ? -ENOMEM : 0;
}

void dns_cache_close(struct dns_cache *cache)
{
	if (cache->entry)
		mem_unmap(cache->entry, cache->nr_sets * WAYS * sizeof(struct dns_entry));
}

const struct dns_answer *dns_cache_find(struct dns_cache *cache, const char *name, int64_t now_ns)
{
	struct dns_entry *entry = cache->entry ? set_of(cache, name) : NULL;

	for (int i = 0; entry && i < WAYS; i++, entry++) {
		if (entry->until_ns <= now_ns || strcmp(entry->name, name))
			continue;
		entry->used_ns = now_ns;
		return &entry->answer;
	}
	return NULL;
}

/* Its own place, or else a free one, or else the one to go. */
static struct dns_entry *place_for(struct dns_entry *set, const char *name, int64_t now_ns)
{
	struct dns_entry *oldest = set;

	for (int i = 0; i < WAYS; i++)
		if (set[i].until_ns && !strcmp(set[i].name, name))
			return &set[i];
	for (int i = 0; i < WAYS; i++) {
		if (set[i].until_ns <= now_ns)
			return &set[i];
		if (set[i].used_ns < oldest->used_ns)
			oldest = &set[i];
	}
	return oldest;
}

void dns_cache_put(struct dns_cache *cache, const char *name, const struct dns_answer *answer,
		   int64_t now_ns, int64_t until_ns)
{
	struct dns_entry *entry;

	if (!cache->entry || until_ns <= now_ns)
		return;
	entry = place_for(set_of(cache, name), name, now_ns);
	entry->until_ns = until_ns;
	entry->used_ns = now_ns;
	entry->answer = *answer;
	memcpy(entry->name, name, strlen(name) + 1);
}
