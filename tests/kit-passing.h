/* SPDX-License-Identifier: MIT */
/* Scripts (tests/script.h) on what travels beside the bytes of a stream, in two files. */
#ifndef TESTS_KIT_PASSING_H
#define TESTS_KIT_PASSING_H

#include <miniss/passing.h>

extern const struct mn_sockopt takes, takes_creds;

/* nr_open - how many descriptors the process has */
int nr_open(void);

/* through - what is put into the write end of the pipe comes out of it; they are closed */
void through(const int end[2], const int *fds, unsigned int n);

/* kit-passing-raw.c: with a peer that is a plain socket */
int kit_passing_lost(void *arg);
int kit_passing_creds(void *arg);
int kit_passing_no_room(void *arg);
int kit_passing_no_peer(void *arg);

#endif
