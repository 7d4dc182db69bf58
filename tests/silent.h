/* SPDX-License-Identifier: MIT */
/*
 * A peer that does not read before it is told to: a socket of the test's own.
 * What is sent to it without a copy the kernel holds until then.
 */
#ifndef TESTS_SILENT_H
#define TESTS_SILENT_H

#include "core/stats.h"
#include "lib/net/stream.h"
#include "tests/suites.h"

#define PARCEL	200000	/* bytes, more than it takes */

struct peer {
	int listener, fd;
	char addr[MN_ADDR_TEXT_MAX];
	uint64_t got, wrong;	/* of pattern() */
	bool held;		/* hold() was reached */
};

void peer_listen(struct peer *peer);
void peer_close(struct peer *peer);

/* A stream to it, whose socket takes a lot; then, no more than it has. */
struct mn_stream *peer_connect(struct peer *peer);
void peer_narrow(const struct mn_stream *stream);

/* peer_take - what has come so far; false at the end. peer_read - all, which is @len bytes */
bool peer_take(struct peer *peer);
void peer_read(struct peer *peer, uint64_t len);

/* hold - a stream whose first PARCEL was sent, as far as that is concerned, and is held */
struct mn_stream *hold(struct peer *peer);

/* let_go - wait until the kernel has, of everything that this shard has sent */
void let_go(void);

/* zc_eager - on all shards, try it with little; @insist: go on, whatever becomes of it */
void zc_eager(bool insist);

/* ck_pins - can it be relied on? What is not root's may be too much to be locked, and is copied */
bool ck_pins(void);

/* ck_stat_grew - then a counter of this shard has; in builds that count */
void ck_stat_grew(enum stat_id id, uint64_t before);

/* run_real - as sharded_run(), of nr_real() combinations, none of which is a virtual world */
void run_real(int i, mn_fiber_fn fn);
int nr_real(void);

TCase *tcase_zero_copy_end(void);

#endif
