/* SPDX-License-Identifier: MIT */
/* Scripts (tests/script.h) on datagrams, in two files. */
#ifndef TESTS_KIT_DGRAM_H
#define TESTS_KIT_DGRAM_H

#include <miniss/dgram.h>

#include "tests/run.h"
#include "tests/script.h"

/* A script that is tried at several kinds of address; it gets this. */
struct dgram_script {
	struct script script;
	mn_fiber_fn fn;
	const char *addr;	/* "unix:" is a file in the directory of the script */
	bool seqpacket;
	bool real;		/* needs files, or descriptors: not in a virtual world */
};

bool is_udp(const struct dgram_script *s);
const char *kit_addr(const struct dgram_script *s);

/* Two sockets, the one connected to the other. */
struct two {
	struct mn_dgram *server, *client;
	struct mn_dgram *listener;	/* of seqpackets */
};

void two_open(struct two *t, const struct dgram_script *s, struct mn_dgram_conf server,
	      struct mn_dgram_conf client);
void two_close_server(struct two *t);
int two_close(struct two *t);

/* kit-dgram-fds.c: what travels beside the bytes */
int kit_descriptors(void *script);
int kit_descriptors_left(void *script);
int kit_creds(void *script);

#endif
