/* SPDX-License-Identifier: MIT */
#ifndef LIB_NET_SOCKOPT_H
#define LIB_NET_SOCKOPT_H

#include <miniss/socket.h>

enum sockopt_use { SOCKOPT_CLIENT, SOCKOPT_SERVER, SOCKOPT_DGRAM };

/*
 * sockopt_apply - set the options of a socket that is not bound or connected yet
 * @opt: or NULL: the defaults, which are not all the system's. What a server
 * accepts inherits them. Return: 0, or -errno.
 */
int sockopt_apply(int fd, int family, enum sockopt_use use, const struct mn_sockopt *opt);

#endif
