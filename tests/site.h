/* SPDX-License-Identifier: MIT */
/* A server and its clients, all in the world of one test. */
#ifndef TESTS_SITE_H
#define TESTS_SITE_H

#include <miniss/addr.h>
#include <miniss/serve.h>

#include "tests/run.h"

struct site {
	struct mn_server conf;
	char addr[MN_ADDR_TEXT_MAX];
	struct mn_future up;
	struct mn_fiber *fiber;
	int conns;	/* handlers that ran to their end; shard 0 only */
	int last_err;	/* of the last one */
};

/* Serve from a fiber of its own; returns when it listens (or failed: its error). */
int site_open(struct site *site);
int site_close(struct site *site);	/* mn_stop(), and what mn_serve_with() returned */

/* A client's side of a connection to it. */
struct mn_stream *site_connect(struct site *site);

/* Send bytes of pattern() from @from on; receive and check as many. */
void send_pattern(struct mn_stream *stream, uint64_t from, size_t len);
void expect_pattern(struct mn_stream *stream, uint64_t from, size_t len);
void expect_end(struct mn_stream *stream);

int echo_conn(struct mn_stream *conn, void *arg);
int echo_input(struct mn_stream *conn, struct mn_buf *in, void *arg);

#endif
