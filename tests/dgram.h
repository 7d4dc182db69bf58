/* SPDX-License-Identifier: MIT */
/* The suite of datagrams, in three files. */
#ifndef TESTS_DGRAM_H
#define TESTS_DGRAM_H

#include <check.h>
#include <string.h>

#include <miniss/miniss.h>

#include "core/shard.h"

TCase *tcase_dgram_limit(void);
TCase *tcase_dgram_unix(void);

/* Sockets that must open. */
struct mn_dgram *dgram(const struct mn_dgram_conf *conf);
struct mn_dgram *dgram_to(struct mn_dgram *other);	/* UDP, connected */

/* The address that it is bound to. */
void dgram_text(struct mn_dgram *d, char text[MN_ADDR_TEXT_MAX]);

/* A packet with @len bytes of pattern(), from @from on. */
struct mn_packet packet_make(uint64_t from, size_t len);
bool packet_is(const struct mn_packet *packet, uint64_t from, size_t len);

/* The next one, which must come, and be that; it is freed. */
void packet_expect(struct mn_dgram *d, uint64_t from, size_t len);
void packet_put(struct mn_dgram *d, uint64_t from, size_t len);

/* On the mem backend, which has neither seqpackets nor descriptors that come along: true if so. */
bool is_virtual(void);

#endif
