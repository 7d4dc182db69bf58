// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <miniss/addr.h>

#include "core/compiler.h"

#define UNIX_PREFIX	"unix:"
#define UNIX_PATH	offsetof(struct sockaddr_un, sun_path)

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

/* A name in no directory begins with a zero byte, and has no other at its end. */
static int unix_parse(const char *path, struct mn_addr *addr)
{
	size_t len = strlen(path);
	bool abstract = *path == '@';

	if (len < 1u + abstract)
		return -EINVAL;
	if (len >= sizeof(addr->un.sun_path))
		return -ENAMETOOLONG;
	addr->un.sun_family = AF_UNIX;
	memcpy(addr->un.sun_path, path, len);
	if (abstract)
		addr->un.sun_path[0] = '\0';
	addr->len = (socklen_t)(UNIX_PATH + len + !abstract);
	return 0;
}

static int v6_parse(const char *host, const char *port, struct mn_addr *addr)
{
	addr->v6.sin6_family = AF_INET6;
	addr->len = sizeof(addr->v6);
	if (inet_pton(AF_INET6, host, &addr->v6.sin6_addr) != 1)
		return -EINVAL;
	return port_parse(port, &addr->v6.sin6_port);
}

int mn_addr_parse(const char *text, struct mn_addr *addr)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	*addr = (struct mn_addr){ .len = 0 };
	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return unix_parse(text + strlen(UNIX_PREFIX), addr);
	if (!colon || len >= sizeof(host))
		return -EINVAL;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		memcpy(host, text + 1, len - 2);
		host[len - 2] = '\0';
		return v6_parse(host, colon + 1, addr);
	}
	memcpy(host, text, len);
	host[len] = '\0';
	addr->v4.sin_family = AF_INET;
	addr->len = sizeof(addr->v4);
	if (inet_pton(AF_INET, host, &addr->v4.sin_addr) != 1)
		return -EINVAL;
	return port_parse(colon + 1, &addr->v4.sin_port);
}

static void unix_format(const struct mn_addr *addr, char *text, size_t size)
{
	size_t len = addr->len > UNIX_PATH ? addr->len - UNIX_PATH : 0;
	const char *path = addr->un.sun_path;
	bool abstract = len && !*path;

	if (abstract)
		snprintf(text, size, UNIX_PREFIX "@%.*s", (int)len - 1, path + 1);
	else
		snprintf(text, size, UNIX_PREFIX "%.*s", (int)strnlen(path, len), path);
}

void mn_addr_format(const struct mn_addr *addr, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	switch (addr->sa.sa_family) {
	case AF_UNIX:
		unix_format(addr, text, size);
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &addr->v6.sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(addr->v6.sin6_port));
		break;
	default:
		inet_ntop(AF_INET, &addr->v4.sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(addr->v4.sin_port));
	}
}
