// SPDX-License-Identifier: MIT
/*
 * Queries of a shard, and the fibers that wait for them. Whoever asks for what
 * is being asked for already waits with the others. A query begins in a task,
 * so that the library that makes it has the reactor's stack and not a fiber's.
 */
#include <string.h>

#include <miniss/param.h>

#include "core/alarm.h"
#include "core/shard.h"
#include "lib/dns/dns.h"
#include "lib/mem/mem.h"

MN_PARAM(str, servers, NULL, 1, 1024,
	 "name servers, ADDRESS[:PORT],...; otherwise the system's (resolv.conf)");
MN_PARAM(uint, timeout_ms, 2000, 1, 60000, "what a name server is given, at first, ms");
MN_PARAM(uint, tries, 3, 1, 16, "how often each is asked");
MN_PARAM(uint, cache_max, 256, 0, 65536, "answers that a shard remembers; 0: none");
MN_PARAM(uint, ttl_max_s, 3600, 1, 86400, "for how long at most, s");
MN_PARAM(uint, negative_ttl_s, 5, 0, 3600,
	 "how long it is remembered that a name does not exist, s");
MN_PARAM(uint, queries_max, 256, 1, 4096, "queries of a shard under way");

#define TTL_MIN_S	1	/* what comes from a file has none */

struct resolver {
	struct dns_conf conf;
	struct dns_channel *channel;
	struct dns_cache cache;
	struct list queries;
	uint32_t nr_queries;
	bool closing;
};

struct waiter {
	struct list entry;
	struct mn_fiber *fiber;
	uint16_t port;
	struct mn_addr *addrs;
	size_t n;
	int res;		/* once it was answered, not 0 */
};

/* ---- answers ---- */

static int64_t remember_s(const struct dns_conf *conf, const struct dns_answer *answer)
{
	if (!answer->err)
		return max(min(answer->ttl_s, conf->ttl_max_s), (uint32_t)TTL_MIN_S);
	return answer->err == -ENOENT ? conf->negative_ttl_s : 0;
}

void query_done(struct dns_query *query, const struct dns_answer *answer)
{
	struct resolver *resolver = query->resolver;
	int64_t now_ns = shard_now(mn_self);

	dns_cache_put(&resolver->cache, query->name, answer, now_ns,
		      now_ns + remember_s(&resolver->conf, answer) * MN_SEC);
	while (!list_empty(&query->waiters)) {
		struct waiter *waiter = list_first(&query->waiters, struct waiter, entry);

		list_del(&waiter->entry);
		list_init(&waiter->entry);
		waiter->res = dns_give(answer, waiter->port, waiter->addrs, waiter->n);
		task_schedule(mn_self, &waiter->fiber->task);
	}
	list_del(&query->entry);
	resolver->nr_queries--;
	mem_free(query);
}

/* ---- queries ---- */

static void query_begin(struct mn_task *task)
{
	struct dns_query *query = container_of(task, struct dns_query, task);

	if (query->resolver->closing)
		query_done(query, &(struct dns_answer){ .err = -ESHUTDOWN });
	else
		dns_channel_ask(query->resolver->channel, query);
}

static struct dns_query *query_find(struct resolver *resolver, const char *name)
{
	struct list *pos, *tmp;

	list_for_each_safe(pos, tmp, &resolver->queries) {
		struct dns_query *query = container_of(pos, struct dns_query, entry);

		if (!strcmp(query->name, name))
			return query;
	}
	return NULL;
}

/* One that is under way, or a new one. */
static int query_get(struct resolver *resolver, const char *name, struct dns_query **query)
{
	*query = query_find(resolver, name);
	if (*query)
		return 0;
	if (resolver->nr_queries >= resolver->conf.queries_max)
		return -EAGAIN;
	*query = mem_alloc(sizeof(**query));
	if (!*query)
		return -ENOMEM;
	(*query)->resolver = resolver;
	memcpy((*query)->name, name, strlen(name) + 1);
	list_init(&(*query)->waiters);
	list_add_tail(&resolver->queries, &(*query)->entry);
	resolver->nr_queries++;
	mn_task_init(&(*query)->task, query_begin);
	task_schedule(mn_self, &(*query)->task);
	return 0;
}

/* ---- waiting ---- */

static void wait_cancel(void *obj)
{
	struct waiter *waiter = obj;

	task_schedule(mn_self, &waiter->fiber->task);
}

static void alarm_ends_wait(struct alarm *alarm)
{
	wait_cancel(alarm->obj);
}

/* What came first wins. */
static int query_wait(struct dns_query *query, struct waiter *waiter, int64_t timeout_ns)
{
	struct alarm alarm = { .expired = false };

	if (timeout_ns != MN_NEVER)
		alarm_set(&alarm, timeout_ns, alarm_ends_wait, waiter);
	list_add_tail(&query->waiters, &waiter->entry);
	while (!waiter->res && !alarm.expired && !waiter->fiber->stop)
		fiber_park(wait_cancel, waiter);
	list_del(&waiter->entry);
	if (timeout_ns != MN_NEVER)
		alarm_cancel(&alarm);
	return waiter->res ? waiter->res : fiber_stopped(waiter->fiber, -ETIMEDOUT);
}

/* ---- the shard's ---- */

int resolver_open(const struct dns_conf *conf)
{
	struct resolver *resolver = mem_alloc(sizeof(*resolver));
	int err;

	if (!resolver)
		return -ENOMEM;
	resolver->conf = *conf;
	list_init(&resolver->queries);
	err = dns_cache_open(&resolver->cache, conf->cache_max);
	if (!err)
		err = dns_channel_open(&resolver->channel, conf);
	if (err) {
		dns_cache_close(&resolver->cache);
		mem_free(resolver);
		return err;
	}
	mn_self->resolver = resolver;
	return 0;
}

static int resolver_get(struct resolver **resolver)
{
	const struct dns_conf conf = {
		.servers = param_servers,
		.timeout_ms = param_timeout_ms,
		.tries = param_tries,
		.cache_max = param_cache_max,
		.ttl_max_s = param_ttl_max_s,
		.negative_ttl_s = param_negative_ttl_s,
		.queries_max = param_queries_max,
	};
	int err = mn_self->resolver ? 0 : resolver_open(&conf);

	*resolver = mn_self->resolver;
	if (!err && (*resolver)->closing)
		err = -ESHUTDOWN;
	return err;
}

int resolver_ask(const char *name, uint16_t port, struct mn_addr *addrs, size_t n,
		 int64_t timeout_ns)
{
	struct waiter waiter = { .fiber = mn_self->fiber, .port = port, .addrs = addrs, .n = n };
	const struct dns_answer *known;
	struct resolver *resolver;
	struct dns_query *query;
	int err;

	BUG_ON(!waiter.fiber);
	err = resolver_get(&resolver);
	if (err)
		return err;
	known = dns_cache_find(&resolver->cache, name, shard_now(mn_self));
	if (known)
		return dns_give(known, port, addrs, n);
	if (waiter.fiber->stop || timeout_ns <= 0)
		return fiber_stopped(waiter.fiber, -ETIMEDOUT);
	err = query_get(resolver, name, &query);
	return err ? err : query_wait(query, &waiter, timeout_ns);
}

int resolver_end(void *unused)
{
	struct resolver *resolver = mn_self->resolver;

	if (!resolver)
		return 0;
	resolver->closing = true;
	dns_channel_close(resolver->channel);
	while (!list_empty(&resolver->queries))	/* those that were about to begin */
		mn_yield();
	dns_cache_close(&resolver->cache);
	mem_free(resolver);
	mn_self->resolver = NULL;
	return 0;
}
