/* SPDX-License-Identifier: MIT */
/*
 * What a shard has of things that every shard has one of, by the address of
 * the thing: it stands for a number that would have to be handed out. The
 * table is the shard's own, so that a look-up touches nothing of others.
 */
#ifndef SMP_LOCAL_H
#define SMP_LOCAL_H

#include <stdint.h>

#include <miniss/local.h>

struct shard;

struct local_entry {
	const void *key;	/* NULL: free */
	void *value;
};

struct locals {
	struct local_entry *entry;	/* open addressing, at most half full */
	uint32_t mask;
	uint32_t n;
};

/* local_find - the value of a key, or NULL */
void *local_find(struct shard *self, const void *key);

/* local_add - @key is new, @value from mem_alloc(); -ENOMEM */
int local_add(struct shard *self, const void *key, void *value);

/* local_remove - @key is there; its value is the caller's again */
void local_remove(struct shard *self, const void *key);

/* local_close - free all values; when nothing runs any more */
void local_close(struct locals *locals);

#endif
