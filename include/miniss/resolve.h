/* SPDX-License-Identifier: MIT */
/*
 * Names: their addresses, from the hosts file and from name servers, without a
 * thread. What there is of the system's configuration is heeded: servers,
 * search list and options of /etc/resolv.conf (LOCALDOMAIN, RES_OPTIONS),
 * "hosts" of /etc/nsswitch.conf as far as it says files and dns.
 *
 * A shard remembers answers for as long as they may be (their TTL, at least a
 * second and at most --dns.ttl_max_s), and that a name does not exist for
 * --dns.negative_ttl_s; up to --dns.cache_max of them. Fibers that ask for
 * the same name at the same time share one query.
 *
 * In builds with CONFIG_DNS, which needs c-ares.
 */
#ifndef MINISS_RESOLVE_H
#define MINISS_RESOLVE_H

#include <stddef.h>

#include <miniss/addr.h>

/**
 * mn_resolve - the addresses of a name
 * @name: of a host, at most 253 bytes; or an address in numbers, "1.2.3.4",
 *	"::1", which is taken as it is. Neither a port nor brackets
 * @port: what the addresses are to have for a port
 * @addrs: room for @n of them, the best first (RFC 6724); of more than 16 the
 *	others are not known either
 * @timeout_ns: from now; MN_NEVER: as long as the servers are given
 *	(--dns.timeout_ms, --dns.tries); <= 0: only what is remembered
 *
 * From a fiber; suspends unless the answer is known. A wait that ends early
 * leaves the query to end by itself: its answer is remembered.
 *
 * The first call on a shard reads the system's configuration, and each query
 * the hosts file: small files, that mostly are in the page cache.
 *
 * Return: how many addresses there are, 1 to @n; -EINVAL for @n of 0 and for
 * what is no name; -ENOENT: there is no such name, or it has no addresses;
 * -EHOSTUNREACH: no server has answered; -ECONNREFUSED: there is no server, or
 * each has failed (SERVFAIL) or refused; -EIO: what they answered is nonsense;
 * -EAGAIN: more than --dns.queries_max under way on this shard; -ETIMEDOUT,
 * -ECANCELED; -ENOMEM; -ESHUTDOWN: the program ends; -EOPNOTSUPP in a world
 * whose time is not the real one, for what is not in numbers, and where names
 * are not built in.
 */
MN_API int mn_resolve(const char *name, uint16_t port, struct mn_addr *addrs, size_t n,
		      int64_t timeout_ns);

#endif
