/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets. As text they are "1.2.3.4:80", "[::1]:80" (numbers,
 * no names), "unix:/path", or "unix:@name" for a name that is in no directory
 * (Linux): such a socket needs no file, and is gone with the process.
 */
#ifndef MINISS_ADDR_H
#define MINISS_ADDR_H

#include <netinet/in.h>
#include <sys/un.h>

#include <miniss/types.h>

/**
 * struct mn_addr - the address of a socket; a plain value
 * @len: how many bytes of it count; 0: none
 */
struct mn_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	};
	socklen_t len;
};

#define MN_ADDR_TEXT_MAX	128

/**
 * mn_addr_parse - read an address
 *
 * Any thread; does not suspend.
 *
 * Return: 0; -EINVAL for what is none; -ENAMETOOLONG for a path of a Unix
 * socket that is longer than the system's 107 bytes.
 */
MN_API int mn_addr_parse(const char *text, struct mn_addr *addr);

/**
 * mn_addr_format - write it as text that mn_addr_parse() reads; NUL-terminated
 * @size: of @text; MN_ADDR_TEXT_MAX is enough for any
 *
 * The address of a Unix socket that was not bound is "unix:".
 */
MN_API void mn_addr_format(const struct mn_addr *addr, char *text, size_t size);

#endif
