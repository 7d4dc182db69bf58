/* SPDX-License-Identifier: MIT */
/* Connections, with options, and to the first that answers of many addresses. */
#ifndef MINISS_CONNECT_H
#define MINISS_CONNECT_H

#include <miniss/socket.h>
#include <miniss/stream.h>

#define MN_CONNECT_MAX	16	/* addresses that are tried, the first ones */

/**
 * struct mn_connect_conf - how to connect; zero means the default
 * @timeout_ns: from now, for all of it. Default: the kernel's own limit
 * @stagger_ns: how long an attempt may take before the next address is tried,
 *	too. Default: 250 ms, as RFC 8305 recommends
 * @bind: the local address, for attempts of its family. Default: the system's choice
 * @opt: or NULL
 */
struct mn_connect_conf {
	int64_t timeout_ns;
	int64_t stagger_ns;
	struct mn_addr bind;
	const struct mn_sockopt *opt;
};

/**
 * mn_connect_with - mn_connect() with options
 *
 * Return: as mn_connect(); -EADDRNOTAVAIL, -EADDRINUSE for @bind.
 */
MN_API int mn_connect_with(const char *addr, const struct mn_connect_conf *conf,
			   struct mn_stream **stream);

/**
 * mn_connect_any - connect to the first that answers of several addresses
 * @addrs: of one service, the best first, as a name was resolved; the families
 *	take turns
 * @n: how many; of more than MN_CONNECT_MAX the first ones are tried
 * @conf: or NULL
 * @stream: closed by the caller
 *
 * A next attempt begins when one has failed, or the last has not succeeded for
 * a while. The first success ends the others; nothing of them is left.
 *
 * From a fiber; suspends. Return: 0; if all have failed, the error of the last
 * that did; -EINVAL without addresses; -ETIMEDOUT, -ECANCELED.
 */
MN_API int mn_connect_any(const struct mn_addr *addrs, unsigned int n,
			  const struct mn_connect_conf *conf, struct mn_stream **stream);

#endif
