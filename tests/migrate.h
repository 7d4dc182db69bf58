/* SPDX-License-Identifier: MIT */
/* The suite of connections that move, in two files. */
#ifndef TESTS_MIGRATE_H
#define TESTS_MIGRATE_H

#include "tests/suites.h"

struct mn_buf;
struct mn_stream;

unsigned int after(unsigned int shard);

/* Servers: echo, and a move after each read. */
int roaming(struct mn_stream *conn, void *arg);
int roaming_input(struct mn_stream *conn, struct mn_buf *in, void *arg);

/* A client of such a server, of a struct site: every byte is checked. */
int roamer(void *arg);

TCase *tcase_migrate_end(void);

#endif
