// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <string.h>

#include "lib/dns/dns.h"

bool dns_literal(const char *name, struct dns_ip *ip)
{
	ip->v6 = inet_pton(AF_INET6, name, &ip->in6) == 1;
	return ip->v6 || inet_pton(AF_INET, name, &ip->in4) == 1;
}

/* What ends in a number means an address, and is none: no server need be asked. */
static bool ends_in_number(const char *name, size_t len)
{
	if (len && name[len - 1] == '.')
		len--;
	while (len && name[len - 1] != '.')
		if (name[--len] < '0' || name[len] > '9')
			return false;
	return true;
}

int dns_name(const char *text, size_t len, char name[static DNS_NAME_MAX + 1])
{
	if (!len || len > DNS_NAME_MAX || (len == DNS_NAME_MAX && text[len - 1] != '.'))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c <= ' ' || c == 0x7f || strchr(":/\\[]@", c))
			return -EINVAL;
		if (c == '.' && (!i || text[i - 1] == '.'))
			return -EINVAL;
		name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
	}
	name[len] = '\0';
	return ends_in_number(name, len) ? -EINVAL : 0;
}

static void addr_make(const struct dns_ip *ip, uint16_t port, struct mn_addr *addr)
{
	*addr = (struct mn_addr){ .len = 0 };
	if (ip->v6) {
		addr->v6.sin6_family = AF_INET6;
		addr->v6.sin6_port = htons(port);
		addr->v6.sin6_addr = ip->in6;
		addr->len = sizeof(addr->v6);
	} else {
		addr->v4.sin_family = AF_INET;
		addr->v4.sin_port = htons(port);
		addr->v4.sin_addr = ip->in4;
		addr->len = sizeof(addr->v4);
	}
}

int dns_give(const struct dns_answer *answer, uint16_t port, struct mn_addr *addrs, size_t n)
{
	size_t nr = min(answer->nr, n);

	if (answer->err)
		return answer->err;
	for (size_t i = 0; i < nr; i++)
		addr_make(&answer->ip[i], port, &addrs[i]);
	return (int)nr;
}
