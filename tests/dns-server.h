/* SPDX-License-Identifier: MIT */
/*
 * A name server for tests: a thread that answers over UDP and TCP on a port of
 * 127.0.0.1, for names whose first label says how. It counts what it is asked.
 *
 *	a.test		A 127.0.0.1, AAAA ::1, for 60 s
 *	v4.test		A 127.0.0.2 alone, for 60 s
 *	many.test	20 A records
 *	brief.test	A, for 1 s
 *	alias.test	CNAME of v4.test, for 1 s, with its A
 *	nx.test		there is no such name
 *	empty.test	there is, without addresses
 *	fail.test	SERVFAIL
 *	lost.test	the first of each type gets no answer
 *	silent.test	none ever does; nor do names below it
 *	big.test	over UDP cut off after nothing, over TCP 40 A records
 *	nonsense.test	bytes that are no answer, then an A
 *	host.search.test	A; host and host.test do not exist
 */
#ifndef TESTS_DNS_SERVER_H
#define TESTS_DNS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

struct dns_server {
	pthread_t thread;
	int udp, tcp;
	char text[32];		/* "127.0.0.1:PORT" */
	atomic_int stop;
	atomic_int nr_udp, nr_tcp;	/* questions */
	int lost;		/* bits of types */
};

void dns_server_start(struct dns_server *server);
void dns_server_stop(struct dns_server *server);

#endif
