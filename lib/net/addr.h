/* SPDX-License-Identifier: MIT */
#ifndef LIB_NET_ADDR_H
#define LIB_NET_ADDR_H

#include <netinet/in.h>
#include <stddef.h>

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

#define ADDR_TEXT_MAX	64

/* addr_parse - "1.2.3.4:80" or "[::1]:80", numeric; 0 or -EINVAL */
int addr_parse(const char *text, struct addr *addr);

/* addr_format - the same, backwards; always fits ADDR_TEXT_MAX */
void addr_format(const struct addr *addr, char *text, size_t size);

#endif
