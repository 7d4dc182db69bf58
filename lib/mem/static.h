/* SPDX-License-Identifier: MIT */
/* CONFIG_STATIC_POOLS: what a shard will ever use is mapped before it starts. */
#ifndef LIB_MEM_STATIC_H
#define LIB_MEM_STATIC_H

struct shard;

#ifdef CONFIG_STATIC_POOLS
/* static_reserve - size everything; 0 or -ENOMEM */
int static_reserve(struct shard *shard);

/* static_seal - it has started: to map anything more is a bug */
void static_seal(struct shard *shard);
#else
static inline int static_reserve(struct shard *shard)
{
	return 0;
}

static inline void static_seal(struct shard *shard)
{
}
#endif

/* conns_reserve - of servers; lib/net/serve.c */
int conns_reserve(struct shard *shard);

#endif
