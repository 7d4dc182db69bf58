/* SPDX-License-Identifier: MIT */
/*
 * Names inside.
 *
 *	resolve.c	mn_resolve(), NAME:PORT for mn_connect()
 *	literal.c	what is an address already
 *	resolver.c	queries under way on a shard, and who waits for them
 *	cache.c		answers that are remembered
 *	cares.c		c-ares on watches and a timer: it alone calls that library
 */
#ifndef LIB_DNS_DNS_H
#define LIB_DNS_DNS_H

#include <miniss/resolve.h>
#include <miniss/task.h>

#include "core/compiler.h"
#include "lib/list.h"

#define DNS_NAME_MAX	254	/* with a dot at its end */
#define DNS_ADDRS_MAX	16

struct dns_channel;

struct dns_conf {
	const char *servers;	/* NULL: the system's */
	uint32_t timeout_ms, tries;
	uint32_t cache_max;	/* 0: none */
	uint32_t ttl_max_s, negative_ttl_s;
	uint32_t queries_max;
};

struct dns_ip {
	bool v6;
	union {
		struct in_addr in4;
		struct in6_addr in6;
	};
};

struct dns_answer {
	int err;		/* 0, or why there are no addresses */
	uint32_t nr;
	uint32_t ttl_s;		/* of the shortest-lived part */
	struct dns_ip ip[DNS_ADDRS_MAX];
};

struct dns_query {
	struct mn_task task;	/* begins it */
	struct list entry;	/* of the resolver's */
	struct list waiters;
	struct resolver *resolver;
	char name[DNS_NAME_MAX + 1];
};

/* ---- literal.c ---- */

/* dns_literal - is it an address in numbers? */
bool dns_literal(const char *name, struct dns_ip *ip);

/* dns_name - the name in small letters: 0, or -EINVAL for what cannot be one */
int dns_name(const char *text, size_t len, char name[static DNS_NAME_MAX + 1]);

/* dns_give - the first addresses of an answer: how many, or its error */
int dns_give(const struct dns_answer *answer, uint16_t port, struct mn_addr *addrs, size_t n);

/* ---- resolve.c ---- */

/* dns_name_port - mn_resolve() of "NAME:PORT"; -EINVAL for what is not that */
int dns_name_port(const char *text, struct mn_addr *addrs, size_t n, int64_t timeout_ns);

/* ---- resolver.c ---- */

/* resolver_ask - as mn_resolve(), for a good name that is no address */
int resolver_ask(const char *name, uint16_t port, struct mn_addr *addrs, size_t n,
		 int64_t timeout_ns);

/* resolver_open - this shard's, with a configuration of its own: for tests. 0 or -errno */
int resolver_open(const struct dns_conf *conf);

/* resolver_end - end this shard's, if it has one; queries end with -ESHUTDOWN. A fiber's function */
int resolver_end(void *unused);

/* query_done - called once for each query, from a task; it is gone afterwards */
void query_done(struct dns_query *query, const struct dns_answer *answer);

/* ---- cache.c ---- */

struct dns_cache {
	struct dns_entry *entry;	/* NULL: nothing is remembered */
	uint32_t nr_sets;
};

int dns_cache_open(struct dns_cache *cache, uint32_t nr);
void dns_cache_close(struct dns_cache *cache);

/* dns_cache_find - a live answer, or NULL; until the next call */
const struct dns_answer *dns_cache_find(struct dns_cache *cache, const char *name, int64_t now_ns);

/* dns_cache_put - remember until @until_ns; the oldest that is in the way goes */
void dns_cache_put(struct dns_cache *cache, const char *name, const struct dns_answer *answer,
		   int64_t now_ns, int64_t until_ns);

/* ---- cares.c ---- */

int dns_channel_open(struct dns_channel **channel, const struct dns_conf *conf);

/* dns_channel_ask - begin a query; query_done() may be called before it returns. In a task */
void dns_channel_ask(struct dns_channel *channel, struct dns_query *query);

/* dns_channel_close - end all queries, wait until nothing of it is left. In a fiber */
void dns_channel_close(struct dns_channel *channel);

#endif
