// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/compiler.h"
#include "lib/net/addr.h"

static int port_parse(const char *text, in_port_t *port)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end || n > 65535)
		return -EINVAL;
	*port = htons((uint16_t)n);
	return 0;
}

int addr_parse(const char *text, struct addr *addr)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!colon || len >= sizeof(host))
		return -EINVAL;
	*addr = (struct addr){ .len = 0 };
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		memcpy(host, text + 1, len - 2);
		host[len - 2] = '\0';
		addr->v6.sin6_family = AF_INET6;
		addr->len = sizeof(addr->v6);
		if (inet_pton(AF_INET6, host, &addr->v6.sin6_addr) != 1)
			return -EINVAL;
		return port_parse(colon + 1, &addr->v6.sin6_port);
	}
	memcpy(host, text, len);
	host[len] = '\0';
	addr->v4.sin_family = AF_INET;
	addr->len = sizeof(addr->v4);
	if (inet_pton(AF_INET, host, &addr->v4.sin_addr) != 1)
		return -EINVAL;
	return port_parse(colon + 1, &addr->v4.sin_port);
}

void addr_format(const struct addr *addr, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (addr->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &addr->v6.sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(addr->v6.sin6_port));
	} else {
		inet_ntop(AF_INET, &addr->v4.sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(addr->v4.sin_port));
	}
}
