/* SPDX-License-Identifier: MIT */
/* The suite of faults, in several files. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <check.h>

TCase *tcase_faults_limit(void);	/* limits: descriptors, memory, connections, time */
TCase *tcase_faults_socket(void);	/* Unix sockets */
TCase *tcase_faults_peer(void);		/* what peers do */

#endif
