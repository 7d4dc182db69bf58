// SPDX-License-Identifier: MIT
#include <string.h>

#include "core/shard.h"
#include "lib/dns/dns.h"

int mn_resolve(const char *name, uint16_t port, struct mn_addr *addrs, size_t n, int64_t timeout_ns)
{
	struct dns_answer answer = { .nr = 1 };
	char small[DNS_NAME_MAX + 1];
	int err;

	if (!n)
		return -EINVAL;
	if (dns_literal(name, &answer.ip[0]))
		return dns_give(&answer, port, addrs, n);
	err = dns_name(name, strnlen(name, DNS_NAME_MAX + 1), small);
	if (err)
		return err;
	if (!IS_ENABLED(CONFIG_DNS) || mn_self->virtual_time)
		return -EOPNOTSUPP;
	return resolver_ask(small, port, addrs, n, timeout_ns);
}

/* The last colon ends the name; an address in numbers was not one for whoever asks this. */
int dns_name_port(const char *text, struct mn_addr *addrs, size_t n, int64_t timeout_ns)
{
	const char *colon = strrchr(text, ':'), *digit = colon ? colon + 1 : "";
	char name[DNS_NAME_MAX + 1];
	uint32_t port = 0;

	if (!*digit || dns_name(text, (size_t)(colon - text), name))
		return -EINVAL;
	for (; *digit; digit++) {
		if (*digit < '0' || *digit > '9' || port > UINT16_MAX)
			return -EINVAL;
		port = 10 * port + (uint32_t)(*digit - '0');
	}
	if (port > UINT16_MAX)
		return -EINVAL;
	/* Without names, in this build or world, it is no address. */
	if (!IS_ENABLED(CONFIG_DNS) || mn_self->virtual_time)
		return -EINVAL;
	return mn_resolve(name, (uint16_t)port, addrs, n, timeout_ns);
}
