/* SPDX-License-Identifier: MIT */
/*
 * Random numbers of a shard: fast, not secret. Each shard has its own row,
 * which follows from the seed of its world: the same seed, the same numbers.
 */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include "core/shard.h"

/* splitmix64: every seed is a good one, also one that differs in a bit. */
static inline uint64_t random_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline void random_seed(struct shard *shard, uint64_t seed)
{
	shard->random = random_mix(seed + shard->id * UINT64_C(0x9e3779b97f4a7c15));
}

/* shard_random - 64 bits */
static inline uint64_t shard_random(struct shard *shard)
{
	shard->random += UINT64_C(0x9e3779b97f4a7c15);
	return random_mix(shard->random);
}

/* random_below - 0 to @n - 1, all alike but for a part in 2^64 */
static inline uint64_t random_below(struct shard *shard, uint64_t n)
{
	return (uint64_t)((unsigned __int128)shard_random(shard) * n >> 64);
}

#endif
