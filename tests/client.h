/* SPDX-License-Identifier: MIT */
/*
 * A TCP client that trusts nobody: plain sockets, every byte checked, and a
 * limit to each wait. What goes wrong fails the test.
 */
#ifndef TESTS_CLIENT_H
#define TESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

/* client_open - connect to 127.0.0.1; the descriptor, or -errno */
int client_open(unsigned int port);

/* client - the same, and failing fails the test */
int client(unsigned int port);

/* client_small - with kernel buffers of a few KiB, that fill soon */
int client_small(unsigned int port);

/* client_send - all of it */
void client_send(int fd, const void *data, size_t len);

/* client_recv - exactly @len bytes; false if they do not come, or it ends */
bool client_recv(int fd, void *data, size_t len);

/* client_ended - was the connection closed or reset by the other side? */
bool client_ended(int fd);

/* client_echo - @len bytes out and back, at the same time */
void client_echo(int fd, size_t len);

/* client_reset - close so that the other side sees ECONNRESET */
void client_reset(int fd);

/* client_push - send, without waiting or reading, up to @len; how much went */
size_t client_push(int fd, size_t len);

#endif
